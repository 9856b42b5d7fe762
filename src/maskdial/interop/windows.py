"""A prepared corpus for other people's loops: PyTorch's DataLoader, Grain, or plain numpy.

Item n is global sample n, whatever the loop: window n of the corpus's keyed shuffle, with the number and the epoch that key its
noise, as training reads it. There is no state: a loop resumes by starting at another n.
"""

from __future__ import annotations

from collections.abc import Sequence
from importlib import import_module
from pathlib import Path
from typing import Any, SupportsIndex

from maskdial.batch import Batch
from maskdial.interop.features import Feature, Reader
from maskdial.interop.guest import Guest
from maskdial.interop.pickles import register
from maskdial.recipes import objective as recipe
from maskdial.sample import Layout, Packing

COLUMNS = ("word", "sentence", "part", "language")


class Windows:
    """Map-style: `len`, `[n]`, and `collate` (torch) or `arrays` (numpy) to make a batch of some items.

    A collator of `md.hf` reads the items too.
    """

    def __init__(
        self, corpus: Any, objective: Any, length: int, *, seed: int = 0, epochs: int = 1, part: str = "train", packing: Packing = "joined",
        layout: Layout | None = None,
    ) -> None:  # fmt: skip
        if isinstance(corpus, str | Path):
            from maskdial.data import Corpus

            corpus = Corpus.open(corpus)
        self.corpus, self.objective = corpus, recipe(objective) if isinstance(objective, str) else objective
        if hasattr(self.objective, "members"):
            raise ValueError(f"the members of {self.objective.name} have windows and shuffles of their own: md.train feeds a mixture; "
                             "here take windows of one member, or md.hf.Collator over your own texts")  # fmt: skip
        register(self.objective)
        self.length, self.seed, self.epochs, self.part, self.packing, self.layout = length, seed, epochs, part, packing, layout
        #: the row plan of an objective that asks about pairs
        self._plan = self.objective.plan
        #: body tokens of a window, so that its sample fills `length`
        self.raw = self.objective.room(length, layout, corpus.vocab).raw
        self._reader = Reader(self.objective, Guest(corpus.vocab), seed)

    def __repr__(self) -> str:
        """The same for the same samples: Grain compares it when it resumes."""
        return (f"Windows({self.corpus.fingerprint[:12]}, {self.objective.name}, {dict(self.objective.options)}, length={self.length}, "
                f"seed={self.seed}, epochs={self.epochs}, part={self.part!r}, packing={self.packing!r})")  # fmt: skip

    def __reduce__(self) -> Any:
        settings = {"seed": self.seed, "epochs": self.epochs, "part": self.part, "packing": self.packing, "layout": self.layout}
        return _open, (self.corpus.folder, self.objective, self.length, settings)

    def __len__(self) -> int:
        return self.epochs * self.corpus.num_windows(self.raw, self.part, **self._plan)

    def __getitem__(self, n: SupportsIndex) -> Feature:
        at = int(n) + (len(self) if int(n) < 0 else 0)
        if not 0 <= at < len(self):
            raise IndexError(f"sample {int(n)} of {len(self)}")
        rows = self.corpus.rows(self.raw, at, 1, seed=self.seed, part=self.part, packing=self.packing, **self._plan)
        feature = Feature(tokens=rows.tokens, index=at, epoch=self.corpus.epoch_of(at, self.raw, self.part, **self._plan))
        feature.update({name: column for name in COLUMNS if (column := getattr(rows, name)) is not None})
        if rows.label is not None:
            feature["label"] = int(rows.label[0])
        if self.packing == "isolated":
            feature["segment"] = rows.segment
        return feature

    def arrays(self, items: Sequence[Feature]) -> dict[str, Any]:
        """A batch of items as plain numpy arrays: what `maskdial.train` feeds its model."""
        return dict(self._batch(items))

    def collate(self, items: Sequence[Feature]) -> Batch:
        """A batch of items as torch tensors: `DataLoader(windows, …, collate_fn=windows.collate)`."""
        return self._batch(items).torch()

    def _batch(self, items: Sequence[Feature]) -> Batch:
        return self._reader.samples(items).batch(self.layout or self.objective.layout)


def _open(folder: Path, objective: Any, length: int, settings: dict[str, Any]) -> Windows:
    return Windows(folder, objective, length, **settings)


def torch_dataset(corpus: Any, objective: Any, length: int, **settings: Any) -> Windows:
    """A PyTorch dataset of a prepared corpus (or its folder): `epochs` passes one after another, each sample filling `length`.

    `objective` is an `Objective` or a recipe's name; `seed`, `epochs`, `part`, `packing`, `layout` as in training. The samples
    come shuffled, pass by pass, so that a DataLoader reads them in order (`shuffle=False`) with any number of workers.
    """
    return Windows(corpus, objective, length, **settings)


def grain_dataset(corpus: Any, objective: Any, length: int, batch: int, **settings: Any) -> Any:
    """The same samples as a `grain.MapDataset` of batches (numpy). For more passes say `epochs=`, not `repeat()`, which would
    repeat the noise too. `ImportError` without the package `grain`."""
    grain = import_module("grain")
    windows = Windows(corpus, objective, length, **settings)
    return grain.MapDataset.source(windows).batch(batch, batch_fn=windows.arrays)
