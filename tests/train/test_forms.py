"""Every form of head trains through the same plan, step and loop."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

import maskdial as md
from maskdial.build import Build
from maskdial.errors import UserError
from maskdial.model import GeneratorDiscriminator, build
from maskdial.sample import SILENT, Head, Samples
from maskdial.train import TrainConfig, load, train
from maskdial.train.config import LossSettings
from maskdial.train.optimizer import Optimizer
from maskdial.train.step import gradients, step
from tests.contract.handmade import table
from tests.model import helpers as small
from tests.train.helpers import FakeCorpus, config


def test_accumulation_does_not_change_what_a_generator_draws() -> None:
    one, found = small.handmade("electra-generator"), []

    def rows(first: int, count: int) -> Samples:
        samples = table(*[one] * count)
        samples.heads, samples.index = one.heads, samples.index + np.uint64(first)
        return samples

    for parts in (1, 2, 8):
        m = small.model_of(one, generator=0.5)
        batches = [rows(first, 8 // parts).batch() for first in range(0, 8, 8 // parts)]
        plain, scored, flops = gradients(m, batches, LossSettings())
        assert set(scored) == {"token", "replaced"}
        found.append((plain, scored, flops, [p.grad for p in m.parameters()]))
    for some in found[1:]:
        torch.testing.assert_close(some, found[0])


FORMS = ["next-sentence", "span-boundary", "multi-token-reach-0", "multi-token-reach-1", "electra-generator", "electra-discriminator",
         "xlnet", "glm", "block-diffusion", "fim-spm", "ul2-[R]"]  # fmt: skip


@pytest.mark.parametrize("name", FORMS)
def test_a_step_of_every_form_lowers_every_heads_loss(name: str) -> None:
    samples = small.handmade(name)
    settings = TrainConfig().with_overrides({"model.d": 32, "model.layers": 3, "model.heads": 2, "model.ffn": 128, "optimizer.warmup": 0})
    made = settings.model_settings(100, samples.layout, samples.heads, parts=2 * samples.has("part"))
    m = build(made, 1)
    optimizer, losses = Optimizer(m, settings.decided(samples.layout).optimizer), []
    for _ in range(16):
        done = step(m, optimizer, [samples.batch()], 0.5, LossSettings())
        losses.append({head: float(value) for head, value in done.plain.items()})
        assert np.isfinite(done.norm)
        assert set(done.scored) == {h.name for h in samples.heads}
    for head in samples.heads:
        # a discriminator's question changes with every draw, so its loss is judged on the average of the last ones
        last = np.mean([some[head.name] for some in losses[-4:]])
        assert last < 0.8 * losses[0][head.name], head.name


def test_the_model_follows_the_objectives_heads() -> None:
    settings = TrainConfig().with_overrides({"model.generator": 0.5})
    plain = settings.model_settings(100, "encoder")
    assert (plain.extra_heads, plain.generator, plain.parts, plain.answer_both_ways) == ((), None, 0, False)
    heads = (Head(), Head("sentence_order", kind="class", divisor="rows"), Head("replaced", kind="binary", form="drawn"))
    made = settings.model_settings(100, "encoder", heads, parts=2, answer_both_ways=True)
    assert [(h.name, h.kind, h.form, h.classes) for h in made.extra_heads] == [
        ("sentence_order", "class", "plain", 2), ("replaced", "binary", "drawn", 2)]  # fmt: skip
    assert (made.generator, made.parts, made.answer_both_ways) == (0.5, 2, False)
    assert isinstance(build(made), GeneratorDiscriminator)
    chain = tuple(Head(f"token+{k + 1}", reach=k, form="module") for k in (1, 2))
    assert [h.reach for h in settings.model_settings(100, "decoder", (Head(), *chain)).extra_heads] == [1, 2]
    assert settings.model_settings(100, "decoder", (Head(), replace(chain[0], form="plain"))).extra_heads[0].reach == 0
    assert settings.model_settings(100, "encoder-decoder", answer_both_ways=True).answer_both_ways
    boundary = settings.model_settings(100, "encoder", (Head(), Head("span_boundary", form="boundary")), places=30)
    assert build(boundary).extra["span_boundary"].places.table.shape == (30, 200)
    taken = settings.with_overrides({"model.source_layers": 3, "model.layers": 2, "model.ffn": 200})
    assert taken.model_settings(100, "encoder-decoder", heads[:2]).ffn == 200
    for wrong, layout in (((Head(), chain[1]), "decoder"), ((Head(), heads[2]), "encoder-decoder")):
        with pytest.raises(UserError, match="model: ") as caught:
            settings.model_settings(100, layout, wrong)
        assert caught.value.exit == 2


def test_every_objectives_heads_train_through_the_same_loop(tmp_path: Path) -> None:
    """gpt with a module two tokens ahead and parts, from plan to a run that loads; its answers do not depend on the plan's look."""

    def columns(made: Build) -> dict[str, np.ndarray]:
        read = made.text(False).values
        return {"target:token+2": np.append(read[2:], [SILENT] * 2).astype(np.int32), "part": (read % 2).astype(np.uint8)}

    heads = (Head(), Head("token+2", coefficient=0.3, reach=1, form="module"))
    objective = replace(md.objective("gpt"), heads=heads, columns=columns)
    for asked in ("3steps", "1e8flop"):
        out = tmp_path / asked
        done = train(config(budget=asked), objective, FakeCorpus(), out, progress="off")
        m = load(out).model
        assert m.config.parts == 2
        assert [(h.name, h.form, h.reach) for h in m.config.extra_heads] == [("token+2", "module", 1)]
        assert done.steps == 3 if asked == "3steps" else done.flops == pytest.approx(1e8, rel=0.5)
        steps = [e for e in load(out).events() if e["event"] == "step"]
        assert set(steps[0]["loss_sum"]) == {"token", "token+2"}


def test_a_run_begun_before_a_setting_existed_goes_on(tmp_path: Path) -> None:
    corpus, objective = FakeCorpus(), md.objective("bert")
    train(config(budget="2steps"), objective, corpus, tmp_path / "run", progress="off")
    path = tmp_path / "run" / "config.json"
    saved = json.loads(path.read_text())
    for section, key in (("model", "parts"), ("model", "answer_both_ways"), ("model", "generator")):
        del saved[section][key]
    del saved["train"]["loss"]["smoothing_kind"], saved["train"]["model"]["generator"]
    path.write_text(json.dumps(saved))
    assert load(tmp_path / "run").model.config.parts == 0
    assert train(config(budget="2steps"), objective, corpus, tmp_path / "run", progress="off").resumed_from == 2
    with pytest.raises(UserError, match=r"loss.z: 0.0 → 0.5"):
        train(config(budget="2steps", loss__z=0.5), objective, corpus, tmp_path / "run", progress="off")
