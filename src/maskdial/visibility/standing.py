"""Positions of an answer that keeps the places of the text (MASS)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from maskdial.rng import kernel

if TYPE_CHECKING:
    from jaxtyping import Int32, Int64, UInt8


@kernel
def _standing(out, source, offsets, hidden, position):  # type: ignore[no-untyped-def]
    for u in range(len(source)):
        part, flags = position[out[u] : out[u + 1]], hidden[offsets[u] : offsets[u + 1]]
        for i in range(source[u]):
            part[i] = i
        place = source[u]
        for i in range(len(flags)):
            if flags[i]:
                part[place] = i
                place += 1


def standing(
    out: Int64[np.ndarray, " u+1"], source: Int64[np.ndarray, " u"], offsets: Int64[np.ndarray, " u+1"], hidden: UInt8[np.ndarray, " n"]
) -> Int32[np.ndarray, " m"]:
    """Positions 0, 1, … of each unit's source, then the places in the text of its hidden tokens, which the answer says there."""
    position = np.empty(out[-1], dtype=np.int32)
    _standing(out, source, offsets, hidden, position)
    return position
