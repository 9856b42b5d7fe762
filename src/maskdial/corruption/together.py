"""One decision for several tokens: the pieces of a word, or of a span, become [MASK], random or stay together."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from maskdial.corruption.render import AS_RANDOM, Edit
from maskdial.corruption.runs import SPARE, longest_of, places
from maskdial.corruption.text import Decisions, Ink, Text, begins_of
from maskdial.rng import RENDER, REPLACE, U32, below, draw, kernel, site, threshold
from maskdial.sample import Rows
from maskdial.vocab import Vocab

if TYPE_CHECKING:
    from jaxtyping import Int32, Int64, UInt8

    from maskdial.corruption.select import Offsets


@kernel
def _actions_together(offsets, keys, as_mask, as_random, starts, hidden):  # type: ignore[no-untyped-def]
    at = np.empty(longest_of(offsets) + SPARE, dtype=np.int64)
    for u in range(len(keys)):
        key = site(keys[u], RENDER)
        part, first = hidden[offsets[u] : offsets[u + 1]], starts[offsets[u] : offsets[u + 1]]
        action, before = np.uint8(0), np.int64(-2)
        for j in range(places(part, np.uint8(0), False, at)):
            i = at[j]
            if i != before + 1 or first[i]:
                bits = draw(key, np.uint64(i)) >> U32
                action = np.uint8(np.uint8(3) - np.uint8(bits < as_random) - np.uint8(bits < as_mask))
            part[i], before = action, i


@kernel
def _from_row(values, offsets, keys, actions, out, at):  # type: ignore[no-untyped-def]
    random = np.empty(longest_of(offsets) + SPARE, dtype=np.int64)
    for u in range(len(keys)):
        source, action = values[offsets[u] : offsets[u + 1]], actions[offsets[u] : offsets[u + 1]]
        target, key = out[at[u] : at[u] + len(source)], site(keys[u], REPLACE)
        shown = np.int64(0)
        for i in range(len(source)):
            shown += np.int64(action[i] == 0)
        for j in range(places(action, np.uint8(AS_RANDOM), True, random) if shown else 0):
            counter = np.uint64(random[j])
            place = below(draw(key, counter), len(source))
            while action[place]:  # again, until one that is not hidden
                counter += np.uint64(1) << U32
                place = below(draw(key, counter), len(source))
            target[random[j]] = source[place]


@dataclass(frozen=True)
class EditTogether(Edit):
    """`Edit` with one draw of [MASK], random or unchanged for each run of hidden tokens; `starts` parts a run further.

    `from_row`: a random token is one of the tokens of the same unit that are not hidden, so that its law is the text's own
    without a pass over the corpus and it tells nothing about a hidden token; where all are hidden it comes from `pool`.
    """

    starts: Callable[[Rows, Offsets], UInt8[np.ndarray, " n"]] | None = None
    from_row: bool = False

    def draw(self, rows: Rows, lengths: Int64[np.ndarray, " u"], d: Decisions, vocab: Vocab) -> None:
        """Which tokens, and what becomes of each run."""
        offsets = begins_of(rows, lengths)
        hidden = self.select(rows, offsets, d)
        starts = np.zeros_like(hidden) if self.starts is None else self.starts(rows, offsets)
        _actions_together(offsets, d.keys, threshold(self.mask), threshold(min(1.0, self.mask + self.random)), starts, hidden)
        d.values["hidden"] = hidden

    def write(self, text: Text, d: Decisions, ink: Ink, out: Int32[np.ndarray, " m"], at: Int64[np.ndarray, " u"]) -> None:
        """Write the edited text of unit u at `out[at[u]:]`."""
        super().write(text, d, ink, out, at)
        if self.from_row and not ink.numbers:
            _from_row(text.values, text.offsets, d.keys, d["hidden"], out, at)
