"""The chunked loss against a plain float64 oracle: values and all gradients."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from maskdial.batch import Batch
from maskdial.model import Model, counts, log_probs, loss
from maskdial.sample import SILENT, Head
from tests.model.helpers import V, double, model, single


def oracle(m: Model, batch: Batch, z: float = 0.0, smoothing: float = 0.0) -> torch.Tensor:
    """Σ weight · loss from full logits at every position."""
    logits = m.logits(m.hidden(batch))
    logp, log_z = torch.log_softmax(logits, -1), logits.logsumexp(-1)
    target = batch["target:token"].long()
    asked = target != SILENT
    nll = -logp.gather(-1, target.clamp(min=0)[..., None])[..., 0]
    each = (1 - smoothing) * nll - smoothing * logp.mean(-1) + z * log_z.square()
    return (each * batch["weight:token"])[asked].sum()


@pytest.mark.parametrize("shape", ["single", "encoder-decoder"])
@pytest.mark.parametrize(("z", "smoothing"), [(0.0, 0.0), (1e-2, 0.0), (0.0, 0.1), (1e-2, 0.1)])
@pytest.mark.parametrize("chunk", [1, 4, 100])
def test_value_and_gradients(shape: str, z: float, smoothing: float, chunk: int) -> None:
    m = model(shape)
    batch = single("prefix") if shape == "single" else double()
    expected = oracle(m, batch, z, smoothing)
    want = torch.autograd.grad(expected, list(m.parameters()))
    made = loss(m, batch, z=z, smoothing=smoothing, chunk=chunk)
    torch.testing.assert_close(made.sums["token"], expected)
    (2 * made.total()).backward()  # type: ignore[no-untyped-call]
    for (name, p), gradient in zip(m.named_parameters(), want, strict=True):
        torch.testing.assert_close(p.grad, 2 * gradient / made.counts["token"], msg=name)


def test_bf16_is_close() -> None:
    batch, exact, rough = single("causal", 4, 16), model(), model(dtype=torch.bfloat16)
    one, other = loss(exact, batch), loss(rough, batch)
    torch.testing.assert_close(other.sums["token"].double(), one.sums["token"], rtol=0.03, atol=0.1)
    other.total().backward()  # type: ignore[no-untyped-call]
    assert all(torch.isfinite(p.grad).all() for p in rough.parameters())


def test_nothing_scored_is_zero_not_nan() -> None:
    m, batch = model(), single("causal", share=0.0)
    made = loss(m, batch)
    assert float(made.total().detach()) == 0.0
    made.total().backward()  # type: ignore[no-untyped-call]
    assert all(p.grad is None or (p.grad == 0).all() for p in m.parameters())
    assert (log_probs(m, batch) == 0).all()


def test_padding_changes_nothing() -> None:
    m, whole = model(), single("bidirectional", 2, 9, pad=3)
    short = Batch({k: v[1:, :6] for k, v in whole.items()})
    short.layout, short.heads, short.body_tokens = whole.layout, whole.heads, 6
    torch.testing.assert_close(m.hidden(whole)[1:, :6], m.hidden(short))
    first = Batch({k: v[:1] for k, v in whole.items()})
    first.layout, first.heads, first.body_tokens = whole.layout, whole.heads, 9
    torch.testing.assert_close(loss(m, whole).sums["token"], loss(m, first).sums["token"] + loss(m, short).sums["token"])


@pytest.mark.parametrize("shape", ["single", "encoder-decoder"])
def test_log_probs(shape: str) -> None:
    m = model(shape)
    batch = single("causal") if shape == "single" else double()
    made, target = log_probs(m, batch, chunk=3), batch["target:token"]
    logp = torch.log_softmax(m.logits(m.hidden(batch)), -1)
    assert made.dtype == torch.float32
    assert made.shape == target.shape
    want = torch.where(target == SILENT, 0.0, logp.gather(-1, target.clamp(min=0).long()[..., None])[..., 0])
    torch.testing.assert_close(made, want.float())


def test_logits_at_kept_positions_are_those_of_all_positions() -> None:
    m, batch = model(), single("prefix", 3)
    keep = torch.tensor([1, 5, 20])
    torch.testing.assert_close(m.hidden_at(batch, keep), m.hidden(batch).reshape(-1, 16)[keep])


@pytest.mark.parametrize(("divisor", "expected"), [("scored", 5.0), ("weights", 7.5), ("tokens", 18.0), ("rows", 2.0), (4, 8.0)])
def test_divisors(divisor: str | int, expected: float) -> None:
    batch = Batch({"target:token": np.full((2, 4), SILENT), "weight:token": np.full((2, 4), 1.5, np.float32)})
    batch["target:token"].reshape(-1)[:5] = 3
    assert counts(batch, [Head(divisor=divisor)], 18) == {"token": expected}  # type: ignore[arg-type]


def test_extra_heads() -> None:
    heads = ({"name": "token+2", "kind": "token"}, {"name": "next_sentence", "kind": "class"}, {"name": "replaced", "kind": "binary"})
    m, batch = model(extra_heads=heads), single("bidirectional")
    rng = torch.Generator().manual_seed(3)
    for head in heads:
        high = V if head["kind"] == "token" else 2
        batch[f"target:{head['name']}"] = torch.randint(0, high, batch["read"].shape, generator=rng)
        batch[f"weight:{head['name']}"] = torch.ones(batch["read"].shape)
    batch["target:next_sentence"][:, 1:] = SILENT
    batch.heads = (Head(), *(Head(name=h["name"], kind=h["kind"], coefficient=0.5) for h in heads))  # type: ignore[arg-type]
    made = loss(m, batch)
    assert made.scored["next_sentence"] == 2
    x = m.hidden(batch)
    logits = m.extra["next_sentence"](x[:, 0])
    want = torch.nn.functional.cross_entropy(logits, batch["target:next_sentence"][:, 0], reduction="sum")
    torch.testing.assert_close(made.sums["next_sentence"].float(), want.float())
    total = sum(made.coefficients[h] * made.sums[h] / made.counts[h] for h in made.sums)
    torch.testing.assert_close(made.total(), total)
    made.total().backward()  # type: ignore[no-untyped-call]
    assert all((p.grad != 0).any() for p in m.extra.parameters())
    for head in heads:
        assert (log_probs(m, batch, str(head["name"])) <= 0).all()
    with pytest.raises(ValueError, match="no head 'token\\+2'"):
        loss(model(), batch)


def test_memory_follows_the_chunk_not_the_batch() -> None:
    """The largest array made while the loss runs has chunk × V numbers, never scored × V."""
    from torch.utils._python_dispatch import TorchDispatchMode

    class Largest(TorchDispatchMode):
        size = 0

        def __torch_dispatch__(self, func, types, args=(), kwargs=None):  # type: ignore[no-untyped-def]
            out = func(*args, **(kwargs or {}))
            for value in out if isinstance(out, tuple | list) else (out,):
                if isinstance(value, torch.Tensor):
                    self.size = max(self.size, value.numel())
            return out

    m, batch = model(dtype=torch.float32), single("causal", 16, 64, share=1.1)
    with Largest() as largest:
        loss(m, batch, chunk=32).total().backward()  # type: ignore[no-untyped-call]
    assert largest.size <= 16 * 64 * 2 * 64  # the widest layer (SwiGLU), not 1,024 × V
    assert 16 * 64 * V > 32 * V
