"""Which tokens are hidden: flags a token (`hidden`), or `Spans`. Each kernel reads lengths and keys, never the tokens."""

from __future__ import annotations

import math
from functools import cache
from typing import TYPE_CHECKING

import numpy as np

from maskdial.corruption.text import Spans
from maskdial.rng import COUNT, CUT, KEEP, LENGTHS, PERMUTE, ROLL, SELECT, U32, below, draw, kernel, site, threshold

if TYPE_CHECKING:
    from jaxtyping import Int64, UInt8, UInt64
    Offsets = Int64[np.ndarray, " u+1"]
    Keys = UInt64[np.ndarray, " u"]
    Hidden = UInt8[np.ndarray, " n"]




@kernel
def _independent(offsets, keys, limit, use, hidden):  # type: ignore[no-untyped-def]
    for u in range(len(keys)):
        key = site(keys[u], use)
        part = hidden[offsets[u] : offsets[u + 1]]
        for i in range(len(part)):
            part[i] = (draw(key, np.uint64(i)) >> U32) < limit


def independent(offsets: Offsets, keys: Keys, rate: float, use: int = SELECT) -> Hidden:
    """Each token by its own coin; a higher rate keeps the earlier picks."""
    hidden = np.empty(offsets[-1], dtype=np.uint8)
    _independent(offsets, keys, threshold(rate), use, hidden)
    return hidden


@kernel
def _exact(offsets, keys, counts, hidden):  # type: ignore[no-untyped-def]
    longest = 0
    for u in range(len(keys)):
        longest = max(longest, offsets[u + 1] - offsets[u])
    place = np.empty(longest, dtype=np.int64)
    for u in range(len(keys)):
        key = site(keys[u], SELECT)
        part = hidden[offsets[u] : offsets[u + 1]]
        part[:] = 0
        for i in range(len(part)):
            place[i] = i
        # the first picks of a shuffle: k picks are the first k of any longer shuffle
        for c in range(min(counts[u], len(part))):
            other = c + np.int64(below(draw(key, np.uint64(c)), len(part) - c))
            place[c], place[other] = place[other], place[c]
            part[place[c]] = 1


def exact(offsets: Offsets, keys: Keys, counts: Int64[np.ndarray, " u"]) -> Hidden:
    """`counts[u]` tokens of unit u, uniform without replacement; a higher count keeps the earlier picks."""
    hidden = np.empty(offsets[-1], dtype=np.uint8)
    _exact(offsets, keys, counts, hidden)
    return hidden


@kernel
def _fraction(keys, out):  # type: ignore[no-untyped-def]
    for u in range(len(keys)):
        out[u] = np.float64(draw(site(keys[u], COUNT), np.uint64(0)) >> np.uint64(11)) * 2.0**-53


def stochastic_count(lengths: Int64[np.ndarray, " u"], keys: Keys, rate: float) -> Int64[np.ndarray, " u"]:
    """floor(length * rate + U): the mean is exact (fairseq, `mask_tokens_dataset.py`)."""
    fraction = np.empty(len(keys))
    _fraction(keys, fraction)
    return np.minimum(np.floor(lengths * rate + fraction).astype(np.int64), lengths)


@kernel
def _words(offsets, keys, limit, counts, word, hidden):  # type: ignore[no-untyped-def]
    for u in range(len(keys)):
        key = site(keys[u], SELECT)
        begin, end = offsets[u], offsets[u + 1]
        length = end - begin
        starts = np.empty(length + 1, dtype=np.int64)
        words = 0
        for i in range(length):
            if i == 0 or word[begin + i]:
                starts[words] = i
                words += 1
        starts[words] = length
        hidden[begin:end] = 0
        if counts[u] < 0:  # a coin a word
            for w in range(words):
                if (draw(key, np.uint64(starts[w])) >> U32) < limit:
                    hidden[begin + starts[w] : begin + starts[w + 1]] = 1
            continue
        place = np.arange(words)
        left = counts[u]
        for c in range(words):  # shuffled words; one that would overshoot is skipped
            other = c + np.int64(below(draw(key, np.uint64(c)), words - c))
            place[c], place[other] = place[other], place[c]
            w = place[c]
            size = starts[w + 1] - starts[w]
            if size <= left:
                hidden[begin + starts[w] : begin + starts[w + 1]] = 1
                left -= size
            if left == 0:
                break


def whole_words(
    offsets: Offsets, keys: Keys, word: UInt8[np.ndarray, " n"], rate: float, counts: Int64[np.ndarray, " u"] | None
) -> Hidden:
    """Whole words: by a coin a word, or shuffled up to `counts[u]` tokens, skipping a word that would overshoot (BERT)."""
    hidden = np.empty(offsets[-1], dtype=np.uint8)
    budget = np.full(len(keys), -1, dtype=np.int64) if counts is None else counts
    _words(offsets, keys, threshold(rate), budget, word, hidden)
    return hidden


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
    for c in range(size - picks, size):
        t = np.int64(below(draw(key, np.uint64(c)), c + 1))
        chosen[c if chosen[t] else t] = 1


@kernel
def composition(key, total, parts, chosen, out):  # type: ignore[no-untyped-def]
    """`total` as `parts` positive parts, every composition equally likely: cut points among the total - 1 gaps."""
    choose(key, total - 1, parts - 1, chosen)
    n, last = np.int64(0), np.int64(0)
    for i in range(total - 1):  # branch-free: always write, step only at a cut
        out[n] = i + 1 - last
        cut = np.int64(chosen[i])
        last += cut * (i + 1 - last)
        n += cut
    out[n] = total - last


