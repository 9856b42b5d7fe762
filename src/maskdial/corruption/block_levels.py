"""A noise level a block, and the tokens that it hides (block diffusion: Arriola et al. 2025, §3-4)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from maskdial.corruption.held import Runs, flags
from maskdial.corruption.runs import longest_of
from maskdial.corruption.suffix import Keep
from maskdial.corruption.text import Decisions, offsets_of
from maskdial.rng import GOLDEN, LEVELS, NOISE, U32, draw, kernel, mix, site
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
def _by_level(offsets, keys, first, levels, size, hidden):  # type: ignore[no-untyped-def]
    longest = longest_of(offsets)
    last, spread = np.empty(longest, dtype=np.uint32), np.empty(longest, dtype=np.uint32)
    for u in range(len(keys)):
        key, part, level = site(keys[u], NOISE), hidden[offsets[u] : offsets[u + 1]], levels[first[u] : first[u + 1]]
        for b in range(len(level)):  # the last 32 bits that hide
            last[b] = np.int64(np.rint(level[b] * 2.0**32)) - 1
        for k in range(min(size, len(part))):  # the k-th tokens of all blocks: blocks are short
            bound = spread[k : len(part) : size]
            for b in range(len(bound)):
                bound[b] = last[b]
        bound = spread[: len(part)]
        for i in range(len(part)):
            part[i] = np.uint32(mix(key) >> U32) <= bound[i]
            key += GOLDEN


def by_level(offsets: Offsets, keys: Keys, levels: Float64[np.ndarray, " b"], size: int) -> UInt8[np.ndarray, " n"]:
    """Each token by its own coin, which falls with the probability of its block, above 0; a higher level keeps the earlier picks."""
    hidden = np.empty(offsets[-1], dtype=np.uint8)
    _by_level(offsets, keys, blocks_of(np.diff(offsets), size), np.asarray(levels, dtype=np.float64), size, hidden)
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
