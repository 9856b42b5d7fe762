"""What a step of a corruption is, and what a target is: the two things that an objective is made of besides its order."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from maskdial.corruption.held import Runs
from maskdial.corruption.text import Decisions, Ink, Text
from maskdial.sample import Rows
from maskdial.vocab import Vocab

if TYPE_CHECKING:
    from jaxtyping import Int32, Int64
    Lengths = Int64[np.ndarray, " u"]


class Step(Protocol):
    """One step of a corruption: draws decisions from lengths and keys, then writes text from text and decisions.

    `hold` makes them by hand: decisions that hide exactly these runs (start, end) of each unit and leave everything else of the
    text as it is; without runs the text stays whole. `hides` says whether it is this step that hides, and not one that merely
    goes by what is hidden (a noise level, an order of answers, where a prefix ends). `ValueError` for runs it can't hide.

    `draw` may leave a decision waiting (`Decisions`): where `maskdial.one_pass` makes the samples, nobody looks at it.
    """

    decisions: Any
    hides: bool

    def draw(self, rows: Rows, lengths: Lengths, d: Decisions, vocab: Vocab) -> None: ...
    def lengths(self, lengths: Lengths, d: Decisions) -> Lengths: ...
    def write(self, text: Text, d: Decisions, ink: Ink, out: Int32[np.ndarray, " m"], at: Lengths) -> None: ...
    def hold(self, rows: Rows, lengths: Lengths, runs: Runs) -> dict[str, Any]: ...


class Target:
    """What positions must say, over the source or (`answers`) in an answer stream of its own.

    An answer stream reads its own target shifted behind the token of the role `start`, unless it `reads_itself` (`read`).
    `over_read`: each position says what the next one reads, whatever the steps made of the text.
    """

    answers = False
    over_read = False
    reads_itself = False
    start = "start"

    def lengths(self, text: Lengths, d: Decisions, ink: Ink, framed: bool) -> Lengths:
        """Answer tokens a unit."""
        return np.zeros_like(text)

    def write(self, text: Text, d: Decisions, ink: Ink, silent: int, out: Int32[np.ndarray, " m"], at: Lengths,
              framed: bool) -> None:  # fmt: skip
        """Write what each position of unit u must say at `out[at[u]:]`, from the clean text."""
        raise NotImplementedError

    def read(self, text: Text, d: Decisions, ink: Ink, out: Int32[np.ndarray, " m"], at: Lengths) -> None:
        """Write what the answer stream of unit u reads at `out[at[u]:]`."""
        raise NotImplementedError
