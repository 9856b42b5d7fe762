"""Which sixth of the tokens is predicted, and when (XLNet: Yang et al. 2019, §2.3)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from maskdial.corruption.held import Runs, counted, counts
from maskdial.corruption.runs import U0, U1, any_order, marked, next_set
from maskdial.corruption.suffix import Keep
from maskdial.corruption.text import Decisions, offsets_of
from maskdial.corruption.words import size_drawn
from maskdial.rng import CHOSEN, RANKS, below, draw, kernel, site
from maskdial.sample import Rows
from maskdial.vocab import Vocab

if TYPE_CHECKING:
    from jaxtyping import Int64, UInt8

    from maskdial.corruption.select import Keys, Offsets
    Lengths = Int64[np.ndarray, " u"]

#: a run has 1 … 5 tokens with probability proportional to 1, 1/2, 1/3, 1/4, 1/5: bounds out of 137
RUNS = np.array([60, 90, 110, 125, 137], dtype=np.int64)


@kernel
def _sixths(offsets, keys, word, k, wanted, runs, hidden):  # type: ignore[no-untyped-def]
    for u in range(len(keys)):
        key, size = site(keys[u], CHOSEN), offsets[u + 1] - offsets[u]
        flags, starts = hidden[offsets[u] : offsets[u + 1]], word[offsets[u] : offsets[u + 1]]
        left, at, c = wanted[u], np.int64(0), U0
        while left > 0 and at < size:
            n = min(size_drawn(np.int64(below(draw(key, c), 137)), runs), left)
            around = n * k
            before = np.int64(below(draw(key, c + U1), around))
            c += np.uint64(2)
            first = at + before
            if first > 0 and len(starts):
                first = next_set(starts, first)
            if first + n >= size:
                break
            for j in range(len(runs)):
                flags[first + min(j, n - 1)] = 1
            left -= n
            at = first + n + around - before
        while left > 0:
            i = np.int64(below(draw(key, c), size))
            c += U1
            left -= 1 - np.int64(flags[i])
            flags[i] = 1


def sixths(offsets: Offsets, keys: Keys, word: UInt8[np.ndarray, " n"] | None, k: int) -> UInt8[np.ndarray, " n"]:
    """round(length / k) tokens of each unit, in runs of 1 … 5 that start a word where words are known, each run of n tokens within
    a stretch of its own of n · k more; what is then missing is drawn uniformly (XLNet, released `_sample_mask`)."""
    hidden, wanted = np.zeros(offsets[-1], dtype=np.uint8), np.rint(np.diff(offsets) / k).astype(np.int64)
    _sixths(offsets, keys, hidden[:0] if word is None else word, k, wanted, RUNS, hidden)
    return hidden


@kernel
def _ranks(keys, offsets, out):  # type: ignore[no-untyped-def]
    for u in range(len(keys)):
        any_order(site(keys[u], RANKS), out[offsets[u] : offsets[u + 1]])


class Ranks(Keep):
    """When each hidden token is predicted. The decision is "ranks": int32 a hidden token, 0 for the first of its unit; every order
    is equally likely."""

    decisions = ("ranks",)

    def draw(self, rows: Rows, lengths: Lengths, d: Decisions, vocab: Vocab) -> None:
        """A permutation of each unit's hidden tokens."""
        offsets = offsets_of(marked(d["hidden"], offsets_of(lengths)))
        d.values["ranks"] = np.empty(offsets[-1], dtype=np.int32)
        _ranks(d.keys, offsets, d["ranks"])

    def hold(self, rows: Rows, lengths: Lengths, runs: Runs) -> dict[str, Any]:
        """From the left to the right."""
        return {"ranks": counted(counts(runs))}
