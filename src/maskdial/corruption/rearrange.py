"""The text in another order: sentences shuffled, a document rotated."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from maskdial.corruption.text import Decisions, Ink, Spans, Text
from maskdial.rng import PERMUTE, ROTATE, U32, below, copy, draw, kernel, site, threshold
from maskdial.sample import KEPT, MOVED, Rows
from maskdial.vocab import Vocab

if TYPE_CHECKING:
    from jaxtyping import Int32, Int64



@kernel
def _blocks(offsets, keys, starts, begin, count, start, length):  # type: ignore[no-untyped-def]
    used = 0
    for u in range(len(keys)):
        first, total = used, offsets[u + 1] - offsets[u]
        for i in range(total):
            if i == 0 or starts[offsets[u] + i]:
                start[used] = i
                used += 1
        n = used - first
        for j in range(n):
            stop = start[first + j + 1] if j + 1 < n else total
            length[first + j] = stop - start[first + j]
        key = site(keys[u], PERMUTE)
        for c in range(n - 1):  # Fisher-Yates: every order equally likely
            other = c + np.int64(below(draw(key, np.uint64(c)), n - c))
            a, b = first + c, first + other
            start[a], start[b] = start[b], start[a]
            length[a], length[b] = length[b], length[a]
        begin[u], count[u] = first, n
    return used


@kernel
def _gather(values, offsets, begin, count, start, length, out, at):  # type: ignore[no-untyped-def]
    for u in range(len(begin)):
        source, place = values[offsets[u] : offsets[u + 1]], at[u]
        for j in range(begin[u], begin[u] + count[u]):
            copy(source, start[j], length[j], out, place)
            place += length[j]


def mark_moved(text: Text, out: Int32[np.ndarray, " m"], at: Int64[np.ndarray, " u"]) -> None:
    """Where another kept token now stands than before the step, its kind becomes `moved`."""
    unit = np.repeat(np.arange(len(text.lengths)), text.lengths)
    here = at[unit] + np.arange(len(text.values)) - text.offsets[unit]
    now = out[here]
    moved = (now != text.values) & ((now & 15) == KEPT)
    out[here[moved]] = now[moved] | MOVED


@dataclass(frozen=True)
class ShuffleSentences:
    """All sentences of a unit in a uniformly random order. The decision is "sentences": blocks in their new order."""

    decisions = ("sentences",)

    def draw(self, rows: Rows, lengths: Int64[np.ndarray, " u"], d: Decisions, vocab: Vocab) -> None:
        """A new order of each unit's sentences."""
        if rows.sentence is None:
            raise ValueError("sentence permutation needs the rows' `sentence` column (prepare makes it; or permute=False)")
        offsets, n = rows.units.offsets, len(rows.tokens)
        start, length = np.empty(n, dtype=np.int32), np.empty(n, dtype=np.int32)
        begin, count = (np.empty(len(d.keys), dtype=np.int64) for _ in range(2))
        used = _blocks(offsets, d.keys, rows.sentence, begin, count, start, length)
        d.values["sentences"] = Spans(begin, count, start[:used].copy(), length[:used].copy())

    def lengths(self, lengths: Int64[np.ndarray, " u"], d: Decisions) -> Int64[np.ndarray, " u"]:
        """Unchanged."""
        return lengths

    def write(self, text: Text, d: Decisions, ink: Ink, out: Int32[np.ndarray, " m"], at: Int64[np.ndarray, " u"]) -> None:
        """Write unit u at `out[at[u]:]`."""
        blocks: Spans = d["sentences"]
        _gather(text.values, text.offsets, blocks.begin, blocks.count, blocks.start, blocks.length, out, at)
        if ink.numbers:
            mark_moved(text, out, at)


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
        _gather(text.values, text.offsets, 2 * np.arange(len(turned)), count, start, length, out, at)
        if ink.numbers:
            mark_moved(text, out, at)
