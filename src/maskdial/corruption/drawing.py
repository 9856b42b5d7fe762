"""Tokens drawn with replacement: one may be drawn twice, counts twice and has two chances to become [MASK] (ELECTRA's release)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from maskdial.corruption.held import Runs
from maskdial.corruption.render import AS_MASK, AS_SAME, Edit
from maskdial.corruption.runs import SPARE, longest_of, places
from maskdial.corruption.text import Decisions, begins_of
from maskdial.rng import RENDER, SELECT, U32, below, draw, kernel, site, threshold
from maskdial.sample import Rows
from maskdial.vocab import Vocab

if TYPE_CHECKING:
    from jaxtyping import Int64, UInt8

    from maskdial.corruption.select import Keys, Offsets


@kernel
def _drawn(offsets, keys, counts, times):  # type: ignore[no-untyped-def]
    times[:] = 0
    for u in range(len(keys)):
        part, key = times[offsets[u] : offsets[u + 1]], site(keys[u], SELECT)
        for c in range(counts[u] if len(part) else 0):
            part[below(draw(key, np.uint64(c)), len(part))] += np.uint8(1)


def drawn(offsets: Offsets, keys: Keys, counts: Int64[np.ndarray, " u"]) -> UInt8[np.ndarray, " n"]:
    """How often each token was drawn: `counts[u]` draws from unit u, uniform, each from all of it."""
    times = np.empty(offsets[-1], dtype=np.uint8)
    _drawn(offsets, keys, counts, times)
    return times


@kernel
def _looks(offsets, keys, upto, times, hidden):  # type: ignore[no-untyped-def]
    at = np.empty(longest_of(offsets) + SPARE, dtype=np.int64)
    hidden[:] = 0
    for u in range(len(keys)):
        key = site(keys[u], RENDER)
        often, part = times[offsets[u] : offsets[u + 1]], hidden[offsets[u] : offsets[u + 1]]
        for j in range(places(often, np.uint8(0), False, at)):
            i = at[j]
            part[i] = AS_MASK if (draw(key, np.uint64(i)) >> U32) < upto[often[i]] else AS_SAME


@dataclass(frozen=True)
class EditDrawn(Edit):
    """`Edit` of tokens drawn with replacement: `select` says how often each was. Each of its draws is [MASK] with probability
    `mask` and else leaves it, so that n draws leave it unchanged with (1 - mask)^n. Beside "hidden" there is the decision "times".
    """

    decisions = ("hidden", "times")  # type: ignore[assignment]

    def draw(self, rows: Rows, lengths: Int64[np.ndarray, " u"], d: Decisions, vocab: Vocab) -> None:
        """How often each token is drawn, and whether it becomes [MASK]."""
        offsets = begins_of(rows, lengths)
        times = self.select(rows, offsets, d)
        upto = np.array([threshold(1 - (1 - self.mask) ** n) for n in range(int(times.max(initial=0)) + 1)])
        hidden = np.empty_like(times)
        _looks(offsets, d.keys, upto, times, hidden)
        d.values |= {"hidden": hidden, "times": times}

    def hold(self, rows: Rows, lengths: Int64[np.ndarray, " u"], runs: Runs) -> dict[str, Any]:
        """Each token of the runs as [MASK], drawn once."""
        held = super().hold(rows, lengths, runs)
        return held | {"times": (held["hidden"] > 0).astype(np.uint8)}
