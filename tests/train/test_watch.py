"""What is noted beside the training, and that it decides nothing: held-out loss, speed, spikes, failures, TensorBoard."""

from __future__ import annotations

import importlib.util
import sys
import time
import types
from pathlib import Path
from typing import Any

import pytest
import torch

import maskdial as md
from maskdial.errors import UserError
from maskdial.model import log_probs
from maskdial.sample import Rows
from maskdial.train import held_out, load, train, watch
from maskdial.train.events import Events
from maskdial.train.folder import Folder
from maskdial.train.ranks import ALONE
from maskdial.train.state import State
from maskdial.train.step import Stepped
from maskdial.train.summary import summary
from tests.train.bits import differing, final
from tests.train.helpers import FakeCorpus, config


class Parts(FakeCorpus):
    """Held-out rows are another text, and every look at a part is written down."""

    def __init__(self) -> None:
        super().__init__()
        self.other, self.looks = FakeCorpus(5, name="other"), list[tuple[str, int, int]]()

    def rows(self, length: int, first: int, count: int, *, seed: int, part: str = "train", packing: str = "joined") -> Rows:
        self.looks.append((part, first, count))
        if part == "train":
            return super().rows(length, first, count, seed=seed)
        made = self.other.rows(length, first, count, seed=seed)
        made.tokens[:] = made.tokens[::-1].copy()
        return made


@pytest.mark.parametrize("name", ["gpt", "electra", "t5"])
def test_held_out_loss_is_the_objectives_own_on_text_that_training_never_reads(tmp_path: Path, name: str) -> None:
    corpus, settings = Parts(), config(budget="10steps", evaluate__every=4, evaluate__samples=12)
    train(settings, md.objective(name), corpus, tmp_path / "run", progress="off")
    looks = [e for e in load(tmp_path / "run").events() if e["event"] == "held_out"]
    assert [e["step"] for e in looks] == [4, 8, 10]
    assert {(first, count) for part, first, count in corpus.looks if part == "held_out" and (first, count) != (0, 1)} \
        == {(0, 4), (4, 4), (8, 3), (11, 1)}, "twelve samples, four a batch, cut where an epoch of eleven ends"  # fmt: skip
    run = load(tmp_path / "run")
    made = held_out.batches(run.objective, corpus, 32, 12, "joined", 4)
    for head in made[0].heads:
        if head.form == "drawn":  # asks what the generator draws, so its target is not in the batch
            continue
        logp = torch.cat([log_probs(run.model, b.torch(), head.name)[torch.from_numpy(b[f"target:{head.name}"] >= 0)] for b in made])
        assert looks[-1]["scored"][head.name] == len(logp)
        assert looks[-1]["loss"][head.name] == pytest.approx(-float(logp.mean()), rel=1e-4)
    assert set(looks[-1]["loss"]) == {h.name for h in made[0].heads}
    assert summary(tmp_path / "run")["held_out"] == looks[-1]["loss"]


def test_looking_changes_no_number_and_takes_none_of_the_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    kept, real = [], watch.losses

    def slow(*given: Any) -> Any:
        time.sleep(0.2)
        return real(*given)

    monkeypatch.setattr(watch, "losses", slow)
    for every in (None, 2):
        out = tmp_path / str(every)
        result = train(config(evaluate__every=every, deterministic=True), md.objective("electra"), FakeCorpus(), out, progress="off")
        kept.append({k: v for k, v in final(out).items() if k != "events"})
    assert differing(*kept) == []
    looks = [e for e in load(out).events() if e["event"] == "held_out"]
    assert result.seconds < sum(e["seconds"] for e in looks), "three looks of 0.2 s would count"


def test_without_held_out_text_a_run_that_wants_it_does_not_begin(tmp_path: Path) -> None:
    class Bare(FakeCorpus):
        def epoch_of(self, n: int, length: int, part: str = "train") -> int:
            if part == "held_out":
                raise UserError("the held_out part has 0 tokens", code="corpus.small")
            return super().epoch_of(n, length)

    with pytest.raises(UserError, match="held_out part has 0 tokens"):
        train(config(evaluate__every=2), md.objective("gpt"), Bare(), tmp_path / "run", progress="off")
    assert not (tmp_path / "run").exists()
    train(config(), md.objective("gpt"), Bare(), tmp_path / "run", progress="off")


