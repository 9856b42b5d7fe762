"""The whole text, closed by the language that it is in (mBART)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from maskdial.corruption.text import Decisions, Ink
from maskdial.target.rewritten import WholeText

if TYPE_CHECKING:
    from jaxtyping import Int32


@dataclass(frozen=True)
class WithLanguage(WholeText):
    """The clean text, framed as the source is, then the token of its language (the decision "language"), which the answer also reads
    first."""

    start: str = "language"

    def ending(self, d: Decisions, ink: Ink) -> Int32[np.ndarray, " u"]:
        """The language's token."""
        language: Int32[np.ndarray, " u"] = super().ending(d, ink) if ink.numbers else d["language"]
        return language
