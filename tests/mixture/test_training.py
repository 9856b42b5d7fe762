"""A mixture in training: each member in its own room, windows and shuffle; one integer of state; losses by member."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import maskdial as md
from maskdial.errors import UserError
from maskdial.mixture import Mixture
from maskdial.mixture.schedule import shuffle_seed
from maskdial.train import load, train
from maskdial.train import loop as loops
from maskdial.train.checkpoint import found
from maskdial.train.config import LossSettings
from maskdial.train.mixed_feed import MixedFeed
from maskdial.train.step import gradients
from tests.model import helpers as small
from tests.train.helpers import FakeCorpus, config

TWO_PHASES: list[tuple[Any, ...]] = [(0.5, {"gpt": 1.0}), (1.0, {"bert": 0.5, "t5": 0.25, "prefix-lm": 0.25})]


def mixed(**settings: Any) -> Mixture:
    return md.mixture({name: md.objective(name) for name in ("gpt", "bert", "t5", "prefix-lm")}, **settings)


def feed(mixture: Mixture, corpus: Any = None, seed: int = 0) -> MixedFeed:
    return MixedFeed(mixture, corpus or FakeCorpus(9), 32, seed=seed, packing="joined")


def rows_of(batches: list[Any]) -> dict[str, list[bytes]]:
    """What each member's rows read, in order."""
    made: dict[str, list[bytes]] = {}
    for batch in batches:
        made.setdefault(batch.member, []).extend(row.tobytes() for row in batch["read"])
    return made


def test_a_members_samples_are_its_own_windows_in_its_own_room_and_shuffle() -> None:
    mixture, corpus = mixed(), FakeCorpus(9)
    batches = feed(mixture, corpus, seed=3).batches(0, 80)
    rooms, seen = mixture.rooms(32, vocab=corpus.vocab), dict.fromkeys(mixture.members, 0)
    for batch in batches:
        name = batch.member
        room, count = rooms[name], len(batch["read"])
        rows = corpus.rows(room.raw, seen[name], count, seed=shuffle_seed(3, name))
        own = mixture.member(name, corpus.vocab)(rows, corpus.vocab, seed=3, epoch=corpus.epoch_of(seen[name], room.raw))
        np.testing.assert_array_equal(batch["read"], own.batch()["read"])
        assert batch["read"].shape[1] == room.source + room.answer <= 32, "an exact rectangle a member"
        seen[name] += count
    assert seen == dict.fromkeys(mixture.members, 20)
    assert max(batch["read"].shape[0] for batch in batches) == 9, "a member's epoch ends with its windows"
    assert {name: room.raw for name, room in rooms.items()} == {"gpt": 32, "bert": 30, "t5": 28, "prefix-lm": 32}
    orders = [[int(row[0]) for n in range(9) for row in [corpus.rows(32, n, 1, seed=shuffle_seed(3, name)).tokens]] for name in rooms]
    assert len({tuple(o) for o in orders}) == 4


def test_samples_depend_on_the_position_alone() -> None:
    """Resuming is starting at a number: any cutting of the run gives the same samples, across epochs and phases."""
    mixture = mixed(schedule=TWO_PHASES).over(60)
    whole = rows_of(feed(mixture).batches(0, 60))
    assert len(whole["gpt"]) == 30
    assert len(whole["bert"]) + len(whole["t5"]) + len(whole["prefix-lm"]) == 30
    for cuts in ([0, 7, 8, 29, 31, 60], [0, 30, 60], list(range(61))):
        pieces: dict[str, list[bytes]] = {}
        for first, end in pairwise(cuts):
            for name, rows in rows_of(feed(mixture).batches(first, end - first)).items():
                pieces.setdefault(name, []).extend(rows)
        assert pieces == whole
    assert set(rows_of(feed(mixture).batches(0, 30))) == {"gpt"}
    assert set(rows_of(feed(mixture).batches(30, 30))) == {"bert", "t5", "prefix-lm"}


def test_accumulation_gives_the_same_gradients_and_members_sum_to_the_whole() -> None:
    one = feed(mixed(), FakeCorpus(30, size=small.V))
    made = []
    for parts in (1, 2, 4):
        model, by_member = small.model(), {}
        batches = one.batches(5, 16, parts)
        assert len(batches) >= parts
        plain, scored, _ = gradients(model, batches, LossSettings(), by_member)
        assert sum(count for _, count in by_member.values()) == scored["token"]
        torch.testing.assert_close(torch.stack([value for value, _ in by_member.values()]).sum(), plain["token"])
        for name, (value, count) in by_member.items():
            alone: dict[str, Any] = {}
            gradients(small.model(), [b for b in batches if b.member == name], LossSettings(), alone)
            torch.testing.assert_close(alone[name][0], value)
            assert alone[name][1] == count
        made.append((plain, scored, [p.grad for p in model.parameters()]))
    assert set(by_member) == {"gpt", "bert", "t5", "prefix-lm"}
    for other in made[1:]:
        torch.testing.assert_close(other, made[0])


