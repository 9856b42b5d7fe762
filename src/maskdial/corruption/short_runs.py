"""UniLM's selection: single tokens, and now and then a run of two or three."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from maskdial.rng import LENGTHS, SELECT, U32, below, draw, kernel, site, threshold

if TYPE_CHECKING:
    from jaxtyping import Int64

    from maskdial.corruption.select import Hidden, Keys, Offsets


@kernel
def _short_runs(offsets, keys, counts, share, longest, fence, hidden):  # type: ignore[no-untyped-def]
    room = 0
    for u in range(len(keys)):
        room = max(room, offsets[u + 1] - offsets[u])
    place = np.empty(room, dtype=np.int64)
    for u in range(len(keys)):
        part = hidden[offsets[u] : offsets[u + 1]]
        part[:] = 0
        for i in range(len(part)):
            place[i] = i
        shuffle, sizes, left = site(keys[u], SELECT), site(keys[u], LENGTHS), counts[u]
        for c in range(len(part)):
            if left <= 0:
                break
            other = c + np.int64(below(draw(shuffle, np.uint64(c)), len(part) - c))
            place[c], place[other] = place[other], place[c]
            i = place[c]
            if part[i]:
                continue
            end = i + 1
            if (draw(sizes, np.uint64(2 * i)) >> U32) < share:
                end += 1 + np.int64(below(draw(sizes, np.uint64(2 * i + 1)), longest - 1))
            end = min(end, fence[u] if i < fence[u] else np.int64(len(part)))
            while i < end and left > 0:
                left -= np.int64(part[i] == 0)
                part[i] = 1
                i += 1


def short_runs(
    offsets: Offsets, keys: Keys, counts: Int64[np.ndarray, " u"], share: float, longest: int, fence: Int64[np.ndarray, " u"] | None
) -> Hidden:
    """Exactly `counts[u]` tokens of unit u: shuffled places that are not hidden yet, each one token or, with probability
    `share`, a run of 2 … `longest` from there, all equally likely. A run is cut at the end, at `fence[u]` and by the budget."""
    hidden = np.empty(offsets[-1], dtype=np.uint8)
    _short_runs(offsets, keys, counts, threshold(share), longest, np.zeros(len(keys), dtype=np.int64) if fence is None else fence, hidden)
    return hidden
