"""Say the part of the text that the source was not given: all of it, or what the answer hides from itself."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from maskdial.corruption.render import take
from maskdial.corruption.step import Target
from maskdial.corruption.text import SAID_END, Decisions, Ink, Text
from maskdial.rng import copy, kernel
from maskdial.sample import SPECIAL
from maskdial.target.in_place import where

if TYPE_CHECKING:
    from jaxtyping import Int32, Int64


@kernel
def _rest(values, offsets, split, end, out, at):  # type: ignore[no-untyped-def]
    for u in range(len(at)):
        first = offsets[u] + split[u]
        rest = offsets[u + 1] - first
        copy(values, first, rest, out, at[u])
        out[at[u] + rest] = end[u]


class Rest(Target):
    """The text after the decision "split", then end of sequence (T5's prefix language model, Raffel et al. 2020, §3.2.3)."""

    answers = True

    def lengths(self, text: Int64[np.ndarray, " u"], d: Decisions, ink: Ink, framed: bool) -> Int64[np.ndarray, " u"]:
        """Answer tokens a unit, the end of sequence among them."""
        return np.asarray(text - d["split"] + 1, dtype=np.int64)

    def write(self, text: Text, d: Decisions, ink: Ink, silent: int, out: Int32[np.ndarray, " m"], at: Int64[np.ndarray, " u"],
              framed: bool) -> None:  # fmt: skip
        """Write the answer of unit u at `out[at[u]:]`."""
        _rest(text.values, text.offsets, d["split"], ink.each("eos", SAID_END, SPECIAL), out, at)


class HiddenRest(Target):
    """An answer that reads itself: [MASK] at the tokens after the split that the decision "hidden" flags, which it must say
    in place, and the other tokens of the rest as they are (Mask-Predict: Ghazvininejad et al. 2019, §3.2)."""

    answers = True
    reads_itself = True

    def lengths(self, text: Int64[np.ndarray, " u"], d: Decisions, ink: Ink, framed: bool) -> Int64[np.ndarray, " u"]:
        """Tokens after the split of each unit."""
        return np.asarray(text - d["split"], dtype=np.int64)

    def write(self, text: Text, d: Decisions, ink: Ink, silent: int, out: Int32[np.ndarray, " m"], at: Int64[np.ndarray, " u"],
              framed: bool) -> None:  # fmt: skip
        """Write the hidden tokens of unit u's rest at `out[at[u]:]`."""
        where(text.values, text.offsets, d["split"], d["hidden"], True, np.int32(silent), out, at)

    def read(self, text: Text, d: Decisions, ink: Ink, out: Int32[np.ndarray, " m"], at: Int64[np.ndarray, " u"]) -> None:
        """Write what the answer of unit u reads at `out[at[u]:]`."""
        if ink.numbers:
            shown = np.where(d["hidden"] > 0, ink.masks(text), text.values)
            take(shown, text.offsets[:-1] + d["split"], text.lengths - d["split"], out, at)
        else:
            id = ink.vocab.need("mask", ink.recipe) if len(text.values) else -1
            where(text.values, text.offsets, d["split"], d["hidden"], False, np.int32(id), out, at)
