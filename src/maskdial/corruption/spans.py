"""Which runs of tokens are hidden: `Spans`. Each kernel reads lengths and keys, never the tokens."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from maskdial.corruption.runs import SPARE, U1, U2, longest_of, number, places
from maskdial.corruption.text import Decisions, Spans, two_columns
from maskdial.rng import GOLDEN, KEEP, LENGTHS, LOW_HALF, ROLL, U32, ZERO, below, draw, inlined, kernel, mix, site
from maskdial.sample import Rows

if TYPE_CHECKING:
    from jaxtyping import Float64, Int64

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
def rolled(start, length, parts, total, key):  # type: ignore[no-untyped-def]
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


@inlined
def compositions(key, size, hidden, n, chosen, kept, covered):  # type: ignore[no-untyped-def]
    """`lasts` of n kept and n hidden runs, by turns and a kept one first, of a unit of `size` tokens."""
    lasts(site(key, LENGTHS), hidden, n, chosen, covered)
    lasts(site(key, KEEP), size - hidden, n, chosen, kept)


@inlined
def between(kept, covered, n, start, length, used):  # type: ignore[no-untyped-def]
    """The n hidden runs as spans: entries `used` and on of `start` and `length`."""
    first, before = np.uint64(used), np.int32(0)
    for j in range(np.uint64(n)):
        upto = covered[j] + np.int32(1)
        start[first + j], length[first + j] = kept[j] + np.int32(1) + before, upto - before
        before = upto


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
        compositions(keys[u], lengths[u], hidden[u], n, chosen, kept, covered)
        between(kept, covered, n, start, length, used)
        if law[2, member[u] if len(member) else 0]:
            count[u] = rolled(start[used:], length[used:], n, lengths[u], site(keys[u], ROLL))
        used += count[u]
    return runs[:, :used]


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
    def law(self) -> Float64[np.ndarray, "3 m"]:
        return np.array((self.rate, self.mean, self.roll), dtype=np.float64).reshape(3, -1)

    def __call__(self, rows: Rows, lengths: Int64[np.ndarray, " u"], d: Decisions) -> Spans:
        return self.of(lengths, d.keys, d.get("member"))

    def of(self, lengths: Int64[np.ndarray, " u"], keys: Keys, member: Int64[np.ndarray, " u"] | None = None) -> Spans:
        """The spans of units of these lengths."""
        begin, count = two_columns(len(keys))
        runs = _random_spans(lengths, keys, ZERO if member is None else member, self.law, self.float32, begin, count)
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
