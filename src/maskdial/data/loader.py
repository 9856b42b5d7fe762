"""Batches of rows in training order. The position is one integer, so there is no iterator state to lose."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from maskdial.sample import Packing, Rows

if TYPE_CHECKING:
    from maskdial.data.corpus import Corpus


@dataclass
class Loader:
    """Endless (first sample number, Rows) of `batch` rows, from `samples_consumed` on.

    Call `consumed(n)` once a step has used its batch: the state to save is what was consumed, not what was read ahead.
    Every epoch has its own order; batch size, seed aside, never changes which row a sample number names.
    """

    corpus: Corpus
    length: int
    batch: int
    seed: int
    samples_consumed: int = 0
    part: str = "train"
    packing: Packing = "joined"
    shuffle: bool = True
    pairs: str | None = None

    def __post_init__(self) -> None:
        if self.batch < 1:
            raise ValueError(f"a batch has 1 or more rows, not {self.batch}")
        self.corpus.num_windows(self.length, self.part, self.pairs)

    def __iter__(self) -> Iterator[tuple[int, Rows]]:
        first = self.samples_consumed
        while True:
            yield first, self.corpus.rows(self.length, first, self.batch, seed=self.seed, part=self.part, packing=self.packing,
                                          shuffle=self.shuffle, pairs=self.pairs)  # fmt: skip
            first += self.batch

    def consumed(self, samples: int) -> None:
        self.samples_consumed += samples

    def state(self) -> dict[str, Any]:
        """What a checkpoint keeps; the same on every rank."""
        return {"fingerprint": self.corpus.fingerprint, "seed": self.seed, "samples_consumed": self.samples_consumed}
