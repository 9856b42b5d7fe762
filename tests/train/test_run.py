"""A whole run: what is in its folder, what it reports, where it refuses to go on."""

from __future__ import annotations

import json
import math
from itertools import pairwise
from pathlib import Path

import pytest
import torch

import maskdial as md
from maskdial.cli.runs import collect, table
from maskdial.data import prepare
from maskdial.errors import UserError
from maskdial.model import log_probs
from maskdial.train import load, train
from maskdial.train.feed import Feed
from tests.train.helpers import FakeCorpus, config


@pytest.mark.parametrize("name", ["gpt", "prefix-lm", "bert", "t5", "bart"])
def test_every_objective_learns_and_its_folder_suffices(tmp_path: Path, name: str) -> None:
    corpus, objective, out = FakeCorpus(), md.objective(name), tmp_path / "run"
    result = train(config(budget="60steps", log_every=20), objective, corpus, out, progress="off")
    run = load(out)
    lines = [e for e in run.events() if e["event"] == "step"]
    assert result.steps == run.step == lines[-1]["step"] == 60
    assert result.loss == lines[-1]["loss"] < 0.9 * lines[0]["loss"]
    assert run.events()[0]["event"] == "config"
    assert run.events()[-1]["event"] == "done"
    for a, b in pairwise(lines):
        assert b["tokens"] - a["tokens"] == b["since_tokens"]
        assert b["scored"] - a["scored"] == sum(b["loss_count"].values())
        assert b["loss_sum"]["token"] / b["loss_count"]["token"] == pytest.approx(b["loss"])
    assert (run.objective.name, run.corpus_fingerprint, run.vocab) == (name, corpus.fingerprint, corpus.vocab)
    assert run.model.num_parameters == result.parameters
    batch = Feed(run.objective, corpus, run.config["corpus"]["raw"], seed=9, packing="joined").batches(0, 4)[0].torch()
    asked = batch["target:token"] >= 0
    assert -float(log_probs(run.model, batch)[asked].mean()) < math.log(corpus.vocab.size)


def test_a_time_budget_is_frozen_into_steps(tmp_path: Path) -> None:
    out = tmp_path / "run"
    result = train(config(budget="0.6s"), md.objective("gpt"), FakeCorpus(), out, progress="off")
    steps = json.loads((out / "config.json").read_text())["budget"]["steps"]
    assert result.steps == steps
    assert [e["steps"] for e in load(out).events() if e["event"] == "frozen"] == [steps]
    assert 0.1 < result.seconds < 6


@pytest.mark.parametrize(("text", "expected"), [("1000tok", 8), ("3e7flop", None)])
def test_token_and_flop_budgets(tmp_path: Path, text: str, expected: int | None) -> None:
    result = train(config(budget=text), md.objective("gpt"), FakeCorpus(), tmp_path / "run", progress="off")
    if expected:
        assert result.steps == expected
        assert result.text_tokens == expected * 4 * 32
    else:
        assert result.flops == pytest.approx(3e7, rel=0.3)


def test_deterministic_wants_a_countable_budget(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="clock") as caught:
        train(config(budget="1s", deterministic=True), md.objective("gpt"), FakeCorpus(), tmp_path / "run", progress="off")
    assert caught.value.exit == 2
    assert not (tmp_path / "run").exists()


def test_not_finite_names_the_samples_and_keeps_the_parameters(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from maskdial.train import loop

    real = loop.step

    def broken(model, optimizer, *given):  # type: ignore[no-untyped-def]
        if optimizer.steps == 3:
            model.embedding.data[0, 0] = float("nan")
            model.embedding.data[:, 0] = float("nan")
        return real(model, optimizer, *given)

    monkeypatch.setattr(loop, "step", broken)
    with pytest.raises(UserError, match="gradient of step 4 is not finite: samples 12 to 15") as caught:
        train(config(checkpoint__every=2), md.objective("gpt"), FakeCorpus(), tmp_path / "run", progress="off")
    assert caught.value.exit == 1
    assert load(tmp_path / "run").step == 2
    assert collect(tmp_path)[0][0]["state"] == "failed"


def test_start_from_another_runs_parameters(tmp_path: Path) -> None:
    train(config(budget="20steps"), md.objective("gpt"), FakeCorpus(), tmp_path / "one", progress="off")
    before = load(tmp_path / "one").model.embedding
    settings = config(budget="1steps", init=str(tmp_path / "one"), optimizer__warmup=1000)
    train(settings, md.objective("bert"), FakeCorpus(), tmp_path / "two", progress="off")
    torch.testing.assert_close(load(tmp_path / "two").model.embedding, before, rtol=0, atol=1e-3)
    with pytest.raises(UserError, match="does not fit"):
        train(settings, md.objective("t5"), FakeCorpus(), tmp_path / "three", progress="off")


def test_runs_lists_them(tmp_path: Path) -> None:
    train(config(), md.objective("gpt"), FakeCorpus(), tmp_path / "a" / "gpt", progress="off")
    train(config(), md.objective("t5", rate=0.3), FakeCorpus(), tmp_path / "a" / "t5", progress="off")
    found, broken = collect(tmp_path)
    shown = [(r["objective"], r["step"], r["steps"], r["state"], r["checkpoint"]["step"]) for r in found]
    assert shown == [("gpt", 6, 6, "finished", 6), ("t5", 6, 6, "finished", 6)]
    assert not broken
    lines = table(found)
    assert "t5:rate=0.3" in lines[2]
    assert "6/6" in lines[1]
    (tmp_path / "a" / "t5" / "config.json").write_text("{")
    found, broken = collect(tmp_path)
    assert len(found) == 1
    assert "damaged" in broken[0]
    with pytest.raises(UserError, match="is not a run"):
        load(tmp_path)


def test_parameters_start_from_the_seed_and_the_global_generator_is_left_alone(tmp_path: Path) -> None:
    torch.manual_seed(1)
    before = torch.get_rng_state()
    train(config(), md.objective("bert"), FakeCorpus(), tmp_path / "a", progress="off")
    assert before.equal(torch.get_rng_state())


def test_a_budget_in_tokens_counts_the_text_of_pairs_too(tmp_path: Path) -> None:
    lines = [" ".join(f"Sentence {i} of {d} says {i * d}." for i in range(3 + d % 9)) for d in range(400)]
    (tmp_path / "text.jsonl").write_text("".join(json.dumps({"text": line}) + "\n" for line in lines))
    corpus = prepare(str(tmp_path / "text.jsonl"), tmp_path / "corpus", vocab_size=300, progress="off")
    result = train(config(budget="30ktok", length=64), md.objective("bert-nsp"), corpus, tmp_path / "run", progress="off")
    raw = load(tmp_path / "run").config["corpus"]["raw"]
    assert result.text_tokens < 0.9 * result.steps * config().rows * raw, "pairs that fill their rows would prove nothing"
    assert result.text_tokens == pytest.approx(30_000, rel=0.05)
