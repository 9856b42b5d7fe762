"""Accumulation, optimizer, schedule, feed, budget, precision."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest
import torch

import maskdial as md
from maskdial.errors import UserError
from maskdial.model import Model
from maskdial.train import TrainConfig, load, parse_budget, train
from maskdial.train.budget import budget
from maskdial.train.config import LossSettings, OptimizerSettings, differences, keys
from maskdial.train.feed import Feed
from maskdial.train.optimizer import QUINTIC, Optimizer, orthogonalize, schedule
from maskdial.train.precision import bf16_speedup, decide
from maskdial.train.step import gradients, step
from maskdial.train.threads import Threads, best_threads
from tests.model import helpers as small
from tests.train.helpers import FakeCorpus, config


@pytest.mark.parametrize("name", ["gpt", "bert", "t5", "bart"])
def test_accumulation_gives_the_same_gradients(name: str) -> None:
    objective = md.objective(name)
    feed = Feed(objective, FakeCorpus(30, size=small.V), 32, seed=0, packing="joined")
    shape = "encoder-decoder" if objective.layout == "encoder-decoder" else "single"
    found = []
    for parts in (1, 2, 4, 8):
        m = small.model(shape)
        batches = feed.batches(3, 8, parts)
        assert len(batches) == parts
        plain, scored, _ = gradients(m, batches, LossSettings())
        found.append((plain, scored, [p.grad for p in m.parameters()]))
    for plain, scored, grads in found[1:]:
        assert scored == found[0][1]
        torch.testing.assert_close(plain, found[0][0])
        torch.testing.assert_close(grads, found[0][2])


def test_a_step_that_straddles_epochs_uses_each_ones_noise() -> None:
    corpus, objective = FakeCorpus(5), md.objective("bert")
    feed = Feed(objective, corpus, 32, seed=0, packing="joined")
    assert list(feed.epochs(3, 14)) == [(3, 2, 0), (5, 5, 1), (10, 5, 2), (15, 2, 3)]
    batches = feed.batches(3, 4)
    alone = [objective(corpus.rows(32, n, 1, seed=0), corpus.vocab, seed=0, epoch=corpus.epoch_of(n, 32)).read for n in range(3, 7)]
    np.testing.assert_array_equal(np.concatenate([b["read"] for b in batches]), np.stack(alone))


def test_samples_depend_on_the_position_alone() -> None:
    feeds = [Feed(md.objective("t5"), FakeCorpus(9), 32, seed=1, packing="joined") for _ in range(2)]
    whole = feeds[0].batches(0, 8)[0]
    parts = [feeds[1].batches(at, 2)[0] for at in (6, 0, 4, 2)]
    for row, part in zip((6, 0, 4, 2), parts, strict=True):
        np.testing.assert_array_equal(part["source_read"], whole["source_read"][row : row + 2])


def test_orthogonalize_brings_singular_values_near_one() -> None:
    x = torch.randn(3, 24, 64, generator=torch.Generator().manual_seed(0))
    for tall in (x, x.mT):
        values = torch.linalg.svdvals(orthogonalize(tall, 5))
        assert values.min() > 0.6
        assert values.max() < 1.3
    assert (orthogonalize(torch.zeros(1, 4, 4), 5) == 0).all()
    a, b, c = QUINTIC
    plain = x / torch.linalg.vector_norm(x, dim=(1, 2), keepdim=True)
    for _ in range(4):
        gram = plain @ plain.mT
        plain = a * plain + (b * gram + c * gram @ gram) @ plain
    torch.testing.assert_close(orthogonalize(x, 4), plain, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("name", ["muon", "adamw"])
def test_optimizer_lowers_the_loss_and_restores_bit_for_bit(name: str) -> None:
    settings = TrainConfig().with_overrides({"optimizer.name": name, "optimizer.decay": 0.01}).decided("decoder").optimizer
    batch = small.single("causal", 4, 12, share=1.1)

    def start() -> tuple[Model, Optimizer]:
        m = small.model(dtype=torch.float32)
        return m, Optimizer(m, settings)

    (m, o), losses = start(), []
    for i in range(20):
        made = step(m, o, [batch], 1.0, LossSettings())
        losses.append(float(made.plain["token"]))
        if i == 9:
            saved = ({k: v.clone() for k, v in o.masters().items()}, {k: v.clone() for k, v in o.state_dict().items()}, o.steps)
    assert losses[-1] < 0.7 * losses[0]
    other, again = start()
    again.load(*saved)
    for _ in range(10):
        step(other, again, [batch], 1.0, LossSettings())
    assert all(a.equal(b) for a, b in zip(m.parameters(), other.parameters(), strict=True))
    with pytest.raises(ValueError, match="one side only"):
        again.load({}, {}, 1)


RULES = ("matrix", "embedding", "position", "other")


def test_stacked_adamw_is_torchs() -> None:
    settings = OptimizerSettings(name="adamw", decay=0.0, clip=1e9, **dict.fromkeys((f"{what}_rate" for what in RULES), 1e-2))
    m, n = (small.model(dtype=torch.float32) for _ in range(2))
    ours = Optimizer(m, settings)
    theirs = torch.optim.AdamW(n.parameters(), lr=1e-2, betas=(0.9, 0.95), eps=1e-10, weight_decay=0.0)
    for seed in range(4):
        batch = small.single("causal", 3, 8, seed=seed)
        step(m, ours, [batch], 1.0, LossSettings())
        gradients(n, [batch], LossSettings())
        theirs.step()
        theirs.zero_grad()
    for a, b in zip(m.parameters(), n.parameters(), strict=True):
        torch.testing.assert_close(a, b, rtol=1e-4, atol=1e-5)


def test_bf16_keeps_fp32_masters() -> None:
    settings = TrainConfig().decided("decoder").optimizer
    m = small.model(dtype=torch.bfloat16)
    o = Optimizer(m, settings)
    for _ in range(3):
        step(m, o, [small.single("causal")], 0.01, LossSettings())
    assert all(p.dtype == torch.bfloat16 for p in m.parameters())
    assert all(p.equal(o.masters()[n].bfloat16()) for n, p in m.named_parameters())
    assert all(v.dtype == torch.float32 for v in o.masters().values())
    assert any((v != v.bfloat16().float()).any() for v in o.masters().values())


def test_clipping_and_a_gradient_that_is_not_finite() -> None:
    m = small.model(dtype=torch.float32)
    o = Optimizer(m, TrainConfig().decided("decoder").optimizer)
    before = [p.detach().clone() for p in m.parameters()]
    for p in m.parameters():
        p.grad = torch.full_like(p, 1e6)
    assert float(o.step(1e-4)) > 1e6
    assert all(torch.isfinite(p).all() for p in m.parameters())
    middle = [p.detach().clone() for p in m.parameters()]
    assert not all(a.equal(b) for a, b in zip(before, middle, strict=True))
    next(iter(m.parameters())).grad = torch.full_like(m.embedding, float("nan"))
    assert not torch.isfinite(o.step(1.0))
    assert all(a.equal(b) for a, b in zip(m.parameters(), middle, strict=True))


def test_schedule() -> None:
    s = OptimizerSettings(warmup=4, cooldown=0.5)
    assert [schedule(i, 20, s) for i in (0, 3, 9, 10, 15, 19)] == [0.25, 1.0, 1.0, 1.0, 0.5, 0.1]
    assert schedule(10_000, None, s) == 1.0
    assert schedule(0, 10, OptimizerSettings(warmup=0, cooldown=0)) == 1.0


BUDGETS = [("60s", "time", 60), ("5min", "time", 300), ("1h", "time", 3600), ("200ktok", "tokens", 2e5), ("2Mtok", "tokens", 2e6),
           ("1e14flop", "flops", 1e14), ("1,000 steps", "steps", 1000), ("0.5s", "time", 0.5)]  # fmt: skip


@pytest.mark.parametrize(("text", "kind", "amount"), BUDGETS)
def test_budgets(text: str, kind: str, amount: float) -> None:
    assert parse_budget(text) == (kind, amount)


@pytest.mark.parametrize("text", ["", "60", "s", "60 bananas", "0s", "-5s", "nan", "1e", "60s 5"])
def test_bad_budgets(text: str) -> None:
    with pytest.raises(UserError) as caught:
        budget(text)
    assert caught.value.exit == 2


def test_budget_to_steps() -> None:
    assert budget("1000tok").steps(512, 1.0) == 2
    assert budget("1e9flop").steps(512, 3e8) == 4
    assert budget("7steps").steps(512, 1.0) == 7
    timed = budget("10s")
    assert timed.steps(512, 1.0) is None
    assert not timed.due(1, 9.0)
    assert not timed.due(30, 3.9)
    assert timed.due(30, 4.0)
    assert timed.due(30, 2.0, cooldown=0.75)
    assert not timed.due(19, 1.0, cooldown=1.0)
    assert timed.due(20, 1.0, cooldown=1.0)
    assert timed.freeze(20, 4.0, [9.0] + [0.03] * 19) == 220
    assert timed.freeze(20, 11.0, [0.5] * 20) == 20


def test_config_is_strict_and_helpful() -> None:
    config = TrainConfig().with_overrides(["optimizer.matrix_rate=4e-3", "model.preset=small", "deterministic=true", "checkpoint.every=5"])
    assert (config.optimizer.matrix_rate, config.model.preset, config.deterministic, config.checkpoint.every) == (4e-3, "small", True, 5)
    assert TrainConfig(**config.model_dump(mode="json")) == config
    mistakes = {"lenght=3": "length", "matrix_rate=1": "optimizer.matrix_rate", "optimizer.clipp=1": "optimizer.clip", "model=1": "model"}
    for text, hint in mistakes.items():
        with pytest.raises(UserError, match="unknown key") as caught:
            config.with_overrides([text])
        assert hint in caught.value.hint
        assert caught.value.exit == 2
    for text in ("rows=0", "rows=many", "packing=loose", "optimizer.clip=-1", "rows"):
        with pytest.raises(UserError) as caught:
            config.with_overrides([text])
        assert caught.value.exit == 2
    with pytest.raises(UserError, match="unknown preset 'huge'"):
        config.with_overrides(["model.preset=huge"]).model_settings(100, "encoder")
    assert all(keys().values())
    assert differences({"a": {"b": 1, "c": 2}}, {"a": {"b": 1, "c": 3}, "d": 0}) == ["a.c: 2 → 3", "d: null → 0"]


def test_precision_asks_the_machine() -> None:
    assert decide("fp32", "cpu") == torch.float32
    assert decide("bf16", "cpu") == torch.bfloat16
    assert (decide("auto", "cpu") == torch.bfloat16) == (bf16_speedup("cpu") >= 1.5)


def test_a_deterministic_run_does_not_ask_the_clock(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """In a busy moment bf16 has been measured as the quicker one, and a run begun then had other bits."""
    monkeypatch.setattr(sys.modules[decide.__module__], "bf16_speedup", lambda device: 9.0)
    for deterministic, wanted in ((False, "bfloat16"), (True, "float32")):
        settings = config(budget="1steps", deterministic=deterministic)
        train(settings, md.objective("gpt"), FakeCorpus(), tmp_path / wanted, progress="off")
        assert load(tmp_path / wanted).config["precision"] == wanted


def test_threads_follow_what_is_fastest(monkeypatch: pytest.MonkeyPatch) -> None:
    """Simulated steps: alone, two threads are twice as fast; beside others, eight times as slow."""
    from maskdial.train import threads as module

    before, used = torch.get_num_threads(), []
    try:
        assert best_threads(64, 16, 1) == 1
        assert best_threads(64, 16, 3) in (1, 2, 3)
        assert torch.get_num_threads() == before
        monkeypatch.setattr(module.torch, "set_num_threads", used.append)
        watched = Threads(64, 16, 2)

        def run(seconds: dict[int, float], steps: int) -> float:
            spent = 0.0
            for _ in range(steps):
                spent += seconds[watched.now]
                watched.watch(seconds[watched.now])
            return spent / steps

        run({1: 0.10, 2: 0.05}, 500)
        assert watched.now == 2
        run({1: 0.12, 2: 0.8}, 20)
        assert watched.now == 1
        assert run({1: 0.12, 2: 0.8}, 500) < 0.15
        run({1: 0.10, 2: 0.05}, 1500)
        assert watched.now == 2
        assert used[-1] == 2
        assert Threads(64, 16, 1).now == 1
    finally:
        monkeypatch.undo()
        torch.set_num_threads(before)
