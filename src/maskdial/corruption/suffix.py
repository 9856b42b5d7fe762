"""Nothing is hidden but the end: a split parts the text into what is given and what is asked."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from maskdial.corruption.held import Runs, begins
from maskdial.corruption.render import scatter
from maskdial.corruption.text import Decisions, Ink, Text
from maskdial.rng import SPLIT, below, draw, kernel, site
from maskdial.sample import Rows
from maskdial.vocab import Vocab

if TYPE_CHECKING:
    from jaxtyping import Int32, Int64



@kernel
def _split(lengths, keys, out):  # type: ignore[no-untyped-def]
    for u in range(len(keys)):
        out[u] = 1 + np.int64(below(draw(site(keys[u], SPLIT), np.uint64(0)), lengths[u] - 1)) if lengths[u] > 1 else 0


class Keep:
    """No corruption: the text is read as it is."""

    decisions: tuple[str, ...] = ()
    hides = False

    def draw(self, rows: Rows, lengths: Int64[np.ndarray, " u"], d: Decisions, vocab: Vocab) -> None:
        """Nothing to draw."""

    def lengths(self, lengths: Int64[np.ndarray, " u"], d: Decisions) -> Int64[np.ndarray, " u"]:
        """Unchanged."""
        return lengths

    def write(self, text: Text, d: Decisions, ink: Ink, out: Int32[np.ndarray, " m"], at: Int64[np.ndarray, " u"]) -> None:
        """Write unit u at `out[at[u]:]`: the text as it is."""
        scatter(text.values, text.offsets, out, at)

    def hold(self, rows: Rows, lengths: Int64[np.ndarray, " u"], runs: Runs) -> dict[str, Any]:
        """Nothing to decide."""
        return {}


@dataclass(frozen=True)
class Split(Keep):
    """Where the asked part begins: uniform in 1 … L-1 (T5, `random_prefix`), or a fixed share of L. The decision is "split"."""

    fraction: float | None = None
    decisions = ("split",)

    def draw(self, rows: Rows, lengths: Int64[np.ndarray, " u"], d: Decisions, vocab: Vocab) -> None:
        """One split a unit."""
        d.values["split"] = partial(self._split, lengths)

    def _split(self, lengths: Int64[np.ndarray, " u"], d: Decisions) -> Int64[np.ndarray, " u"]:
        split = np.empty(len(d.keys), dtype=np.int64)
        if self.fraction is None:
            _split(lengths, d.keys, split)
        else:
            split[:] = np.clip(np.rint(lengths * self.fraction), np.minimum(1, lengths), np.maximum(lengths - 1, 0))
        return split

    def hold(self, rows: Rows, lengths: Int64[np.ndarray, " u"], runs: Runs) -> dict[str, Any]:
        """Where the first run begins, but never before the second token (nothing stands there to say the first)."""
        return {"split": np.maximum(begins(lengths, runs), np.minimum(lengths, 1))}
