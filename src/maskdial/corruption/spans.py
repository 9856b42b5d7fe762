"""Which runs of tokens are hidden: `Spans`. Each kernel reads lengths and keys, never the tokens."""

from __future__ import annotations

import math
from functools import cache
from typing import TYPE_CHECKING

import numpy as np

from maskdial.corruption.runs import SPARE, U1, longest_of, number, places
from maskdial.corruption.text import Spans
from maskdial.rng import CUT, KEEP, LENGTHS, PERMUTE, ROLL, U32, below, draw, kernel, site

if TYPE_CHECKING:
    from jaxtyping import Int64, UInt64

    from maskdial.corruption.select import Hidden, Keys, Offsets


@kernel
def span_counts(length, rate, mean, float32):  # type: ignore[no-untyped-def]
    """(hidden tokens, spans) of T5's mask function (`random_spans_noise_mask`), with the spans clipped to what fits."""
    if length < 2 or rate == 0.0:
        return np.int64(0), np.int64(0)
    product = np.float64(np.float32(length) * np.float32(rate)) if float32 else np.float64(length * rate)
    hidden = max(np.int64(1), min(np.int64(np.rint(product)), np.int64(length - 1)))
    ratio = np.float64(np.float32(hidden) / np.float32(mean)) if float32 else np.float64(hidden / mean)
    spans = np.int64(np.rint(ratio))
    return hidden, min(max(np.int64(1), spans), min(hidden, length - hidden))


@kernel
def choose(key, size, picks, chosen):  # type: ignore[no-untyped-def]
    """Mark `picks` of the first `size` flags, every subset equally likely (Floyd's sampling)."""
    chosen[:size] = 0
    for c in range(np.uint64(size - picks), np.uint64(size)):
        t = below(draw(key, c), c + U1)
        chosen[c if chosen[t] else t] = 1


@kernel
def ends(key, total, parts, chosen, out):  # type: ignore[no-untyped-def]
    """`total` as `parts` positive parts, every composition equally likely: `out[j]` is where part j ends. `chosen` needs `total`
    flags, `out` `SPARE` entries more than parts."""
    chosen[0] = 0
    choose(key, total - 1, parts - 1, chosen[1:])
    places(chosen[:total], np.uint8(1), True, out)
    out[parts - 1] = total


@kernel
def _random_spans(lengths, keys, rate, mean, float32, roll):  # type: ignore[no-untyped-def]
    units, longest, room = len(keys), 0, 0
    hidden, count, begin = np.empty(units, dtype=np.int64), np.empty(units, dtype=np.int64), np.empty(units, dtype=np.int64)
    for u in range(units):
        hidden[u], count[u] = span_counts(lengths[u], rate, mean, float32)
        longest, room = max(longest, lengths[u]), room + count[u] + np.int64(roll)  # a rolled span may wrap and become two
    start, length = np.empty(room, dtype=np.int32), np.empty(room, dtype=np.int32)
    chosen = np.empty(longest + SPARE, dtype=np.uint8)
    covered, kept = np.empty(longest + SPARE, dtype=np.int32), np.empty(longest + SPARE, dtype=np.int32)
    used = 0
    for u in range(units):
        n, begin[u] = count[u], used
        if n == 0:
            continue
        ends(site(keys[u], LENGTHS), hidden[u], n, chosen, covered)
        ends(site(keys[u], KEEP), lengths[u] - hidden[u], n, chosen, kept)
        at_start, at_length, before = start[used:], length[used:], np.int32(0)
        for j in range(np.uint64(n)):
            at_start[j], at_length[j] = kept[j] + before, covered[j] - before
            before = covered[j]
        if roll:
            count[u] = _rolled(at_start, at_length, n, lengths[u], site(keys[u], ROLL))
        used += count[u]
    return begin, count, start[:used], length[:used]


@kernel
def _rolled(start, length, parts, total, key):  # type: ignore[no-untyped-def]
    """Rotate the spans of one unit by a uniform offset; returns how many there are (one more when a span wraps)."""
    offset = np.int64(below(draw(key, np.uint64(0)), total))
    turned = np.empty((parts + 1, 2), dtype=np.int64)
    n = 0
    for j in range(parts):
        at = (start[j] + offset) % total
        turned[n, 0], turned[n, 1] = at, min(np.int64(length[j]), total - at)
        n += 1
        if at + length[j] > total:
            turned[n, 0], turned[n, 1] = 0, at + length[j] - total
            n += 1
    order = np.argsort(turned[:n, 0])
    for j in range(n):
        start[j], length[j] = turned[order[j], 0], turned[order[j], 1]
    return n


def random_spans(
    lengths: Int64[np.ndarray, " u"], keys: Keys, rate: float, mean: float, roll: bool = False, float32: bool = False
) -> Spans:
    """T5's spans: exact totals, lengths a uniformly random composition, kept runs another, kept text first.

    Without `roll` the first token is always kept and the last always hidden; when one span is enough it is the tail.
    """
    return Spans(*_random_spans(lengths, keys, rate, mean, float32, roll))


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