def test_a_run_logs_each_members_loss_and_its_folder_makes_the_mixture_again(tmp_path: Path) -> None:
    corpus, mixture, out = FakeCorpus(), mixed(schedule=TWO_PHASES, mode_tokens=False), tmp_path / "run"
    train(config(budget="12steps", rows=8, log_every=3), mixture, corpus, out, progress="off")
    run = load(out)
    lines = [e for e in run.events() if e["event"] == "step"]
    assert [sorted(e["loss_by_member"]) for e in lines] == [["gpt"]] * 2 + [["bert", "prefix-lm", "t5"]] * 2
    for e in lines:
        members = e["loss_by_member"].values()
        assert sum(m["count"] for m in members) == e["loss_count"]["token"]
        assert sum(m["sum"] for m in members) == pytest.approx(e["loss_sum"]["token"])
    assert isinstance(run.objective, Mixture)
    again, first = (rows_of(feed(m.over(96), corpus).batches(0, 96)) for m in (run.objective, mixture))
    assert again == first
    with pytest.raises(UserError, match="other settings"):
        train(config(budget="12steps", rows=8), mixed(mode_tokens=False), corpus, out, progress="off")


def test_two_stacks_are_trained_in_turn_too(tmp_path: Path) -> None:
    mixture = md.mixture({"t5": (md.objective("t5"), 2), "bart": (md.objective("bart"), 1)})
    result = train(config(budget="40steps", log_every=20), mixture, FakeCorpus(), tmp_path / "run", progress="off")
    lines = [e for e in load(tmp_path / "run").events() if e["event"] == "step"]
    assert result.loss is not None
    assert result.loss < lines[0]["loss"]
    assert set(lines[0]["loss_by_member"]) == {"t5", "bart"}


def test_cut_anywhere_it_ends_as_if_it_had_not_been(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Power(BaseException):
        pass

    real, at = loops.Loop._log, [0]

    def log(self: loops.Loop) -> None:
        real(self)
        if self.state.step == at[0]:
            raise Power

    monkeypatch.setattr(loops.Loop, "_log", log)
    settings = config(budget="8steps", deterministic=True, checkpoint__every=3, log_every=2)
    final = []
    for cut in (0, 1, 4, 5, 7):
        out = tmp_path / str(cut)
        for at[0] in (cut, 0):
            try:
                train(settings, mixed(schedule=TWO_PHASES), FakeCorpus(), out, progress="off")
            except Power:
                continue
        told = [e for e in load(out).events() if e["event"] == "step"]
        steps = [{k: v for k, v in e.items() if "second" not in k and k != "utilisation"} for e in told]
        final.append((found(out / "checkpoints")[0][1] / "model.safetensors").read_bytes())
        final.append(steps)
    assert all(one == final[i % 2] for i, one in enumerate(final))


@pytest.mark.parametrize("schedule", [None, TWO_PHASES, [(24, {"gpt": 1}), (None, {"bert": 1, "t5": 1, "prefix-lm": 1})]])
@pytest.mark.parametrize("budget", ["2500tok", "2e7flop"])
def test_a_budget_is_filled_by_what_the_members_cost(tmp_path: Path, budget: str, schedule: Any) -> None:
    result = train(config(budget=budget), mixed(schedule=schedule), FakeCorpus(), tmp_path / "run", progress="off")
    if budget.endswith("tok"):
        a_step = result.text_tokens / result.steps
        assert 2500 <= result.text_tokens < 2500 + 1.2 * a_step
    else:
        assert result.flops == pytest.approx(2e7, rel=0.2)


def test_a_schedule_in_shares_is_no_match_for_a_clock(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="a schedule in shares of the run needs a budget") as caught:
        train(config(budget="1s"), mixed(schedule=TWO_PHASES), FakeCorpus(), tmp_path / "run", progress="off")
    assert caught.value.exit == 2
    assert not (tmp_path / "run").exists()
    in_samples = mixed(schedule=[(8, {"gpt": 1}), (None, {"bert": 1, "t5": 1, "prefix-lm": 1})])
    assert train(config(budget="0.3s"), in_samples, FakeCorpus(), tmp_path / "run", progress="off").steps > 0


def test_weights_converted_for_another_length_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="converted for rows of 64 positions, but length=32"):
        train(config(), mixed(by="token", length=64), FakeCorpus(), tmp_path / "run", progress="off")
    train(config(budget="1steps"), mixed(by="token", length=32), FakeCorpus(), tmp_path / "run", progress="off")
