"""A corpus in memory with the interface of `maskdial.data.Corpus`, so that training's tests need no files."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import numpy as np

import maskdial as md
from maskdial.sample import Rows, rows
from maskdial.train import TrainConfig

SMALL = {"model.d": 16, "model.layers": 2, "model.heads": 2, "model.ffn": 48, "length": 32, "rows": 4, "log_every": 1, "threads": 1}


class FakeTokenizer:
    """Saves itself as an empty vocabulary."""

    def save(self, folder: Path) -> None:
        folder.mkdir(exist_ok=True)
        (folder / "tokenizer.json").write_text("{}")


class FakeCorpus:
    """`windows` windows of a repeating text, in a fresh order each epoch."""

    def __init__(self, windows: int = 11, size: int = 60, name: str = "fake") -> None:
        self.windows, self.name, self.tokenizer = windows, name, FakeTokenizer()
        self.vocab = md.Vocab(size=size, pad=0, bos=1, eos=2, mask=3, cls=4, sep=5, start=6, eod=7, sentinels=range(8, 24))
        self.fingerprint = hashlib.sha256(f"{name} {windows} {size}".encode()).hexdigest()

    def epoch_of(self, n: int, length: int, part: str = "train") -> int:
        return n // self.windows

    def rows(self, length: int, first: int, count: int, *, seed: int, part: str = "train", packing: str = "joined") -> Rows:
        made = []
        for n in range(first, first + count):
            epoch, at = divmod(n, self.windows)
            window = int(np.random.default_rng([seed, epoch]).permutation(self.windows)[at])
            made.append(24 + (window * 7 + np.arange(length) * (1 + window % 3)) % (self.vocab.size - 24))
        return rows(made, index=range(first, first + count), sentence=[np.arange(length) % 9 == 0] * count)


def config(**changes: Any) -> TrainConfig:
    """A run of a few steps of a very small model; `__` stands for a dot."""
    return TrainConfig().with_overrides(SMALL | {"budget": "6steps"} | {k.replace("__", "."): v for k, v in changes.items()})
