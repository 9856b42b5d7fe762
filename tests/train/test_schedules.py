"""How rates fall: the same before the fall whatever the schedule, then down to the floor, and never below it."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest

import maskdial as md
from maskdial.train import load, train
from maskdial.train.config import OptimizerSettings
from maskdial.train.optimizer import schedule
from tests.train.helpers import FakeCorpus, config


def shares(total: int, **settings: Any) -> list[float]:
    return [schedule(step, total, OptimizerSettings(**settings)) for step in range(total)]


def test_linear_is_a_straight_line_over_the_last_part() -> None:
    made = shares(40, warmup=4, cooldown=0.5)
    assert made[:4] == [0.25, 0.5, 0.75, 1.0]
    assert set(made[4:21]) == {1.0}
    assert made[20:] == pytest.approx([(40 - step) / 20 for step in range(20, 40)])


def test_wsd_falls_as_one_minus_a_root() -> None:
    made = shares(40, warmup=4, cooldown=0.5, schedule="wsd")
    assert made[:20] == shares(40, warmup=4, cooldown=0.5)[:20]
    assert made[20:] == pytest.approx([1 - math.sqrt((step - 20) / 20) for step in range(20, 40)])


def test_cosine_falls_from_the_warm_up_to_the_end() -> None:
    made = shares(44, warmup=4, schedule="cosine", cooldown=0.1)
    assert made[:4] == [0.25, 0.5, 0.75, 1.0]
    assert made[4:] == pytest.approx([(1 + math.cos(math.pi * (step - 4) / 40)) / 2 for step in range(4, 44)])


@pytest.mark.parametrize("kind", ["linear", "wsd", "cosine"])
def test_floor(kind: str) -> None:
    plain, made = shares(50, warmup=5, schedule=kind), shares(50, warmup=5, schedule=kind, floor=0.1)
    assert made[:5] == plain[:5], "the warm-up starts below it"
    assert made[5:] == pytest.approx([0.1 + 0.9 * share for share in plain[5:]])
    assert shares(50, warmup=0, schedule=kind, floor=1.0) == [1.0] * 50
    assert schedule(10**6, 50, OptimizerSettings(schedule=kind, floor=0.1)) == pytest.approx(0.1)


@pytest.mark.parametrize("kind", ["linear", "wsd", "cosine"])
def test_level_while_the_end_is_not_known(kind: str) -> None:
    settings = OptimizerSettings(warmup=10, schedule=kind)
    assert [schedule(step, None, settings) for step in (0, 9, 10, 10_000)] == [0.1, 1.0, 1.0, 1.0]


@pytest.mark.parametrize("kind", ["linear", "wsd", "cosine"])
def test_shorter_than_its_warm_up(kind: str) -> None:
    assert all(0 < share <= 1 for share in shares(3, warmup=20, schedule=kind))


def test_a_run_under_a_clock_knows_its_end_before_a_cosine_has_fallen(tmp_path: Path) -> None:
    """A time budget is frozen after 20 steps, while the share is still that of a run without an end."""
    settings = config(budget="1.5s", optimizer__schedule="cosine", optimizer__warmup=20, optimizer__floor=0.2)
    train(settings, md.objective("gpt"), FakeCorpus(), tmp_path / "run", progress="off")
    events = load(tmp_path / "run").events()
    frozen = next(e for e in events if e["event"] == "frozen")
    assert frozen["step"] <= 20
    last = [e for e in events if e["event"] == "step"][-1]
    assert last["rate_factor"] == pytest.approx(shares(frozen["steps"], warmup=20, schedule="cosine", floor=0.2)[-1])
