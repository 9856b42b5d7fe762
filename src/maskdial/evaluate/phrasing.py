"""How a question is put to an objective: in the very form it is trained on.

A question is a text, the runs hidden in it and the run that is asked. The objective's own `build` makes the sample, from
decisions that its steps hold (`Step.hold`) instead of drawing them, so frames, sentinels, start tokens and positions are those of
training. What differs between objectives is read off a small sample (`evaluate.facts`), not off their names:

    what a hidden run leaves   a [MASK] a token (bert) · a sentinel (t5) · one [MASK] (bart) · the middle's place (fim) · nothing (gpt)
    what is said               in place (bert) · the runs (t5, glm) · the whole text (bart) · what follows (gpt, prefix-lm)
    what it is said from       both sides · the left alone · the left and the rest of a block

Where nothing shows a hidden run, only what stands left of it is context.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import cached_property

import numpy as np
from jaxtyping import Bool, Int32, UInt8

from maskdial.corruption.block_levels import Levels
from maskdial.corruption.render import AS_MASK, AS_SAME
from maskdial.corruption.text import Decisions
from maskdial.evaluate.asked import silence, splice
from maskdial.evaluate.facts import Run, facts, usual
from maskdial.evaluate.sentences import starts
from maskdial.objective import Objective
from maskdial.sample import SILENT, Layout, Rows, Sample, Samples, rows
from maskdial.vocab import Vocab

Ids = Int32[np.ndarray, " n"]
Text = Ids | Sequence[int]
Runs = Sequence[Sequence[Run]]
#: training samples looked at, their length and that of a sentence in them
LOOKED_AT, LENGTH, SENTENCE = 64, 128, 12


class Phrasing:
    """One objective's way of being asked about a text by itself. `layout` is that of the trained model (default: the objective's).

    `decode` spells tokens, for objectives that mark where sentences end; `language` is the id under which they are asked. Raises
    `ValueError` when a vocabulary lacks a token that the objective needs.
    """

    def __init__(
        self, objective: Objective, vocab: Vocab, layout: Layout | None = None, decode: Callable[[list[int]], str] | None = None,
        language: int | None = None, member: str = "",
    ) -> None:  # fmt: skip
        self.objective, self.vocab, self.layout = objective.alone(), vocab, layout or objective.layout
        self.decode, self.language = decode, next(iter(vocab.languages.values()), None) if language is None else language
        #: of a mixture, which member this is
        self.member = member
        #: some tokens are asked although they were read as they are or as others, so that reading a token is no proof of it
        self.doubts = any(getattr(s, "mask", 1.0) < 1.0 for s in objective.steps if "hidden" in s.decisions)
        #: the loss is weighed so that its sum over a text bounds -log p(text) from above (masked diffusion)
        self.bounds = objective.heads[0].divisor == "tokens"
        #: tokens of a block, for who is asked block by block
        self.block = next((step.size for step in objective.steps if isinstance(step, Levels)), None)
        #: the text is read with a token of the objective's own behind each sentence
        self.separates = objective.prepare is not None
        found = facts(self._small)
        self.shows, self.left, self.chain = found.shows, found.left, found.chain
        self.one_mark_a_run, self.several, self.reads_on, self.mark = found.one_mark_a_run, found.several, found.reads_on, found.mark
        #: the answer is the whole clean text, what the source shows of it too
        self.rewrites = found.rewrites
        #: the answer holds the hidden runs only
        self.spans = self.shows and self.chain and not self.rewrites
        #: text is made token by token from the left
        self.by_token = self.chain or (not self.shows and self.block is None)

    def _small(self, length: int, runs: Sequence[Run]) -> Sample:
        return self._built(self.table([np.resize(self.vocab.body, length)], spelled=True), [runs])[0]

    @cached_property
    def usual(self) -> Run | None:
        """The shortest and the longest run that an answer of hidden runs holds in training, in texts of 128 tokens; None where the
        answer is another, or the vocabulary has too few sentinels to tell."""
        if not self.spans or self.reads_on:
            return None
        tokens = [np.resize(self.vocab.body, LENGTH)] * LOOKED_AT
        flags = [(np.arange(LENGTH) % SENTENCE == 0).astype(np.uint8)] * LOOKED_AT
        language = None if self.language is None else [np.full(LENGTH, self.language)] * LOOKED_AT
        table = rows(tokens, word=[np.ones(LENGTH, dtype=np.uint8)] * LOOKED_AT, sentence=flags, language=language)
        with suppress(ValueError):
            return usual(self.objective(table, self.vocab, provenance=True))
        return None

    def ask(
        self, texts: Sequence[Text], hidden: Runs, asked: Sequence[Run], closing: bool = False, spelled: bool = False
    ) -> Samples:
        """Samples that read each text with its runs hidden and score the tokens of the run `asked`, and no others.

        `closing` also scores what the answer says right after the run (the next sentinel, the end, the following token): the
        objective's own way of saying that the run is complete. Runs ascend and do not touch. `spelled`: the texts hold the
        objective's own tokens already (`spell`).
        """
        if self.reads_on:  # who reads on from the left needs nothing hidden at the end of a text
            hidden = [[] if len(unit) == 1 and unit[0][1] == len(text) else unit for unit, text in zip(hidden, texts, strict=True)]
        samples = self._built(self.table(texts, spelled), hidden)
        return silence(samples, self.wanted(samples, asked, closing))

    def table(self, texts: Sequence[Text], spelled: bool = False) -> Rows:
        """The texts as rows, with the columns that the objective needs."""
        tokens = [np.asarray(t, dtype=np.int32) for t in texts]
        needs, id = self.objective.needs, self.language if self.separates else None
        word = [np.ones(len(t), dtype=np.uint8) for t in tokens] if "word" in needs else None
        sentence = [self._sentences(t, spelled) for t in tokens] if "sentence" in needs else None
        return rows(tokens, word=word, sentence=sentence, language=None if id is None else [np.full(len(t), id) for t in tokens])

    def _sentences(self, ids: Ids, spelled: bool) -> UInt8[np.ndarray, " n"]:
        """Where sentences start, for objectives that read it; one sentence for all others."""
        if self.separates and self.decode is not None and not spelled:
            return starts(ids, self.decode)
        return (np.arange(len(ids)) == 0).astype(np.uint8)

    def decisions(self, table: Rows, hidden: Runs) -> Decisions:
        """Decisions that the steps hold: these runs hidden, everything else left as it is."""
        text, numbers = self.objective.prepared(table, self.vocab)
        if numbers is not None:
            bounds = zip(text.offsets[:-1].tolist(), text.offsets[1:].tolist(), hidden, strict=True)
            hidden = [moved_to(numbers[a:b] >> 4, unit) for a, b, unit in bounds]
        lengths = text.units.lengths
        made = Decisions(np.zeros(len(lengths), dtype=np.uint64))
        nothing: Runs = [()] * len(lengths)
        # the last step that can hide does (bart with overlapping spans has two: the spans, then the insertions)
        hides = [step for step in self.objective.steps if step.hides][-1:]
        for step in self.objective.steps:
            idle = step.hides and step is not hides[0]
            made.values |= step.hold(text, lengths, nothing if idle else hidden)
            lengths = step.lengths(lengths, made)
        return made

    def _built(self, table: Rows, hidden: Runs) -> Samples:
        return self.objective.build(table, self.vocab, self.decisions(table, hidden), provenance=True)

    def wanted(self, samples: Samples, asked: Sequence[Run], closing: bool) -> Bool[np.ndarray, " m"]:
        """Flags of the positions that are scored."""
        row = np.repeat(np.arange(len(samples)), np.diff(samples.offsets))
        low, high = (np.array([run[i] for run in asked], dtype=np.int64)[row] for i in (0, 1))
        answer = samples.answer
        made = (answer >= low) & (answer < high)
        if closing:
            after = np.concatenate([[False], made[:-1]]) & (np.concatenate([[-1], row[:-1]]) == row)
            made |= after & (samples.target != SILENT)
        return made

    def show(self, texts: Sequence[Text]) -> Samples:
        """Samples that read each text as it is, for features: nothing hidden, a prefix read whole."""
        return self._built(self.table(texts), [()] * len(texts))

    def reread(self, texts: Sequence[Text]) -> Samples:
        """Samples that read each text as it is and ask every token of it in place, as for tokens chosen but left unchanged."""
        table = self.table(texts)
        made = self.decisions(table, [[(0, len(t))] for t in texts])
        made.values["hidden"] = np.where(made["hidden"] == AS_MASK, np.uint8(AS_SAME), made["hidden"])
        samples = self.objective.build(table, self.vocab, made)
        return silence(samples, samples.target != SILENT)

    def rewrite(self, sources: Sequence[Text], answers: Sequence[Text], asked: Sequence[Run], spelled: bool = False) -> Samples:
        """Samples that read each source as it stands and say the answer (two streams, whole texts): sources and answers may
        differ. Scores the run `asked` of each answer."""
        if not self.rewrites:
            raise ValueError(f"{self.objective.name} does not rewrite whole texts")
        read = self.ask(sources, [()] * len(sources), [(0, 0)] * len(sources), spelled=spelled)
        said = self.ask(answers, [()] * len(answers), asked, spelled=spelled)
        return splice(read, said)

    def spell(self, ids: Ids, runs: Sequence[Run] = ()) -> tuple[Ids, list[Run]]:
        """A text with the objective's own tokens in it, without the one that ends it, and where the runs then stand."""
        if not self.separates or not len(ids):
            return ids, list(runs)
        text, numbers = self.objective.prepared(self.table([ids]), self.vocab)
        assert numbers is not None
        return text.tokens[:-1], moved_to(numbers >> 4, runs)

    @cached_property
    def own(self) -> Bool[np.ndarray, " v"]:
        """Ids that stand within a spelled text beside body tokens."""
        made = np.zeros(self.vocab.size, dtype=bool)
        if self.separates and self.vocab.eos is not None:
            made[self.vocab.eos] = True
        return made

    @cached_property
    def ends(self) -> Bool[np.ndarray, " v"]:
        """Ids by which an answer says that it is complete: end of sequence, end of document, any sentinel, a language."""
        v, made = self.vocab, np.zeros(self.vocab.size, dtype=bool)
        made[[id for id in (v.eos, v.eod, v.sep, *v.sentinels, *v.languages.values()) if id is not None]] = True
        return made & ~self.own


def moved_to(origin: Int32[np.ndarray, " m"], runs: Sequence[Run]) -> list[Run]:
    """Runs of a text as runs of another that holds the same tokens in the same order, and others between them."""
    return [(int(np.flatnonzero(origin == a)[0]), int(np.flatnonzero(origin == b - 1)[0]) + 1) for a, b in runs]
