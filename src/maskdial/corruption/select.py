"""Which tokens are hidden: flags a token (`hidden`). Each kernel reads lengths and keys, never the tokens."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from maskdial.corruption.runs import SPARE, longest_of, stretches
from maskdial.corruption.spans import choose, span_counts, spans_of
from maskdial.rng import COUNT, SELECT, U32, below, coins, draw, kernel, site, threshold

if TYPE_CHECKING:
    from jaxtyping import Int64, UInt8, UInt64
    Offsets = Int64[np.ndarray, " u+1"]
    Keys = UInt64[np.ndarray, " u"]
    Hidden = UInt8[np.ndarray, " n"]

__all__ = ["choose", "exact", "independent", "span_counts", "spans_of", "stochastic_count", "whole_words"]


@kernel
def _independent(offsets, keys, limit, use, hidden):  # type: ignore[no-untyped-def]
    for u in range(len(keys)):
        coins(site(keys[u], use), limit, hidden[offsets[u] : offsets[u + 1]])


def independent(offsets: Offsets, keys: Keys, rate: float, use: int = SELECT) -> Hidden:
    """Each token by its own coin; a higher rate keeps the earlier picks."""
    hidden = np.empty(offsets[-1], dtype=np.uint8)
    _independent(offsets, keys, threshold(rate), use, hidden)
    return hidden


@kernel
def _exact(offsets, keys, counts, hidden):  # type: ignore[no-untyped-def]
    place = np.empty(longest_of(offsets), dtype=np.int32)
    for u in range(len(keys)):
        key, part = site(keys[u], SELECT), hidden[offsets[u] : offsets[u + 1]]
        size = np.uint64(len(part))
        for i in range(size):
            part[i], place[i] = 0, i
        # the first picks of a shuffle: k picks are the first k of any longer shuffle
        for c in range(min(np.uint64(counts[u]), size)):
            other = c + below(draw(key, c), size - c)
            part[np.uint64(place[other])] = 1
            place[other] = place[c]


def exact(offsets: Offsets, keys: Keys, counts: Int64[np.ndarray, " u"]) -> Hidden:
    """`counts[u]` tokens of unit u, uniform without replacement; a higher count keeps the earlier picks."""
    hidden = np.empty(offsets[-1], dtype=np.uint8)
    _exact(offsets, keys, counts, hidden)
    return hidden


@kernel
def _stochastic_count(lengths, keys, rate, out):  # type: ignore[no-untyped-def]
    for u in range(len(keys)):
        fraction = np.float64(draw(site(keys[u], COUNT), np.uint64(0)) >> np.uint64(11)) * 2.0**-53
        out[u] = min(np.int64(np.floor(lengths[u] * rate + fraction)), lengths[u])


def stochastic_count(lengths: Int64[np.ndarray, " u"], keys: Keys, rate: float) -> Int64[np.ndarray, " u"]:
    """floor(length * rate + U): the mean is exact (fairseq, `mask_tokens_dataset.py`)."""
    count = np.empty(len(keys), dtype=np.int64)
    _stochastic_count(lengths, keys, float(rate), count)
    return count


@kernel
def _words(offsets, keys, limit, counts, word, hidden):  # type: ignore[no-untyped-def]
    for u in range(len(keys)):
        key = site(keys[u], SELECT)
        begin, end = offsets[u], offsets[u + 1]
        length = end - begin
        starts = np.empty(length + SPARE + 1, dtype=np.int64)
        words = stretches(word[begin:end], starts)
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
