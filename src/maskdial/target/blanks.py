"""Say each blank behind a start token of its own, one blank after another, each with its end (GLM: Du et al. 2022, §2.1)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from maskdial.corruption.runs import AT_ONCE, U0, U1, copy_on, longest_of
from maskdial.corruption.step import Target
from maskdial.corruption.text import LOOSE, Decisions, Ink, Spans, Text
from maskdial.rng import copy, kernel
from maskdial.sample import SPECIAL

if TYPE_CHECKING:
    from jaxtyping import Int32, Int64
    Lengths = Int64[np.ndarray, " u"]


@kernel
def _in_turn(values, offsets, begin, count, start, length, turns, new, each, first, out, at):  # type: ignore[no-untyped-def]
    line = np.empty(2 * (longest_of(offsets) + AT_ONCE), dtype=np.int32)  # short runs are copied fast where they may be overtaken
    for u in range(len(at)):
        text, spans, place = np.uint64(offsets[u]), np.uint64(begin[u]), U0
        for r in range(spans, spans + np.uint64(count[u])):
            j = spans + np.uint64(turns[r])
            size = np.uint64(length[j])
            copy_on(values, text + np.uint64(start[j]), size, line, place + first)
            line[place + (U1 - first) * size] = new[j * each]
            place += size + U1
        copy(line, U0, place, out, at[u])


@kernel
def _places(begin, middle, front, first, count, start, length, turns, position, position2):  # type: ignore[no-untyped-def]
    for u in range(len(begin)):
        shown = position[begin[u] : middle[u]]
        for i in range(len(shown)):
            shown[i] = i
        position2[begin[u] : middle[u]] = 0
        mask, gone = np.empty(count[u], dtype=np.int64), 0
        for k in range(count[u]):
            mask[k] = front + start[first[u] + k] - gone
            gone += length[first[u] + k] - 1
        at = middle[u]
        for r in range(first[u], first[u] + count[u]):
            for i in range(length[first[u] + turns[r]] + 1):
                position[at], position2[at] = mask[turns[r]], i + 1
                at += 1


def places(
    begin: Lengths, middle: Lengths, front: int, spans: Spans, turns: Int32[np.ndarray, " k"], total: int
) -> tuple[Int32[np.ndarray, " m"], Int32[np.ndarray, " m"]]:
    """(position, position2): what is shown counts 0, 1, 2, … and 0; a blank's tokens, its start token first, stand at its [MASK] and
    count 1, 2, 3, …"""
    position, position2 = np.empty(total, dtype=np.int32), np.empty(total, dtype=np.int32)
    _places(begin, middle, front, spans.begin, spans.count, spans.start, spans.length, turns, position, position2)
    return position, position2


class SaidBlanks(Target):
    """The spans in the order of "turns": each is read behind the token of the role start (or bos) and said up to eos."""

    answers = True
    reads_itself = True

    def lengths(self, text: Lengths, d: Decisions, ink: Ink, framed: bool) -> Lengths:
        """Answer tokens a unit."""
        spans: Spans = d["spans"]
        return np.asarray(spans.totals + spans.count, dtype=np.int64)

    def write(self, text: Text, d: Decisions, ink: Ink, silent: int, out: Int32[np.ndarray, " m"], at: Lengths,
              framed: bool) -> None:  # fmt: skip
        """Write what the answer of unit u must say at `out[at[u]:]`."""
        self._write(text, d, ink, out, at, False)

    def read(self, text: Text, d: Decisions, ink: Ink, out: Int32[np.ndarray, " m"], at: Lengths) -> None:
        """Write what the answer of unit u reads at `out[at[u]:]`."""
        self._write(text, d, ink, out, at, True)

    def _write(self, text: Text, d: Decisions, ink: Ink, out: Int32[np.ndarray, " m"], at: Lengths, start: bool) -> None:
        spans: Spans = d["spans"]
        _in_turn(text.values, text.offsets, spans.begin, spans.count, spans.start, spans.length, d["turns"], self._new(spans, ink, start),
                 np.uint64(ink.numbers), np.uint64(start), out, at)  # fmt: skip

    def _new(self, spans: Spans, ink: Ink, start: bool) -> Int32[np.ndarray, " k"]:
        """The start or end token: of each span as a number, of all as an id."""
        if ink.numbers:
            unit = spans.entry_unit
            number = np.arange(len(unit)) - spans.begin[unit]
            return np.asarray(ink.number(LOOSE, 2 * number + int(not start), unit, SPECIAL), dtype=np.int32)
        v = ink.vocab
        opening = v.bos if v.start is None and v.bos is not None else None
        id = (opening if opening is not None else v.need("start", ink.recipe)) if start else v.need("eos", ink.recipe)
        return np.array([id], dtype=np.int32)
