"""Killed at any moment, a run ends as if it had not been: parameters, optimizer and events, bit for bit."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

import maskdial as md
from maskdial.errors import UserError
from maskdial.train import Interrupted, load, train
from maskdial.train import loop as loops
from maskdial.train.checkpoint import found
from tests.train.helpers import FakeCorpus, config

ROOT = Path(__file__).parents[2]


def process(out: Path, objective: str, at: int = 0, number: str = "SIGKILL", budget: str = "14steps") -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-m", "tests.train.killed", str(out), objective, str(at), number, budget],
                          cwd=ROOT, capture_output=True, text=True, timeout=120, env=os.environ | {"OMP_NUM_THREADS": "1"})  # fmt: skip


def final(out: Path) -> dict[str, bytes]:
    """The last checkpoint's files without the clock's numbers, and the log's numbers."""
    _, path = found(out / "checkpoints")[0]
    made = {p.name: p.read_bytes() for p in path.glob("*.safetensors")}
    state = json.loads((path / "state.json").read_text())
    state["seconds"] = state["since"]["seconds"] = 0
    steps = [{k: v for k, v in e.items() if "seconds" not in k} for e in load(out).events() if e["event"] == "step"]
    return made | {"state": json.dumps(state).encode(), "events": json.dumps(steps).encode()}


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, bytes]]:
    """Runs that were never interrupted, made in this process."""
    made = {}
    for name in ("gpt", "bert", "t5"):
        out = tmp_path_factory.mktemp("whole") / name
        settings = config(budget="14steps", deterministic=True, checkpoint__every=4, log_every=3)
        train(settings, md.objective(name), FakeCorpus(), out, progress="off")
        made[name] = final(out)
    return made


def test_kill_nine_between_checkpoints_in_a_real_process(tmp_path: Path, whole: dict[str, dict[str, bytes]]) -> None:
    out = tmp_path / "run"
    assert process(out, "t5", 6).returncode == -9
    assert [step for step, _ in found(out / "checkpoints")] == [4]
    done = process(out, "t5")
    assert done.returncode == 0
    assert "resumed at step 4/14, sample 16, same data order" in done.stderr
    assert final(out) == whole["t5"]


@pytest.mark.parametrize("name", ["gpt", "bert"])
def test_cut_at_every_step(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, whole: dict[str, dict[str, bytes]], name: str) -> None:
    """Three interruptions in a row at every step in turn: what is not saved is lost, nothing else."""

    class Power(BaseException):
        pass

    real, at = loops.Loop._log, [0]

    def log(self: loops.Loop) -> None:
        real(self)
        if self.state.step == at[0]:
            raise Power

    monkeypatch.setattr(loops.Loop, "_log", log)
    settings = config(budget="14steps", deterministic=True, checkpoint__every=4, log_every=3)
    for first in range(1, 15, 1 if name == "gpt" else 5):
        out = tmp_path / str(first)
        for at[0] in (first, min(14, first + 3), 0):
            try:
                train(settings, md.objective(name), FakeCorpus(), out, progress="off")
            except Power:
                continue
        assert final(out) == whole[name], first


@pytest.mark.parametrize(("number", "status"), [("SIGTERM", 143), ("SIGINT", 130)])
def test_a_signal_finishes_the_step_and_saves(tmp_path: Path, whole: dict[str, dict[str, bytes]], number: str, status: int) -> None:
    out = tmp_path / "run"
    stopped = process(out, "bert", 6, number)
    assert stopped.returncode == status
    assert "stopped at step 6 of 14; saved in" in stopped.stderr
    assert [step for step, _ in found(out / "checkpoints")] == [6, 4]
    settings = config(budget="14steps", deterministic=True, checkpoint__every=4, log_every=3)
    result = train(settings, md.objective("bert"), FakeCorpus(), out, progress="off")
    assert result.resumed_from == 6
    assert final(out) == whole["bert"]


def test_handlers_are_put_back(tmp_path: Path) -> None:
    import signal

    before = signal.getsignal(signal.SIGTERM)
    train(config(), md.objective("gpt"), FakeCorpus(), tmp_path / "run", progress="off")
    assert signal.getsignal(signal.SIGTERM) == before


