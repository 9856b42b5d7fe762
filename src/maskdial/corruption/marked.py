"""The text is read as it is, and flags say which of its tokens are hidden from the positions that answer."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from maskdial.corruption.held import Runs, flags
from maskdial.corruption.suffix import Keep
from maskdial.corruption.text import Decisions, begins_of
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
        d.values["hidden"] = self.select(rows, begins_of(rows, lengths), d)

    def hold(self, rows: Rows, lengths: Int64[np.ndarray, " u"], runs: Runs) -> dict[str, Any]:
        """The tokens of the runs."""
        return {"hidden": flags(lengths, runs)}
