"""Which samples a step sees: a pure function of how many were consumed before.

There is no iterator and no generator state. Sample n is window n of the corpus's keyed shuffle under the noise of its
number and epoch; a step that straddles two epochs is computed in parts, each with its own epoch's noise. Several ranks cut a
step among themselves by sample number, and all know every rank's part without asking.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Protocol

import numpy as np

from maskdial.batch import Batch
from maskdial.errors import UserError
from maskdial.objective import Objective
from maskdial.sample import SILENT
from maskdial.train.ranks import Ranks

#: How a corpus comes to tell what an objective may need.
HINTS = {
    "part": "prepare records with a prompt and a completion, or with messages",
    "language": "prepare records that name their language, with a tokenizer that has a token for each (--add languages)",
}


#: pairs whose mean length stands for all of them when a budget in tokens becomes steps: a hundredth of it is chance
SAMPLED_PAIRS = 1024


@dataclass(frozen=True)
class Piece:
    """Samples first … first + count − 1 (of a mixture's member: its own) of one epoch: one batch."""

    first: int
    count: int
    epoch: int
    member: str | None = None


class Feeding(Protocol):
    """What `Feed` and `MixedFeed` have in common."""

    def pieces(self, first: int, count: int, parts: int = 1) -> list[Piece]:
        """The batches of samples first … first + count − 1, not yet made: in at least `parts` of them."""
        ...

    def make(self, piece: Piece) -> Batch:
        """A piece's batch."""
        ...

    def one(self, first: int) -> Sequence[Piece]:
        """One sample of each sort of batch that samples from `first` on may be."""
        ...


class Silent(Batch):
    """A batch that asks nothing and counts for nothing: a rank with fewer batches runs it so that all ranks do the same work."""


class Feed:
    """`batches(first, count)` are samples first … first + count − 1 as numpy batches."""

    def __init__(self, objective: Objective, corpus: Any, raw: int, *, seed: int, packing: str, part: str = "train") -> None:
        self.objective, self.corpus, self.raw = objective, corpus, raw
        self.seed, self.packing, self.part = seed, packing, part
        self._plan = objective.plan

    def batches(self, first: int, count: int, parts: int = 1) -> list[Batch]:
        """The samples in at least `parts` batches (accumulation), cut where the epoch changes."""
        return [self.make(piece) for piece in self.pieces(first, count, parts)]

    def pieces(self, first: int, count: int, parts: int = 1) -> list[Piece]:
        return [Piece(*run) for at, n in cuts(first, count, parts) for run in self.epochs(at, n)]

    def make(self, piece: Piece) -> Batch:
        return self.batch(piece.first, piece.count, piece.epoch)

    def one(self, first: int) -> Sequence[Piece]:
        return self.pieces(first, 1)

    def tokens_a_row(self) -> float:
        """Text tokens a row: those of a window, or of pairs, which are of many lengths, the mean of the first ones."""
        if "pairs" not in self._plan:
            return float(self.raw)
        rows = self.corpus.rows(self.raw, 0, SAMPLED_PAIRS, seed=self.seed, part=self.part, packing=self.packing, **self._plan)
        return len(rows.tokens) / len(rows)

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


def cuts(first: int, count: int, parts: int) -> list[tuple[int, int]]:
    """(first, count) of equal parts of some samples; the last may be smaller."""
    size = max(1, -(-count // parts))
    return [(at, min(size, first + count - at)) for at in range(first, first + count, size)]


def share(feed: Feeding, first: int, count: int, parts: int, ranks: Ranks) -> list[Batch]:
    """This rank's batches of a step: of equal slices of its samples, the rank's own, in at least `parts` batches if it can.

    All ranks run as many batches of each sort, in one order: a rank that has fewer runs `Silent` ones.
    """
    if not ranks.several:
        return [feed.make(piece) for piece in feed.pieces(first, count, parts)]
    borders = [first + count * rank // ranks.world for rank in range(ranks.world + 1)]
    by_rank = [feed.pieces(a, b - a, parts) for a, b in pairwise(borders)]
    made: list[Batch] = []
    for idle in feed.one(first):
        own = [[piece for piece in pieces if piece.member == idle.member] for pieces in by_rank]
        mine, most = own[ranks.rank], max(map(len, own))
        made += [feed.make(piece) for piece in mine]
        made += [silent(feed.make(idle))] * (most - len(mine)) if most > len(mine) else []
    return made


def silent(batch: Batch) -> Silent:
    """The batch with nothing asked."""
    made = Silent({name: _emptied(name, values) for name, values in batch.items()})
    made.__dict__.update(batch.__dict__, body_tokens=0)
    return made


def _emptied(name: str, values: Any) -> Any:
    sort = name.split(":")[0]
    return np.full_like(values, SILENT) if sort == "target" else np.zeros_like(values) if sort == "weight" else values
