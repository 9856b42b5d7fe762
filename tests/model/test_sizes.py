"""Extra parts are paid for, and counted: parameters within 2 % of the plain model's, FLOPs as torch counts them."""

from __future__ import annotations

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from maskdial.model import PRESETS, GeneratorDiscriminator, ModelConfig, build, loss, matched
from maskdial.sample import Head, Samples
from tests.contract.handmade import table
from tests.model.helpers import extra, handmade, model, model_of


def modules(reach: int, count: int) -> tuple[Head, ...]:
    return tuple(Head(f"token+{k + 1}", reach=reach * k, form="module") for k in range(1, count + 1))


HEADS: dict[str, tuple[Head, ...]] = {
    "parallel-1": modules(0, 1), "parallel-3": modules(0, 3), "sequential-1": modules(1, 1), "sequential-3": modules(1, 3),
    "electra": (Head("replaced", kind="binary", form="drawn"),), "boundary": (Head("span_boundary", form="boundary"),),
    "pair": (Head("next_sentence", kind="class"),), "plain": (Head("token+2"),),
}  # fmt: skip


def parameters(config: ModelConfig) -> int:
    with torch.device("meta"):
        return build(config).num_parameters


@pytest.mark.parametrize("preset", list(PRESETS))
@pytest.mark.parametrize("name", list(HEADS))
def test_extra_parts_are_paid_for(preset: str, name: str) -> None:
    plain = ModelConfig(vocab_size=2_200, preset=preset)
    made = matched(ModelConfig(vocab_size=2_200, preset=preset, extra_heads=extra(HEADS[name]), parts=2))
    assert abs(parameters(made) / parameters(plain) - 1) < 0.02
    assert made.d == plain.d
    assert made.ffn >= 0.5 * plain.ffn
    taken = len(HEADS[name]) if HEADS[name][0].form == "module" else 0
    assert made.layers == max(2, plain.layers - taken)
    assert ModelConfig(**made.model_dump(mode="json")) == made


def test_heads_of_two_stacks_are_paid_for_too() -> None:
    plain = ModelConfig(vocab_size=2_200, shape="encoder-decoder")
    made = matched(ModelConfig(vocab_size=2_200, shape="encoder-decoder", extra_heads=extra(HEADS["pair"])))
    assert abs(parameters(made) / parameters(plain) - 1) < 0.02


def test_nothing_extra_changes_nothing_and_the_impossible_is_said() -> None:
    plain = ModelConfig(vocab_size=2_200)
    assert matched(plain) is plain
    small = ModelConfig(vocab_size=100, d=64, layers=1, heads=2, ffn=80, extra_heads=extra(HEADS["parallel-3"]))
    with pytest.raises(ValueError, match=r"cannot pay for token\+2, token\+3, token\+4"):
        matched(small)


@pytest.mark.parametrize(("preset", "heads", "width"), [("tiny", 1, 32), ("small", 2, 128), ("base", 4, 256)])
def test_the_generators_share(preset: str, heads: int, width: int) -> None:
    """A quarter of the attention heads (rounded), a third for the base size (Clark et al. 2020, table 6)."""
    config = ModelConfig(vocab_size=100, preset=preset, extra_heads=extra(HEADS["electra"]))
    assert (config.reduced.heads, config.reduced.d, config.reduced.layers) == (heads, width, config.layers)
    assert abs(config.reduced.ffn / config.ffn - heads / config.heads) < 0.02
    with torch.device("meta"):
        assert isinstance(build(config), GeneratorDiscriminator)
    with pytest.raises(ValueError, match="exactly one head of form 'drawn'"):
        ModelConfig(vocab_size=100, generator=0.5)


NAMES = ["span-boundary", "multi-token-reach-0", "multi-token-reach-1", "next-sentence", "electra-generator", "electra-discriminator"]


def counted(samples: Samples, heads: tuple[Head, ...]) -> tuple[float, float]:
    """FLOPs of a step in which every position is asked by every head: as torch counts them, and as we say."""
    batch = table(*[samples] * 8).batch().torch()
    batch.heads = heads
    for head in heads:
        batch[f"target:{head.name}"] = torch.ones_like(batch["read"])
        batch[f"weight:{head.name}"] = torch.ones(batch["read"].shape)
    drawn = any(h.form == "drawn" for h in heads)
    m = model("single", vocab_size=100, positions="relative", d=64, heads=4, extra_heads=extra(heads), generator=0.5 if drawn else None)
    m = m.float()  # relative positions: attention as plain products that are counted
    with FlopCounterMode(display=False) as counter:
        loss(m, batch).total().backward()  # type: ignore[no-untyped-call]
    return counter.get_total_flops(), m.flops(batch, {h.name: batch["read"].numel() for h in heads})


@pytest.mark.parametrize("name", NAMES)
def test_flops_of_extra_parts_are_those_counted(name: str) -> None:
    """In all, and what the heads beside `token` add; the draw itself, a softmax over a vocabulary, is left out of ours."""
    samples = handmade(name)
    found, said = counted(samples, samples.heads)
    assert said == pytest.approx(found, rel=0.1)
    if "electra" not in name:
        plain, without = counted(samples, samples.heads[:1])
        assert said - without == pytest.approx(found - plain, rel=0.1)


def test_flops_follow_what_is_asked() -> None:
    """A label a row or a judgement a token costs no vocabulary; boundary and classes cost where they are asked."""
    samples = handmade("next-sentence")
    m, batch = model_of(samples), samples.batch()
    both = m.flops(batch)
    assert both == m.flops(batch, {"token": 1, "next_sentence": 1})
    assert m.flops(batch, {"token": 1, "next_sentence": 11}) - both == 10 * 6 * 16 * 18
    assert m.flops(batch, {"token": 2, "next_sentence": 1}) - both == 6 * 16 * 100
