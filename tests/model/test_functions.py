"""Hand-written gradients against finite differences and against autograd's own."""

from __future__ import annotations

import torch
from torch import Tensor

from maskdial.model.functions import Project, RMSNorm, SwiGLU
from maskdial.model.position import Rotary, half_split
from tests.model.helpers import config


def leaf(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64, requires_grad=True)


def test_rms_norm_and_what_it_is_beside() -> None:
    x = leaf(5, 8)
    for of_both in (lambda y, x: y, lambda y, x: x, lambda y, x: y * x.square()):
        assert torch.autograd.gradcheck(lambda a: of_both(*RMSNorm.apply(a, 1e-6)), (x,))  # noqa: B023
    y, beside = RMSNorm.apply(x, 1e-6)
    torch.testing.assert_close(y, torch.nn.functional.rms_norm(x, (8,), None, 1e-6))
    assert torch.equal(beside, x)


def test_swiglu() -> None:
    x, w = leaf(5, 8), leaf(12, 8, seed=1)
    assert torch.autograd.gradcheck(SwiGLU.apply, (x, w))
    torch.testing.assert_close(SwiGLU.apply(x, w), torch.nn.functional.silu(x @ w[:6].T) * (x @ w[6:].T))


def test_swiglu_under_autocast() -> None:
    x, w = leaf(5, 8).float().detach().requires_grad_(), leaf(12, 8, seed=1).float().detach().requires_grad_()
    exact = torch.autograd.grad(SwiGLU.apply(x, w).sum(), (x, w))
    with torch.autocast("cpu", torch.bfloat16):
        out = SwiGLU.apply(x, w)
    assert out.dtype == torch.bfloat16
    for a, b in zip(exact, torch.autograd.grad(out.sum(), (x, w)), strict=True):
        assert b.dtype == torch.float32
        torch.testing.assert_close(a, b, rtol=0.05, atol=0.1)


def test_projection_turns_q_and_k_by_position_and_leaves_v() -> None:
    """In the published half-split layout after reordering rows: (x1 cos − x2 sin, x2 cos + x1 sin)."""
    turn = Rotary(config())(torch.arange(7).expand(2, -1), None, torch.float64)
    x, w = leaf(14, 16), leaf(48, 16, seed=1)
    assert torch.autograd.gradcheck(lambda a, b: Project.apply(a, b, turn, 2, 3, 2), (x, w))
    assert torch.autograd.gradcheck(lambda a, b: Project.apply(a, b, None, 2, 3, 2), (x, w))
    q, k, v = Project.apply(x, w, turn, 2, 3, 2)
    angle = torch.arange(7)[:, None] * 10_000.0 ** (-torch.arange(4, dtype=torch.float64) / 4)
    cos, sin = angle.cos(), angle.sin()
    for made, rows in ((q, w[:16]), (k, w[16:32])):
        plain = (x @ half_split(rows, 2).T).view(2, 7, 2, 8).transpose(1, 2)
        x1, x2 = plain[..., :4], plain[..., 4:]
        expected = torch.cat([x1 * cos - x2 * sin, x2 * cos + x1 * sin], -1)
        torch.testing.assert_close(torch.cat([made[..., 0::2], made[..., 1::2]], -1), expected)
    torch.testing.assert_close(v, (x @ w[32:].T).view(2, 7, 2, 8).transpose(1, 2))


def test_parts_that_nobody_asked_have_no_gradient() -> None:
    x, w = leaf(6, 4), leaf(8, 4, seed=1)
    k, _ = Project.apply(x, w, None, 2, 2, 1)
    k.sum().backward()
    assert (w.grad[4:] == 0).all()
    assert (w.grad[:4] != 0).any()


def test_rows_with_other_positions_and_a_second_position() -> None:
    rotary = Rotary(config())
    position = torch.tensor([[0, 1, 2], [5, 900, 3]])
    turn = rotary(position, None, torch.float64)
    assert turn.shape == (2, 3, 2, 2, 4)
    torch.testing.assert_close(turn[1, 1, 0, 0, 0].real, torch.tensor(900.0, dtype=torch.float64).cos())
    two = rotary(position, position * 0, torch.float64)
    assert (two[..., 2:] == 1).all()
    assert (two[1, 1, ..., :2] != 1).all()


def test_bf16_turns_as_float32_does() -> None:
    turn = Rotary(config())(torch.arange(7).expand(2, -1), None, torch.bfloat16)
    x, w = leaf(14, 16), leaf(48, 16, seed=1)
    exact = Project.apply(x.float(), w.float(), turn, 2, 3, 2)
    rough = Project.apply(x.bfloat16(), w.bfloat16(), turn, 2, 3, 2)
    for a, b in zip(exact, rough, strict=True):
        torch.testing.assert_close(a, b.float(), rtol=0.05, atol=0.1)


def test_relative_buckets_are_t5s() -> None:
    """The numbers that the released T5 code gives for 32 buckets to 128."""
    from maskdial.model.position import Relative

    both, left = Relative(config(positions="relative"), True), Relative(config(positions="relative"), False)
    distance = torch.tensor([-200, -127, -64, -20, -9, -8, -7, -1, 0, 1, 7, 8, 9, 20, 64, 127, 200])
    assert both.bucket(distance).tolist() == [15, 15, 14, 10, 8, 8, 7, 1, 0, 17, 23, 24, 24, 26, 30, 31, 31]
    assert left.bucket(distance).tolist() == [31, 31, 26, 17, 9, 8, 7, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0]


def test_relative_positions_that_count_are_the_looked_up_ones():
    from maskdial.model.position import Relative

    torch.manual_seed(0)
    for both_ways in (True, False):
        place = Relative(config(positions="relative"), both_ways)
        torch.nn.init.normal_(place.table)
        seen = 40
        counted, other = torch.arange(seen)[None].repeat(2, 1), torch.arange(seen)[None].repeat(2, 1)
        other[1, 20:] -= 20  # a second document: every row is looked up on its own
        short, long = place(counted), place(other)
        assert short.shape[0] == 1
        assert long.shape[0] == 2
        assert torch.equal(short[0], long[0])
        weight = torch.randn(short.shape[1:])
        grads = [torch.autograd.grad((x[0] * weight).sum(), place.table)[0] for x in (short, long)]
        torch.testing.assert_close(*grads)
        assert grads[0].abs().max() > 1
