"""A noise level a block, and the tokens that it hides (block diffusion: Arriola et al. 2025, §3-4)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from maskdial.corruption.held import Runs, flags
from maskdial.corruption.suffix import Keep
from maskdial.corruption.text import Decisions, offsets_of
from maskdial.rng import LEVELS, NOISE, U32, draw, kernel, site
from maskdial.sample import Rows
from maskdial.vocab import Vocab

if TYPE_CHECKING:
    from jaxtyping import Float32, Float64, Int64, UInt8

    from maskdial.corruption.select import Keys, Offsets


def blocks_of(lengths: Int64[np.ndarray, " u"], size: int) -> Int64[np.ndarray, " u+1"]:
    """Where the blocks of each unit begin in a flat column; the last block of a unit may be short."""
    return offsets_of(-(-lengths // size))


@kernel
def _levels(keys, first, low, high, out):  # type: ignore[no-untyped-def]
    for u in range(len(keys)):
        key, part = site(keys[u], LEVELS), out[first[u] : first[u + 1]]
        for b in range(len(part)):
            part[b] = high - (high - low) * (np.float64(draw(key, np.uint64(b)) >> np.uint64(11)) * 2.0**-53)


@dataclass(frozen=True)
class Levels(Keep):
    """The decision is "levels": float64 a block, uniform above `low` up to `high`: the probability that a token is hidden."""

    size: int
    low: float
    high: float
    decisions = ("levels",)

    def draw(self, rows: Rows, lengths: Int64[np.ndarray, " u"], d: Decisions, vocab: Vocab) -> None:
        """A level a block."""
        first = blocks_of(lengths, self.size)
        d.values["levels"] = np.empty(first[-1])
        _levels(d.keys, first, self.low, self.high, d["levels"])

    def hold(self, rows: Rows, lengths: Int64[np.ndarray, " u"], runs: Runs) -> dict[str, Any]:
        """The share of each block that is hidden."""
        units = np.split(flags(lengths, runs), np.cumsum(lengths)[:-1])
        share = [unit[i : i + self.size].mean() for unit in units for i in range(0, len(unit), self.size)]
        return {"levels": np.clip(np.array(share, dtype=np.float64), self.low, self.high)}


@kernel
def _by_level(offsets, keys, first, limits, size, hidden):  # type: ignore[no-untyped-def]
    longest = 0
    for u in range(len(keys)):
        longest = max(longest, offsets[u + 1] - offsets[u])
    spread = np.empty(longest, dtype=np.uint64)
    for u in range(len(keys)):
        key, part, limit = site(keys[u], NOISE), hidden[offsets[u] : offsets[u + 1]], limits[first[u] : first[u + 1]]
        bound = spread[: len(part)]
        for b in range(len(limit)):
            block = bound[b * size : (b + 1) * size]
            for i in range(len(block)):
                block[i] = limit[b]
        for i in range(len(part)):
            part[i] = (draw(key, np.uint64(i)) >> U32) < bound[i]


def by_level(offsets: Offsets, keys: Keys, levels: Float64[np.ndarray, " b"], size: int) -> UInt8[np.ndarray, " n"]:
    """Each token by its own coin, which falls with the probability of its block; a higher level keeps the earlier picks."""
    hidden = np.empty(offsets[-1], dtype=np.uint8)
    limits = np.rint(np.asarray(levels, dtype=np.float64) * 2.0**32).astype(np.uint64)
    _by_level(offsets, keys, blocks_of(np.diff(offsets), size), limits, size, hidden)
    return hidden


@kernel
def _weights(offsets, hidden, first, levels, size, at, out):  # type: ignore[no-untyped-def]
    for u in range(len(at)):
        flags, level = hidden[offsets[u] : offsets[u + 1]], levels[first[u] : first[u + 1]]
        part = out[at[u] : at[u] + len(flags)]
        for b in range(len(level)):
            weight, block, marks = np.float32(1 / level[b]), part[b * size : (b + 1) * size], flags[b * size : (b + 1) * size]
            for i in range(len(block)):
                block[i] = weight if marks[i] else np.float32(0)


def weights(
    offsets: Offsets, hidden: UInt8[np.ndarray, " n"], levels: Float64[np.ndarray, " b"], size: int, at: Int64[np.ndarray, " u"], total: int
) -> Float32[np.ndarray, " m"]:
    """1 / level of the block at each hidden token, 0 elsewhere: unit u's at `out[at[u]:]` of `total`."""
    out = np.zeros(total, dtype=np.float32)
    _weights(offsets, hidden, blocks_of(np.diff(offsets), size), np.asarray(levels, dtype=np.float64), size, at, out)
    return out
