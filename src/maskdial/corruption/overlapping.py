"""BART's infilling as released: spans that may overlap, so that less is removed than the budget says.

Source: fairseq, `data/denoising_dataset.py`, `add_whole_word_mask` with span-poisson lengths and `replace_length=1`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from maskdial.corruption.held import Runs, flags
from maskdial.corruption.poisson import poisson_least, poisson_lengths, poisson_limits, share_of
from maskdial.corruption.render import AS_MASK, AS_RANDOM, REMOVED, Edit
from maskdial.corruption.text import Decisions, Ink, Spans, Text, begins_of
from maskdial.rng import CUT, INSERT, LENGTHS, RENDER, U32, below, draw, kernel, site, threshold
from maskdial.sample import Rows
from maskdial.vocab import Vocab

if TYPE_CHECKING:
    from jaxtyping import Int32, Int64



@kernel
def _overlapping(offsets, keys, rate, limits, least, as_random, actions, inserted):  # type: ignore[no-untyped-def]
    longest = 1
    for u in range(len(keys)):
        longest = max(longest, offsets[u + 1] - offsets[u])
    lengths, place = np.empty(2 * longest + 8, dtype=np.int32), np.empty(longest, dtype=np.int64)
    for u in range(len(keys)):
        total = offsets[u + 1] - offsets[u]
        part = actions[offsets[u] : offsets[u + 1]]
        part[:] = 0
        inserted[u] = 0
        budget = share_of(total, rate)
        n = poisson_lengths(site(keys[u], LENGTHS), budget, limits, least, lengths) if budget > 0 else 0
        for i in range(total):
            place[i] = i
        cut, render, c = site(keys[u], CUT), site(keys[u], RENDER), 0
        for j in range(n):
            if lengths[j] == 0:
                inserted[u] += 1
                continue
            other = c + np.int64(below(draw(cut, np.uint64(c)), total - c))
            place[c], place[other] = place[other], place[c]
            at = place[c]
            c += 1
            if part[at] != REMOVED:
                part[at] = AS_RANDOM if (draw(render, np.uint64(at)) >> U32) < as_random else AS_MASK
            for i in range(at + 1, min(at + lengths[j], total)):
                part[i] = REMOVED


@kernel
def _insertions(lengths, keys, begin, count, start):  # type: ignore[no-untyped-def]
    for u in range(len(keys)):
        key, part = site(keys[u], INSERT), start[begin[u] : begin[u] + count[u]]
        for j in range(count[u]):
            part[j] = np.int32(below(draw(key, np.uint64(j)), lengths[u] + 1))
        part.sort()


@dataclass(frozen=True)
class OverlappingSpans:
    """Poisson spans at distinct uniform starts, whatever their lengths; one [MASK] (or random token) a surviving start.

    The decisions are "hidden" (actions a token) and "inserted" (how many [MASK]s the zero-length spans add).
    """

    rate: float
    mean: float
    random: float = 0.0
    decisions = ("hidden", "inserted")
    hides = True

    def draw(self, rows: Rows, lengths: Int64[np.ndarray, " u"], d: Decisions, vocab: Vocab) -> None:
        """Which tokens are replaced or removed, and how many are inserted."""
        offsets = begins_of(rows, lengths)
        actions, inserted = np.empty(offsets[-1], dtype=np.uint8), np.empty(len(lengths), dtype=np.int64)
        law = poisson_limits(self.mean), poisson_least(self.mean)
        _overlapping(offsets, d.keys, self.rate, *law, threshold(self.random), actions, inserted)
        d.values.update(hidden=actions, inserted=inserted)

    def lengths(self, lengths: Int64[np.ndarray, " u"], d: Decisions) -> Int64[np.ndarray, " u"]:
        """Lengths after the step."""
        return AS_DRAWN.lengths(lengths, d)

    def write(self, text: Text, d: Decisions, ink: Ink, out: Int32[np.ndarray, " m"], at: Int64[np.ndarray, " u"]) -> None:
        """Write unit u at `out[at[u]:]`."""
        AS_DRAWN.write(text, d, ink, out, at)

    def hold(self, rows: Rows, lengths: Int64[np.ndarray, " u"], runs: Runs) -> dict[str, Any]:
        """The runs as spans, each one [MASK]; none inserted."""
        hidden = flags(lengths, runs, REMOVED)
        hidden[flags(lengths, [[(a, a + 1) for a, _ in unit] for unit in runs]) > 0] = AS_MASK
        return {"hidden": hidden, "inserted": np.zeros(len(lengths), dtype=np.int64)}


def insertions(rows: Rows, lengths: Int64[np.ndarray, " u"], d: Decisions) -> Spans:
    """As many zero-length spans as `OverlappingSpans` counted, at uniform places of what is left."""
    count: Int64[np.ndarray, " u"] = d["inserted"]
    begin, start = np.cumsum(count) - count, np.empty(int(count.sum()), dtype=np.int32)
    _insertions(lengths, d.keys, begin, count, start)
    return Spans(begin, count, start, np.zeros(len(start), dtype=np.int32))


AS_DRAWN = Edit(lambda rows, offsets, d: d["hidden"], removes=True)
