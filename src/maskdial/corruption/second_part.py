"""Where a second text begins, in members of a mixture that run as one: some of them have none."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from maskdial.corruption.suffix import Split
from maskdial.corruption.text import Decisions
from maskdial.rng import kernel
from maskdial.sample import Rows
from maskdial.vocab import Vocab

if TYPE_CHECKING:
    from jaxtyping import Bool, Int64


@kernel
def _none(second, member, lengths, split):  # type: ignore[no-untyped-def]
    for u in range(len(split)):
        if not second[member[u]]:
            split[u] = lengths[u] + 1


@dataclass(frozen=True)
class SecondPart(Split):
    """`Split`, which lies past the end of a text of a member that has no `second` part: then no separator stands there."""

    second: bool | Bool[np.ndarray, " m"] = True
    by_member = ("second",)

    def draw(self, rows: Rows, lengths: Int64[np.ndarray, " u"], d: Decisions, vocab: Vocab) -> None:
        """One split a unit."""
        super().draw(rows, lengths, d, vocab)
        _none(self.second, d["member"], lengths, d["split"])
