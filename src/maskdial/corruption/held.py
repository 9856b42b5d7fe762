"""Decisions made by hand: exactly these runs of tokens are hidden, and nothing else happens to the text."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from maskdial.corruption.text import Spans

if TYPE_CHECKING:
    from jaxtyping import Int32, Int64, UInt8
    Lengths = Int64[np.ndarray, " u"]

#: of each unit the runs that are hidden, ascending and apart: (where one begins, where it ends)
Runs = Sequence[Sequence[tuple[int, int]]]


def flags(lengths: Lengths, runs: Runs, action: int = 1) -> UInt8[np.ndarray, " n"]:
    """`action` at the tokens of the runs, 0 elsewhere, flat over the units."""
    out = np.zeros(int(lengths.sum()), dtype=np.uint8)
    for first, unit in zip(np.cumsum(lengths) - lengths, runs, strict=True):
        for a, b in unit:
            out[first + a : first + b] = action
    return out


def as_spans(runs: Runs) -> Spans:
    """The runs as spans."""
    return Spans.of([[(a, b - a) for a, b in unit] for unit in runs])


def counts(runs: Runs) -> Lengths:
    """Hidden tokens a unit."""
    return np.array([sum(b - a for a, b in unit) for unit in runs], dtype=np.int64)


def begins(lengths: Lengths, runs: Runs) -> Lengths:
    """Where the first run of each unit begins, and where the unit ends that has none."""
    return np.array([unit[0][0] if unit else length for unit, length in zip(runs, lengths.tolist(), strict=True)], dtype=np.int64)


def counted(count: Lengths) -> Int32[np.ndarray, " k"]:
    """0, 1, 2, … `count[u]` times for each unit, flat: as they come."""
    return (np.arange(int(count.sum())) - np.repeat(np.cumsum(count) - count, count)).astype(np.int32)
