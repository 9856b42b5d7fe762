"""`maskdial runs` and `maskdial verify`: what a folder says of a run, whoever left it."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

import maskdial as md
from maskdial.cli.runs import table
from maskdial.errors import UserError
from maskdial.train import train
from maskdial.train.folder import Folder
from maskdial.train.summary import summary
from tests.cli.run import maskdial
from tests.train.forks import Forks
from tests.train.helpers import FakeCorpus, config


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("runs") / "run"
    train(config(budget="4steps", checkpoint__every=2), md.objective("t5", rate=0.3), FakeCorpus(), out, progress="off")
    return out


@pytest.fixture
def run(trained: Path, tmp_path: Path) -> Path:
    shutil.copytree(trained, tmp_path / "run")
    return tmp_path / "run"


def flip(path: Path, at: int = -1) -> None:
    data = bytearray(path.read_bytes())
    data[at] ^= 1
    path.write_bytes(bytes(data))


def listed(folder: Path, *more: str) -> list[dict[str, Any]]:
    status, said, _ = maskdial("runs", folder, "--json", *more)
    assert status == 0
    value = json.loads(said)
    assert (value["schema"], value["ok"]) == ("runs/1", True)
    found: list[dict[str, Any]] = value["data"]
    return found


def test_a_line_tells_how_far_how_fast_and_whether_it_is_safe(run: Path) -> None:
    status, said, log = maskdial("runs", run.parent)
    head, line = said.splitlines()
    assert status == 0
    assert head.split() == ["run", "objective", "step", "budget", "loss", "tokens", "tokens/s", "FLOP/s", "use", "checkpoint", "state"]
    assert all(word in line for word in ("t5:rate=0.3", "4/4", "4steps", "step 4, whole", "finished"))
    assert not log
    (made,) = listed(run.parent)
    assert made == summary(run)
    assert made["tokens_per_second"] * made["seconds"] == pytest.approx(made["tokens"])
    assert f"{made['tokens']:,}" in line


def test_running_is_told_from_killed_by_who_holds_the_folder(forks: Forks, tmp_path: Path) -> None:
    out = tmp_path / "run"
    assert forks("run", out=out, objective="gpt", at=6)["status"] == -9
    assert listed(tmp_path)[0]["state"] == "killed"
    with Folder(out).held():
        (made,) = listed(tmp_path)
        assert (made["state"], made["step"], made["steps"], made["checkpoint"]) == ("running", 6, 14, {"step": 4, "whole": True})
        said = forks("run", out=out, objective="gpt")
        assert said["status"] == 4
        assert f"another process is training in {out}" in said["said"]
    assert forks("run", out=out, objective="gpt")["status"] == 0
    assert listed(tmp_path)[0]["state"] == "finished"


def test_two_in_one_folder_harm_nothing(run: Path) -> None:
    """The second is refused before it sweeps what the first is writing."""
    (run / "checkpoints" / "step-6.tmp-1234").mkdir()
    with Folder(run).held(), pytest.raises(UserError, match="another process is training") as caught:
        train(config(budget="4steps"), md.objective("t5", rate=0.3), FakeCorpus(), run, progress="off")
    assert caught.value.exit == 4
    assert (run / "checkpoints" / "step-6.tmp-1234").is_dir()


def test_a_folder_that_was_only_looked_at_is_not_left_behind(tmp_path: Path) -> None:
    with pytest.raises(UserError), Folder(tmp_path / "a" / "b").held():
        raise UserError("no")
    assert not (tmp_path / "a" / "b").exists()
    (tmp_path / "file").write_text("x")
    with pytest.raises(UserError, match="exists and is not a run"), Folder(tmp_path / "file").held():
        pass


@pytest.mark.parametrize("name", ["model.safetensors", "optimizer.safetensors", "state.json", "MANIFEST.json"])
def test_a_damaged_newest_checkpoint_is_shown_and_named(run: Path, name: str) -> None:
    flip(run / "checkpoints" / "step-4" / name)
    status, said, log = maskdial("runs", run)
    assert status == 0
    assert "step 4, damaged" in said
    assert f"warning: {run}: {run / 'checkpoints' / 'step-4' / name}" in log
    (made,) = listed(run)
    assert (made["checkpoint"]["whole"], name in made["checkpoint"]["fault"]) == (False, True)
    assert listed(run, "--quick")[0]["checkpoint"]["whole"] == (name != "MANIFEST.json"), "sizes alone do not see it"
    status, said, log = maskdial("verify", run)
    assert status == 3
    assert name in log
    assert "--resume auto" in log


def test_verify_reads_every_file_of_a_run(run: Path) -> None:
    status, said, _ = maskdial("verify", run, "--json")
    data = json.loads(said)["data"]
    assert (status, data["kind"], data["problems"]) == (0, "run", [])
    assert data["files"] == 2 + 1 + 4 + 4, "config, events, tokenizer and two checkpoints"
    assert data["bytes"] == sum(p.stat().st_size for p in run.rglob("*") if p.is_file())
    status, said, _ = maskdial("verify", run / "checkpoints" / "step-2")
    assert (status, "a checkpoint, 4 files" in said) == (0, True)


def seed_of_config(run: Path) -> None:
    path = run / "config.json"
    path.write_text(path.read_text().replace('"seed": 0', '"seed": 1'))


HARMS = {
    "tokenizer.json": lambda run: flip(run / "tokenizer" / "tokenizer.json"), "config.json": seed_of_config,
    "step-2/state.json": lambda run: flip(run / "checkpoints" / "step-2" / "state.json"),
    "events.jsonl": lambda run: (run / "events.jsonl").write_bytes(b"x\ny\n" + (run / "events.jsonl").read_bytes()),
    "step-2/model.safetensors": lambda run: (run / "checkpoints" / "step-2" / "model.safetensors").unlink(),
}  # fmt: skip


@pytest.mark.parametrize("name", HARMS)
def test_verify_names_what_is_damaged(run: Path, name: str) -> None:
    HARMS[name](run)
    status, said, log = maskdial("verify", run, "--json")
    error = json.loads(said)["error"]
    assert (status, error["code"]) == (3, "run.damaged")
    assert name in error["message"]
    assert name in log


def test_verify_of_something_else_says_so(tmp_path: Path) -> None:
    status, _, log = maskdial("verify", tmp_path)
    assert status == 2
    assert "no prepared corpus, run or checkpoint" in log


def test_the_table_has_dashes_where_nothing_is_known(tmp_path: Path) -> None:
    made = {"run": "r", "objective": "gpt", "options": {}, "step": 0, "steps": None, "budget": "60s", "loss": None, "tokens": 0,
            "tokens_per_second": None, "flops_per_second": None, "utilisation": None, "checkpoint": None, "state": "running"}  # fmt: skip
    assert table([made])[1].split() == ["r", "gpt", "0/?", "60s", "–", "0", "–", "–", "–", "–", "running"]
