"""UniLM's selection: single tokens, and now and then a run of two or three."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from maskdial.corruption.runs import U1, U2, longest_of
from maskdial.rng import LENGTHS, SELECT, U32, below, draw, kernel, site, threshold

if TYPE_CHECKING:
    from jaxtyping import Int64

    from maskdial.corruption.select import Hidden, Keys, Offsets


@kernel
def _short_runs(offsets, keys, counts, share, longest, fence, hidden):  # type: ignore[no-untyped-def]
    place = np.empty(longest_of(offsets), dtype=np.int32)
    for u in range(len(keys)):
        part = hidden[offsets[u] : offsets[u + 1]]
        part[:] = 0
        for j in range(len(part)):
            place[j] = j
        shuffle, sizes, left, size = site(keys[u], SELECT), site(keys[u], LENGTHS), counts[u], np.uint64(len(part))
        wall = min(np.uint64(fence[u]), size)
        for c in range(size):
            if left <= 0:
                break
            other = c + below(draw(shuffle, c), size - c)
            place[c], place[other] = place[other], place[c]
            i = np.uint64(place[c])
            if part[i]:
                continue
            if (draw(sizes, U2 * i) >> U32) >= share:
                part[i] = 1
                left -= 1
                continue
            end = i + U2 + below(draw(sizes, U2 * i + U1), longest - 1)
            for j in range(i, min(end, wall if i < wall else size)):
                new = np.uint8(left > 0)
                left -= np.int64(new & (part[j] ^ np.uint8(1)))
                part[j] |= new


def short_runs(
    offsets: Offsets, keys: Keys, counts: Int64[np.ndarray, " u"], share: float, longest: int, fence: Int64[np.ndarray, " u"] | None
) -> Hidden:
    """Exactly `counts[u]` tokens of unit u: shuffled places that are not hidden yet, each one token or, with probability
    `share`, a run of 2 … `longest` from there, all equally likely. A run is cut at the end, at `fence[u]` and by the budget."""
    hidden = np.empty(offsets[-1], dtype=np.uint8)
    _short_runs(offsets, keys, counts, threshold(share), longest, np.zeros(len(keys), dtype=np.int64) if fence is None else fence, hidden)
    return hidden
