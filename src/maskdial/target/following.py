"""Say the next token: everywhere, or from where the prefix ends."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from maskdial.corruption.runs import U1
from maskdial.corruption.step import Target
from maskdial.corruption.text import Decisions, Ink, Text
from maskdial.rng import copy, kernel

if TYPE_CHECKING:
    from jaxtyping import Int32, Int64



#: no split: every token is asked
EVERYWHERE = np.empty(0, dtype=np.int64)


@kernel
def _following(values, offsets, first, silent, shifted, out, at):  # type: ignore[no-untyped-def]
    for u in range(len(at)):
        begin, place, size = np.uint64(offsets[u]), np.uint64(at[u]), np.uint64(offsets[u + 1] - offsets[u])
        if shifted:  # a begin token was put in front: position i reads token i-1 and says token i
            copy(values, begin, size, out, place)
            continue
        quiet = np.uint64(min(max(first[u] - 1, 0), np.int64(size))) if len(first) else np.uint64(0)
        for i in range(quiet):
            out[place + i] = silent
        if quiet < size:
            copy(values, begin + quiet + U1, size - quiet - U1, out, place + quiet)
            out[place + size - U1] = silent


class Following(Target):
    """Targets over the source: position i says token i + 1; `after="split"` asks only for the tokens after the split."""


    def __init__(self, after: str | None = None) -> None:
        self.after = after

    def lengths(self, text: Int64[np.ndarray, " u"], d: Decisions, ink: Ink, framed: bool) -> Int64[np.ndarray, " u"]:
        """No answer stream of its own (a prefix's answer is folded onto the text)."""
        return np.zeros_like(text)

    def write(self, text: Text, d: Decisions, ink: Ink, silent: int, out: Int32[np.ndarray, " m"], at: Int64[np.ndarray, " u"],
              framed: bool) -> None:  # fmt: skip
        """Write what each position of unit u must say at `out[at[u]:]`."""
        first = d[self.after] if self.after else EVERYWHERE
        _following(text.values, text.offsets, first, np.int32(silent), framed, out, at)
