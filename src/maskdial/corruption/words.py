"""Which words are hidden: where words start, and runs of up to n whole words within a budget (ALBERT)."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

import numpy as np

from maskdial.corruption.runs import SPARE, longest_of, marked, stretches
from maskdial.rng import LENGTHS, SELECT, U32, below, draw, kernel, site
from maskdial.sample import Rows

if TYPE_CHECKING:
    from collections.abc import Sequence

    from jaxtyping import Int64, UInt8, UInt64

    from maskdial.corruption.select import Hidden, Keys, Offsets

    Flags = UInt8[np.ndarray, " n"]
    Counts = Int64[np.ndarray, " u"]


def first_parts(rows: Rows, offsets: Offsets) -> Counts:
    """How many tokens of each unit belong to its first part."""
    assert rows.part is not None, "a recipe that asks this needs the rows' `part`"
    return np.diff(offsets) - marked(rows.part, offsets)


def word_starts(rows: Rows, offsets: Offsets, recipe: str, fence: Counts | None = None) -> Flags:
    """1 where a word starts; a unit's first token, and its token at the fence, always start one."""
    if rows.word is None:
        raise ValueError(f"{recipe}: whole words need the rows' `word` column (prepare makes it)")
    starts, lengths = (rows.word != 0).view(np.uint8), np.diff(offsets)
    starts[offsets[:-1][lengths > 0]] = 1
    if fence is not None:
        starts[(offsets[:-1] + fence)[fence < lengths]] = 1
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
    first, place = np.empty(room, dtype=np.int64), np.empty(room, dtype=np.int64)
    for u in range(len(keys)):
        part = hidden[offsets[u] : offsets[u + 1]]
        part[:] = 0
        words = stretches(starts[offsets[u] : offsets[u + 1]], first)
        for w in range(words):
            place[w] = w
        shuffle, sizes, left = site(keys[u], SELECT), site(keys[u], LENGTHS), counts[u]
        for c in range(words):
            if left <= 0:
                break
            other = c + np.int64(below(draw(shuffle, np.uint64(c)), words - c))
            place[c], place[other] = place[other], place[c]
            w = place[c]
            if part[first[w]]:
                continue
            stop = min(w + size_drawn(draw(sizes, np.uint64(first[w])) >> U32, upto), words)
            while first[w] < fence[u] <= first[stop - 1]:
                stop -= 1
            while stop > w and first[stop] - first[w] > left:
                stop -= 1
            covered = stop == w
            for v in range(w + 1, stop):
                covered |= part[first[v]] != 0
            if not covered:
                left -= first[stop] - first[w]
                for i in range(np.uint64(first[w]), np.uint64(first[stop])):
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
