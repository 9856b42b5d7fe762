"""Three pieces with their gradients written out: on a CPU a small model waits for launches and copies, not for arithmetic.

Each is checked against autograd's own gradient in float64 (tests/model/test_functions.py).

Suffixes: N positions (rows × length), D width, F inner width, ... any leading axes, K head width.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.autograd import Function
from torch.autograd.function import once_differentiable


class RMSNorm(Function):
    """x / rms(x) · gain (Zhang & Sennrich 2019); statistics in at least float32."""

    @staticmethod
    def forward(ctx: Any, x_ND: Tensor, gain_D: Tensor, eps: float) -> Tensor:
        wide = x_ND if x_ND.dtype == torch.float64 else x_ND.float()
        size_N1 = torch.linalg.vector_norm(wide, dim=-1, keepdim=True)
        r_N1 = size_N1.square_().div_(x_ND.shape[-1]).add_(eps).rsqrt_()
        normed_ND = (wide * r_N1).to(x_ND.dtype)
        ctx.save_for_backward(normed_ND, r_N1, gain_D)
        return normed_ND * gain_D

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, dy_ND: Tensor) -> tuple[Tensor | None, ...]:
        normed_ND, r_N1, gain_D = ctx.saved_tensors
        dgain_D = None
        if ctx.needs_input_grad[1]:
            dgain_D = (dy_ND * normed_ND).sum(dim=0)
        dn_ND = (dy_ND * gain_D).to(r_N1.dtype)
        along_N1 = (dn_ND * normed_ND).sum(dim=-1, keepdim=True).div_(-normed_ND.shape[-1])
        dx_ND = dn_ND.addcmul_(normed_ND.to(r_N1.dtype), along_N1).mul_(r_N1)
        return dx_ND.to(dy_ND.dtype), dgain_D, None


class SwiGLU(Function):
    """silu(gate) · up of `[gate | up]` (Shazeer 2020); the gradient is written straight into one array."""

    @staticmethod
    def forward(ctx: Any, both_NF: Tensor) -> Tensor:
        ctx.save_for_backward(both_NF)
        gate_NF, up_NF = both_NF.chunk(2, dim=-1)
        return torch.nn.functional.silu(gate_NF).mul_(up_NF)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, dy_NF: Tensor) -> Tensor:
        (both_NF,) = ctx.saved_tensors
        gate_NF, up_NF = both_NF.chunk(2, dim=-1)
        made_NF = torch.empty_like(both_NF)
        dgate_NF, dup_NF = made_NF.chunk(2, dim=-1)
        sigmoid_NF = torch.sigmoid(gate_NF)
        silu_NF = sigmoid_NF * gate_NF
        torch.mul(dy_NF, silu_NF, out=dup_NF)
        # d silu = s + silu · (1 - s)
        slope_NF = silu_NF.neg_().mul_(sigmoid_NF).add_(sigmoid_NF).addcmul_(sigmoid_NF, gate_NF)
        torch.mul(slope_NF.mul_(up_NF), dy_NF, out=dgate_NF)
        return made_NF


class Rotate(Function):
    """Rotary positions in the half-split form (Su et al. 2021; Llama's layout): the first `turned` of the axis −3 turn.

    x [..., P, H, K] with P = q, k, v: (x1, x2) → (x1 cos − x2 sin, x2 cos + x1 sin), halves of K; cos and sin
    [..., 1, 1, K/2]. The values pass through. The gradient is the same turn backwards.
    """

    @staticmethod
    def forward(ctx: Any, x: Tensor, cos: Tensor, sin: Tensor, turned: int) -> Tensor:
        ctx.save_for_backward(cos, sin)
        ctx.turned = turned
        return turn(x, cos, sin, turned)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, dy: Tensor) -> tuple[Tensor | None, ...]:
        cos, sin = ctx.saved_tensors
        return turn(dy, cos, -sin, ctx.turned), None, None, None


def turn(x: Tensor, cos: Tensor, sin: Tensor, turned: int) -> Tensor:
    """The rotation itself, into a new array."""
    made = torch.empty_like(x, memory_format=torch.contiguous_format)
    half = x.shape[-1] // 2
    part = x[..., :turned, :, :]
    x1, x2 = part[..., :half], part[..., half:]
    out = made[..., :turned, :, :]
    torch.mul(x1, cos, out=out[..., :half]).addcmul_(x2, sin, value=-1)
    torch.mul(x2, cos, out=out[..., half:]).addcmul_(x1, sin)
    if turned < x.shape[-3]:
        made[..., turned:, :, :] = x[..., turned:, :, :]
    return made
