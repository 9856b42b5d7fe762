"""The two numbers of a noise key that a collator can't see in a text: the sample's index and the epoch.

A collator runs in worker processes that outlive an epoch or are born in it. The epoch lies in shared memory: the main process
writes it between two passes over the data, and every worker reads it, whenever it was started. The index travels with the
feature.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from typing import Any

import torch

from maskdial.interop.features import INDEX, Feature

EPOCH, SEEN, FIRST_INDEX, FIRST_EPOCH = range(4)
NEVER, ONCE, SAID = range(3)


class Epoch:
    """An epoch number that forked and spawned workers share with the process that made it."""

    def __init__(self) -> None:
        self._shared = torch.zeros(4, dtype=torch.int64).share_memory_()  # type: ignore[no-untyped-call]

    def get(self) -> int:
        return int(self._shared[EPOCH])

    def set(self, epoch: int) -> None:
        if epoch < 0:
            raise ValueError(f"epochs are numbered from 0, not {epoch}")
        self._shared[EPOCH] = epoch

    def watch(self, indices: list[int]) -> None:
        """Say once, on stderr, that the first sample of all came back in its own epoch: nobody counts the epochs."""
        shared, now = self._shared, self.get()
        if not indices or shared[SEEN] == SAID:
            return
        first = shared[FIRST_INDEX].item() % (1 << 64)
        if shared[SEEN] == NEVER:
            shared[FIRST_INDEX], shared[FIRST_EPOCH], shared[SEEN] = _signed(indices[0]), now, ONCE
        elif now == shared[FIRST_EPOCH] and first in indices:
            shared[SEEN] = SAID
            print(f"maskdial: a sample came twice in epoch {now} and got the same noise. If this is a new pass over the data, tell "
                  "the collator: collator.attach(trainer), or collator.set_epoch(epoch) before each pass.",
                  file=sys.stderr, flush=True)  # fmt: skip


def _signed(index: int) -> int:
    return index - (1 << 64) if index >= 1 << 63 else index


class Indexed:
    """A map-style dataset whose items carry their place as `index`, so that workers, ranks and batch sizes don't matter, and
    the dataset's length as `of`, so that a mixture's turns go on from epoch to epoch.

    `epoch` fixes the noise of every pass (for evaluation). An item that has an `index` or `idx` of its own keeps it.
    """

    def __init__(self, dataset: Any, epoch: int | None = None) -> None:
        if not (hasattr(dataset, "__len__") and hasattr(dataset, "__getitem__")):
            raise TypeError("only a dataset with a length has indices; features of a stream get theirs from their tokens")
        self.dataset, self.epoch = dataset, epoch

    def __len__(self) -> int:
        return len(self.dataset)

    def __getitem__(self, index: int) -> Feature:
        if not -len(self) <= index < len(self):
            raise IndexError(f"sample {index} of {len(self)}")
        return self._feature(index, self.dataset[int(index)])

    def __getitems__(self, indices: list[int]) -> list[Feature]:
        many = getattr(self.dataset, "__getitems__", None)
        items = many(indices) if many else [self.dataset[int(i)] for i in indices]
        return [self._feature(i, item) for i, item in zip(indices, items, strict=True)]

    def _feature(self, index: int, item: Any) -> Feature:
        feature = Feature(item) if isinstance(item, Mapping) else Feature(input_ids=item)
        if all(feature.get(name) is None for name in INDEX):
            feature.update(index=int(index) % len(self), of=len(self))
        if self.epoch is not None:
            feature["epoch"] = self.epoch
        return feature


def callback(epoch: Epoch) -> Any:
    """A `TrainerCallback` that tells the epoch before each pass, on every rank.

    `Trainer` does not say it by itself: with several processes and a random order, accelerate calls the `set_epoch` of its
    sampler and not that of a dataset; nobody calls a collator's.
    """
    from transformers import TrainerCallback

    class Epochs(TrainerCallback):
        last = -1

        def on_train_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
            self.last = -1

        def on_epoch_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
            # the state's epoch is a float that counts steps: after a pass of a stream it lags behind, after a resume it leads
            self.last = max(self.last + 1, int((state.epoch or 0) + 1e-6))
            epoch.set(self.last)

    return Epochs()
