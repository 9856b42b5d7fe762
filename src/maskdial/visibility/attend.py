"""Who may look at whom, in the form attention receives it: order and segment → none | is_causal | dense.

A `Visible` is built from the columns of a batch, never from an objective's name. It lowers itself to
`scaled_dot_product_attention`: nothing when all see all, the kernel's own `is_causal` when each row is one document in
rising order (padding on the right changes nothing: it comes later, so no real position sees it), a dense boolean
otherwise.

Suffixes: B rows, Q questions' positions, K keys' positions, H heads, D width of a head.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, Literal

import torch
from torch import Tensor
from torch.autograd import Function
from torch.autograd.function import once_differentiable
from torch.nn.functional import scaled_dot_product_attention

Form = Literal["none", "causal", "dense"]

#: Any further rule: (row [B, 1, 1], q [1, Q, 1], k [1, 1, K]) index tensors → bool, broadcastable to [B, Q, K].
Predicate = Callable[[Tensor, Tensor, Tensor], Tensor]

#: Numbers of scores that are worked on at a time where a bias is learnt: they stay in a CPU core's own cache.
SCORES = 1 << 18


class Visible:
    """The predicate `dense()[b, q, k]`: in row b, position q may look at position k.

    A position that sees nothing (padding, or an answer without a source) attends to nothing: its output is 0, never NaN.
    `visible & other` and `visible | other` combine it with another `Visible`, a bool tensor or any `Predicate`; that is
    the escape hatch for what an order cannot say (windows, trees), and the result is dense.
    """

    def __init__(
        self, form: Form, shape: tuple[int, int, int], dense_BQK: Tensor | None = None, device: torch.device | None = None
    ) -> None:
        self.form, self.shape = form, shape
        self.device = dense_BQK.device if dense_BQK is not None else device or torch.device("cpu")
        self._dense_BQK = dense_BQK
        self._blind_BQ: Tensor | None = None
        self._has_blind: bool | None = None
        self._bias: dict[torch.dtype, Tensor] = {}

    @classmethod
    def of(cls, order_BS: Tensor, segment_BS: Tensor, private_BS: Tensor | None = None) -> Visible:
        """Self attention: every position of a stream asks, every position of it may be looked at."""
        B, S = order_BS.shape
        form = "dense" if private_BS is not None else _form(order_BS, segment_BS)
        dense = None if form != "dense" else _dense(order_BS, segment_BS, order_BS, segment_BS, private_BS)
        return cls(form, (B, S, S), dense, order_BS.device)

    @classmethod
    def across(
        cls, order_BQ: Tensor, segment_BQ: Tensor, order_BK: Tensor, segment_BK: Tensor, private_BK: Tensor | None = None
    ) -> Visible:
        """Cross attention: q walks the answer stream, k the source stream; the same predicate."""
        shape = (order_BQ.shape[0], order_BQ.shape[1], order_BK.shape[1])
        if private_BK is None and 0 not in shape:
            # all see all iff there is one document and the latest source position comes before the first question
            one = (segment_BK == segment_BQ[:, :1]).all() & (segment_BQ >= 0).all() & (segment_BQ == segment_BQ[:, :1]).all()
            if bool(one & (order_BK.amax(1) < order_BQ.amin(1)).all()):
                return cls("none", shape, None, order_BQ.device)
        return cls("dense", shape, _dense(order_BQ, segment_BQ, order_BK, segment_BK, private_BK))

    def dense(self) -> Tensor:
        """bool[B, Q, K], whatever the form."""
        if self._dense_BQK is None:
            B, Q, K = self.shape
            full = torch.ones(Q, K, dtype=torch.bool, device=self.device)
            self._dense_BQK = (full.tril() if self.form == "causal" else full).expand(B, Q, K)
        return self._dense_BQK

    def bias(self, dtype: torch.dtype) -> Tensor | None:
        """What is added to the scores: 0 where visible and -inf elsewhere, [B or 1, 1, Q, K]; None when all see all.

        Positions that see nothing are opened (a softmax over nothing is NaN); `attention` makes their output 0.
        """
        if self.form == "none":
            return None
        if dtype not in self._bias:
            seen = self.dense()[:1] if self.form == "causal" else self.dense() | self.blind()[:, :, None]
            zero = torch.zeros((), dtype=dtype, device=self.device)
            self._bias[dtype] = torch.where(seen, zero, zero - torch.inf)[:, None]
        return self._bias[dtype]

    def blind(self) -> Tensor:
        """bool[B, Q]: the positions that see nothing."""
        if self._blind_BQ is None:
            self._blind_BQ = ~self.dense().any(-1)
        return self._blind_BQ

    def attention(self, q_BHQD: Tensor, k_BHKD: Tensor, v_BHKD: Tensor) -> Tensor:
        """softmax(q·k / √D) · v over what is visible → [B, H, Q, D]."""
        if self.form == "dense":
            out = scaled_dot_product_attention(q_BHQD, k_BHKD, v_BHKD, attn_mask=self.bias(q_BHQD.dtype))
        else:
            out = scaled_dot_product_attention(q_BHQD, k_BHKD, v_BHKD, is_causal=self.form == "causal")
        return out.masked_fill(self.blind()[:, None, :, None], 0.0) if self.has_blind() else out

    def placed_attention(self, qkv_BS3HD: Tensor, places_BHSS: Tensor) -> Tensor:
        """softmax(q·k / √D + places) · v over what is visible, q, k and v side by side in one array → [B, S, H, D].

        `places` (relative positions; they may want a gradient) is [B or 1, H, S, S].
        """
        closed = self.bias(qkv_BS3HD.dtype)
        out: Tensor = BiasedAttention.apply(qkv_BS3HD, places_BHSS, closed)  # type: ignore[no-untyped-call]
        return out.masked_fill(self.blind()[:, :, None, None], 0.0) if self.has_blind() else out

    def has_blind(self) -> bool:
        """Whether any position sees nothing."""
        if self._has_blind is None:
            self._has_blind = self.form == "dense" and bool(self.blind().any())
        return self._has_blind

    def _other(self, other: Visible | Tensor | Predicate) -> Tensor:
        if isinstance(other, Visible):
            return other.dense()
        if isinstance(other, Tensor):
            return other
        B, Q, K = (torch.arange(n, device=self.device) for n in self.shape)
        return other(B[:, None, None], Q[None, :, None], K[None, None, :])

    def __and__(self, other: Visible | Tensor | Predicate) -> Visible:
        return Visible("dense", self.shape, (self.dense() & self._other(other)).expand(self.shape))

    def __or__(self, other: Visible | Tensor | Predicate) -> Visible:
        return Visible("dense", self.shape, (self.dense() | self._other(other)).expand(self.shape))

    def __repr__(self) -> str:
        B, Q, K = self.shape
        share = f", {float(self.dense().float().mean()):.0%} visible" if self.form == "dense" and B * Q * K else ""
        return f"Visible({self.form}, {B}×{Q}×{K}{share})"

    def _repr_html_(self) -> str:
        from maskdial.html import of_sight

        return of_sight(self.dense()[0].cpu().numpy(), f"{self!r}, its first row" if self.shape[0] > 1 else repr(self))


def _dense(order_BQ: Tensor, segment_BQ: Tensor, order_BK: Tensor, segment_BK: Tensor, private_BK: Tensor | None) -> Tensor:
    """`maskdial.sample.sight` for a batch: bool[B, Q, K]."""
    earlier = order_BK[:, None, :] < order_BQ[:, :, None]
    if private_BK is not None:
        earlier &= ~private_BK[:, None, :]
    together = (segment_BQ[:, :, None] == segment_BK[:, None, :]) & (segment_BQ[:, :, None] >= 0)
    return together & (earlier | (order_BK[:, None, :] == order_BQ[:, :, None]))


def _form(order_BS: Tensor, segment_BS: Tensor) -> Form:
    """The cheapest form that equals the dense predicate at every real position."""
    real = segment_BS >= 0
    step, after = order_BS[:, 1:] - order_BS[:, :-1], real[:, 1:]
    one = ((segment_BS == segment_BS[:, :1]) | ~real).all() & (after <= real[:, :-1]).all()
    equal, rising = one & real.all() & (step == 0).all(), one & ((step > 0) | ~after).all()
    equal_, rising_ = torch.stack([equal, rising]).tolist()  # one wait for the device
    return "none" if equal_ else "causal" if rising_ else "dense"


class BiasedAttention(Function):
    """softmax(q·k / √D + bias + closed) · v where the bias wants a gradient, for which SDPA has no fast way; a piece at a time.

    qkv [B, S, 3, H, D], bias [B or 1, H, S, S], closed [B or 1, 1, S, S] (0 or -inf) or None → [B, S, H, D].

    A piece of one row reads q, k and v where they lie, and the gradients of all three are written into one array.
    """

    @staticmethod
    def forward(ctx: Any, qkv: Tensor, bias: Tensor, closed: Tensor | None) -> Tensor:
        B, S, _, H, D = qkv.shape
        p, out = qkv.new_empty(B, H, S, S), qkv.new_empty(B, S, H, D)
        parts, bias_BHSS, closed_BHSS = (*_parted(qkv), p), bias.expand_as(p), None if closed is None else closed.expand_as(p)
        for piece in _pieces(p):
            q, k, v, scores = (x[piece].flatten(0, 1) for x in parts)  # of p this is a view
            torch.add(bias_BHSS[piece], 0.0 if closed_BHSS is None else closed_BHSS[piece], out=p[piece])
            torch.baddbmm(scores, q, k.mT, alpha=D**-0.5, out=scores)
            torch.softmax(scores, -1, out=scores)
            _product(out.transpose(1, 2)[piece], scores, v)
        ctx.save_for_backward(qkv, p)
        ctx.bias = bias.shape, bias.dtype
        return out

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, dout: Tensor) -> tuple[Tensor, Tensor, None]:
        qkv, p = ctx.saved_tensors
        (shape, dtype), factor = ctx.bias, qkv.shape[4] ** -0.5
        dqkv, dbias = torch.empty_like(qkv), torch.zeros(shape, dtype=dtype, device=qkv.device)
        parts, made = (*_parted(qkv), p, dout.transpose(1, 2)), _parted(dqkv)
        for piece in _pieces(p):
            q, k, v, some, given = (x[piece].flatten(0, 1) for x in parts)
            dq, dk, dv = (x[piece] for x in made)
            _product(dv, some.mT, given)
            ds = torch.bmm(given, v.mT)
            torch.ops.aten._softmax_backward_data.out(ds, some, -1, ds.dtype, grad_input=ds)
            near = dbias[piece if shape[0] > 1 else (slice(None), piece[1])]
            near += ds.view(p[piece].shape).sum_to_size(near.shape)
            _product(dq, ds, k, factor)
            _product(dk, ds.mT, q, factor)
        return dqkv, dbias, None


def _parted(qkv_BS3HD: Tensor) -> tuple[Tensor, ...]:
    """Views of q, k and v, [B, H, S, D]."""
    return tuple(x_BSHD.transpose(1, 2) for x_BSHD in qkv_BS3HD.unbind(2))


def _pieces(p_BHQK: Tensor) -> Iterator[tuple[slice, slice]]:
    """(rows, heads): on a CPU several whole rows, or several heads of one row."""
    B, H, Q, K = p_BHQK.shape
    at_once = max(1, SCORES // max(1, Q * K)) if p_BHQK.device.type == "cpu" else max(1, B * H)
    rows, heads = max(1, at_once // H), min(H, at_once)
    for row in range(0, B, rows):
        for head in range(0, H, heads):
            yield slice(row, row + rows), slice(head, head + heads)


def _product(into_nhSD: Tensor, a: Tensor, b: Tensor, factor: float = 1.0) -> None:
    """factor · a b, [n · h, S, D], written to where a piece lies: one product of all its heads, and one pass over a small array."""
    torch.mul(torch.bmm(a, b).view(into_nhSD.shape), factor, out=into_nhSD)
