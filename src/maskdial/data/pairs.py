"""Pairs of text for next-sentence prediction and sentence order: a row plan that is computed, never walked.

The law is that of BERT's and ALBERT's released pair building (Devlin et al. 2019, appendix A.2; Lan et al. 2020, section
3.1): a chunk of whole sentences up to a target length (a tenth of the time a shorter one, uniform in 2 … length), cut
after a uniform number of its sentences. `next`: the second part is the rest of the chunk (label 0), or, with probability
1/2 and always when the chunk is a single sentence, text that starts at a uniform sentence of another document (label 1).
`order`: the two parts of the chunk, exchanged with probability 1/2 (label 1). Too long a pair loses tokens of its longer
part, each from its front or its back with probability 1/2.

The release walks each document with state. Here sample n is a function of (seed, epoch, n) alone, which changes this:

- A document of T tokens has ceil(T / length) chunks, which start at the first sentence of equal stretches of it; an epoch
  draws each chunk once. The release starts a chunk where the last one ended and puts back what a random pair left over;
  here that text waits for the chunk's next draw (or is in the next chunk, which may overlap).
- A stretch inside a long sentence starts where it starts. A sentence is read for `length` tokens after the target at most,
  and the start of a random second part is looked for in at most 65,536 tokens.
- The target length is drawn for each chunk, not for each document. The other document is never the same one (the release
  gives up after ten draws). An exchange comes after the cut to length, so that the two parts don't depend on the label.
- `order` lists the chunks that have two sentences and leaves out the others.

`next:same-document` lets a corpus of one document pair with itself, as the release does; without, that is refused.
`order:random` keeps single sentences and pairs them with another document (label 1), as ALBERT's release does.
"""

from __future__ import annotations

import hashlib
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Mapping, Sequence
from itertools import accumulate
from typing import Any, NamedTuple, Protocol

import numpy as np
from numpy.typing import ArrayLike, NDArray

from maskdial.data.shuffle import mix, permute
from maskdial.errors import UserError, nearest
from maskdial.sample import Rows

KINDS = ("next", "next:same-document", "order", "order:random")
#: One chunk in so many has a shorter target.
SHORT_ONE_IN = 10
#: Tokens of a document in which the start of a random second part is looked for.
REACH = 1 << 16
GOLDEN = np.uint64(0x9E3779B97F4A7C15)
SHORT, TARGET, CUT, COIN, DOCUMENT, STRETCH, START, FRONT_A, FRONT_B = range(9)

DTYPES: dict[str, Any] = {"tokens": np.int32, "word": np.uint8, "sentence": np.uint8}


class Column(Protocol):
    """Something stored that can be read in part."""

    def slice(self, first: int, end: int) -> NDArray[Any]: ...


class Held(NamedTuple):
    """A column in memory."""

    values: NDArray[Any]

    def slice(self, first: int, end: int) -> NDArray[Any]:
        return self.values[first:end]


class Documents(NamedTuple):
    """Documents stored one after another: `first` int64[D], where each starts in the columns; `size` int64[D], its tokens;
    the columns `tokens`, `sentence` and perhaps `word`, one value a token; `language` int32[D], or None."""

    first: NDArray[np.int64]
    size: NDArray[np.int64]
    columns: Mapping[str, Column]
    language: NDArray[np.int32] | None = None


class Piece(NamedTuple):
    """Tokens first … end-1 of a document."""

    document: int
    first: int
    end: int


class Pair(NamedTuple):
    """Two pieces as they will be read, and the label; `single`: the chunk held one sentence."""

    parts: tuple[Piece, Piece]
    label: int
    single: bool


def below(bits: int, n: int) -> int:
    """A whole number uniform in 0 … n-1 (n < 2^32) from 64 random bits."""
    return ((bits >> 32) * n) >> 32


def fitted(a: int, b: int, limit: int) -> tuple[int, int]:
    """What is left of two parts when, token by token, the longer one (the second of two equal ones) loses until both fit."""
    if a + b <= limit:
        return a, b
    short = min(a, b)
    if 2 * short > limit:
        return (limit + 1) // 2, limit // 2
    return (short, limit - short) if a < b else (limit - short, short)


