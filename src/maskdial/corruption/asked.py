"""The text is read as it is, and flags say which of its tokens are asked: completions, or what follows within a document."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from maskdial.corruption.held import Runs
from maskdial.corruption.render import take
from maskdial.corruption.suffix import Keep
from maskdial.corruption.text import Decisions, Ink, Text
from maskdial.sample import Rows
from maskdial.vocab import Vocab

if TYPE_CHECKING:
    from jaxtyping import Int32, Int64, UInt8
    Lengths = Int64[np.ndarray, " u"]


@dataclass(frozen=True)
class Ask(Keep):
    """`flags(rows, vocab)` gives "asked": uint8 a token. With `shared` the last token of a joined row is asked but not read.

    Nothing is drawn: both follow from the rows.
    """

    flags: Callable[[Rows, Vocab], UInt8[np.ndarray, " n"]]
    shared: bool = False

    def draw(self, rows: Rows, lengths: Lengths, d: Decisions, vocab: Vocab) -> None:
        """What is asked, and how many tokens at the end of each unit are not read."""
        d.values["asked"] = self.flags(rows, vocab)
        d.values["unread"] = ((lengths > 1) & (self.shared and rows.packing == "joined")).astype(np.int64)

    def lengths(self, lengths: Lengths, d: Decisions) -> Lengths:
        """Tokens that are read."""
        return np.asarray(lengths - d["unread"])

    def write(self, text: Text, d: Decisions, ink: Ink, out: Int32[np.ndarray, " m"], at: Lengths) -> None:
        """Write what is read of unit u at `out[at[u]:]`."""
        take(text.values, text.offsets, self.lengths(text.lengths, d), out, at)

    def hold(self, rows: Rows, lengths: Lengths, runs: Runs) -> dict[str, Any]:
        """All of the text is read and asked."""
        return {"asked": np.ones(int(lengths.sum()), dtype=np.uint8), "unread": np.zeros(len(lengths), dtype=np.int64)}


def within_documents(rows: Rows, vocab: Vocab) -> UInt8[np.ndarray, " n"]:
    """1 for every token but those behind an end-of-document token of their unit (or, in a joined row, in another segment)."""
    asked = np.ones(len(rows.tokens), dtype=np.uint8)
    asked[1:] = rows.segment[1:] == rows.segment[:-1]
    if vocab.eod is not None:
        asked[1:] &= rows.tokens[:-1] != vocab.eod
    first = rows.units.offsets[:-1]
    asked[first[rows.units.lengths > 0]] = 1
    return asked
