"""Documents in a joined row begin anew: positions, and who may look at whom, restart after an end-of-document token."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from maskdial.rng import kernel

if TYPE_CHECKING:
    from jaxtyping import Int32, Int64


@kernel
def _restarts(values, offsets, eod, out_offsets, position, segment):  # type: ignore[no-untyped-def]
    for u in range(len(offsets) - 1):
        source = values[offsets[u] : offsets[u + 1]]
        place, number = position[out_offsets[u] : out_offsets[u + 1]], segment[out_offsets[u] : out_offsets[u + 1]]
        since, document = 0, 0
        for i in range(len(place)):
            place[i], number[i] = since, document
            since += 1
            if source[i] == eod:
                since, document = 0, document + 1


def restarts(
    tokens: Int32[np.ndarray, " n"], offsets: Int64[np.ndarray, " u+1"], eod: int | None, out_offsets: Int64[np.ndarray, " u+1"]
) -> tuple[Int32[np.ndarray, " m"], Int32[np.ndarray, " m"]]:
    """(position, segment) counted from 0 in each unit; the end token belongs to the document that it ends."""
    position, segment = (np.empty(out_offsets[-1], dtype=np.int32) for _ in range(2))
    _restarts(tokens, offsets, -1 if eod is None else eod, out_offsets, position, segment)
    return position, segment