class Plan:
    """The pairs of some documents with at most `length` tokens each: `len(plan)` samples an epoch, `rows` for any of them.

    Takes one integer a document (and, for `order`, one a chunk) of memory. `ValueError` for an unknown kind or a length below
    2; `UserError` when there is one document only (`next`), or no two sentences that follow each other (`order`).
    """

    def __init__(self, text: Sequence[Documents], length: int, kind: str = "next", name: str = "the text") -> None:
        if kind not in KINDS:
            raise ValueError(f"no pairs are called {kind!r}: {nearest(kind, KINDS)}")
        if length < 2:
            raise ValueError(f"a pair has 2 or more tokens, not {length}")
        self.text, self.length, self.kind = text, length, kind
        self._from = [0, *accumulate(len(t.size) for t in text)]
        self.size = np.concatenate([np.zeros(0, np.int64), *(t.size for t in text)])
        self._chunks = -(-self.size // length)
        self._until = np.cumsum(self._chunks)
        if len(self.size) < (1 if kind in ("next:same-document", "order") else 2):
            allow = ", or let it pair with itself as the released code does (next:same-document)" if kind == "next" else ""
            raise UserError(f"{name} has {len(self.size)} documents, and a random second part comes from another one",
                            hint=f"give more documents{allow}", code="pairs.documents")  # fmt: skip
        self._kept = self._followed(name) if kind == "order" else None

    def __len__(self) -> int:
        return len(self._kept) if self._kept is not None else int(self._until[-1])

    def _stretches(self, chunks: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
        """For each chunk its document, and the first and end place in it of the stretch that its first sentence starts in."""
        document = np.searchsorted(self._until, chunks, side="right")
        of, size = self._chunks[document], self.size[document]
        number = chunks - (self._until[document] - of)
        return document, size * number // of, size * (number + 1) // of

    def _followed(self, name: str) -> NDArray[np.int64]:
        """The chunks whose first sentence is followed by another one of its document, near enough to be read."""
        found, before = [], 0
        for n, t in enumerate(self.text):
            chunks = np.arange(before, before := int(self._until[self._from[n + 1] - 1]) if len(t.size) else before)
            document, start, end = self._stretches(chunks)
            first, size = (c[document - self._from[n]] for c in (t.first, t.size))
            total = int(t.first[-1] + t.size[-1]) if len(t.size) else 0
            sentences = np.append(np.flatnonzero(t.columns["sentence"].slice(0, total)), [total, total])
            at = np.searchsorted(sentences, first + start)
            anchor = np.where(sentences[at] < first + end, sentences[at], first + start)
            following = sentences[at + (sentences[at] == anchor)]
            found.append(chunks[following < np.minimum(first + size, anchor + 2 * self.length)])
        kept = np.concatenate(found)
        if not len(kept):
            raise UserError(f"{name} has no document with two sentences, so none could change places",
                            hint="give longer documents, or fill up with other documents' text (order:random)",
                            code="pairs.sentences")  # fmt: skip
        return kept

    def _home(self, document: int) -> tuple[Documents, int]:
        """Where a document is stored, and its number there."""
        group = bisect_right(self._from, document) - 1
        return self.text[group], document - self._from[group]

    def _sentences(self, document: int, first: int, end: int) -> NDArray[np.int64]:
        """Places, counted from `first`, of the tokens first … end-1 of a document that start a sentence."""
        home, local = self._home(document)
        at = int(home.first[local])
        return np.flatnonzero(home.columns["sentence"].slice(at + first, at + end))

    def _chunk(self, document: int, first: int, target: int, least: int = 1) -> list[int]:
        """Ends, counted from `first`, of the sentences from there on until `target` tokens or the document's end are reached."""
        last = min(int(self.size[document]), first + 2 * self.length)
        ends = [*self._sentences(document, first + 1, last).tolist(), last - first - 1]
        return [end + 1 for end in ends[: max(bisect_left(ends, target - 1) + 1, least)]]

    def _elsewhere(self, document: int, target: int, bits: Sequence[int]) -> Piece:
        """At least one sentence, and up to `target` tokens, from a uniform sentence of another document."""
        others = len(self.size) - 1
        other = below(bits[DOCUMENT], max(others, 1))
        other += others > 0 and other >= document
        size = int(self.size[other])
        low = below(bits[STRETCH], size - REACH + 1) if size > REACH else 0
        starts = self._sentences(other, low, min(size, low + REACH))
        first = low + (int(starts[below(bits[START], len(starts))]) if len(starts) else 0)
        return Piece(other, first, first + self._chunk(other, first, target)[-1])

    def _pair(self, document: int, start: int, end: int, bits: Sequence[int]) -> Pair:
        """The pair of one chunk, before it is cut to length."""
        first = start + int(next(iter(self._sentences(document, start, end)), 0))  # the stretch's own start when there is none
        short = below(bits[SHORT], SHORT_ONE_IN) == 0
        target = 2 + below(bits[TARGET], self.length - 1) if short else self.length
        ends = self._chunk(document, first, target, least=1 if self.kind.startswith("next") else 2)
        single, coin = len(ends) == 1, bits[COIN] >> 63
        cut = ends[0 if single else below(bits[CUT], len(ends) - 1)]
        one = Piece(document, first, first + cut)
        if single or (coin and self.kind.startswith("next")):
            return Pair((one, self._elsewhere(document, target - cut, bits)), 1, single)
        return Pair((one, Piece(document, first + cut, first + ends[-1])), int(coin), single)

    def pairs(self, numbers: NDArray[np.int64], seed: int, shuffle: bool = True) -> list[Pair]:
        """The pairs of samples, before they are cut to length and exchanged."""
        place, epoch = numbers % len(self), numbers // len(self)
        if shuffle:
            for e in np.unique(epoch).tolist():
                place[epoch == e] = permute(place[epoch == e], len(self), seed, e)
        chunks = place if self._kept is None else self._kept[place]
        table = zip(*(c.tolist() for c in (*self._stretches(chunks), self._bits(numbers, seed))), strict=True)
        return [self._pair(*row) for row in table]

    def _bits(self, numbers: NDArray[np.int64], seed: int) -> NDArray[np.uint64]:
        """uint64[R, 9]: the draws of samples; an epoch follows from a sample's number."""
        digest = hashlib.blake2b(f"maskdial.pairs/1:{seed}".encode(), digest_size=8).digest()
        keys = mix((np.uint64(int.from_bytes(digest, "little")) ^ numbers.astype(np.uint64)) + GOLDEN)
        return mix(keys[:, None] + np.arange(1, 10, dtype=np.uint64) * GOLDEN)

    def _fitted(self, pairs: Sequence[Pair], bits: NDArray[np.uint64]) -> list[Piece]:
        """Both parts of each pair cut to length, each lost token from the front or the back of its part, and exchanged."""
        parts = [part for pair in pairs for part in pair.parts]
        sizes = [part.end - part.first for part in parts]
        left = [n for a, b in zip(sizes[::2], sizes[1::2], strict=True) for n in fitted(a, b, self.length)]
        lost = np.array(sizes, dtype=np.int64) - np.array(left, dtype=np.int64)
        ends = np.cumsum(lost)
        turn = (np.arange(ends[-1] if len(ends) else 0) - np.repeat(ends - lost, lost) + 1).astype(np.uint64)
        coins = mix(np.repeat(bits[:, [FRONT_A, FRONT_B]].reshape(-1), lost) + turn * GOLDEN) >> np.uint64(63)
        heads = np.append(np.uint64(0), np.cumsum(coins))
        front = (heads[ends] - heads[ends - lost]).tolist()
        parts = [Piece(p.document, p.first + f, p.first + f + n) for p, f, n in zip(parts, front, left, strict=True)]
        for n, pair in enumerate(pairs):
            if pair.label == 1 and self.kind.startswith("order") and not pair.single:
                parts[2 * n : 2 * n + 2] = parts[2 * n + 1], parts[2 * n]
        return parts

    def rows(self, numbers: ArrayLike, seed: int, shuffle: bool = True) -> Rows:
        """A row a sample: both parts in one segment, `part` 0 and 1, `label` as drawn; epoch e holds samples e·len … (e+1)·len-1."""
        numbers = np.atleast_1d(np.asarray(numbers, dtype=np.int64))
        pairs = self.pairs(numbers, seed, shuffle)
        parts = self._fitted(pairs, self._bits(numbers, seed))
        sizes = np.array([p.end - p.first for p in parts], dtype=np.int64)
        homes = [self._home(p.document) for p in parts]
        places = [int(home.first[local]) for home, local in homes]

        def column(name: str) -> NDArray[Any]:
            read = (home.columns[name].slice(at + p.first, at + p.end) for (home, _), at, p in zip(homes, places, parts, strict=True))
            return np.concatenate([np.zeros(0, DTYPES[name]), *read]).astype(DTYPES[name])

        columns: dict[str, Any] = {name: column(name) for name in self.text[0].columns}
        if self.text[0].language is not None:
            ids = [home.language[local] for home, local in homes if home.language is not None]
            columns["language"] = np.repeat(np.array(ids, dtype=np.int32), sizes)
        return Rows(
            offsets=np.concatenate([[0], np.cumsum(sizes.reshape(-1, 2).sum(1))]).astype(np.int64), index=numbers.astype(np.uint64),
            segment=np.zeros(sizes.sum(), dtype=np.int32), part=np.repeat(np.tile(np.array([0, 1], np.uint8), len(pairs)), sizes),
            label=np.array([p.label for p in pairs], dtype=np.int32), **columns,
        )  # fmt: skip


def held(documents: Iterable[Sequence[ArrayLike]]) -> Documents:
    """Documents in memory, each a list of sentences, each a list of ids; empty ones are left out."""
    sentences = [[np.asarray(s, dtype=np.int32) for s in d if np.size(s)] for d in documents]
    sentences = [d for d in sentences if d]
    size = np.array([sum(map(len, d)) for d in sentences], dtype=np.int64)
    tokens = np.concatenate([np.zeros(0, np.int32), *(s for d in sentences for s in d)])
    starts = np.zeros(len(tokens), dtype=np.uint8)
    starts[np.cumsum([0, *(len(s) for d in sentences for s in d)])[:-1]] = 1
    return Documents(np.cumsum(size) - size, size, {"tokens": Held(tokens), "sentence": Held(starts)})


def pair_rows(documents: Iterable[Sequence[ArrayLike]], length: int, index: ArrayLike | None = None, *, seed: int = 0,
              epoch: int = 0, kind: str = "next") -> Rows:  # fmt: skip
    """Pairs of documents that are lists of sentences of ids: the samples numbered `index` within an epoch (default: all)."""
    plan = Plan([held(documents)], length, kind)
    numbers = np.arange(len(plan)) if index is None else np.asarray(index, dtype=np.int64)
    return plan.rows(numbers + epoch * len(plan), seed)