def test_speed_and_utilisation_are_in_every_line(tmp_path: Path) -> None:
    train(config(peak_flops=1e12), md.objective("gpt"), FakeCorpus(), tmp_path / "given", progress="off")
    events = load(tmp_path / "given").events()
    before = 0.0
    for e in (e for e in events if e["event"] == "step"):
        assert e["tokens_per_second"] * e["since_seconds"] == pytest.approx(e["since_tokens"], rel=0.2)
        assert e["flops_per_second"] * e["since_seconds"] == pytest.approx(e["flops"] - before, rel=0.2)
        assert e["utilisation"] == e["flops_per_second"] / 1e12
        before = e["flops"]
    assert [(e["flops_per_second"], e["measured"]) for e in events if e["event"] == "peak"] == [(1e12, False)]
    said = summary(tmp_path / "given")
    assert said["utilisation"] == pytest.approx(said["flops_per_second"] / 1e12)
    train(config(), md.objective("gpt"), FakeCorpus(), tmp_path / "measured", progress="off")
    (peak,) = (e for e in load(tmp_path / "measured").events() if e["event"] == "peak")
    assert peak["measured"]
    assert 0 < summary(tmp_path / "measured")["utilisation"] < 1


def watching(tmp_path: Path, **changes: Any) -> tuple[watch.Watch, Events]:
    events = Events(tmp_path / "events.jsonl")
    plan = {"device": "cpu", "precision": "float32"}
    return watch.Watch(config(**changes), plan, md.objective("gpt"), FakeCorpus(), events, Folder(tmp_path), ALONE), events


def stepped(one: watch.Watch, losses: list[float]) -> None:
    """Steps of four samples with these losses, eight positions each."""
    recent: list[float] = []
    for step, loss in enumerate(losses, 1):
        done = Stepped({"token": torch.tensor(8 * loss)}, {"token": 8}, 32, 1.0, 1.0)
        recent = one.stepped(step, 4 * (step - 1), 4 * step - 1, done, recent)
    assert len(recent) <= watch.KEPT


def test_a_spike_is_noted_with_its_samples(tmp_path: Path) -> None:
    one, events = watching(tmp_path)
    stepped(one, [3.0, *[2.0] * 14, 2.5, 2.2, 7.0, 2.0, 5.9])
    (spike,) = events.read()
    assert spike == {"event": "spike", "step": 18, "loss": 7.0, "usual": 2.0, "head": "token", "first_sample": 68, "last_sample": 71}


def test_no_spike_before_there_is_a_usual_loss_nor_when_switched_off(tmp_path: Path) -> None:
    for changes, losses in (({}, [*[1.0] * 15, 100.0]), ({"guard__spike": None}, [*[1.0] * 30, 100.0])):
        one, events = watching(tmp_path, **changes)
        stepped(one, losses)
        assert events.read() == []


def test_what_is_usual_survives_a_resume(tmp_path: Path) -> None:
    """The losses that a step is compared with are part of the state: a resumed run finds the spikes that the whole one found."""
    still = {f"optimizer__{what}_rate": 1e-9 for what in ("matrix", "embedding", "other")}  # nothing learnt: half of the losses are above
    settings = config(budget="30steps", checkpoint__every=5, guard__spike=1.0001, deterministic=True, **still)
    train(settings, md.objective("bert"), FakeCorpus(), tmp_path / "run", progress="off")
    whole = [e for e in load(tmp_path / "run").events() if e["event"] == "spike"]
    assert whole[-1]["step"] > 25
    for e in whole:
        assert (e["first_sample"], e["last_sample"]) == (4 * e["step"] - 4, 4 * e["step"] - 1)
    wanted = final(tmp_path / "run")
    train(settings, md.objective("bert"), FakeCorpus(), tmp_path / "again", resume=str(tmp_path / "run" / "checkpoints" / "step-25"),
          progress="off")  # fmt: skip
    again = [e for e in load(tmp_path / "again").events() if e["event"] == "spike"]
    assert again == [e for e in whole if e["step"] > 25]
    assert final(tmp_path / "again")["state"] == wanted["state"]
    assert len(State(**load(tmp_path / "again").checkpoint.state()).recent) == 30


