"""Say the hidden tokens one after another, and nothing else of the text: no sentinel tells them apart."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from maskdial.corruption.runs import SPARE, U1, longest_of, marked, places
from maskdial.corruption.step import Target
from maskdial.corruption.text import SAID_END, START, Decisions, Ink, Text, offsets_of
from maskdial.rng import copy, kernel
from maskdial.sample import SPECIAL

if TYPE_CHECKING:
    from jaxtyping import Int32, Int64


@kernel
def collect(values, offsets, hidden, out, at):  # type: ignore[no-untyped-def]
    """The hidden values of unit u, one behind the other, at `out[at[u]:]`."""
    hit = np.empty(longest_of(offsets) + SPARE, dtype=np.uint64)
    for u in range(len(at)):
        first, place = np.uint64(offsets[u]), np.uint64(at[u])
        for c in range(np.uint64(places(hidden[offsets[u] : offsets[u + 1]], np.uint8(0), False, hit))):
            out[place + c] = values[first + hit[c]]


@kernel
def _behind(values, offsets, hidden, opening, out, at):  # type: ignore[no-untyped-def]
    hit = np.empty(longest_of(offsets) + SPARE, dtype=np.uint64)
    for u in range(len(at)):
        first, place = np.uint64(offsets[u]), np.uint64(at[u])
        n = np.uint64(places(hidden[offsets[u] : offsets[u + 1]], np.uint8(0), False, hit))
        opens = np.uint64(n > 0 and hit[0] == 0)
        if opens:
            out[place] = opening[u]
        for c in range(opens, n):
            out[place + c] = values[first + hit[c] - U1]


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

    def lengths(self, text: Int64[np.ndarray, " u"], d: Decisions, ink: Ink, framed: bool) -> Int64[np.ndarray, " u"]:
        """Answer tokens a unit."""
        return marked(d["hidden"], offsets_of(text)) + int(self.end is not None)

    def write(self, text: Text, d: Decisions, ink: Ink, silent: int, out: Int32[np.ndarray, " m"], at: Int64[np.ndarray, " u"],
              framed: bool) -> None:  # fmt: skip
        """Write the answer of unit u at `out[at[u]:]`."""
        collect(text.values, text.offsets, d["hidden"], out, at)
        if self.end is not None:
            out[at + marked(d["hidden"], text.offsets)] = ink.each(self.end, SAID_END, SPECIAL)

    def read(self, text: Text, d: Decisions, ink: Ink, out: Int32[np.ndarray, " m"], at: Int64[np.ndarray, " u"]) -> None:
        """Write what the answer of unit u reads at `out[at[u]:]`."""
        _behind(text.values, text.offsets, d["hidden"], ink.each(self.start, START, SPECIAL), out, at)


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
        end = ink.each("eos", SAID_END, SPECIAL)
        _runs(text.values, text.offsets, spans.begin, spans.count, spans.start, spans.length, end, out, at)
