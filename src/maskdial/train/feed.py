"""Which samples a step sees: a pure function of how many were consumed before.

There is no iterator and no generator state. Sample n is window n of the corpus's keyed shuffle under the noise of its
number and epoch; a step that straddles two epochs is computed in parts, each with its own epoch's noise.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from maskdial.batch import Batch
from maskdial.errors import UserError
from maskdial.objective import Objective

#: How a corpus comes to tell what an objective may need.
HINTS = {
    "part": "prepare records with a prompt and a completion, or with messages",
    "language": "prepare records that name their language, with a tokenizer that has a token for each (--add languages)",
}


class Feed:
    """`batches(first, count)` are samples first … first + count − 1 as numpy batches."""

    def __init__(self, objective: Objective, corpus: Any, raw: int, *, seed: int, packing: str, part: str = "train") -> None:
        self.objective, self.corpus, self.raw = objective, corpus, raw
        self.seed, self.packing, self.part = seed, packing, part
        self._plan = objective.plan

    def batches(self, first: int, count: int, parts: int = 1) -> list[Batch]:
        """The samples in at least `parts` batches (accumulation), cut where the epoch changes."""
        size = -(-count // parts)
        pieces = ((at, min(size, first + count - at)) for at in range(first, first + count, size))
        return [self.batch(at, n, epoch) for piece in pieces for at, n, epoch in self.epochs(*piece)]

    def epochs(self, first: int, count: int) -> Iterator[tuple[int, int, int]]:
        """(first, count, epoch) of each run of samples in one epoch."""
        end = first + count
        while first < end:
            epoch = self.corpus.epoch_of(first, self.raw, self.part, **self._plan)
            low, high = first + 1, end  # the first sample of a later epoch lies in low … high, or there is none
            while low < high:
                middle = (low + high) // 2
                low, high = (low, middle) if self.corpus.epoch_of(middle, self.raw, self.part, **self._plan) > epoch else (middle + 1, high)
            yield first, low - first, epoch
            first = low

    def batch(self, first: int, count: int, epoch: int) -> Batch:
        """One rectangle."""
        rows = self.corpus.rows(self.raw, first, count, seed=self.seed, part=self.part, packing=self.packing, **self._plan)
        for column in getattr(self.objective, "needs", ()):
            if getattr(rows, column) is None:
                raise UserError(f"{self.objective.name} needs to know the {column} of each token, which this corpus does not tell",
                                hint=HINTS.get(column, ""), code="data.column")  # fmt: skip
        samples = self.objective(rows, self.corpus.vocab, seed=self.seed, epoch=epoch)
        return samples.batch(self.objective.layout)