def test_a_damaged_checkpoint_is_named_and_the_run_ends_the_same(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, whole: dict[str, dict[str, bytes]]
) -> None:
    out, settings = tmp_path / "run", config(budget="14steps", deterministic=True, checkpoint__every=4, log_every=3)
    real = loops.Loop._log

    def log(self: loops.Loop) -> None:
        real(self)
        if self.state.step == 10:
            raise KeyboardInterrupt

    monkeypatch.setattr(loops.Loop, "_log", log)
    with pytest.raises(KeyboardInterrupt):
        train(settings, md.objective("gpt"), FakeCorpus(), out, progress="off")
    monkeypatch.undo()
    file = out / "checkpoints" / "step-8" / "optimizer.safetensors"
    data = bytearray(file.read_bytes())
    data[-5] ^= 64
    file.write_bytes(bytes(data))
    train(settings, md.objective("gpt"), FakeCorpus(), out, progress="plain")
    said = capsys.readouterr().err
    assert "step-8/optimizer.safetensors is damaged" in said
    assert "resumed at step 4/14" in said
    assert final(out) == whole["gpt"]
    assert (out / "checkpoints" / "step-8.damaged").is_dir()


def test_other_settings_or_corpus_are_refused_with_a_diff(tmp_path: Path) -> None:
    out = tmp_path / "run"
    train(config(checkpoint__every=3), md.objective("gpt"), FakeCorpus(), out, progress="off")
    changes = [
        (config(seed=1), md.objective("gpt"), FakeCorpus(), "train.seed: 0 → 1"),
        (config(), md.objective("bert"), FakeCorpus(), 'objective.name: "gpt" → "bert"'),
        (config(), md.objective("gpt"), FakeCorpus(12), "corpus.fingerprint"),
        (config(budget="7steps"), md.objective("gpt"), FakeCorpus(), "train.budget"),
    ]
    for settings, objective, corpus, text in changes:
        with pytest.raises(UserError) as caught:
            train(settings, objective, corpus, out, progress="off")
        assert caught.value.exit == 4
        assert text in caught.value.message
    same = train(config(checkpoint__every=5, log_every=2), md.objective("gpt"), FakeCorpus(), out, progress="off")
    assert same.steps == 6


def test_never_and_path(tmp_path: Path) -> None:
    out, settings = tmp_path / "run", config(checkpoint__every=2, checkpoint__keep=9)
    with pytest.raises(UserError, match="never finished"):
        train(settings, md.objective("gpt"), FakeCorpus(), out, resume=str(tmp_path / "nothing"), progress="off")
    train(settings, md.objective("gpt"), FakeCorpus(), out, progress="off")
    with pytest.raises(UserError) as caught:
        train(settings, md.objective("gpt"), FakeCorpus(), out, resume="never", progress="off")
    assert caught.value.exit == 4
    with pytest.raises(UserError, match="never overwritten"):
        train(settings, md.objective("gpt"), FakeCorpus(), out, resume=str(out / "checkpoints" / "step-2"), progress="off")
    again = tmp_path / "again"
    result = train(settings, md.objective("gpt"), FakeCorpus(), again, resume=str(out / "checkpoints" / "step-2"), progress="off")
    assert result.resumed_from == 2
    assert final(again)["model.safetensors"] == final(out)["model.safetensors"]
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").write_text("years of work")
    with pytest.raises(UserError, match="is not a run") as caught:
        train(settings, md.objective("gpt"), FakeCorpus(), tmp_path / "mine", progress="off")
    assert caught.value.exit == 4


def test_a_full_disk_keeps_the_old_state_and_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from maskdial.train import checkpoint

    out, settings = tmp_path / "run", config(budget="14steps", deterministic=True, checkpoint__every=4, log_every=3)
    real = checkpoint.write_arrays

    def full(path: Path, arrays: object) -> object:
        if "step-8" in str(path):
            raise OSError(28, "No space left on device")
        return real(path, arrays)  # type: ignore[arg-type]

    monkeypatch.setattr(checkpoint, "write_arrays", full)
    wanted = r"could not save step 8: .*No space left on device; the last checkpoint is whole: .*step-4"
    with pytest.raises(UserError, match=wanted) as caught:
        train(settings, md.objective("gpt"), FakeCorpus(), out, progress="off")
    assert caught.value.exit == 1
    assert [step for step, _ in found(out / "checkpoints")] == [4]
    monkeypatch.undo()
    assert train(settings, md.objective("gpt"), FakeCorpus(), out, progress="off").resumed_from == 4


def test_interrupted_is_a_user_error() -> None:
    assert issubclass(Interrupted, UserError)
