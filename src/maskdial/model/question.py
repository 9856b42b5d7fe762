"""What a head asks of a batch, and final states that several heads are read off.

Suffixes: N positions asked, K positions kept, D width.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from maskdial.sample import SILENT, Head

#: A batch as the model reads it: `Batch.torch()`, or any mapping with the same keys.
Tensors = Mapping[str, Any]


@dataclass(frozen=True)
class Question:
    """The flat positions that a head asks (None: every one), what they must say (int64) and how much each counts."""

    head: Head
    index: Tensor | None
    target: Tensor
    weight: Tensor

    def pick(self, column_BS: Tensor) -> Tensor:
        """A column's values at the positions asked."""
        flat = column_BS.reshape(-1)
        return flat if self.index is None else flat[self.index]


def ask(batch: Tensors, head: Head) -> Question:
    """The question of one head."""
    target, weight = batch[f"target:{head.name}"].reshape(-1), batch[f"weight:{head.name}"].reshape(-1)
    index_N = (target != SILENT).nonzero()[:, 0]
    if len(index_N) == len(target):
        return Question(head, None, target.long(), weight)
    return Question(head, index_N, target[index_N].long(), weight[index_N])


def union(wanted: Sequence[Tensor | None], positions: int, device: torch.device) -> Tensor | None:
    """The flat positions in any of `wanted`; None for all."""
    some = [index for index in wanted if index is not None]
    if len(some) < len(wanted):
        return None
    if len(some) == 1:
        return some[0]
    asked = torch.zeros(positions, dtype=torch.bool, device=device)
    for index in some:
        asked[index] = True
    return asked.nonzero()[:, 0]


class Kept:
    """States [K, D] of the flat positions `index_K` (None: of all)."""

    def __init__(self, x_KD: Tensor, index_K: Tensor | None, positions: int) -> None:
        self.x_KD, self.index_K, self.positions = x_KD, index_K, positions

    def at(self, index_N: Tensor | None) -> Tensor:
        """Those of some positions among them."""
        if index_N is self.index_K or index_N is None:
            return self.x_KD
        if self.index_K is not None:
            row = torch.zeros(self.positions, dtype=torch.int64, device=index_N.device)
            row[self.index_K] = torch.arange(len(self.index_K), device=index_N.device)
            index_N = row[index_N]
        return self.x_KD.index_select(0, index_N)
