"""Which runs of tokens are hidden: `Spans`. Each kernel reads lengths and keys, never the tokens."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cache, cached_property
from typing import TYPE_CHECKING

import numpy as np

from maskdial.corruption.runs import SPARE, U0, U1, U2, longest_of, number, places
from maskdial.corruption.text import Decisions, Spans, two_columns
from maskdial.rng import CUT, GOLDEN, KEEP, LENGTHS, LOW_HALF, PERMUTE, ROLL, U32, ZERO, below, draw, inlined, kernel, mix, site
from maskdial.sample import Rows

if TYPE_CHECKING:
    from jaxtyping import Float64, Int64, UInt64

    from maskdial.corruption.select import Hidden, Keys, Offsets

    #: one setting for all units, or a value a member
    Each = float | Float64[np.ndarray, " m"]


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


@inlined
def _pick(bits, c, chosen):  # type: ignore[no-untyped-def]
    """One of the first c + 1 flags, or c in the place of one that is chosen already: no address waits for what is read."""
    t = (bits * (c + U1)) >> U32
    chosen[c] = chosen[t]
    chosen[t] = 1


@inlined
def choose(key, size, picks, chosen):  # type: ignore[no-untyped-def]
    """Mark `picks` of the first `size` flags, every subset equally likely (Floyd's sampling). Two picks share a draw."""
    chosen[:size] = 0
    c = np.uint64(size - picks)
    for _ in range(np.uint64(picks) >> U1):
        bits = mix(key)
        _pick(bits >> U32, c, chosen)
        _pick(bits & LOW_HALF, c + U1, chosen)
        c, key = c + U2, key + GOLDEN
    if picks & 1:
        _pick(mix(key) >> U32, c, chosen)


@inlined
def lasts(key, total, parts, chosen, out):  # type: ignore[no-untyped-def]
    """`total` as `parts` positive parts, every composition equally likely: `out[j]` is the last place of part j. `chosen` needs `total`
    flags, `out` `SPARE` entries more than parts."""
    choose(key, total - 1, parts - 1, chosen)
    places(chosen[: total - 1], np.uint8(1), True, out)
    out[parts - 1] = total - 1


@kernel
def _random_spans(lengths, keys, member, law, float32, begin, count):  # type: ignore[no-untyped-def]
    units, longest, room = len(keys), 0, 0
    hidden = np.empty(units, dtype=np.int64)
    for u in range(units):
        row = member[u] if len(member) else 0
        hidden[u], count[u] = span_counts(lengths[u], law[0, row], law[1, row], float32)
        longest, room = max(longest, lengths[u]), room + count[u] + np.int64(law[2, row])  # a rolled span may wrap and become two
    runs = np.empty((2, room), dtype=np.int32)
    start, length = runs[0], runs[1]
    chosen = np.empty(longest + SPARE, dtype=np.uint8)
    covered, kept = np.empty(longest + SPARE, dtype=np.int32), np.empty(longest + SPARE, dtype=np.int32)
    used = 0
    for u in range(units):
        n, begin[u] = count[u], used
        if n == 0:
            continue
        lasts(site(keys[u], LENGTHS), hidden[u], n, chosen, covered)
        lasts(site(keys[u], KEEP), lengths[u] - hidden[u], n, chosen, kept)
        first, before = np.uint64(used), np.int32(0)
        for j in range(np.uint64(n)):
            upto = covered[j] + np.int32(1)
            start[first + j], length[first + j] = kept[j] + np.int32(1) + before, upto - before
            before = upto
        if law[2, member[u] if len(member) else 0]:
            count[u] = _rolled(start[used:], length[used:], n, lengths[u], site(keys[u], ROLL))
        used += count[u]
    return runs[:, :used]


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


@dataclass(frozen=True)
class RandomSpans:
    """T5's spans: exact totals, lengths a uniformly random composition, kept runs another, kept text first. A selection for `Replace`.

    Without `roll` the first token is always kept and the last always hidden; when one span is enough it is the tail. Where units
    differ, `rate`, `mean` and `roll` are arrays and the decision "member" says which of their values are a unit's.
    """

    rate: Each
    mean: Each
    roll: Each = False
    float32: bool = False
    by_member = ("rate", "mean", "roll")

    @cached_property
    def _law(self) -> Float64[np.ndarray, "3 m"]:
        return np.array((self.rate, self.mean, self.roll), dtype=np.float64).reshape(3, -1)

    def __call__(self, rows: Rows, lengths: Int64[np.ndarray, " u"], d: Decisions) -> Spans:
        return self.of(lengths, d.keys, d.get("member"))

    def of(self, lengths: Int64[np.ndarray, " u"], keys: Keys, member: Int64[np.ndarray, " u"] | None = None) -> Spans:
        """The spans of units of these lengths."""
        begin, count = two_columns(len(keys))
        runs = _random_spans(lengths, keys, ZERO if member is None else member, self._law, self.float32, begin, count)
        return Spans(begin, count, runs[0], runs[1])


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
def _drawn_lengths(key, budget, limits, least, room):  # type: ignore[no-untyped-def]
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
            n = _drawn_lengths(keys[u], budget, limits, least, at_length)
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


@kernel
def _runs(hidden, offsets, begin, count):  # type: ignore[no-untyped-def]
    units, runs = len(offsets) - 1, np.empty((2, number(hidden, np.uint8(0), False)), dtype=np.int32)
    start, length = runs[0], runs[1]
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
    return runs[:, :used]


def spans_of(hidden: Hidden, offsets: Offsets) -> Spans:
    """The maximal runs of hidden tokens of each unit."""
    begin, count = two_columns(len(offsets) - 1)
    runs = _runs(hidden, offsets, begin, count)
    return Spans(begin, count, runs[0], runs[1])
