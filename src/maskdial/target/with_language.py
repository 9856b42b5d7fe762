"""The whole text, closed by the language that it is in (mBART)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from maskdial.corruption.text import Decisions, Ink, Text
from maskdial.target.rewritten import WholeText

if TYPE_CHECKING:
    from jaxtyping import Int32, Int64


@dataclass(frozen=True)
class WithLanguage(WholeText):
    """The clean text, framed as the source is, then the token of its language, which the answer also reads first."""

    start: str = "language"

    def write(self, text: Text, d: Decisions, ink: Ink, silent: int, out: Int32[np.ndarray, " m"], at: Int64[np.ndarray, " u"],
              framed: bool) -> None:  # fmt: skip
        """Write the answer of unit u at `out[at[u]:]`."""
        super().write(text, d, ink, silent, out, at, framed)
        if not ink.numbers:
            out[at + self.lengths(text.lengths, d, ink, framed) - 1] = d["language"]
