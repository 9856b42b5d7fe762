"""All tokens in another order, without regard to sentences."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from maskdial.corruption.held import Runs, flags
from maskdial.corruption.rearrange import mark_moved
from maskdial.corruption.runs import any_order
from maskdial.corruption.suffix import Keep
from maskdial.corruption.text import Decisions, Ink, Text, begins_of
from maskdial.rng import SHUFFLE, kernel, site
from maskdial.sample import Rows
from maskdial.vocab import Vocab

if TYPE_CHECKING:
    from jaxtyping import Int32, Int64


@kernel
def _orders(offsets, keys, order):  # type: ignore[no-untyped-def]
    for u in range(len(keys)):
        any_order(site(keys[u], SHUFFLE), order[offsets[u] : offsets[u + 1]])


@kernel
def _taken(values, offsets, order, out, at):  # type: ignore[no-untyped-def]
    for u in range(len(at)):
        source, turn = values[offsets[u] : offsets[u + 1]], order[offsets[u] : offsets[u + 1]]
        target = out[at[u] : at[u] + len(source)]
        for i in range(np.uint64(len(source))):
            target[i] = source[np.uint64(turn[i])]


class ShuffleTokens(Keep):
    """A uniformly random order of a unit's tokens. The decision is "permutation": int32 a token, which one is read there."""

    decisions = ("permutation",)

    def draw(self, rows: Rows, lengths: Int64[np.ndarray, " u"], d: Decisions, vocab: Vocab) -> None:
        """A new order of each unit's tokens."""
        offsets = begins_of(rows, lengths)
        d.values["permutation"] = np.empty(offsets[-1], dtype=np.int32)
        _orders(offsets, d.keys, d["permutation"])

    def write(self, text: Text, d: Decisions, ink: Ink, out: Int32[np.ndarray, " m"], at: Int64[np.ndarray, " u"]) -> None:
        """Write unit u at `out[at[u]:]`."""
        _taken(text.values, text.offsets, d["permutation"], out, at)
        if ink.numbers:
            mark_moved(text, out, at)

    def hold(self, rows: Rows, lengths: Int64[np.ndarray, " u"], runs: Runs) -> dict[str, Any]:
        """What stays visible in its order, then the runs in theirs: who reads from the left has read both sides of a run."""
        hidden = np.split(flags(lengths, runs), np.cumsum(lengths)[:-1])
        return {"permutation": np.concatenate([np.argsort(unit, kind="stable") for unit in hidden]).astype(np.int32)}
