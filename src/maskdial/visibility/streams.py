"""Orders of samples that hold a token twice: where it is read, and (private, so that nobody else looks) where it is asked.

Two streams: what is predicted r-th is read at 2r + 2 and asked at 2r + 1, all else is read at 0. Blocks: block b is read at 2b + 2
and asked at 2b + 1. A question thus sees what was read before it, and the questions of its own block.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache
from typing import TYPE_CHECKING

import numpy as np

from maskdial.rng import kernel
from maskdial.sample import Column

if TYPE_CHECKING:
    from jaxtyping import Bool, Int32, Int64, UInt8
    Columns = tuple[Int32[np.ndarray, " m"], Int32[np.ndarray, " m"], Bool[np.ndarray, " m"]]


def lazily(names: Sequence[str], make: Callable[[], Sequence[Column]]) -> dict[str, Column | Callable[[], Column]]:
    """Columns that are made together, when the first of them is looked at."""
    made = cache(make)
    return {name: lambda i=i: made()[i] for i, name in enumerate(names)}  # type: ignore[misc]


def _empty(total: int) -> Columns:
    return np.empty(total, dtype=np.int32), np.empty(total, dtype=np.int32), np.empty(total, dtype=np.bool_)


@kernel
def _two(offsets, hidden, ranks, begin, middle, end, position, order, private):  # type: ignore[no-untyped-def]
    used = 0
    for u in range(len(begin)):
        flags, slot = hidden[offsets[u] : offsets[u + 1]], middle[u]
        private[begin[u] : middle[u]] = False
        private[middle[u] : end[u]] = True
        place, time = position[begin[u] : middle[u]], order[begin[u] : middle[u]]
        for i in range(len(flags)):
            place[i], time[i] = i, 0
            if flags[i]:
                time[i] = 2 * ranks[used] + 2
                position[slot], order[slot] = i, 2 * ranks[used] + 1
                slot += 1
                used += 1


def two_streams(
    offsets: Int64[np.ndarray, " u+1"], hidden: UInt8[np.ndarray, " n"], ranks: Int32[np.ndarray, " k"], out: Int64[np.ndarray, " u+1"],
    middle: Int64[np.ndarray, " u"],
) -> Columns:  # fmt: skip
    """(position, order, private) of texts with a slot for each hidden token behind them."""
    made = _empty(int(out[-1]))
    _two(offsets, hidden, ranks, out[:-1], middle, out[1:], *made)
    return made


@kernel
def _blocks(begin, middle, size, position, order, private):  # type: ignore[no-untyped-def]
    for u in range(len(begin)):
        n = middle[u] - begin[u]
        for again in range(2):
            first = begin[u] + again * n
            place, time = position[first : first + n], order[first : first + n]
            private[first : first + n] = again == 1
            for i in range(len(place)):
                place[i] = i
            for b in range(0, n, size):
                block, at = time[b : b + size], np.int32(2 * (b // size) + 2 - again)
                for i in range(len(block)):
                    block[i] = at


def blocks(out: Int64[np.ndarray, " u+1"], middle: Int64[np.ndarray, " u"], size: int) -> Columns:
    """(position, order, private) of texts with a copy behind them, in blocks of `size` tokens."""
    made = _empty(int(out[-1]))
    _blocks(out[:-1], middle, size, *made)
    return made
