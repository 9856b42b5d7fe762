"""Pieces with their gradients written out: on a CPU a small model waits for launches and copies, not for arithmetic.

Each is checked against finite differences in float64 (tests/model/test_functions.py).

Suffixes: N positions (B rows × S), D width, F inner width, H heads, K head width, J pairs of a head (K / 2).
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.autograd import Function
from torch.autograd.function import once_differentiable


class RMSNorm(Function):
    """x / rms(x) (Zhang & Sennrich 2019), statistics in at least float32, and x itself, so that the gradients of both meet in one pass.

    A gain, where there is one, comes after.
    """

    @staticmethod
    def forward(ctx: Any, x_ND: Tensor, eps: float) -> tuple[Tensor, Tensor]:
        wide_ND = x_ND if x_ND.dtype == torch.float64 else x_ND.float()
        r_N1 = torch.linalg.vector_norm(wide_ND, dim=-1, keepdim=True)
        r_N1 = r_N1.square_().div_(x_ND.shape[-1]).add_(eps).rsqrt_()
        out_ND = (wide_ND * r_N1).to(x_ND.dtype)
        ctx.save_for_backward(out_ND, r_N1)
        ctx.set_materialize_grads(False)
        return out_ND, x_ND

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, dy_ND: Tensor | None, beside_ND: Tensor | None) -> tuple[Tensor | None, None]:
        if dy_ND is None:
            return beside_ND, None
        out_ND, r_N1 = ctx.saved_tensors
        along_N1 = (dy_ND * out_ND).sum(dim=-1, keepdim=True, dtype=r_N1.dtype).div_(-out_ND.shape[-1])
        dx_ND = torch.addcmul(dy_ND.to(r_N1.dtype), out_ND.to(r_N1.dtype), along_N1)
        dx_ND = dx_ND.mul_(r_N1) if beside_ND is None else torch.addcmul(beside_ND.to(r_N1.dtype), dx_ND, r_N1)
        return dx_ND.to(dy_ND.dtype), None


class SwiGLU(Function):
    """silu(x Wᵀ) · (x Vᵀ) of `[W | V]` one below the other (Shazeer 2020).

    Two products: rows of [gate | up] side by side are far apart in memory, which costs more than the second product.
    """

    @staticmethod
    def forward(ctx: Any, x_ND: Tensor, both_FD: Tensor) -> Tensor:
        gate_NF, up_NF = (torch.mm(x_ND, w_FD.t()) for w_FD in both_FD.chunk(2))
        silu_NF = torch.nn.functional.silu(gate_NF)
        ctx.save_for_backward(x_ND.to(gate_NF.dtype), both_FD.to(gate_NF.dtype), gate_NF, up_NF, silu_NF)  # autocast computes in less
        return silu_NF * up_NF

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, dy_NF: Tensor) -> tuple[Tensor, Tensor]:
        x_ND, both_FD, gate_NF, up_NF, silu_NF = ctx.saved_tensors
        made_FD = torch.empty_like(both_FD)
        (w_FD, v_FD), (dw_FD, dv_FD) = both_FD.chunk(2), made_FD.chunk(2)
        some_NF = dy_NF * silu_NF
        torch.mm(some_NF.t(), x_ND, out=dv_FD)
        dx_ND = torch.mm(some_NF, v_FD)
        torch.mul(dy_NF, up_NF, out=some_NF)
        torch.ops.aten.silu_backward.grad_input(some_NF, gate_NF, grad_input=some_NF)
        torch.mm(some_NF.t(), x_ND, out=dw_FD)
        return torch.addmm(dx_ND, some_NF, w_FD, out=dx_ND), made_FD


class Project(Function):
    """x Wᵀ parted into `parts` heads' arrays [B, H, S, K] (views of one array); the first two turn by position if asked.

    `turn` is [1 or B, S, 1, 1, J] complex, e^(i · angle): numbers 2j and 2j + 1 of a head are one complex number, so that
    a rotation (Su et al. 2021) is one multiplication in place. Published layouts keep the pair as j and j + J; that is a
    fixed reordering of the rows of W (`maskdial.model.position.half_split`).
    """

    @staticmethod
    def forward(ctx: Any, x_ND: Tensor, w: Tensor, turn: Tensor | None, rows: int, parts: int, heads: int) -> tuple[Tensor, ...]:
        y = torch.mm(x_ND, w.t()).view(rows, -1, parts, heads, w.shape[0] // (parts * heads))
        if turn is not None:
            rotate_(y[:, :, :2], turn)
        ctx.save_for_backward(x_ND, w, turn)
        ctx.shape = y.shape
        return tuple(part.transpose(1, 2) for part in y.unbind(2))

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *dparts: Tensor | None) -> tuple[Tensor | None, ...]:
        x_ND, w, turn = ctx.saved_tensors
        dy = torch.empty(ctx.shape, dtype=w.dtype, device=w.device)
        for number, dpart in enumerate(dparts):
            if dpart is None:
                dy[:, :, number].zero_()
            else:
                dy[:, :, number].copy_(dpart.transpose(1, 2))
        if turn is not None:
            rotate_(dy[:, :, :2], turn.conj().resolve_conj())
        dy_NF = dy.view(x_ND.shape[0], -1)
        dx_ND = dy_NF @ w if ctx.needs_input_grad[0] else None
        return dx_ND, dy_NF.t() @ x_ND, None, None, None, None


def rotate_(x: Tensor, turn: Tensor) -> None:
    """Multiply pairs [B, S, P, H, K] by e^(i · angle) in place; low precisions turn in float32."""
    wide = x if x.dtype in (torch.float32, torch.float64) else x.float()
    pairs = torch.view_as_complex(wide.view(*wide.shape[:-1], -1, 2))
    if wide is x:
        pairs.mul_(turn)
    else:
        x.copy_(torch.view_as_real(pairs * turn).flatten(-2))
