"""One transformer stack; the sample's order alone makes it an encoder, a decoder or anything between.

A block is RMSNorm before each part, no biases, fused q, k, v, SwiGLU (docs/decisions/010). Streams are kept flat.

Suffixes: N positions of the batch (B rows × S), M positions of the source (B × T), D width, H heads, K head width,
F inner width.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from maskdial.model.config import ModelConfig
from maskdial.model.functions import RMSNorm, Rotate, SwiGLU
from maskdial.model.linear import Linear
from maskdial.model.position import Relative, Rotary
from maskdial.visibility.attend import Visible


@dataclass(frozen=True)
class Source:
    """What the answer stack may read of the source stack: its final hidden states [M, D], and who may look at whom."""

    hidden: Tensor
    visible: Visible


class Norm(nn.Module):
    """RMSNorm with a gain."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.gain, self.eps = nn.Parameter(torch.ones(config.d)), config.norm_eps

    def forward(self, x_ND: Tensor) -> Tensor:
        out: Tensor = RMSNorm.apply(x_ND, self.gain, self.eps)  # type: ignore[no-untyped-call]
        return out


class SelfAttention(nn.Module):
    """x + out · attention(q, k, v); q, k and v come from one product."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.heads, self.width = config.heads, config.head_width
        self.norm = Norm(config)
        self.qkv = Linear(config.d, 3 * config.d)
        self.out = Linear(config.d, config.d)

    def forward(self, x_ND: Tensor, visible: Visible, places: Tensor | tuple[Tensor, Tensor], keep_N: Tensor | None) -> Tensor:
        B, S, _ = visible.shape
        qkv = self.qkv(self.norm(x_ND)).view(B, S, 3, self.heads, self.width)
        bias = None
        if isinstance(places, tuple):
            qkv = Rotate.apply(qkv, *places, 2)  # type: ignore[no-untyped-call]
        else:
            bias = places
        q, k, v = (part.transpose(1, 2) for part in qkv.unbind(2))
        mixed_ND = visible.attention(q, k, v, bias).transpose(1, 2).reshape(B * S, -1)
        return residual(x_ND, mixed_ND, self.out, keep_N)


class CrossAttention(nn.Module):
    """x + out · attention(q of the answer; k, v of the source); positions play no part (T5)."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.heads, self.width = config.heads, config.head_width
        self.norm = Norm(config)
        self.q = Linear(config.d, config.d)
        self.kv = Linear(config.d, 2 * config.d)
        self.out = Linear(config.d, config.d)

    def forward(self, x_ND: Tensor, source: Source, keep_N: Tensor | None) -> Tensor:
        B, S, T = source.visible.shape
        q = self.q(self.norm(x_ND)).view(B, S, self.heads, self.width).transpose(1, 2)
        kv = self.kv(source.hidden).view(B, T, 2, self.heads, self.width)
        k, v = (part.transpose(1, 2) for part in kv.unbind(2))
        mixed_ND = source.visible.attention(q, k, v).transpose(1, 2).reshape(B * S, -1)
        return residual(x_ND, mixed_ND, self.out, keep_N)


class Inner(nn.Module):
    """x + down · (silu(gate) · up)."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.norm = Norm(config)
        self.gate_up = Linear(config.d, 2 * config.ffn)
        self.down = Linear(config.ffn, config.d)

    def forward(self, x_ND: Tensor) -> Tensor:
        inner_NF: Tensor = SwiGLU.apply(self.gate_up(self.norm(x_ND)))  # type: ignore[no-untyped-call]
        return residual(x_ND, inner_NF, self.down, None)


class Block(nn.Module):
    """Self attention, cross attention when there is a source stack, SwiGLU."""

    def __init__(self, config: ModelConfig, crosses: bool) -> None:
        super().__init__()
        self.attention = SelfAttention(config)
        self.cross = CrossAttention(config) if crosses else None
        self.inner = Inner(config)

    def forward(
        self, x_ND: Tensor, visible: Visible, places: Tensor | tuple[Tensor, Tensor], source: Source | None, keep_N: Tensor | None
    ) -> Tensor:
        last = keep_N if self.cross is None else None
        x_ND = self.attention(x_ND, visible, places, last)
        if self.cross is not None and source is not None:
            x_ND = self.cross(x_ND, source, keep_N)
        out: Tensor = self.inner(x_ND)
        return out


class Stack(nn.Module):
    """Blocks and the final norm. `crosses` says whether it reads a source stack."""

    def __init__(self, config: ModelConfig, layers: int, crosses: bool, both_ways: bool) -> None:
        super().__init__()
        self.place = Rotary(config) if config.positions == "rotary" else Relative(config, both_ways)
        self.blocks = nn.ModuleList(Block(config, crosses) for _ in range(layers))
        self.norm = Norm(config)

    def forward(
        self, x_ND: Tensor, visible: Visible, position_BS: Tensor, position2_BS: Tensor | None = None,
        source: Source | None = None, keep_N: Tensor | None = None,
    ) -> Tensor:  # fmt: skip
        """Final normed hidden states [N, D], or those of the flat positions `keep_N` alone.

        In the last block nothing after attention looks sideways, so only the positions that are asked for go on.
        """
        if isinstance(self.place, Rotary):
            places: Tensor | tuple[Tensor, Tensor] = self.place(position_BS, position2_BS, x_ND.dtype)
        else:
            places = self.place(position_BS, visible, x_ND.dtype)
        last = len(self.blocks) - 1
        for number, block in enumerate(self.blocks):
            x_ND = block(x_ND, visible, places, source, keep_N if number == last else None)
        out: Tensor = self.norm(x_ND)
        return out


def residual(x_ND: Tensor, y_NF: Tensor, linear: Linear, keep_N: Tensor | None) -> Tensor:
    """x + linear(y) in one product, at the positions `keep_N` alone if given."""
    if keep_N is not None:
        x_ND, y_NF = x_ND.index_select(0, keep_N), y_NF.index_select(0, keep_N)
    return torch.addmm(x_ND, y_NF, linear.weight.t())
