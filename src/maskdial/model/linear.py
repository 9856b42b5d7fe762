"""Learnt numbers that nobody draws before the model's own seed does (`Model.start`)."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class Linear(nn.Module):
    """y = x Wᵀ without bias; `weight` [out, in] starts undefined, so the global generator is never touched."""

    def __init__(self, width_in: int, width_out: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(width_out, width_in))

    def forward(self, x: Tensor) -> Tensor:
        return nn.functional.linear(x, self.weight)


class Table(nn.Module):
    """One learnt vector a number: int [...] → [..., width]."""

    def __init__(self, rows: int, width: int) -> None:
        super().__init__()
        self.table = nn.Parameter(torch.zeros(rows, width))

    def forward(self, index: Tensor) -> Tensor:
        return nn.functional.embedding(index, self.table)