@kernel
def poisson_lengths(key, budget, limits, least, lengths):  # type: ignore[no-untyped-def]
    """Draw lengths until they sum to `budget`, the last one cut to fit; returns how many, zeros among them."""
    total, n = 0, 0
    while total < budget and n < len(lengths):
        bits = draw(key, np.uint64(n)) >> U32
        size = least[bits >> np.uint64(20)]
        while size < len(limits) - 1 and bits >= limits[size]:
            size += 1
        size = min(size, budget - total)
        lengths[n] = size
        total += size
        n += 1
    if total < budget:  # only when almost every draw is 0: hide the rest in one span
        lengths[n - 1] += budget - total
    return n


@kernel
def share_of(length, rate):  # type: ignore[no-untyped-def]
    """ceil(rate * length), whatever the ninth decimal holds."""
    return min(np.int64(np.ceil(np.rint(length * rate * 1e9) / 1e9)), length)


@kernel
def _drawn_lengths(key, budget, limits, least, room):  # type: ignore[no-untyped-def]
    """Lengths of one unit's spans; returns how many. An insertion may never make the text longer than it was."""
    n = poisson_lengths(site(key, LENGTHS), budget, limits, least, room)
    zeros = 0
    for j in range(np.uint64(n)):
        zeros += room[j] == 0
    spare, kept = budget - (n - zeros), 0
    if spare < zeros:
        for j in range(n):
            if room[j] > 0 or spare > 0:
                spare -= np.int64(room[j] == 0)
                room[kept] = room[j]
                kept += 1
        n = kept
    if n > 1:  # the last draw is cut and length-biased: let it stand anywhere
        other = np.int64(below(draw(site(key, PERMUTE), np.uint64(0)), n))
        room[n - 1], room[other] = room[other], room[n - 1]
    return n


@kernel
def _poisson_spans(lengths, keys, rate, limits, least):  # type: ignore[no-untyped-def]
    units, used, longest, room = len(keys), 0, 0, 0
    count, begin = np.empty(units, dtype=np.int64), np.empty(units, dtype=np.int64)
    for u in range(units):
        longest, room = max(longest, lengths[u]), room + 2 * share_of(lengths[u], rate) + 8
    length = np.empty(room, dtype=np.int32)
    for u in range(units):
        budget, begin[u], count[u] = share_of(lengths[u], rate), used, 0
        if budget > 0:
            count[u] = _drawn_lengths(keys[u], budget, limits, least, length[used : used + 2 * budget + 8])
        used += count[u]
    start = np.empty(used, dtype=np.int32)
    chosen, slots = np.empty(2 * longest + 8, dtype=np.uint8), np.empty(2 * longest + 8 + SPARE, dtype=np.int32)
    for u in range(units):
        n = count[u]
        size = lengths[u] - share_of(lengths[u], rate) + n  # every kept token and every span takes one of so many slots
        choose(site(keys[u], CUT), size, n, chosen)
        places(chosen[:size], np.uint8(1), True, slots)
        at_start, at_length, covered = start[begin[u] :], length[begin[u] :], np.int32(0)
        for j in range(np.uint64(n)):
            at_start[j] = slots[j] - np.int32(j) + covered
            covered += at_length[j]
    return begin, count, start, length[:used]


def poisson_spans(lengths: Int64[np.ndarray, " u"], keys: Keys, rate: float, mean: float) -> Spans:
    """BART's infilling without overlap: exactly ceil(rate * length) tokens in spans of Poisson length, uniformly placed.

    A span of length 0 is a place where a token is inserted.
    """
    return Spans(*_poisson_spans(lengths, keys, rate, poisson_limits(mean), poisson_least(mean)))


@kernel
def _runs(hidden, offsets):  # type: ignore[no-untyped-def]
    units, room = len(offsets) - 1, number(hidden, np.uint8(0), False)
    count, begin = np.empty(units, dtype=np.int64), np.empty(units, dtype=np.int64)
    start, length = np.empty(room, dtype=np.int32), np.empty(room, dtype=np.int32)
    at = np.empty(longest_of(offsets) + SPARE, dtype=np.int32)
    used = 0
    for u in range(units):
        begin[u], last, size = used, -2, 0
        for k in range(np.uint64(places(hidden[offsets[u] : offsets[u + 1]], np.uint8(0), False, at))):
            follows = at[k] == last + 1
            used += int(not follows)
            size, last = (size + 1 if follows else 1), at[k]
            start[np.uint64(used - 1)], length[np.uint64(used - 1)] = last + 1 - size, size
        count[u] = used - begin[u]
    return begin, count, start[:used], length[:used]


def spans_of(hidden: Hidden, offsets: Offsets) -> Spans:
    """The maximal runs of hidden tokens of each unit."""
    return Spans(*_runs(hidden, offsets))
