"""Only the beginning is read. The rest is the answer's, which may itself be hidden in part."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from maskdial.corruption.held import Runs, begins, flags
from maskdial.corruption.render import take
from maskdial.corruption.select import choose
from maskdial.corruption.suffix import Keep, Split
from maskdial.corruption.text import Decisions, Ink, Text
from maskdial.rng import GUESSED, GUESSES, below, draw, kernel, site
from maskdial.sample import Rows
from maskdial.vocab import Vocab

if TYPE_CHECKING:
    from jaxtyping import Int32, Int64


@dataclass(frozen=True)
class Prefix(Split):
    """The text up to the split is read and nothing of what follows. The decision is "split"."""

    def lengths(self, lengths: Int64[np.ndarray, " u"], d: Decisions) -> Int64[np.ndarray, " u"]:
        """Tokens before the split."""
        return np.asarray(d["split"], dtype=np.int64)

    def write(self, text: Text, d: Decisions, ink: Ink, out: Int32[np.ndarray, " m"], at: Int64[np.ndarray, " u"]) -> None:
        """Write the beginning of unit u at `out[at[u]:]`."""
        take(text.values, text.offsets, self.lengths(text.lengths, d), out, at)

    def hold(self, rows: Rows, lengths: Int64[np.ndarray, " u"], runs: Runs) -> dict[str, Any]:
        """Up to where the first run begins."""
        return {"split": begins(lengths, runs)}


@kernel
def _guesses(offsets, keys, split, hidden):  # type: ignore[no-untyped-def]
    for u in range(len(keys)):
        part = hidden[offsets[u] : offsets[u + 1]]
        part[: split[u]] = 0
        rest = part[split[u] :]
        if len(rest):
            count = 1 + np.int64(below(draw(site(keys[u], GUESSES), np.uint64(0)), max(1, len(rest) - 1)))
            choose(site(keys[u], GUESSED), len(rest), count, rest)


class HideRest(Keep):
    """Which tokens after the split the answer hides from itself (Mask-Predict: Ghazvininejad et al. 2019, §3.2).

    Of N of them 1 … N-1, every number equally likely (1 of 1), then that many without replacement. The decision is
    "hidden": uint8 a token of the whole text, 1 where the answer reads [MASK].
    """

    decisions = ("hidden",)
    hides = True

    def draw(self, rows: Rows, lengths: Int64[np.ndarray, " u"], d: Decisions, vocab: Vocab) -> None:
        """Hide some tokens of each unit's rest."""
        d.values["hidden"] = np.empty(len(rows.tokens), dtype=np.uint8)
        _guesses(rows.units.offsets, d.keys, d["split"], d["hidden"])

    def hold(self, rows: Rows, lengths: Int64[np.ndarray, " u"], runs: Runs) -> dict[str, Any]:
        """These tokens, in an answer that begins at the first of them."""
        whole = rows.units.lengths  # what is read is but the beginning
        return {"split": begins(whole, runs), "hidden": flags(whole, runs)}