def test_a_run_that_fails_says_why(tmp_path: Path) -> None:
    class Broken(FakeCorpus):
        def rows(self, length: int, first: int, count: int, **settings: Any) -> Rows:
            if first >= 8:
                raise OSError(5, "Input/output error")
            return super().rows(length, first, count, **settings)

    with pytest.raises(OSError, match="Input/output"):
        train(config(), md.objective("gpt"), Broken(), tmp_path / "run", progress="off")
    said = summary(tmp_path / "run")
    assert (said["state"], said["step"]) == ("failed", 2)
    assert said["message"] == "OSError: [Errno 5] Input/output error"
    train(config(), md.objective("gpt"), FakeCorpus(), tmp_path / "run", progress="off")
    assert summary(tmp_path / "run")["state"] == "finished"
    assert [e["event"] for e in load(tmp_path / "run").events()].count("failed") == 0, "what is done again is written again"


class Writer:
    """Stands for torch's `SummaryWriter`."""

    made: list[Writer] = []  # noqa: RUF012

    def __init__(self, folder: str, purge_step: int) -> None:
        self.folder, self.purge_step, self.scalars, self.flushes, self.closed = folder, purge_step, dict[tuple[str, int], float](), 0, 0
        self.made.append(self)

    def add_scalar(self, name: str, value: float, step: int) -> None:
        self.scalars[name, step] = value

    def flush(self) -> None:
        self.flushes += 1

    def close(self) -> None:
        self.closed += 1


def test_tensorboard_hears_every_number_under_its_own_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    module: Any = types.ModuleType("torch.utils.tensorboard")
    module.SummaryWriter, Writer.made = Writer, []
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", module)
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: object())
    settings = config(track__tensorboard=True, evaluate__every=3, checkpoint__every=4)
    train(settings, md.objective("electra"), FakeCorpus(), tmp_path / "run", progress="off")
    (writer,) = Writer.made
    assert (writer.folder, writer.purge_step, writer.closed, writer.flushes) == (str(tmp_path / "run" / "tensorboard"), 1, 1, 2)
    lines = {(e["event"], e["step"]): e for e in load(tmp_path / "run").events() if "step" in e}
    for name in ("loss", "gradient_norm", "tokens_per_second", "utilisation", "rate_factor"):
        assert writer.scalars[f"step/{name}", 5] == lines["step", 5][name]
    assert writer.scalars["held_out/loss/replaced", 3] == lines["held_out", 3]["loss"]["replaced"]
    assert ("step/step", 5) not in writer.scalars
    settings = config(track__tensorboard=True, budget="6steps")
    checkpoint = tmp_path / "run" / "checkpoints" / "step-4"
    train(settings, md.objective("electra"), FakeCorpus(), tmp_path / "again", resume=str(checkpoint), progress="off")
    assert Writer.made[1].purge_step == 5


def test_tensorboard_itself_writes(tmp_path: Path) -> None:
    pytest.importorskip("tensorboard", reason="the extra 'track' is not installed")
    train(config(track__tensorboard=True), md.objective("gpt"), FakeCorpus(), tmp_path / "run", progress="off")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    board = EventAccumulator(str(tmp_path / "run" / "tensorboard")).Reload()
    lines = [e for e in load(tmp_path / "run").events() if e["event"] == "step"]
    assert [(s.step, s.value) for s in board.Scalars("step/loss")] == [(e["step"], pytest.approx(e["loss"])) for e in lines]


def test_without_the_package_the_run_does_not_begin(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(UserError, match="needs the package tensorboard") as caught:
        train(config(track__tensorboard=True), md.objective("gpt"), FakeCorpus(), tmp_path / "run", progress="off")
    assert (caught.value.exit, caught.value.hint) == (2, "pip install 'maskdial[track]'")
    assert not (tmp_path / "run").exists()
