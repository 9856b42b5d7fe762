"""How a question is put to an objective: in the very form it is trained on.

A question is a text, the runs hidden in it and the run that is asked. The objective's own `build` makes the sample, from
decisions that are forced instead of drawn, so frames, sentinels, start tokens and positions are those of training. What
differs between objectives follows from their steps and target, not from their names:

    steps show hidden runs    as [MASK] a token (bert) · a sentinel a run (t5) · one [MASK] a run (bart) · not at all (gpt)
    target                    in place (bert) · the runs (t5) · the whole text (bart) · what follows (gpt, prefix-lm)

Where nothing shows a hidden run, only what stands left of it is context.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from jaxtyping import Bool, Int32, Int64

from maskdial.corruption.render import AS_MASK, AS_SAME, REMOVED
from maskdial.corruption.text import Decisions, Spans
from maskdial.objective import Objective
from maskdial.sample import SILENT, Layout, Rows, Samples, rows
from maskdial.vocab import Vocab

Text = Int32[np.ndarray, " n"] | Sequence[int]


#: a run of tokens: where it begins and where it ends (exclusive)
Run = tuple[int, int]


class Phrasing:
    """One objective's way of being asked. `layout` is that of the trained model (default: the objective's own)."""

    def __init__(self, objective: Objective, vocab: Vocab, layout: Layout | None = None) -> None:
        self.objective, self.vocab, self.layout = objective, vocab, layout or objective.layout
        decisions = {name for step in objective.steps for name in step.decisions}
        answers = objective.target.answers
        #: hidden runs leave a gap, so that what stands right of them is context too
        self.shows = bool(decisions & {"hidden", "spans"})
        #: one [MASK] a token, asked where it stands
        self.in_place = self.shows and not answers
        #: the answer is the whole clean text, what the source shows of it too
        self.rewrites = answers and objective.sees_own == "copied"
        #: the answer holds the hidden runs only
        self.spans = answers and not self.rewrites
        #: position i says token i + 1
        self.follows = not self.shows and not answers
        #: a hidden run of any length leaves one token, so its length need not be known
        self.one_mark_a_run = "spans" in decisions
        #: some positions see ahead: the context is read both ways
        self.split = "split" in decisions
        #: some tokens are asked although they were read as they are or as others, so that reading a token is no proof of it
        self.doubts = any(getattr(s, "mask", 1.0) < 1.0 for s in objective.steps if "hidden" in s.decisions)
        #: the probabilities of a run's tokens multiply to the run's (each is asked given those before it)
        self.chain = not self.in_place

    def ask(
        self, texts: Sequence[Text], hidden: Sequence[Sequence[Run]], asked: Sequence[Run], closing: bool = False
    ) -> Samples:
        """Samples that read each text with its runs hidden and score the tokens of the run `asked`, and no others.

        `closing` also scores what the answer says right after the run (the next sentinel, the end, the following token): the
        objective's own way of saying that the run is complete. Runs ascend and do not touch. Raises `ValueError` when a
        vocabulary lacks a token that the objective needs.
        """
        table = rows([np.asarray(t, dtype=np.int32) for t in texts])
        samples = self.objective.build(table, self.vocab, self.decisions(table, hidden, asked), provenance=True)
        return silence(samples, self.wanted(samples, asked, closing))

    def decisions(
        self, table: Rows, hidden: Sequence[Sequence[Run]], asked: Sequence[Run], action: int = AS_MASK
    ) -> Decisions:
        """Forced decisions: these runs hidden, a prefix up to the first of them (or to the run that is asked), everything else
        left as it is. `action` is what happens to a token hidden in place."""
        lengths = table.units.lengths
        made = Decisions(np.zeros(len(lengths), dtype=np.uint64))
        # the last step that can hide does (bart with overlapping spans has two: the spans, then the insertions)
        shows = [step for step in self.objective.steps if set(step.decisions) & {"hidden", "spans"}][-1:]
        for step in self.objective.steps:
            for name in step.decisions:
                runs = hidden if step in shows else [()] * len(lengths)
                if name == "split":
                    begin = [unit[0][0] if unit else run[0] for unit, run in zip(hidden, asked, strict=True)]
                    made.values[name] = np.maximum(1, np.array(begin, dtype=np.int64))
                    continue
                value = _decision(name, lengths, runs, REMOVED if getattr(step, "remove_forced", False) else action)
                made.values[name] = value
            lengths = step.lengths(lengths, made)
        return made

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
        """Samples that read each text as it is, for features: nothing hidden."""
        whole = [(0, len(t)) for t in texts]
        table = rows([np.asarray(t, dtype=np.int32) for t in texts])
        # a prefix-lm's whole text is the prefix: all of it is read both ways
        decisions = self.decisions(table, [()] * len(texts), [(end, end) for _, end in whole])
        return self.objective.build(table, self.vocab, decisions, provenance=True)

    def reread(self, texts: Sequence[Text]) -> Samples:
        """Samples that read each text as it is and ask every token of it in place, as for tokens chosen but left unchanged."""
        whole = [(0, len(t)) for t in texts]
        table = rows([np.asarray(t, dtype=np.int32) for t in texts])
        return silence(samples := self.objective.build(table, self.vocab, self.decisions(table, [[w] for w in whole], whole, AS_SAME)),
                       samples.target != SILENT)  # fmt: skip

    def rewrite(self, sources: Sequence[Text], answers: Sequence[Text], asked: Sequence[Run]) -> Samples:
        """Samples that read each source as it stands and say the answer (two streams, whole texts): sources and answers may
        differ. Scores the run `asked` of each answer."""
        if not self.rewrites:
            raise ValueError(f"{self.objective.name} does not rewrite whole texts")
        read = self.ask(sources, [()] * len(sources), [(0, 0)] * len(sources))
        said = self.ask(answers, [()] * len(answers), asked)
        return splice(read, said)


def _decision(name: str, lengths: Int64[np.ndarray, " u"], runs: Sequence[Sequence[Run]], action: int) -> Any:
    """The decision `name` that hides these runs, or that leaves the text alone; `ValueError` for one that is not known."""
    if name == "spans":
        return Spans.of([[(a, b - a) for a, b in unit] for unit in runs])
    if name == "hidden":
        flags = np.zeros(int(lengths.sum()), dtype=np.uint8)
        for start, unit in zip(np.cumsum(lengths) - lengths, runs, strict=True):
            for a, b in unit:
                flags[start + a : start + b] = action
        return flags
    if name == "sentences":
        return Spans.of([[(0, int(n))] for n in lengths])
    if name in ("rotate", "inserted"):
        return np.zeros(len(lengths), dtype=np.int64)
    raise ValueError(f"don't know how to hold the decision {name!r} still, so questions cannot be put")


COLUMNS = ("read", "position", "segment", "order", "stream")


def silence(samples: Samples, keep: Bool[np.ndarray, " m"]) -> Samples:
    """The same samples, first head only, asking where `keep` is set and nowhere else."""
    name = samples.heads[0].name
    columns = {c: samples.column(c) for c in COLUMNS} | {c: samples.column(c) for c in ("private", "position2") if samples.has(c)}
    columns[f"target:{name}"] = np.where(keep, samples.target, SILENT).astype(np.int32)
    return Samples(samples.offsets, samples.index, columns, samples.heads[:1], samples.layout, samples.objective, samples.body,
                   samples.pad, samples.start)  # fmt: skip


def take(samples: Samples, which: Int64[np.ndarray, " k"]) -> Samples:
    """Some rows of a table, in the given order."""
    lengths = np.diff(samples.offsets)[which]
    offsets = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
    index = np.repeat(samples.offsets[which] - offsets[:-1], lengths) + np.arange(offsets[-1])
    name = samples.heads[0].name
    wanted = [*COLUMNS, *(c for c in ("private", "position2") if samples.has(c)), f"target:{name}"]
    columns = {c: samples.column(c)[index] for c in wanted}
    return Samples(offsets, samples.index[which], columns, samples.heads[:1], samples.layout, samples.objective, samples.body[which],
                   samples.pad, samples.start)  # fmt: skip


def splice(source: Samples, answer: Samples) -> Samples:
    """Row by row the source stream of one table and the answer stream of another."""
    name = answer.heads[0].name
    wanted = ("read", "position", "segment", "stream", f"target:{name}")
    pieces: dict[str, list[Any]] = {c: [] for c in (*wanted, "order")}
    offsets = [0]
    for i in range(len(source)):
        a, b = slice(*source.offsets[i : i + 2]), slice(*answer.offsets[i : i + 2])
        left, right = source.stream[a] == 0, answer.stream[b] == 1
        for c in wanted:
            pieces[c] += [source.column(c)[a][left], answer.column(c)[b][right]]
        pieces[f"target:{name}"][-2] = np.full(int(left.sum()), SILENT, dtype=np.int32)
        pieces["order"] += [np.zeros(int(left.sum()), dtype=np.int32), np.arange(1, int(right.sum()) + 1, dtype=np.int32)]
        offsets.append(offsets[-1] + int(left.sum()) + int(right.sum()))
    columns = {c: np.concatenate(parts) if parts else np.zeros(0, np.int32) for c, parts in pieces.items()}
    return Samples(np.array(offsets, dtype=np.int64), answer.index, columns, answer.heads[:1], answer.layout, answer.objective,
                   answer.body, answer.pad, answer.start)  # fmt: skip
