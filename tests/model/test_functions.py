"""Hand-written gradients against finite differences and against autograd's own."""

from __future__ import annotations

import torch
from torch import Tensor

from maskdial.model.functions import RMSNorm, Rotate, SwiGLU
from maskdial.model.position import Rotary
from tests.model.helpers import config


def leaf(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64, requires_grad=True)


def test_rms_norm() -> None:
    x, gain = leaf(5, 8), leaf(8, seed=1)
    assert torch.autograd.gradcheck(lambda a, b: RMSNorm.apply(a, b, 1e-6), (x, gain))
    torch.testing.assert_close(RMSNorm.apply(x, gain, 1e-6), torch.nn.functional.rms_norm(x, (8,), gain, 1e-6))


def test_swiglu() -> None:
    x = leaf(5, 12)
    assert torch.autograd.gradcheck(SwiGLU.apply, (x,))
    torch.testing.assert_close(SwiGLU.apply(x), torch.nn.functional.silu(x[:, :6]) * x[:, 6:])


def test_rotation_turns_pairs_of_halves_by_position_and_leaves_values() -> None:
    rotary = Rotary(config())
    cos, sin = rotary(torch.arange(7).expand(2, -1), None, torch.float64)
    x = leaf(2, 7, 3, 2, 8)
    assert torch.autograd.gradcheck(lambda a: Rotate.apply(a, cos, sin, 2), (x,))
    out = Rotate.apply(x, cos, sin, 2)
    assert out[:, :, 2].equal(x[:, :, 2])
    angle = torch.arange(7)[:, None] * 10_000.0 ** (-torch.arange(4) / 4)
    pair = torch.complex(x[..., :4], x[..., 4:])[:, :, :2] * torch.polar(torch.ones_like(angle), angle)[None, :, None, None]
    torch.testing.assert_close(torch.complex(out[..., :4], out[..., 4:])[:, :, :2], pair)


def test_rows_with_other_positions_and_a_second_position() -> None:
    rotary = Rotary(config())
    position = torch.tensor([[0, 1, 2], [5, 900, 3]])
    cos, _ = rotary(position, None, torch.float64)
    assert cos.shape == (2, 3, 1, 1, 4)
    torch.testing.assert_close(cos[1, 1, 0, 0, 0], torch.tensor(900.0, dtype=torch.float64).cos())
    two, _ = rotary(position, position * 0, torch.float64)
    assert (two[..., 2:] == 1).all()
    assert (two[1, 1, ..., :2] != 1).all()


def test_relative_buckets_are_t5s() -> None:
    """The numbers that the released T5 code gives for 32 buckets to 128."""
    from maskdial.model.position import Relative

    both, left = Relative(config(positions="relative"), True), Relative(config(positions="relative"), False)
    distance = torch.tensor([-200, -127, -64, -20, -9, -8, -7, -1, 0, 1, 7, 8, 9, 20, 64, 127, 200])
    assert both.bucket(distance).tolist() == [15, 15, 14, 10, 8, 8, 7, 1, 0, 17, 23, 24, 24, 26, 30, 31, 31]
    assert left.bucket(distance).tolist() == [31, 31, 26, 17, 9, 8, 7, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0]
