"""`maskdial train` and `maskdial runs`, as typed."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.cli.run import maskdial
from tests.train.helpers import SMALL, FakeCorpus

SETTINGS = [f"{k}={v}" for k, v in SMALL.items()]


@pytest.fixture(autouse=True)
def _corpus(monkeypatch: pytest.MonkeyPatch) -> None:
    import maskdial.data

    monkeypatch.setattr(maskdial.data, "open_or_prepare", lambda data: FakeCorpus(), raising=False)


def test_train_then_resume_then_list(tmp_path: Path) -> None:
    out = tmp_path / "run"
    words = ["train", "-o", "t5:rate=0.3", "--out", out, "--budget", "6steps", "--deterministic", *SETTINGS]
    status, said, log = maskdial(*words, "checkpoint.every=5")
    assert status == 0
    assert "t5:rate=0.3: loss" in said
    assert "t5: 7," in log
    status, said, _ = maskdial(*words, "--json")
    assert (status, json.loads(said)["schema"], json.loads(said)["data"]["resumed_from"]) == (0, "train/1", 6)
    status, said, _ = maskdial("runs", tmp_path)
    assert "t5:rate=0.3  6/6   6steps" in said
    status, said, _ = maskdial("runs", tmp_path, "--json")
    assert json.loads(said)["data"][0]["state"] == "finished"


@pytest.mark.parametrize(("words", "status", "text"), [
    (["-o", "gpt", "lenght=3"], 2, "did you mean 'length'?"),
    (["-o", "gtp"], 2, "did you mean 'gpt'?"),
    (["-o", "t5:rate=0.3", "--budget", "6 weeks"], 2, "not a budget"),
    (["-o", "t5:rat=0.3"], 2, "did you mean 'rate'?"),
    (["-o", "gpt", "--deterministic"], 2, "a clock can't change"),
    (["-o", "gpt", "seed=1"], 4, "train.seed: 0 → 1"),
    (["-o", "gpt", "--resume", "never"], 4, "holds a run"),
    (["-o", "gpt", "--resume", "nowhere"], 1, "nowhere has no MANIFEST.json"),
    (["-o", "gpt", "optimizer.name=sgd"], 2, "optimizer.name"),
])  # fmt: skip
def test_mistakes(tmp_path: Path, words: list[str], status: int, text: str) -> None:
    out = tmp_path / "run"
    assert maskdial("train", "-o", "gpt", "--out", out, *SETTINGS, "--budget", "2steps", "--progress", "off")[0] == 0
    budget = [] if "--budget" in words or "--deterministic" in words else ["--budget", "2steps"]
    found, _, log = maskdial("train", "--out", out, *SETTINGS, *budget, *words)
    assert found == status, log
    assert text in log


def test_runs_of_nothing(tmp_path: Path) -> None:
    assert maskdial("runs", tmp_path) == (0, f"no runs in {tmp_path}\n", "")
    assert maskdial("runs", tmp_path / "none")[0] == 2
