"""The chunked loss against a plain float64 oracle: values and all gradients."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from maskdial.batch import Batch
from maskdial.model import Model, counts, log_probs, loss
from maskdial.model.loss import Smoothing, TokenLoss, smoothed
from maskdial.sample import SILENT, Head
from tests.contract.handmade import table
from tests.model.helpers import V, double, handmade, model, model_of, single


def oracle(m: Model, batch: Batch, z: float = 0.0, smoothing: float = 0.0, kind: str = "others") -> torch.Tensor:
    """Σ weight · loss from full logits at every position; the target's distribution is written out."""
    logits = m.logits(m.hidden(batch))
    logp, log_z = torch.log_softmax(logits, -1), logits.logsumexp(-1)
    target = batch["target:token"].long()
    asked = target != SILENT
    gold = torch.nn.functional.one_hot(target.clamp(min=0), V).double()
    share = (1 - gold) * smoothing / (V - 1) if kind == "others" else torch.full_like(gold, smoothing / V)
    each = -(((1 - smoothing) * gold + share) * logp).sum(-1) + z * log_z.square()
    return (each * batch["weight:token"])[asked].sum()


@pytest.mark.parametrize("shape", ["single", "encoder-decoder"])
@pytest.mark.parametrize(("z", "smoothing", "kind"), [(0.0, 0.0, "others"), (1e-2, 0.0, "others"), (0.0, 0.1, "others"),
                                                     (0.0, 0.1, "all"), (1e-2, 0.1, "all")])  # fmt: skip
@pytest.mark.parametrize("chunk", [1, 4, 100])
def test_value_and_gradients(shape: str, z: float, smoothing: float, kind: Smoothing, chunk: int) -> None:
    m = model(shape)
    batch = single("prefix") if shape == "single" else double()
    expected = oracle(m, batch, z, smoothing, kind)
    want = torch.autograd.grad(expected, list(m.parameters()))
    made = loss(m, batch, z=z, smoothing=smoothing, smoothing_kind=kind, chunk=chunk)
    torch.testing.assert_close(made.sums["token"], expected)
    (2 * made.total()).backward()  # type: ignore[no-untyped-call]
    for (name, p), gradient in zip(m.named_parameters(), want, strict=True):
        torch.testing.assert_close(p.grad, 2 * gradient / made.counts["token"], msg=name)


@pytest.mark.parametrize(("kind", "expected"), [("others", 0.843954), ("all", 0.813793)])
def test_two_conventions_of_smoothing(kind: Smoothing, expected: float) -> None:
    """p = (.5, .2, .15, .1, .05), the first is right, ε = .1: fairseq's and T5X's number, and torch's."""
    p = torch.tensor([[0.5, 0.2, 0.15, 0.1, 0.05]], dtype=torch.float64)
    gold, one = torch.tensor([0]), torch.ones(1, dtype=torch.float64)
    made, plain = TokenLoss.apply(p.log(), torch.eye(5, dtype=torch.float64), gold, one, 1.0, 0.0, smoothed(0.1, kind, 5), 8)
    assert float(made) == pytest.approx(expected, abs=5e-7)
    assert float(plain) == pytest.approx(np.log(2))
    if kind == "all":
        torch.testing.assert_close(made, torch.nn.functional.cross_entropy(p.log(), gold, label_smoothing=0.1))


def test_masked_diffusion_is_the_bound() -> None:
    """Σ over hidden tokens of −log p / t, over the body tokens (Sahoo et al. 2024, equation 11), in float64 by hand."""
    samples = handmade("block-diffusion")
    m, batch = model_of(samples), samples.batch().torch()
    made = loss(m, batch)
    logp = torch.log_softmax(m(batch)[0], -1)
    level = {1: 0.5, 2: 0.8, 3: 0.8, 4: 0.25}
    bound = sum(-logp[i, batch["target:token"][0, i].long()] / t for i, t in level.items()) / 6
    torch.testing.assert_close(made.total(), bound)
    assert made.counts == {"token": 6.0}
    torch.testing.assert_close(made.plain["token"], sum(-logp[i, batch["target:token"][0, i].long()] for i in level).detach())


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


@pytest.mark.parametrize("name", ["next-sentence", "span-boundary", "electra-discriminator", "electra-generator", "multi-token-reach-1"])
def test_every_kind_of_head_is_weighed_a_position(name: str) -> None:
    """A weight counts a position that often; a weight of 0 leaves its loss out and its place in the count."""
    samples = handmade(name)
    m, batch = model_of(samples), table(samples, samples).batch().torch()
    batch.heads = samples.heads
    plain = loss(m, batch)
    for head in samples.heads:
        batch[f"weight:{head.name}"] = batch[f"weight:{head.name}"] * torch.tensor([[0.0], [3.0]])
    weighed = loss(m, batch)
    for head in samples.heads:
        if head.form != "drawn":  # the two rows draw different tokens
            torch.testing.assert_close(weighed.sums[head.name], 1.5 * plain.sums[head.name])
        torch.testing.assert_close(weighed.plain[head.name], plain.plain[head.name])
        assert weighed.scored == plain.scored


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
