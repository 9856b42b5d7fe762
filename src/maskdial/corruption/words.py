"""Which words are hidden: where words start, and runs of up to n whole words within a budget (ALBERT)."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

import numpy as np

from maskdial.corruption.runs import SPARE, U1, longest_of, number, stretches
from maskdial.rng import LENGTHS, SELECT, U32, below, draw, kernel, site
from maskdial.sample import Rows

if TYPE_CHECKING:
    from collections.abc import Sequence

    from jaxtyping import Int64, UInt8, UInt64

    from maskdial.corruption.select import Hidden, Keys, Offsets

    Flags = UInt8[np.ndarray, " n"]
    Counts = Int64[np.ndarray, " u"]


@kernel
def _first_parts(part, offsets, count):  # type: ignore[no-untyped-def]
    for u in range(len(count)):
        count[u] = number(part[offsets[u] : offsets[u + 1]], np.uint8(0), True)


def first_parts(rows: Rows, offsets: Offsets) -> Counts:
    """How many tokens of each unit belong to its first part."""
    assert rows.part is not None, "a recipe that asks this needs the rows' `part`"
    count = np.empty(len(offsets) - 1, dtype=np.int64)
    _first_parts(rows.part, offsets, count)
    return count


@kernel
def _starts(word, offsets, fence, starts):  # type: ignore[no-untyped-def]
    for i in range(len(word)):
        starts[i] = word[i] != 0
    for u in range(len(offsets) - 1):
        length = offsets[u + 1] - offsets[u]
        if length > 0:
            starts[offsets[u]] = 1
        if len(fence) and fence[u] < length:
            starts[offsets[u] + fence[u]] = 1


def word_starts(rows: Rows, offsets: Offsets, recipe: str, fence: Counts | None = None) -> Flags:
    """1 where a word starts; a unit's first token, and its token at the fence, always start one."""
    if rows.word is None:
        raise ValueError(f"{recipe}: whole words need the rows' `word` column (prepare makes it)")
    starts = np.empty(len(rows.word), dtype=np.uint8)
    _starts(rows.word, offsets, offsets[:0] if fence is None else fence, starts)
    return starts


@cache
def limits(weights: Sequence[float]) -> UInt64[np.ndarray, " k"]:
    """Integer thresholds of a law over 1, 2, 3, … from its weights: a draw's upper 32 bits below the j-th mean at most j."""
    return np.round(np.cumsum(weights) / sum(weights) * 2.0**32).astype(np.uint64)


@kernel
def size_drawn(bits, upto):  # type: ignore[no-untyped-def]
    """The size that 32 random bits stand for under thresholds."""
    size = np.int64(1)
    for j in range(len(upto) - 1):
        size += np.int64(bits >= upto[j])
    return size


@kernel
def _runs(offsets, keys, counts, starts, fence, upto, hidden):  # type: ignore[no-untyped-def]
    room = longest_of(offsets) + SPARE + 1
    first, place = np.empty(room, dtype=np.int32), np.empty(room, dtype=np.int32)
    for u in range(len(keys)):
        part = hidden[offsets[u] : offsets[u + 1]]
        part[:] = 0
        words = np.uint64(stretches(starts[offsets[u] : offsets[u + 1]], first))
        for v in range(words):
            place[v] = v
        shuffle, sizes, left = site(keys[u], SELECT), site(keys[u], LENGTHS), counts[u]
        for c in range(words):
            if left <= 0:
                break
            other = c + below(draw(shuffle, c), words - c)
            place[c], place[other] = place[other], place[c]
            w = np.uint64(place[c])
            begin, stop = first[w], min(w + np.uint64(size_drawn(draw(sizes, np.uint64(first[w])) >> U32, upto)), words)
            while begin < fence[u] <= first[stop - U1]:
                stop -= U1
            while first[stop] - begin > left:
                stop -= U1
            covered, last = np.uint8(0), max(stop, w + U1) - U1
            for v in range(np.uint64(len(upto))):  # as many as ever: no branch that could be mispredicted
                covered |= part[first[np.uint64(min(w + v, last))]]
            end = first[w if covered else stop]
            left -= end - begin
            for i in range(np.uint64(begin), np.uint64(end)):
                part[i] = 1


def runs_of_words(
    offsets: Offsets, keys: Keys, counts: Counts, starts: Flags, fence: Counts | None, weights: tuple[float, ...]
) -> Hidden:
    """Runs of whole words, up to `counts[u]` tokens of unit u; `weights[n-1]` is how likely a run of n words is.

    Start words are shuffled; a run that would overshoot is tried shorter, down to one word; one that meets a hidden word is
    skipped (ALBERT, `create_pretraining_data.py`). No run reaches over the token `fence[u]`, or the end: there it is cut.
    """
    hidden = np.empty(offsets[-1], dtype=np.uint8)
    _runs(offsets, keys, counts, starts, np.zeros_like(counts) if fence is None else fence, limits(weights), hidden)
    return hidden
