"""The text is read as it is, and flags say which of its tokens are hidden from the positions that answer."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from maskdial.corruption.held import Runs, flags
from maskdial.corruption.render import AS_MASK
from maskdial.corruption.suffix import Keep
from maskdial.corruption.text import Decisions
from maskdial.rng import kernel
from maskdial.sample import Rows
from maskdial.vocab import Vocab

if TYPE_CHECKING:
    from jaxtyping import Int64, UInt8

    from maskdial.corruption.select import Offsets


@dataclass(frozen=True)
class Mark(Keep):
    """The decision is "hidden": uint8 a token, 1 for those that are asked."""

    select: Callable[[Rows, Offsets, Decisions], UInt8[np.ndarray, " n"]]
    decisions = ("hidden",)
    hides = True

    def draw(self, rows: Rows, lengths: Int64[np.ndarray, " u"], d: Decisions, vocab: Vocab) -> None:
        """Which tokens."""
        d.values["hidden"] = self.select(rows, np.concatenate([[0], np.cumsum(lengths)]), d)

    def force(self, hide: list[int], length: int) -> dict[str, Any]:
        """Decisions of one unit that hide these tokens."""
        flags = np.zeros(length, dtype=np.uint8)
        flags[hide] = AS_MASK
        return {"hidden": flags}

    def hold(self, rows: Rows, lengths: Int64[np.ndarray, " u"], runs: Runs) -> dict[str, Any]:
        """The tokens of the runs."""
        return {"hidden": flags(lengths, runs)}


@kernel
def _marked(hidden, offsets, count):  # type: ignore[no-untyped-def]
    for u in range(len(count)):
        part, n = hidden[offsets[u] : offsets[u + 1]], np.int64(0)
        for i in range(len(part)):
            n += np.int64(part[i] != 0)
        count[u] = n


def marked(hidden: UInt8[np.ndarray, " n"], offsets: Offsets) -> Int64[np.ndarray, " u"]:
    """Hidden tokens a unit."""
    count = np.empty(len(offsets) - 1, dtype=np.int64)
    _marked(hidden, offsets, count)
    return count
