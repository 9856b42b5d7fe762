"""Answer slots behind the text: a query slot for each hidden token (XLNet), or the whole text once more with its hidden tokens
as [MASK] (block diffusion)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from maskdial.corruption.render import scatter
from maskdial.corruption.runs import number
from maskdial.corruption.text import Decisions, Ink, Text
from maskdial.rng import ZERO, kernel
from maskdial.target.hidden_tokens import HiddenTokens, collect
from maskdial.target.in_place import InPlace, where

if TYPE_CHECKING:
    from jaxtyping import Int32, Int64
    Lengths = Int64[np.ndarray, " u"]


@kernel
def _fill(value, offsets, hidden, out, at):  # type: ignore[no-untyped-def]
    for u in range(len(at)):
        slots = number(hidden[offsets[u] : offsets[u + 1]], np.uint8(0), False)
        out[at[u] : at[u] + slots] = value


def mask_of(d: Decisions, ink: Ink) -> np.int32:
    """[MASK], which a vocabulary may lack where nothing is hidden."""
    id = ink.vocab.get("mask")
    return np.int32(id if id is not None else ink.vocab.need("mask", ink.recipe) if d["hidden"].any() else -1)


@dataclass(frozen=True)
class QuerySlots(HiddenTokens):
    """A slot for each hidden token, in the order of the text: it reads [MASK] and says the token."""

    end: str | None = None
    reads_itself: bool = True

    def read(self, text: Text, d: Decisions, ink: Ink, out: Int32[np.ndarray, " m"], at: Lengths) -> None:
        """Write what the slots of unit u read at `out[at[u]:]`."""
        if ink.numbers:
            collect(ink.masks(text), text.offsets, d["hidden"], out, at)
        else:
            _fill(mask_of(d, ink), text.offsets, d["hidden"], out, at)


class NoisyCopy(InPlace):
    """The text once more: a hidden token reads [MASK] and is asked, any other reads itself."""

    answers = True
    reads_itself = True

    def lengths(self, text: Lengths, d: Decisions, ink: Ink, framed: bool) -> Lengths:
        """Positions of the copy."""
        return text

    def read(self, text: Text, d: Decisions, ink: Ink, out: Int32[np.ndarray, " m"], at: Lengths) -> None:
        """Write what the copy of unit u reads at `out[at[u]:]`."""
        if ink.numbers:
            scatter(np.where(d["hidden"] > 0, ink.masks(text), text.values), text.offsets, out, at)
        else:
            where(text.values, text.offsets, ZERO, d["hidden"], False, mask_of(d, ink), out, at)
