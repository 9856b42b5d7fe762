"""Every form of `Visible` equals the predicate, and padding never gives NaN."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from maskdial.sample import sight
from maskdial.visibility.attend import Visible

COUNT = torch.arange(6, dtype=torch.int32)


def attend(visible: Visible, seed: int = 0) -> tuple[Tensor, Tensor, tuple[Tensor, Tensor, Tensor]]:
    """(output of the form, output of the plain formula on the dense predicate with nothing seen = 0, the leaves)."""
    B, Q, K = visible.shape
    g = torch.Generator().manual_seed(seed)
    q, k, v = (torch.randn(B, 2, n, 4, generator=g, dtype=torch.float64, requires_grad=True) for n in (Q, K, K))
    seen = visible.dense()[:, None]
    scores = (q @ k.mT / 2).masked_fill(~seen, -1e30)
    plain = torch.softmax(scores, -1).masked_fill(~seen, 0.0) @ v
    return visible.attention(q, k, v), plain, (q, k, v)


@pytest.mark.parametrize(("order", "form"), [(COUNT * 0, "none"), (COUNT, "causal"), (COUNT * 5 - 2, "causal"),
                                             (COUNT // 2, "dense"), ((COUNT - 2).clamp(min=0), "dense"), (5 - COUNT, "dense")])  # fmt: skip
def test_form_and_numbers(order: Tensor, form: str) -> None:
    orders = order.expand(3, -1)
    visible = Visible.of(orders, torch.zeros_like(orders))
    assert visible.form == form
    assert form in repr(visible)
    expected = np.stack([sight(o.numpy(), np.zeros(6, np.int32)) for o in orders])
    np.testing.assert_array_equal(visible.dense().numpy(), expected)
    out, plain, _ = attend(visible)
    torch.testing.assert_close(out, plain)


@settings(deadline=None, max_examples=60)
@given(st.data())
def test_any_columns_equal_sight(data: st.DataObject) -> None:
    size = data.draw(st.integers(1, 7))
    column = st.lists(st.integers(-1, 3), min_size=size, max_size=size)
    order, segment = (np.array(data.draw(column), np.int32) for _ in range(2))
    private = np.array(data.draw(st.lists(st.booleans(), min_size=size, max_size=size))) if data.draw(st.booleans()) else None
    visible = Visible.of(torch.tensor(order)[None], torch.tensor(segment)[None], None if private is None else torch.tensor(private)[None])
    expected, real = sight(order, segment, private), segment >= 0
    np.testing.assert_array_equal(visible.dense()[0].numpy()[real], expected[real])
    assert not visible.dense()[0].numpy()[real][:, ~real].any()
    out, plain, _ = attend(visible)
    assert torch.isfinite(out).all()
    torch.testing.assert_close(out[:, :, torch.tensor(real)], plain[:, :, torch.tensor(real)])


def test_right_padding_keeps_causal_fast_and_left_padding_does_not() -> None:
    segment = torch.tensor([[0, 0, 0, 0, -1, -1], [0, 0, 0, 0, 0, 0]])
    assert Visible.of(COUNT.expand(2, -1), segment).form == "causal"
    assert Visible.of(COUNT.expand(2, -1), segment.flip(1)).form == "dense"
    assert Visible.of(COUNT.expand(2, -1), torch.tensor([[0, 0, 1, 1, 2, 2]] * 2)).form == "dense"


def test_padding_gives_zero_and_no_gradient_and_never_nan() -> None:
    segment = torch.tensor([[0, 0, 0, 0, -1, -1], [-1] * 6])
    visible = Visible.of(COUNT.expand(2, -1) * 0, segment)
    _, _, (q, k, v) = attend(visible)
    qkv = torch.stack([x.detach().transpose(1, 2) for x in (q, k, v)], 2).requires_grad_()
    places = torch.zeros(1, 2, 6, 6, dtype=torch.float64)
    for out, leaves in ((visible.attention(q, k, v).transpose(1, 2), (q, k, v)), (visible.placed_attention(qkv, places), (qkv,))):
        assert (out[segment == -1] == 0).all()
        for made in torch.autograd.grad(out.sum(), leaves):
            assert torch.isfinite(made).all()
            assert (made[1] == 0).all()


def test_cross_attention_uses_the_same_predicate() -> None:
    source, answer = torch.zeros(2, 5, dtype=torch.int32), torch.arange(1, 5).expand(2, -1)
    same = torch.zeros(2, 5, dtype=torch.int32), torch.zeros(2, 4, dtype=torch.int32)
    assert Visible.across(answer, same[1], source, same[0]).form == "none"
    padded = same[0].clone()
    padded[1, 3:] = -1
    visible = Visible.across(answer, same[1], source, padded)
    assert visible.form == "dense"
    whole = sight(np.r_[source[1], answer[1]], np.r_[padded[1], same[1][1]])
    np.testing.assert_array_equal(visible.dense()[1].numpy(), whole[5:, :5])
    assert Visible.across(answer * 0, same[1], source + 1, same[0]).dense().sum() == 0
    assert Visible.across(answer[:, :2], same[1][:, :2], torch.arange(5).expand(2, -1), same[0]).form == "dense"


def test_two_documents_a_row_do_not_see_each_other_across() -> None:
    segment = torch.tensor([[0, 0, 1, 1, 1]]), torch.tensor([[0, 1, 1]])
    dense = Visible.across(torch.ones(1, 3), segment[1], torch.zeros(1, 5), segment[0]).dense()[0]
    assert dense.tolist() == [[True, True, False, False, False]] + [[False, False, True, True, True]] * 2


def test_an_answer_without_a_source_attends_to_nothing() -> None:
    visible = Visible.across(torch.ones(1, 2), torch.tensor([[0, 1]]), torch.zeros(1, 3), torch.zeros(1, 3))
    out, _, _ = attend(visible)
    assert (out[:, :, 1] == 0).all()
    assert (out[:, :, 0] != 0).all()


def test_escape_hatch() -> None:
    causal = Visible.of(COUNT.expand(2, -1), torch.zeros(2, 6))
    window = causal & (lambda b, q, k: q - k < 2)
    assert window.form == "dense"
    assert window.dense()[1].sum(-1).tolist() == [1, 2, 2, 2, 2, 2]
    assert (window | causal).dense().equal(causal.dense())
    assert (causal & torch.zeros(6, 6, dtype=torch.bool)).dense().sum() == 0
    out, plain, _ = attend(window)
    torch.testing.assert_close(out, plain)
    assert "visible" in repr(window)


PIECES = (1, 50, 1 << 18)  # one head of a row, whole rows, all at once


@pytest.mark.parametrize("scores", PIECES)
@pytest.mark.parametrize(("places", "closed"), [(1, 0), (1, 3), (3, 1)])
def test_a_learnt_bias_has_its_gradient(places: int, closed: int, scores: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Against the formula and finite differences: places and what is closed may be each row's own or one for all."""
    from maskdial.visibility import attend as module

    monkeypatch.setattr(module, "SCORES", scores)
    g = torch.Generator().manual_seed(0)
    qkv, bias = (
        torch.randn(*shape, generator=g, dtype=torch.float64, requires_grad=True) for shape in ((3, 4, 3, 2, 2), (places, 2, 4, 4))
    )
    shut = torch.where(torch.rand(closed, 1, 4, 4, generator=g) < 0.4, -torch.inf, 0.0).double() if closed else None
    if shut is not None:
        shut[..., 0] = 0
    attention = lambda qkv, bias: module.BiasedAttention.apply(qkv, bias, shut)  # noqa: E731
    assert torch.autograd.gradcheck(attention, (qkv, bias))
    q, k, v = (x.transpose(1, 2) for x in qkv.unbind(2))
    plain = torch.softmax(q @ k.mT / 2**0.5 + bias + (0 if shut is None else shut), -1) @ v
    torch.testing.assert_close(attention(qkv, bias), plain.transpose(1, 2))


@pytest.mark.parametrize("scores", PIECES)
def test_a_learnt_bias_in_bf16(scores: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """float32's numbers, rounded; also where the bias stays in float32, as autocast leaves it."""
    from maskdial.visibility import attend as module

    monkeypatch.setattr(module, "SCORES", scores)
    g = torch.Generator().manual_seed(0)
    leaves = [torch.randn(*shape, generator=g).bfloat16() for shape in ((3, 9, 3, 2, 8), (1, 2, 9, 9))]
    made = []
    for dtypes in ((torch.float32, torch.float32), (torch.bfloat16, torch.bfloat16), (torch.bfloat16, torch.float32)):
        qkv, bias = (x.to(dtype).requires_grad_() for x, dtype in zip(leaves, dtypes, strict=True))
        out = module.BiasedAttention.apply(qkv, bias, None)
        made.append([out, *torch.autograd.grad(out.square().sum(), (qkv, bias))])
        assert [x.dtype for x in made[-1]] == [qkv.dtype, qkv.dtype, bias.dtype]
    for rough in made[1:]:
        for a, b in zip(made[0], rough, strict=True):
            torch.testing.assert_close(a, b.float(), rtol=0.03, atol=0.03 * float(a.detach().abs().max()))
