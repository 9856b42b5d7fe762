"""What the probes ask about: passages of held-out text and what a unigram knows, the same for every objective.

Items depend on the corpus and on nothing else: no model, objective or training seed moves them, so results compare item by
item and the text was picked before anything was trained.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Protocol

import numpy as np
from jaxtyping import Bool, Float64, Int32, Int64

from maskdial.rng import keys
from maskdial.vocab import Vocab

Ids = Int32[np.ndarray, " n"]



#: Fewer passages than this say too little; the passage length is halved until there are as many.
ENOUGH = 20
SHORTEST = 16
#: Fewer documents than this cannot carry a bootstrap over documents; passages are drawn instead.
FEW_DOCUMENTS = 8
#: Train tokens the unigram counts at most.
COUNTED = 4_000_000


class Part(Protocol):
    """The train or held-out documents of a corpus."""

    @property
    def num_documents(self) -> int: ...
    def document(self, i: int, /) -> Ids: ...
    def label(self, i: int, /) -> str | None: ...


@dataclass(frozen=True)
class Passage:
    """A run of tokens of one held-out document; `group` is what the bootstrap draws (the document, or this passage)."""

    document: int
    start: int
    ids: Ids
    group: int

    def __len__(self) -> int:
        return len(self.ids)


class Items:
    """Passages, byte counts and unigram statistics of one corpus (`maskdial.data.shards.Corpus`)."""

    def __init__(self, corpus: Any) -> None:
        self.corpus, self.vocab, self.tokenizer = corpus, corpus.vocab, corpus.tokenizer
        self._passages: dict[tuple[int, int, int], list[Passage]] = {}

    def body(self, part: Part, i: int) -> Ids:
        """A document's tokens without the end-of-document token."""
        ids = np.asarray(part.document(i), dtype=np.int32)
        end = self.vocab.eod
        return ids[:-1] if len(ids) and end is not None and ids[-1] == end else ids

    @cached_property
    def documents(self) -> list[Ids]:
        """The held-out documents' body tokens."""
        held = self.corpus.held_out
        return [self.body(held, i) for i in range(held.num_documents)]

    @cached_property
    def by_document(self) -> bool:
        """Whether there are documents enough to draw documents in the bootstrap."""
        return len(self.documents) >= FEW_DOCUMENTS

    def passages(self, length: int, count: int, cut: int = 0) -> list[Passage]:
        """At most `count` passages of `length` tokens, from as many documents as possible.

        Runs do not overlap; documents come in a fixed shuffled order, every document's first passage before any second.
        Where `cut` > 0 the text splits into whole characters there. When held-out text has too few passages of that
        length, half of it is tried (`cut` too), down to 16 tokens: look at the result's lengths.
        """
        key = (length, count, cut)
        if key not in self._passages:
            found = self._find(length, count, cut)
            shorter = length // 2
            if len(found) < ENOUGH and shorter >= SHORTEST and len(half := self.passages(shorter, count, cut // 2)) > len(found):
                found = half
            self._passages[key] = found
        return self._passages[key]

    def _find(self, length: int, count: int, cut: int) -> list[Passage]:
        order = shuffled(len(self.documents), "documents")
        runs = max((len(ids) // length for ids in self.documents), default=0)
        made: list[Passage] = []
        for run in range(runs):
            for i in order:
                ids = self.documents[i]
                # the document's runs, in an order of their own, so that openings are not all that is asked
                number = len(ids) // length
                if run >= number:
                    continue
                slack = len(ids) - number * length
                start = int(shuffled(number, f"runs {i}")[run]) * length + slack // 2
                start = self._clean(ids, start, length, cut, slack - slack // 2)
                made.append(Passage(int(i), start, ids[start : start + length], int(i) if self.by_document else len(made)))
                if len(made) == count:
                    return made
        return made

    def _clean(self, ids: Ids, start: int, length: int, cut: int, slack: int) -> int:
        """The first start from `start` on (by at most `slack` and 8) at which the passage and its cut split no character."""
        if cut == 0:
            return start
        for more in range(min(8, slack) + 1):
            run = ids[start + more : start + more + length]
            whole, left, right = (self.text(part) for part in (run, run[:cut], run[cut:]))
            if left + right == whole and "\ufffd" not in (whole[:1] + left[-1:]):
                return start + more
        return start

    @cached_property
    def language(self) -> int | None:
        """The language of most train documents, as a token id; None where documents name none."""
        found = getattr(self.corpus.train, "languages", None)
        return None if found is None or not len(found) else int(np.bincount(found).argmax())

    def text(self, ids: Sequence[int] | Ids) -> str:
        """Tokens as text."""
        return str(self.tokenizer.decode([int(i) for i in ids]))

    def bytes(self, ids: Ids, cut: int) -> int:
        """UTF-8 bytes that `ids[cut:]` adds to the text of `ids[:cut]`.

        A difference of lengths, so that a character split by the cut counts once and a tokenizer that drops a leading space
        does not change the total.
        """
        return len(self.text(ids).encode()) - len(self.text(ids[:cut]).encode())

    @cached_property
    def counts(self) -> Int64[np.ndarray, " v"]:
        """How often each id occurs in the train documents (evenly spaced ones when there are more than 4 M tokens)."""
        train, made = self.corpus.train, np.zeros(self.vocab.size, dtype=np.int64)
        seen = 0
        for i in shuffled(train.num_documents, "unigram"):
            ids = self.body(train, int(i))
            made += np.bincount(ids, minlength=self.vocab.size)[: self.vocab.size]
            seen += len(ids)
            if seen >= COUNTED:
                break
        return made

    @cached_property
    def unigram(self) -> Float64[np.ndarray, " v"]:
        """Log-probability (nats) of each body id by add-one counts; -inf for ids that text never produces."""
        made = np.full(self.vocab.size, -np.inf)
        body = self.vocab.body
        counts = self.counts[body] + 1.0
        made[body] = np.log(counts / counts.sum())
        return made

    @cached_property
    def commonest(self) -> int:
        """The unigram's one answer to every question."""
        return int(np.argmax(self.unigram))

    @cached_property
    def word_start(self) -> Bool[np.ndarray, " v"]:
        """Which ids start a word; all of them when the vocabulary does not say."""
        vocab: Vocab = self.vocab
        return np.ones(vocab.size, dtype=bool) if vocab.word_start is None else np.asarray(vocab.word_start, dtype=bool)


def shuffled(n: int, name: str) -> Int64[np.ndarray, " n"]:
    """0 … n-1 in an order that depends on `name` and n alone."""
    return np.argsort(keys(0, f"items {name}", 0, np.arange(n, dtype=np.uint64)), kind="stable")


def uniform(n: int, name: str, high: int) -> Int64[np.ndarray, " n"]:
    """n numbers in 0 … high-1, number i depending on `name` and i alone."""
    bits = keys(0, f"items {name}", 0, np.arange(n, dtype=np.uint64))
    return ((bits >> np.uint64(33)) % np.uint64(max(high, 1))).astype(np.int64)
