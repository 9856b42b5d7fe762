"""What is read off final hidden states besides the next or hidden token: other tokens, spans, classes, yes and no.

Suffixes: N scored positions, D width, C classes.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from maskdial.model.ahead import Ahead
from maskdial.model.config import ExtraHead, ModelConfig
from maskdial.model.linear import Linear, Table

#: Width of the vectors that say which token of a span is asked (Joshi et al. 2020, section 4.2).
PLACE_WIDTH = 200


class TokenHead(nn.Module):
    """Another token of the same vocabulary, off the position's own state: a residual map, then the shared projection."""

    def __init__(self, d: int) -> None:
        super().__init__()
        self.map = Linear(d, d)

    def forward(self, x_ND: Tensor) -> Tensor:
        return x_ND + self.map(x_ND)


class ClassHead(nn.Module):
    """Logits over classes [N, C] (BERT's pooler: dense, tanh), or one number [N] for yes and no (ELECTRA's: dense, GELU)."""

    def __init__(self, d: int, head: ExtraHead) -> None:
        super().__init__()
        self.binary = head.kind == "binary"
        self.map = Linear(d, d)
        self.answer = Linear(d, 1 if self.binary else head.classes)

    def forward(self, x_ND: Tensor) -> Tensor:
        y_ND = self.map(x_ND)
        logits: Tensor = self.answer(nn.functional.gelu(y_ND) if self.binary else torch.tanh(y_ND))
        return logits[:, 0] if self.binary else logits


class BoundaryHead(nn.Module):
    """A token inside a span from the states on both sides of it and its place (SpanBERT: Joshi et al. 2020, section 3.2).

    Two layers, each a map, GELU and LayerNorm, then the shared projection. The maps need no biases: the place vectors are
    one for the first, LayerNorm's for the second.
    """

    def __init__(self, d: int, places: int) -> None:
        super().__init__()
        self.places = Table(places, PLACE_WIDTH)
        self.one, self.norm_one = Linear(2 * d + PLACE_WIDTH, d), nn.LayerNorm(d)
        self.two, self.norm_two = Linear(d, d), nn.LayerNorm(d)

    def forward(self, left_ND: Tensor, right_ND: Tensor, place_N: Tensor) -> Tensor:
        x_ND = torch.cat([left_ND, right_ND, self.places(place_N)], dim=-1)
        x_ND = self.norm_one(nn.functional.gelu(self.one(x_ND)))
        out: Tensor = self.norm_two(nn.functional.gelu(self.two(x_ND)))
        return out


def extra_heads(config: ModelConfig) -> nn.ModuleDict:
    """The heads beside `token`, by name (a dot is not allowed in a module's name, `+` is)."""
    return nn.ModuleDict({h.name: _head(config, h) for h in config.extra_heads})


def _head(config: ModelConfig, head: ExtraHead) -> nn.Module:
    if head.form == "module":
        return Ahead(config, head.reach)
    if head.form == "boundary":
        return BoundaryHead(config.d, head.places)
    return TokenHead(config.d) if head.kind == "token" else ClassHead(config.d, head)
