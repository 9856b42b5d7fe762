"""BART's spans: lengths follow Poisson's law until an exact share is hidden."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING

import numpy as np

from maskdial.corruption.runs import SPARE, U0, U1, places
from maskdial.corruption.spans import choose
from maskdial.corruption.text import Decisions, Spans, two_columns
from maskdial.rng import CUT, GOLDEN, LENGTHS, LOW_HALF, PERMUTE, U32, below, draw, inlined, kernel, mix, site
from maskdial.sample import Rows

if TYPE_CHECKING:
    from jaxtyping import Int64, UInt64

    from maskdial.corruption.select import Keys


@cache
def poisson_limits(mean: float) -> UInt64[np.ndarray, " k"]:
    """Integer thresholds of the Poisson law, cut where its probability falls below 1e-7 and renormalised (fairseq)."""
    law, k = [], 0
    while True:
        p = math.exp(k * math.log(mean) - mean - math.lgamma(k + 1)) if mean > 0 else float(k == 0)
        if k > mean and p < 1e-7:
            break
        law.append(p)
        k += 1
    upto = np.cumsum(law) / sum(law)
    return np.round(upto * 2.0**32).astype(np.uint64)


@cache
def poisson_least(mean: float) -> Int64[np.ndarray, " 4096"]:
    """The smallest length that a draw with these upper 12 bits of 32 can stand for: nearly always the length itself."""
    limits = poisson_limits(mean)
    return np.minimum(np.searchsorted(limits, np.arange(4096, dtype=np.uint64) << np.uint64(20), side="right"), len(limits) - 1)


@inlined
def poisson_lengths(key, budget, limits, least, lengths):  # type: ignore[no-untyped-def]
    """Draw lengths until they sum to `budget` (at least 1), the last one cut to fit; returns how many, zeros among them."""
    total, n, room, pair = np.int64(0), U0, np.uint64(len(lengths)), U0
    while total < budget and n < room:
        if n & U1:
            bits = pair & LOW_HALF
        else:
            pair = mix(key)
            key, bits = key + GOLDEN, pair >> U32
        size = least[bits >> np.uint64(20)]
        while bits >= limits[np.uint64(size)]:
            size += 1
        lengths[n] = size
        total += size
        n += U1
    lengths[n - U1] += budget - total  # too little only when almost every draw is 0: then the last one hides the rest
    return np.int64(n)


@inlined
def share_of(length, rate):  # type: ignore[no-untyped-def]
    """ceil(rate * length), whatever the ninth decimal holds."""
    return min(np.int64(np.ceil(np.rint(length * rate * 1e9) / 1e9)), length)


@kernel
def _few_insertions(lengths, n, budget):  # type: ignore[no-untyped-def]
    """Leave out the last zeros of n lengths that sum to `budget`, so that no more than `budget` are left; returns how many are."""
    spare, kept = budget, 0
    for j in range(n):
        spare -= np.int64(lengths[j] > 0)
    for j in range(n):
        if lengths[j] > 0 or spare > 0:
            spare -= np.int64(lengths[j] == 0)
            lengths[kept] = lengths[j]
            kept += 1
    return kept


@inlined
def drawn_lengths(key, budget, limits, least, room):  # type: ignore[no-untyped-def]
    """Lengths of one unit's spans; returns how many. An insertion may never make the text longer than it was."""
    n = poisson_lengths(site(key, LENGTHS), budget, limits, least, room)
    if n > budget:
        n = _few_insertions(room, n, budget)
    if n > 1:  # the last draw is cut and length-biased: let it stand anywhere
        last, other = np.uint64(n - 1), below(draw(site(key, PERMUTE), U0), n)
        room[last], room[other] = room[other], room[last]
    return n


@kernel
def _poisson_spans(lengths, keys, rate, limits, least, begin, count):  # type: ignore[no-untyped-def]
    units, used, longest, room = len(keys), 0, 0, 0
    hidden = np.empty(units, dtype=np.int64)
    for u in range(units):
        hidden[u] = share_of(lengths[u], rate)
        longest, room = max(longest, lengths[u]), room + 2 * hidden[u] + 8
    runs = np.empty((2, room), dtype=np.int32)
    start, length = runs[0], runs[1]
    chosen, slots = np.empty(2 * longest + 8, dtype=np.uint8), np.empty(2 * longest + 8 + SPARE, dtype=np.int32)
    for u in range(units):
        budget, begin[u], count[u] = hidden[u], used, 0
        if budget > 0:
            at_length, first, covered = length[used : used + 2 * budget + 8], np.uint64(used), np.int32(0)
            n = drawn_lengths(keys[u], budget, limits, least, at_length)
            size = lengths[u] - budget + n  # every kept token and every span takes one of so many slots
            choose(site(keys[u], CUT), size, n, chosen)
            places(chosen[:size], np.uint8(1), True, slots)
            for j in range(np.uint64(n)):
                start[first + j] = slots[j] - np.int32(j) + covered
                covered += length[first + j]
            count[u] = n
            used += n
    return runs[:, :used]


def poisson_spans(lengths: Int64[np.ndarray, " u"], keys: Keys, rate: float, mean: float) -> Spans:
    """BART's infilling without overlap: exactly ceil(rate * length) tokens in spans of Poisson length, uniformly placed.

    A span of length 0 is a place where a token is inserted.
    """
    begin, count = two_columns(len(keys))
    runs = _poisson_spans(lengths, keys, rate, poisson_limits(mean), poisson_least(mean), begin, count)
    return Spans(begin, count, runs[0], runs[1])


@dataclass(frozen=True)
class PoissonSpans:
    """Spans of Poisson lengths over an exact share of the tokens. A selection for `Replace`."""

    rate: float
    mean: float

    def __call__(self, rows: Rows, lengths: Int64[np.ndarray, " u"], d: Decisions) -> Spans:
        return poisson_spans(lengths, d.keys, self.rate, self.mean)
