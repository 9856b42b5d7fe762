"""Answer slots behind the text: a query slot for each hidden token (XLNet), or the whole text once more with its hidden tokens
as [MASK] (block diffusion)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from maskdial.corruption.marked import marked
from maskdial.corruption.render import scatter
from maskdial.corruption.step import Target
from maskdial.corruption.text import BODY, Decisions, Ink, Text
from maskdial.rng import kernel
from maskdial.sample import MASK
from maskdial.target.in_place import InPlace

if TYPE_CHECKING:
    from jaxtyping import Int32, Int64
    Lengths = Int64[np.ndarray, " u"]


@kernel
def _hidden(values, offsets, hidden, out, at):  # type: ignore[no-untyped-def]
    for u in range(len(at)):
        source, flags, place = values[offsets[u] : offsets[u + 1]], hidden[offsets[u] : offsets[u + 1]], at[u]
        for i in range(len(source)):
            if flags[i]:
                out[place] = source[i]
                place += 1


@kernel
def _fill(value, offsets, hidden, out, at):  # type: ignore[no-untyped-def]
    for u in range(len(at)):
        place = at[u]
        for i in range(offsets[u], offsets[u + 1]):
            place += np.int64(hidden[i] != 0)
        out[at[u] : place] = value


@kernel
def _copy(values, offsets, hidden, mask, out, at):  # type: ignore[no-untyped-def]
    for u in range(len(at)):
        source, flags = values[offsets[u] : offsets[u + 1]], hidden[offsets[u] : offsets[u + 1]]
        part = out[at[u] : at[u] + len(source)]
        for i in range(len(source)):
            part[i] = mask if flags[i] else source[i]


def mask_numbers(text: Text, ink: Ink) -> Int32[np.ndarray, " n"]:
    """The number of [MASK] in the place of each token."""
    unit = np.repeat(np.arange(len(text.lengths)), text.lengths)
    return np.asarray(ink.number(BODY, text.values >> 4, unit, MASK), dtype=np.int32)


class QuerySlots(Target):
    """A slot for each hidden token, in the order of the text: it reads [MASK] and says the token."""

    answers = True
    reads_itself = True

    def lengths(self, text: Lengths, d: Decisions, ink: Ink, framed: bool) -> Lengths:
        """Slots a unit."""
        return marked(d["hidden"], np.concatenate([[0], np.cumsum(text)]))

    def write(self, text: Text, d: Decisions, ink: Ink, silent: int, out: Int32[np.ndarray, " m"], at: Lengths,
              framed: bool) -> None:  # fmt: skip
        """Write what the slots of unit u must say at `out[at[u]:]`."""
        _hidden(text.values, text.offsets, d["hidden"], out, at)

    def read(self, text: Text, d: Decisions, ink: Ink, out: Int32[np.ndarray, " m"], at: Lengths) -> None:
        """Write what the slots of unit u read at `out[at[u]:]`."""
        if ink.numbers:
            _hidden(mask_numbers(text, ink), text.offsets, d["hidden"], out, at)
        elif d["hidden"].any():
            _fill(np.int32(ink.vocab.need("mask", ink.recipe)), text.offsets, d["hidden"], out, at)


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
            scatter(np.where(d["hidden"] > 0, mask_numbers(text, ink), text.values), text.offsets, out, at)
        else:
            mask = ink.vocab.need("mask", ink.recipe) if d["hidden"].any() else -1
            _copy(text.values, text.offsets, d["hidden"], np.int32(mask), out, at)
