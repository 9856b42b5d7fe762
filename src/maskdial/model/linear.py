"""A linear map without bias whose parameters nobody draws before the model's own seed does."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class Linear(nn.Module):
    """y = x Wᵀ; `weight` [out, in] starts undefined (`Model` fills it), so the global generator is never touched."""

    def __init__(self, width_in: int, width_out: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(width_out, width_in))

    def forward(self, x: Tensor) -> Tensor:
        return nn.functional.linear(x, self.weight)
