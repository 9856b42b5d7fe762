"""What one pass over texts with answers needs of every unit, and fills in for it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from maskdial.corruption.text import HEAD, START, TAIL, Ink

if TYPE_CHECKING:
    from jaxtyping import Int32, Int64

    from maskdial.build import Build


def frame(b: Build, ink: Ink) -> tuple[Int32[np.ndarray, " u"], ...]:
    """The tokens before and after the text, where there are some, and the one that the answer reads first."""
    return b.special(HEAD, b.head, ink), b.special(TAIL, b.tail, ink), b.special(START, b.o.target.start, ink)


def to_fill(b: Build) -> tuple[Int64[np.ndarray, " u"], Int64[np.ndarray, " u"], Int64[np.ndarray, " u+1"]]:
    """Room for the positions of each unit's source, of all of it, and for the offsets of units."""
    units = len(b.units)
    return np.empty(units, dtype=np.int64), np.empty(units, dtype=np.int64), np.empty(units + 1, dtype=np.int64)
