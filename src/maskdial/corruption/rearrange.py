"""The text in another order: sentences shuffled, a document rotated."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from maskdial.corruption.held import Runs
from maskdial.corruption.runs import SPARE, U1, copy_on, longest_of, number, stretches
from maskdial.corruption.text import Decisions, Ink, Spans, Text, two_columns
from maskdial.rng import PERMUTE, ROTATE, U32, below, draw, inlined, kernel, site, threshold
from maskdial.sample import KEPT, MOVED, Rows
from maskdial.vocab import Vocab

if TYPE_CHECKING:
    from jaxtyping import Int32, Int64, UInt8

    from maskdial.corruption.select import Offsets


@inlined
def shuffled(starts, key, border, start, length):  # type: ignore[no-untyped-def]
    """The sentences of one unit in a uniformly random order; returns how many there are. `border` needs `SPARE` entries more than that."""
    n = stretches(starts, border)
    for j in range(np.uint64(n)):
        start[j], length[j] = border[j], border[j + U1] - border[j]
    for c in range(np.uint64(1), np.uint64(n)):  # Fisher-Yates: every order equally likely
        a, b = c - U1, c - U1 + below(draw(key, c - U1), np.uint64(n) + U1 - c)
        start[a], start[b] = start[b], start[a]
        length[a], length[b] = length[b], length[a]
    return n


@kernel
def _blocks(offsets, keys, starts, begin, count):  # type: ignore[no-untyped-def]
    units, used = len(keys), 0
    blocks = np.empty((2, units + number(starts, np.uint8(0), False)), dtype=np.int32)
    start, length = blocks[0], blocks[1]
    border = np.empty(longest_of(offsets) + SPARE + 1, dtype=np.int32)
    for u in range(units):
        begin[u] = used
        count[u] = shuffled(starts[offsets[u] : offsets[u + 1]], site(keys[u], PERMUTE), border, start[used:], length[used:])
        used += count[u]
    return blocks[:, :used]


@kernel
def gather(values, offsets, begin, count, start, length, out, at):  # type: ignore[no-untyped-def]
    """Write unit u's runs, in their order, at `out[at[u]:]`."""
    for u in range(len(begin)):
        place = np.uint64(at[u])
        for j in range(np.uint64(begin[u]), np.uint64(begin[u] + count[u])):
            copy_on(values, np.uint64(offsets[u]) + np.uint64(start[j]), length[j], out, place)
            place += np.uint64(length[j])


@kernel
def _mark_moved(values, offsets, out, at):  # type: ignore[no-untyped-def]
    for u in range(len(at)):
        first, here = np.uint64(offsets[u]), np.uint64(at[u])
        for i in range(np.uint64(offsets[u + 1]) - first):
            now = out[here + i]
            moved = now != values[first + i] and (now & 15) == KEPT
            out[here + i] = now | MOVED if moved else now


def mark_moved(text: Text, out: Int32[np.ndarray, " m"], at: Int64[np.ndarray, " u"]) -> None:
    """Where another kept token now stands than before the step, its kind becomes `moved`."""
    _mark_moved(text.values, text.offsets, out, at)


def _shuffled(offsets: Offsets, starts: UInt8[np.ndarray, " n"], d: Decisions) -> Spans:
    begin, count = two_columns(len(d.keys))
    runs = _blocks(offsets, d.keys, starts, begin, count)
    return Spans(begin, count, runs[0], runs[1])


@dataclass(frozen=True)
class ShuffleSentences:
    """All sentences of a unit in a uniformly random order. The decision is "sentences": blocks in their new order."""

    decisions = ("sentences",)
    hides = False

    def draw(self, rows: Rows, lengths: Int64[np.ndarray, " u"], d: Decisions, vocab: Vocab) -> None:
        """A new order of each unit's sentences."""
        if rows.sentence is None:
            raise ValueError("sentence permutation needs the rows' `sentence` column (prepare makes it; or permute=False)")
        d.values["sentences"] = partial(_shuffled, rows.units.offsets, rows.sentence)

    def lengths(self, lengths: Int64[np.ndarray, " u"], d: Decisions) -> Int64[np.ndarray, " u"]:
        """Unchanged."""
        return lengths

    def write(self, text: Text, d: Decisions, ink: Ink, out: Int32[np.ndarray, " m"], at: Int64[np.ndarray, " u"]) -> None:
        """Write unit u at `out[at[u]:]`."""
        blocks: Spans = d["sentences"]
        gather(text.values, text.offsets, blocks.begin, blocks.count, blocks.start, blocks.length, out, at)
        if ink.numbers:
            mark_moved(text, out, at)

    def hold(self, rows: Rows, lengths: Int64[np.ndarray, " u"], runs: Runs) -> dict[str, Any]:
        """The order of the text."""
        return {"sentences": Spans.of([[(0, length)] for length in lengths.tolist()])}


@kernel
def _offsets(lengths, keys, limit, out):  # type: ignore[no-untyped-def]
    for u in range(len(keys)):
        key = site(keys[u], ROTATE)
        turn = (draw(key, np.uint64(0)) >> U32) < limit and lengths[u] > 0
        out[u] = 1 + np.int64(below(draw(key, np.uint64(1)), lengths[u])) if turn else 0


@dataclass(frozen=True)
class Rotate:
    """With probability `rate` start the text at a uniformly chosen token.

    The decision is "rotate": which token comes first, counted from 1 (so 1 changes nothing); 0 is no rotation.
    """

    rate: float
    decisions = ("rotate",)
    hides = False

    def draw(self, rows: Rows, lengths: Int64[np.ndarray, " u"], d: Decisions, vocab: Vocab) -> None:
        """Where each unit starts."""
        d.values["rotate"] = np.empty(len(d.keys), dtype=np.int64)
        _offsets(lengths, d.keys, threshold(self.rate), d["rotate"])

    def lengths(self, lengths: Int64[np.ndarray, " u"], d: Decisions) -> Int64[np.ndarray, " u"]:
        """Unchanged."""
        return lengths

    def write(self, text: Text, d: Decisions, ink: Ink, out: Int32[np.ndarray, " m"], at: Int64[np.ndarray, " u"]) -> None:
        """Write unit u at `out[at[u]:]`."""
        turned: Any = np.maximum(d["rotate"] - 1, 0)
        count = np.where(turned > 0, 2, 1)
        start = np.stack([turned, np.zeros_like(turned)], axis=1).astype(np.int32).reshape(-1)
        length = np.stack([text.lengths - turned, turned], axis=1).astype(np.int32).reshape(-1)
        gather(text.values, text.offsets, 2 * np.arange(len(turned)), count, start, length, out, at)
        if ink.numbers:
            mark_moved(text, out, at)

    def hold(self, rows: Rows, lengths: Int64[np.ndarray, " u"], runs: Runs) -> dict[str, Any]:
        """No rotation."""
        return {"rotate": np.zeros(len(lengths), dtype=np.int64)}
