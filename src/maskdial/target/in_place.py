"""Say, where it stood, every token that was hidden."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from maskdial.corruption.step import Target
from maskdial.corruption.text import Decisions, Ink, Text
from maskdial.rng import kernel

if TYPE_CHECKING:
    from jaxtyping import Int32, Int64



@kernel
def _in_place(values, offsets, hidden, silent, out, at):  # type: ignore[no-untyped-def]
    for u in range(len(at)):
        source, flags = values[offsets[u] : offsets[u + 1]], hidden[offsets[u] : offsets[u + 1]]
        part = out[at[u] : at[u] + len(source)]
        for i in range(len(source)):
            part[i] = source[i] if flags[i] else silent


class InPlace(Target):
    """Targets over the source, at the hidden tokens: [MASK], random and unchanged ones alike."""


    def lengths(self, text: Int64[np.ndarray, " u"], d: Decisions, ink: Ink, framed: bool) -> Int64[np.ndarray, " u"]:
        """No answer stream."""
        return np.zeros_like(text)

    def write(self, text: Text, d: Decisions, ink: Ink, silent: int, out: Int32[np.ndarray, " m"], at: Int64[np.ndarray, " u"],
              framed: bool) -> None:  # fmt: skip
        """Write what each position of unit u must say at `out[at[u]:]`."""
        _in_place(text.values, text.offsets, d["hidden"], np.int32(silent), out, at)