@kernel
def _plan(lengths, rate, mean, float32, roll, hidden, count):  # type: ignore[no-untyped-def]
    for u in range(len(lengths)):
        hidden[u], count[u] = span_counts(lengths[u], rate, mean, float32)
        if roll and count[u] > 0:
            count[u] += 1  # a rolled span may wrap round and become two


@kernel
def _spans(lengths, keys, hidden, begin, count, roll, start, length):  # type: ignore[no-untyped-def]
    longest = 2
    for u in range(len(keys)):
        longest = max(longest, lengths[u] + 2)
    chosen = np.empty(longest, dtype=np.uint8)
    kept = np.empty(longest, dtype=np.int32)
    for u in range(len(keys)):
        if count[u] == 0:
            continue
        parts = count[u] - np.int64(roll)
        first = begin[u]
        at_length, at_start = length[first : first + count[u]], start[first : first + count[u]]
        composition(site(keys[u], LENGTHS), hidden[u], parts, chosen, at_length)
        composition(site(keys[u], KEEP), lengths[u] - hidden[u], parts, chosen, kept)
        place = 0
        for j in range(parts):
            place += kept[j]
            at_start[j] = place
            place += at_length[j]
        if roll:
            count[u] = _rolled(at_start, at_length, parts, lengths[u], site(keys[u], ROLL))


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
    hidden, count = np.empty(len(keys), dtype=np.int64), np.empty(len(keys), dtype=np.int64)
    _plan(lengths, rate, mean, float32, roll, hidden, count)
    begin = np.cumsum(count) - count
    start, length = (np.empty(int(count.sum()), dtype=np.int32) for _ in range(2))
    _spans(lengths, keys, hidden, begin, count, roll, start, length)
    return Spans(begin, count, start, length).first(count) if roll else Spans(begin, count, start, length)


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


@kernel
def poisson_lengths(key, budget, limits, lengths):  # type: ignore[no-untyped-def]
    """Draw lengths until they sum to `budget`, the last one cut to fit; returns how many, zeros among them."""
    total, n = 0, 0
    while total < budget and n < len(lengths):
        bits = draw(key, np.uint64(n)) >> U32
        size = 0
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
def _poisson_counts(budget, keys, limits, lengths, begin, count):  # type: ignore[no-untyped-def]
    used = 0
    for u in range(len(keys)):
        room = lengths[used : used + 2 * budget[u] + 8]
        n = poisson_lengths(site(keys[u], LENGTHS), budget[u], limits, room) if budget[u] > 0 else 0
        zeros = 0
        for j in range(n):
            zeros += room[j] == 0
        spare = budget[u] - (n - zeros)  # an insertion may never make the text longer than it was
        kept = 0
        for j in range(n):
            if room[j] > 0 or spare > 0:
                spare -= np.int64(room[j] == 0)
                room[kept] = room[j]
                kept += 1
        if kept > 1:  # the last draw is cut and length-biased: let it stand anywhere
            other = np.int64(below(draw(site(keys[u], PERMUTE), np.uint64(0)), kept))
            room[kept - 1], room[other] = room[other], room[kept - 1]
        begin[u], count[u] = used, kept
        used += kept
    return used


@kernel
def _poisson_starts(texts, keys, budget, begin, count, length, start):  # type: ignore[no-untyped-def]
    longest = 1
    for u in range(len(keys)):
        longest = max(longest, texts[u] - budget[u] + count[u])
    chosen = np.empty(longest, dtype=np.uint8)
    for u in range(len(keys)):
        n, first = count[u], begin[u]
        size = texts[u] - budget[u] + n
        if n == 0:
            continue
        choose(site(keys[u], CUT), size, n, chosen)
        j, place = 0, 0
        at_start, at_length = start[first : first + n], length[first : first + n]
        for i in range(size):
            if chosen[i]:
                at_start[j] = place
                place += at_length[j]
                j += 1
            else:
                place += 1


def poisson_spans(lengths: Int64[np.ndarray, " u"], keys: Keys, rate: float, mean: float) -> Spans:
    """BART's infilling without overlap: exactly ceil(rate * length) tokens in spans of Poisson length, uniformly placed.

    A span of length 0 is a place where a token is inserted.
    """
    budget = np.minimum(np.ceil(np.round(lengths * rate, 9)).astype(np.int64), lengths)
    drawn = np.empty(int((2 * budget + 8).sum()), dtype=np.int32)
    begin, count = np.empty(len(keys), dtype=np.int64), np.empty(len(keys), dtype=np.int64)
    used = _poisson_counts(budget, keys, poisson_limits(mean), drawn, begin, count)
    length = drawn[:used]
    start = np.empty(used, dtype=np.int32)
    _poisson_starts(lengths, keys, budget, begin, count, length, start)
    return Spans(begin, count, start, length)


def spans_of(hidden: Hidden, offsets: Offsets) -> Spans:
    """The maximal runs of hidden tokens of each unit."""
    flags = hidden.astype(bool)
    first = flags.copy()
    first[1:] &= ~flags[:-1]
    borders = offsets[(offsets > 0) & (offsets < len(flags))]
    first[borders] = flags[borders]
    end = np.append(flags[:-1] & (~flags[1:] | np.isin(np.arange(1, len(flags)), borders)), flags[-1:])
    starts, ends = np.flatnonzero(first), np.flatnonzero(end) + 1
    unit = np.searchsorted(offsets, starts, side="right") - 1
    count = np.bincount(unit, minlength=len(offsets) - 1).astype(np.int64)
    return Spans(np.cumsum(count) - count, count, (starts - offsets[unit]).astype(np.int32), (ends - starts).astype(np.int32))
