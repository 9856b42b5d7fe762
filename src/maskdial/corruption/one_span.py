"""One run of tokens is hidden: how long it is is given, where it lies is drawn."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from maskdial.rng import RUN, U32, below, draw, kernel, site, threshold

if TYPE_CHECKING:
    from jaxtyping import Int64, UInt8

    from maskdial.corruption.select import Keys, Offsets


@kernel
def _run(offsets, keys, counts, first, last, hidden):  # type: ignore[no-untyped-def]
    for u in range(len(keys)):
        key, part = site(keys[u], RUN), hidden[offsets[u] : offsets[u + 1]]
        free = len(part) - counts[u]
        start = np.int64(below(draw(key, np.uint64(0)), free + 1))
        side = draw(key, np.uint64(1)) >> U32
        if side < last:
            start = np.int64(0 if side < first else free)
        part[:] = 0
        part[start : start + counts[u]] = 1


def one_run(
    offsets: Offsets, keys: Keys, counts: Int64[np.ndarray, " u"], at_start: float = 0.0, at_end: float = 0.0
) -> UInt8[np.ndarray, " n"]:
    """`counts[u]` neighbouring tokens of unit u: its first with probability `at_start`, its last with `at_end`, else anywhere
    alike."""
    hidden = np.empty(offsets[-1], dtype=np.uint8)
    _run(offsets, keys, counts, threshold(at_start), threshold(at_start + at_end), hidden)
    return hidden
