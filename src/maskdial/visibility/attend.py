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

#: Numbers of scores that are worked on at a time where a bias is learnt: they stay in a CPU's cache.
SCORES = 1 << 19


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

    def attention(self, q_BHQD: Tensor, k_BHKD: Tensor, v_BHKD: Tensor, places_BHQK: Tensor | None = None) -> Tensor:
        """softmax(q·k / √D + places) · v over what is visible → [B, H, Q, D].

        `places` (relative positions; it may want a gradient) is added to the scores, [B or 1, H, Q, K].
        """
        if places_BHQK is not None:
            out: Tensor = BiasedAttention.apply(q_BHQD, k_BHKD, v_BHKD, places_BHQK)  # type: ignore[no-untyped-call]
        elif self.form == "dense":
            out = scaled_dot_product_attention(q_BHQD, k_BHKD, v_BHKD, attn_mask=self.bias(q_BHQD.dtype))
        else:
            out = scaled_dot_product_attention(q_BHQD, k_BHKD, v_BHKD, is_causal=self.form == "causal")
        return out.masked_fill(self.blind()[:, None, :, None], 0.0) if self.has_blind() else out

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
    """softmax(q·k / √D + bias) · v where the bias wants a gradient, for which SDPA has no fast way; some rows at a time.

    q [B, H, Q, D], k and v [B, H, K, D], bias [B or 1, H, Q, K] with -inf where not visible → [B, H, Q, D].
    """

    @staticmethod
    def forward(ctx: Any, q: Tensor, k: Tensor, v: Tensor, bias: Tensor) -> Tensor:
        B, H, Q, D = q.shape
        p = torch.empty(B, H, Q, k.shape[2], dtype=q.dtype, device=q.device)
        out = torch.empty(B, Q, H, v.shape[3], dtype=q.dtype, device=q.device).transpose(1, 2)
        for rows, near in _pieces(q, k, bias):
            n = rows.stop - rows.start
            scores = torch.baddbmm(bias[near].expand(n, -1, -1, -1).flatten(0, 1), _flat(q, rows), _flat(k, rows).mT, alpha=D**-0.5)
            p_rows = _flat(p, rows)  # a view
            if scores.dtype == _wide(scores):
                torch.softmax(scores, -1, out=p_rows)
            else:
                p_rows.copy_(torch.softmax(scores, -1, dtype=_wide(scores)))
            out[rows] = torch.bmm(p_rows, _flat(v, rows)).view(n, H, Q, -1)
        ctx.save_for_backward(q, k, v, p, bias, out)
        return out

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, dout: Tensor) -> tuple[Tensor, ...]:
        q, k, v, p, bias, out = ctx.saved_tensors
        dq, dk, dv = torch.empty_like(q), torch.empty_like(k), torch.empty_like(v)
        dbias = torch.zeros_like(bias)
        for rows, near in _pieces(q, k, bias):
            shape, p_rows, d_rows = p[rows].shape, p[rows].flatten(0, 1), _flat(dout, rows)
            dv[rows] = torch.bmm(p_rows.mT, d_rows).view(*shape[:2], -1, v.shape[3])
            dp = torch.bmm(d_rows, _flat(v, rows).mT)
            along = (d_rows * _flat(out, rows)).sum(-1, keepdim=True)  # Σ dp · p, as in FlashAttention
            ds = dp.sub_(along).mul_(p_rows)
            dbias[near] += ds.view(shape) if bias.shape[0] > 1 else ds.view(shape).sum(0, keepdim=True)
            dq[rows] = torch.bmm(ds, _flat(k, rows)).mul_(q.shape[3] ** -0.5).view(*shape[:3], -1)
            dk[rows] = torch.bmm(ds.mT, _flat(q, rows)).mul_(q.shape[3] ** -0.5).view(*shape[:2], -1, k.shape[3])
        return dq, dk, dv, dbias


def _pieces(q: Tensor, k: Tensor, bias: Tensor) -> Iterator[tuple[slice, slice]]:
    """(rows of the batch, rows of the bias) a piece."""
    size = max(1, SCORES // max(1, q.shape[1] * q.shape[2] * k.shape[2])) if q.device.type == "cpu" else len(q)
    for first in range(0, len(q), size):
        rows = slice(first, min(first + size, len(q)))
        yield rows, rows if bias.shape[0] > 1 else slice(0, 1)


def _flat(x: Tensor, rows: slice) -> Tensor:
    """[rows · H, S, D]."""
    return x[rows].flatten(0, 1)


def _wide(x: Tensor) -> torch.dtype:
    return torch.float64 if x.dtype == torch.float64 else torch.float32
