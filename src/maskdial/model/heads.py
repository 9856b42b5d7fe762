"""What is read off a hidden state besides the next or hidden token: other tokens, classes, yes and no.

Suffixes: N scored positions, D width, C classes.
"""

from __future__ import annotations

from torch import Tensor, nn

from maskdial.model.config import ExtraHead, ModelConfig
from maskdial.model.linear import Linear


class TokenHead(nn.Module):
    """Another token of the same vocabulary (`token+2`): a linear map, then the shared projection (Gloeckle et al. 2024)."""

    def __init__(self, d: int) -> None:
        super().__init__()
        self.map = Linear(d, d)

    def forward(self, x_ND: Tensor) -> Tensor:
        return x_ND + self.map(x_ND)


class ClassHead(nn.Module):
    """Logits over classes [N, C]; yes and no is one number [N]."""

    def __init__(self, d: int, head: ExtraHead) -> None:
        super().__init__()
        self.binary = head.kind == "binary"
        self.answer = Linear(d, 1 if self.binary else head.classes)

    def forward(self, x_ND: Tensor) -> Tensor:
        logits: Tensor = self.answer(x_ND)
        return logits[:, 0] if self.binary else logits


def extra_heads(config: ModelConfig) -> nn.ModuleDict:
    """The heads beside `token`, by name (a dot is not allowed in a module's name, `+` is)."""
    return nn.ModuleDict(
        {h.name: TokenHead(config.d) if h.kind == "token" else ClassHead(config.d, h) for h in config.extra_heads}
    )
