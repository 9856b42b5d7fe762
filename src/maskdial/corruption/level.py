"""A noise level a text, uniform; then a coin a token that falls on [MASK] with that probability (masked diffusion)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from maskdial.corruption.held import Runs, counts
from maskdial.corruption.suffix import Keep
from maskdial.corruption.text import Decisions
from maskdial.rng import COUNT, SELECT, coins, draw, kernel, site
from maskdial.sample import Rows
from maskdial.vocab import Vocab

if TYPE_CHECKING:
    from jaxtyping import Float32, Int64

    from maskdial.corruption.select import Hidden, Offsets


@kernel
def _levels(keys, least, level):  # type: ignore[no-untyped-def]
    for u in range(len(keys)):
        chance = np.float64(draw(site(keys[u], COUNT), np.uint64(0)) >> np.uint64(11)) * 2.0**-53
        level[u] = least + (1.0 - least) * chance


@kernel
def _coins(offsets, keys, limit, hidden):  # type: ignore[no-untyped-def]
    for u in range(len(keys)):
        coins(site(keys[u], SELECT), limit[u], hidden[offsets[u] : offsets[u + 1]])


@dataclass(frozen=True)
class Level(Keep):
    """The noise level of each unit, uniform in [`least`, 1]: the decision "t", float64 a unit. The text stays."""

    least: float
    decisions = ("t",)

    def draw(self, rows: Rows, lengths: Int64[np.ndarray, " u"], d: Decisions, vocab: Vocab) -> None:
        """One level a unit."""
        level = np.empty(len(d.keys))
        _levels(d.keys, self.least, level)
        d.values["t"] = level

    def hold(self, rows: Rows, lengths: Int64[np.ndarray, " u"], runs: Runs) -> dict[str, Any]:
        """The share that is hidden."""
        return {"t": np.maximum(self.least, counts(runs) / np.maximum(lengths, 1))}


def at_level(rows: Rows, offsets: Offsets, d: Decisions) -> Hidden:
    """Each token by its own coin, with the probability "t" of its unit; a higher level keeps the earlier picks."""
    hidden = np.empty(offsets[-1], dtype=np.uint8)
    _coins(offsets, d.keys, np.round(np.asarray(d["t"], dtype=np.float64) * 2.0**32).astype(np.uint64), hidden)
    return hidden


@kernel
def _weights(hidden, offsets, level, out, at):  # type: ignore[no-untyped-def]
    for u in range(len(level)):
        part = hidden[offsets[u] : offsets[u + 1]]
        target, weight = out[at[u] : at[u] + len(part)], np.float32(1.0 / level[u])
        for i in range(len(part)):
            target[i] = weight if part[i] else np.float32(0)


def weights(d: Decisions, offsets: Offsets, size: int, at: Int64[np.ndarray, " u"]) -> Float32[np.ndarray, " m"]:
    """1/t where a token is hidden, 0 elsewhere, over `size` positions in which unit u's text stands at `at[u]`."""
    out = np.zeros(size, dtype=np.float32)
    _weights(d["hidden"], offsets, np.asarray(d["t"], dtype=np.float64), out, at)
    return out
