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
from maskdial.model.functions import Project, RMSNorm, SwiGLU
from maskdial.model.linear import Linear
from maskdial.model.position import Relative, Rotary
from maskdial.visibility.attend import Visible


@dataclass(frozen=True)
class Source:
    """What the answer stack may read of the source stack: its final hidden states [M, D], and who may look at whom."""

    hidden: Tensor
    visible: Visible


@dataclass(frozen=True)
class Place:
    """How positions enter attention, the same for every layer of a stack: rotary turns of q and k, or a bias of the scores."""

    turn: Tensor | None = None
    bias: Tensor | None = None


@dataclass(frozen=True)
class Trunk:
    """The states [N, D] that enter a stack's last block, at every position, and what every block gets beside them."""

    states: Tensor
    visible: Visible
    place: Place
    source: Source | None


def normed(x_ND: Tensor, eps: float) -> tuple[Tensor, Tensor]:
    """RMSNorm without a gain, and x for what is added to it: inside a block a gain is a factor of the matrix that follows, so it
    is left to that."""
    out: tuple[Tensor, Tensor] = RMSNorm.apply(x_ND, eps)  # type: ignore[no-untyped-call]
    return out


class Norm(nn.Module):
    """RMSNorm with a gain, at the end of a stack."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.gain, self.eps = nn.Parameter(torch.ones(config.d)), config.norm_eps

    def forward(self, x_ND: Tensor) -> Tensor:
        return normed(x_ND, self.eps)[0] * self.gain


class SelfAttention(nn.Module):
    """x + out · attention(q, k, v); q, k and v come from one product."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.heads, self.eps = config.heads, config.norm_eps
        self.qkv = Linear(config.d, 3 * config.d)
        self.out = Linear(config.d, config.d)

    def forward(self, x_ND: Tensor, visible: Visible, place: Place, keep_N: Tensor | None) -> Tensor:
        (normed_ND, x_ND), rows = normed(x_ND, self.eps), visible.shape[0]
        if place.bias is None:
            seen_ND = joined(visible.attention(*project(normed_ND, self.qkv, rows, 3, self.heads, place.turn)))
        else:
            qkv_BS3HK = self.qkv(normed_ND).view(rows, visible.shape[1], 3, self.heads, -1)
            seen_ND = visible.placed_attention(qkv_BS3HK, place.bias).view(x_ND.shape)
        return residual(x_ND, seen_ND, self.out, keep_N)


class CrossAttention(nn.Module):
    """x + out · attention(q of the answer; k, v of the source); positions play no part (T5)."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.heads, self.eps = config.heads, config.norm_eps
        self.q = Linear(config.d, config.d)
        self.kv = Linear(config.d, 2 * config.d)
        self.out = Linear(config.d, config.d)

    def forward(self, x_ND: Tensor, source: Source, keep_N: Tensor | None) -> Tensor:
        (normed_ND, x_ND), rows = normed(x_ND, self.eps), source.visible.shape[0]
        (q,) = project(normed_ND, self.q, rows, 1, self.heads)
        k, v = project(source.hidden, self.kv, rows, 2, self.heads)
        return residual(x_ND, joined(source.visible.attention(q, k, v)), self.out, keep_N)


class Inner(nn.Module):
    """x + down · (silu(gate) · up)."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.eps = config.norm_eps
        self.gate_up = Linear(config.d, 2 * config.ffn)
        self.down = Linear(config.ffn, config.d)

    def forward(self, x_ND: Tensor) -> Tensor:
        normed_ND, x_ND = normed(x_ND, self.eps)
        inner_NF: Tensor = SwiGLU.apply(normed_ND, self.gate_up.weight)  # type: ignore[no-untyped-call]
        return residual(x_ND, inner_NF, self.down, None)


class Block(nn.Module):
    """Self attention, cross attention when there is a source stack, SwiGLU."""

    def __init__(self, config: ModelConfig, crosses: bool) -> None:
        super().__init__()
        self.attention = SelfAttention(config)
        self.cross = CrossAttention(config) if crosses else None
        self.inner = Inner(config)

    def forward(
        self, x_ND: Tensor, visible: Visible, place: Place, source: Source | None, keep_N: Tensor | None
    ) -> Tensor:
        last = keep_N if self.cross is None else None
        x_ND = self.attention(x_ND, visible, place, last)
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
        """Final normed hidden states [N, D], or those of the flat positions `keep_N` alone."""
        out: Tensor = self.norm(self.last(self.trunk(x_ND, visible, position_BS, position2_BS, source), keep_N))
        return out

    def trunk(
        self, x_ND: Tensor, visible: Visible, position_BS: Tensor, position2_BS: Tensor | None = None, source: Source | None = None
    ) -> Trunk:
        """All blocks but the last, at every position."""
        if isinstance(self.place, Rotary):
            place = Place(turn=self.place(position_BS, position2_BS, x_ND.dtype))
        elif position2_BS is None:
            place = Place(bias=self.place(position_BS))
        else:
            raise ValueError("relative positions have one coordinate and these samples have two (position2, GLM): "
                             "train them with shape 'single' and rotary positions")  # fmt: skip
        for block in [*self.blocks][:-1]:
            x_ND = block(x_ND, visible, place, source, None)
        return Trunk(x_ND, visible, place, source)

    def last(self, trunk: Trunk, keep_N: Tensor | None = None) -> Tensor:
        """The last block's output before the final norm. Nothing after its attention looks sideways, so only the positions
        that are asked for go on."""
        out: Tensor = self.blocks[-1](trunk.states, trunk.visible, trunk.place, trunk.source, keep_N)
        return out


def project(x_ND: Tensor, linear: Linear, rows: int, parts: int, heads: int, turn: Tensor | None = None) -> tuple[Tensor, ...]:
    """`parts` arrays [B, H, S, K] of one product, q and k turned by position when `turn` is given."""
    out: tuple[Tensor, ...] = Project.apply(x_ND, linear.weight, turn, rows, parts, heads)  # type: ignore[no-untyped-call]
    return out


def joined(x_BHSK: Tensor) -> Tensor:
    """Heads side by side: [N, D]."""
    return x_BHSK.transpose(1, 2).flatten(2).flatten(0, 1)


def residual(x_ND: Tensor, y_NF: Tensor, linear: Linear, keep_N: Tensor | None) -> Tensor:
    """x + linear(y) in one product, at the positions `keep_N` alone if given."""
    if keep_N is not None:
        x_ND, y_NF = x_ND.index_select(0, keep_N), y_NF.index_select(0, keep_N)
    return torch.addmm(x_ND, y_NF, linear.weight.t())
