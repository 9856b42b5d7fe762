"""Say the hidden tokens one after another, and nothing else of the text: no sentinel tells them apart."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from maskdial.corruption.step import Target
from maskdial.corruption.text import FIXED, SAID_END, START, Decisions, Ink, Text
from maskdial.rng import copy, kernel
from maskdial.sample import SPECIAL

if TYPE_CHECKING:
    from jaxtyping import Int32, Int64


def special(slot: int, role: str, ink: Ink, units: int) -> Int32[np.ndarray, " u"]:
    """The token of a role, one a unit."""
    if ink.numbers:
        return np.asarray(ink.number(FIXED, slot, np.arange(units), SPECIAL), dtype=np.int32)
    return np.full(units, ink.vocab.need(role, ink.recipe), dtype=np.int32)


@kernel
def _count(lengths, hidden, count):  # type: ignore[no-untyped-def]
    first = np.int64(0)
    for u in range(len(count)):
        n = np.int64(0)
        for flag in hidden[first : first + lengths[u]]:
            n += np.int64(flag != 0)
        count[u] = n
        first += lengths[u]


@kernel
def _collect(values, offsets, hidden, out, at):  # type: ignore[no-untyped-def]
    for u in range(len(at)):
        source, flags, place = values[offsets[u] : offsets[u + 1]], hidden[offsets[u] : offsets[u + 1]], at[u]
        for i in range(len(source)):
            if flags[i]:
                out[place] = source[i]
                place += 1


@kernel
def _behind(values, offsets, hidden, opening, out, at):  # type: ignore[no-untyped-def]
    for u in range(len(at)):
        source, flags, place = values[offsets[u] : offsets[u + 1]], hidden[offsets[u] : offsets[u + 1]], at[u]
        for i in range(len(source)):
            if flags[i]:
                out[place] = source[i - 1] if i else opening[u]
                place += 1


@dataclass(frozen=True)
class HiddenTokens(Target):
    """The tokens that the decision "hidden" flags, in their order, then the token of the role `end` (None: nothing).

    The answer reads them shifted behind the token of the role `start`; with `reads_itself` each position reads the text's
    token before the one that it says, as released MASS does: the first of a span reads the last token in front of it.
    """

    end: str | None = "eos"
    start: str = "start"
    reads_itself: bool = False
    answers = True

    def _count(self, text: Int64[np.ndarray, " u"], d: Decisions) -> Int64[np.ndarray, " u"]:
        count = np.empty(len(text), dtype=np.int64)
        _count(text, d["hidden"], count)
        return count

    def lengths(self, text: Int64[np.ndarray, " u"], d: Decisions, ink: Ink, framed: bool) -> Int64[np.ndarray, " u"]:
        """Answer tokens a unit."""
        return self._count(text, d) + int(self.end is not None)

    def write(self, text: Text, d: Decisions, ink: Ink, silent: int, out: Int32[np.ndarray, " m"], at: Int64[np.ndarray, " u"],
              framed: bool) -> None:  # fmt: skip
        """Write the answer of unit u at `out[at[u]:]`."""
        _collect(text.values, text.offsets, d["hidden"], out, at)
        if self.end is not None:
            out[at + self._count(text.lengths, d)] = special(SAID_END, self.end, ink, len(at))

    def read(self, text: Text, d: Decisions, ink: Ink, out: Int32[np.ndarray, " m"], at: Int64[np.ndarray, " u"]) -> None:
        """Write what the answer of unit u reads at `out[at[u]:]`."""
        _behind(text.values, text.offsets, d["hidden"], special(START, self.start, ink, len(at)), out, at)


@kernel
def _runs(values, offsets, begin, count, start, length, end, out, at):  # type: ignore[no-untyped-def]
    for u in range(len(at)):
        source, place = values[offsets[u] : offsets[u + 1]], at[u]
        for j in range(begin[u], begin[u] + count[u]):
            copy(source, start[j], length[j], out, place)
            place += length[j]
        out[place] = end[u]


class HiddenRuns(Target):
    """The runs of the decision "spans", one behind the other, then end of sequence."""

    answers = True

    def lengths(self, text: Int64[np.ndarray, " u"], d: Decisions, ink: Ink, framed: bool) -> Int64[np.ndarray, " u"]:
        """Answer tokens a unit, the end of sequence among them."""
        return np.asarray(d["spans"].totals + 1, dtype=np.int64)

    def write(self, text: Text, d: Decisions, ink: Ink, silent: int, out: Int32[np.ndarray, " m"], at: Int64[np.ndarray, " u"],
              framed: bool) -> None:  # fmt: skip
        """Write the answer of unit u at `out[at[u]:]`."""
        spans = d["spans"]
        end = special(SAID_END, "eos", ink, len(at))
        _runs(text.values, text.offsets, spans.begin, spans.count, spans.start, spans.length, end, out, at)
