"""Killed at any moment, a run ends as if it had not been: parameters, optimizer and events, bit for bit."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

import maskdial as md
from maskdial.errors import UserError
from maskdial.train import Interrupted, train
from maskdial.train import loop as loops
from maskdial.train.checkpoint import found
from maskdial.train.summary import summary
from tests.train.bits import differing, final
from tests.train.forks import ROOT, Forks, settings
from tests.train.helpers import FakeCorpus, config


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, bytes]]:
    """Runs that were never interrupted, made in this process."""
    made = {}
    for name in ("gpt", "bert", "t5"):
        out = tmp_path_factory.mktemp("whole") / name
        train(settings(), md.objective(name), FakeCorpus(), out, progress="off")
        made[name] = final(out)
    return made


def test_kill_nine_in_one_process_and_the_rest_in_a_fresh_one(tmp_path: Path, forks: Forks, whole: dict[str, dict[str, bytes]]) -> None:
    """Nothing that the first process knew is needed: the second starts from the folder, with another order of its hashes."""
    out = tmp_path / "run"
    assert forks("run", out=out, objective="t5", at=6)["status"] == -9
    assert [step for step, _ in found(out / "checkpoints")] == [4]
    assert summary(out)["state"] == "killed"
    code = "import pathlib, sys; from tests.train.forks import training; training(pathlib.Path(sys.argv[1]), 't5')"
    done = subprocess.run([sys.executable, "-c", code, str(out)], cwd=ROOT, capture_output=True, text=True, timeout=300,
                          env=os.environ | {"OMP_NUM_THREADS": "1", "PYTHONHASHSEED": "77"})  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "resumed at step 4/14, sample 16, same data order" in done.stderr
    assert differing(final(out), whole["t5"]) == []


@pytest.mark.parametrize(("number", "status"), [("SIGTERM", 143), ("SIGINT", 130)])
def test_a_signal_finishes_the_step_and_saves(
    tmp_path: Path, forks: Forks, whole: dict[str, dict[str, bytes]], number: str, status: int
) -> None:
    out = tmp_path / "run"
    stopped = forks("run", out=out, objective="bert", at=6, signal=number)
    assert stopped["status"] == status
    assert "stopped at step 6 of 14; saved in" in stopped["said"]
    assert [step for step, _ in found(out / "checkpoints")] == [6, 4]
    assert summary(out)["state"] == "interrupted"
    result = train(settings(), md.objective("bert"), FakeCorpus(), out, progress="off")
    assert result.resumed_from == 6
    assert differing(final(out), whole["bert"]) == []


def test_handlers_are_put_back(tmp_path: Path) -> None:
    import signal

    before = signal.getsignal(signal.SIGTERM)
    train(config(), md.objective("gpt"), FakeCorpus(), tmp_path / "run", progress="off")
    assert signal.getsignal(signal.SIGTERM) == before


def test_a_damaged_checkpoint_is_named_and_the_run_ends_the_same(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, whole: dict[str, dict[str, bytes]]
) -> None:
    out = tmp_path / "run"
    real = loops.Loop._log

    def log(self: loops.Loop) -> None:
        real(self)
        if self.state.step == 10:
            raise KeyboardInterrupt

    monkeypatch.setattr(loops.Loop, "_log", log)
    with pytest.raises(KeyboardInterrupt):
        train(settings(), md.objective("gpt"), FakeCorpus(), out, progress="off")
    monkeypatch.undo()
    file = out / "checkpoints" / "step-8" / "optimizer.safetensors"
    data = bytearray(file.read_bytes())
    data[-5] ^= 64
    file.write_bytes(bytes(data))
    train(settings(), md.objective("gpt"), FakeCorpus(), out, progress="plain")
    said = capsys.readouterr().err
    assert "step-8/optimizer.safetensors is damaged" in said
    assert "resumed at step 4/14" in said
    assert differing(final(out), whole["gpt"]) == []
    assert len(list((out / "checkpoints").glob("step-8.damaged-*"))) == 1


def test_other_settings_or_corpus_are_refused_with_a_diff(tmp_path: Path) -> None:
    out = tmp_path / "run"
    train(config(checkpoint__every=3), md.objective("gpt"), FakeCorpus(), out, progress="off")
    changes = [
        (config(seed=1), md.objective("gpt"), FakeCorpus(), "train.seed: 0 → 1"),
        (config(), md.objective("bert"), FakeCorpus(), 'objective.name: "gpt" → "bert"'),
        (config(), md.objective("gpt"), FakeCorpus(12), "corpus.fingerprint"),
        (config(budget="7steps"), md.objective("gpt"), FakeCorpus(), "train.budget"),
    ]
    for asked, objective, corpus, text in changes:
        with pytest.raises(UserError) as caught:
            train(asked, objective, corpus, out, progress="off")
        assert caught.value.exit == 4
        assert text in caught.value.message
    same = train(config(checkpoint__every=5, log_every=2), md.objective("gpt"), FakeCorpus(), out, progress="off")
    assert same.steps == 6


def test_never_and_path(tmp_path: Path) -> None:
    out, asked = tmp_path / "run", config(checkpoint__every=2, checkpoint__keep=9)
    with pytest.raises(UserError, match="never finished"):
        train(asked, md.objective("gpt"), FakeCorpus(), out, resume=str(tmp_path / "nothing"), progress="off")
    train(asked, md.objective("gpt"), FakeCorpus(), out, progress="off")
    with pytest.raises(UserError) as caught:
        train(asked, md.objective("gpt"), FakeCorpus(), out, resume="never", progress="off")
    assert caught.value.exit == 4
    with pytest.raises(UserError, match="never overwritten"):
        train(asked, md.objective("gpt"), FakeCorpus(), out, resume=str(out / "checkpoints" / "step-2"), progress="off")
    again = tmp_path / "again"
    result = train(asked, md.objective("gpt"), FakeCorpus(), again, resume=str(out / "checkpoints" / "step-2"), progress="off")
    assert result.resumed_from == 2
    assert final(again)["model.safetensors"] == final(out)["model.safetensors"]
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").write_text("years of work")
    with pytest.raises(UserError, match="is not a run") as caught:
        train(asked, md.objective("gpt"), FakeCorpus(), tmp_path / "mine", progress="off")
    assert caught.value.exit == 4


def test_interrupted_is_a_user_error() -> None:
    assert issubclass(Interrupted, UserError)
