"""Killed by SIGKILL anywhere, out of room, not allowed to write: what was saved stays whole, and the run ends with the same bits."""

from __future__ import annotations

import errno
import os
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import maskdial as md
from maskdial.errors import UserError
from maskdial.train import train
from maskdial.train.check import check
from maskdial.train.checkpoint import found
from tests.train.bits import differing, final
from tests.train.forks import Forks, settings
from tests.train.helpers import FakeCorpus

#: A run that writes all the time.
BUSY = {"budget": "4steps", "checkpoint__every": 1, "checkpoint__keep": 1, "log_every": 1, "evaluate__every": 2, "evaluate__samples": 4}


def test_killed_at_every_write_of_a_checkpoint_there_is_the_old_one_or_the_new_one(forks: Forks, tmp_path: Path) -> None:
    said = forks("boundaries_of_save", out=tmp_path)
    assert said["warnings"] == [], "no kill leaves a checkpoint that has a name and is not whole"
    names, committed = said["names"], said["names"].index("rename") + 1
    assert said["found"] == [5] * (committed - 1) + [6] * (len(names) - committed + 1)
    # each file and then its folder is on the disk before the name is; that too, before an older one goes: by name first
    assert re.fullmatch("mkdir (open (half write )+fsync ){4}fsync rename fsync rename (unlink ){4}rmdir ", " ".join(names) + " ")


def test_killed_at_any_write_of_a_whole_run_and_of_its_resume_it_ends_the_same(forks: Forks, tmp_path: Path) -> None:
    said = forks("boundaries_of_run", out=tmp_path, objective="gpt", stride=67, **BUSY)
    assert said["cuts"] >= 11
    assert len(said["names"]) > 250
    assert set(said["names"]) == {"mkdir", "open", "half", "write", "fsync", "rename", "replace", "unlink", "rmdir"}


def test_killed_at_random_moments_it_ends_the_same(forks: Forks, tmp_path: Path) -> None:
    assert forks("random_kills", out=tmp_path, objective="t5", kills=5, seed=0, budget="8steps", checkpoint__every=1)["kills"] == 5


@pytest.mark.slow
@pytest.mark.parametrize("objective", ["gpt", "bert"])
def test_killed_at_every_write_of_a_whole_run(forks: Forks, tmp_path: Path, objective: str) -> None:
    said = forks("boundaries_of_run", out=tmp_path, objective=objective, stride=1, **BUSY)
    assert said["cuts"] == len(said["names"]) - 1
    print(f"{objective}: killed at each of {said['cuts']} writes, and again in the resume; every run ended with the same bits")


@pytest.mark.slow
@pytest.mark.parametrize("objective", ["gpt", "bert", "t5", "electra"])
def test_two_hundred_random_kills(forks: Forks, tmp_path: Path, objective: str) -> None:
    """50 of each of four families: 200 in all."""
    said = forks("random_kills", out=tmp_path, objective=objective, kills=50, seed=1, budget="10steps", checkpoint__every=1)
    assert said["kills"] >= 50
    print(f"{objective}: {said}")


def stopped_for_want(run: Any, out: Path, kept: int, words: str) -> None:
    """A clear exit; the old checkpoint and nothing half written."""
    with pytest.raises(UserError, match=words) as caught:
        run()
    assert caught.value.exit == 1
    assert [step for step, _ in found(out / "checkpoints")] == [kept]
    assert not list(out.rglob("*.tmp-*"))
    assert check(out).problems == []


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    out = tmp_path_factory.mktemp("faults") / "run"
    train(settings(), md.objective("gpt"), FakeCorpus(), out, progress="off")
    return final(out)


def once_more(out: Path, whole: dict[str, bytes]) -> None:
    """With room again, the same command ends as if nothing had been."""
    train(settings(), md.objective("gpt"), FakeCorpus(), out, progress="off")
    assert differing(final(out), whole) == []


@pytest.mark.parametrize(("number", "words"), [(errno.ENOSPC, "No space left on device"), (errno.EROFS, "Read-only file system"),
                                               (errno.EACCES, "Permission denied"), (errno.EIO, "Input/output error")])  # fmt: skip
def test_a_save_that_fails_keeps_the_old_state_and_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, whole: dict[str, bytes], number: int, words: str
) -> None:
    from maskdial.train import checkpoint

    out, real = tmp_path / "run", checkpoint.write_arrays

    def failing(path: Path, arrays: Any) -> Any:
        if "step-8" in str(path):
            raise OSError(number, os.strerror(number))
        return real(path, arrays)

    monkeypatch.setattr(checkpoint, "write_arrays", failing)
    run = lambda: train(settings(), md.objective("gpt"), FakeCorpus(), out, progress="off")  # noqa: E731
    stopped_for_want(run, out, 4, rf"could not save step 8: .*{words}; the last checkpoint is whole: .*step-4")
    monkeypatch.undo()
    once_more(out, whole)


def test_a_checkpoint_that_can_t_be_read_back_is_not_called_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A disk that swallows what it was given: the older ones are kept, and the message names the last that is whole."""
    from maskdial.train import checkpoint

    out, real = tmp_path / "run", checkpoint.save

    def swallowing(folder: Path, step: int, *given: Any) -> Path:
        path = real(folder, step, *given)
        if step == 12:
            (path / "optimizer.safetensors").write_bytes(b"")
        return path

    monkeypatch.setattr(checkpoint, "save", swallowing)
    with pytest.raises(UserError, match=r"optimizer\.safetensors has 0 bytes instead of .*; the last checkpoint is whole: .*step-8"):
        train(settings(), md.objective("gpt"), FakeCorpus(), out, progress="off")
    assert [step for step, _ in found(out / "checkpoints")] == [12, 8, 4]


def test_the_system_refuses_to_let_a_file_grow(forks: Forks, tmp_path: Path, whole: dict[str, bytes]) -> None:
    """A real failing write, in the middle of a file: the first save dies of a limit on file sizes."""
    out = tmp_path / "run"
    said = forks("run", out=out, objective="gpt", limit=20_000)
    assert said["status"] == 1
    assert re.search(r"could not save step 4: .*File too large; there is no earlier checkpoint", said["said"])
    assert "make room" in said["said"]
    assert not list(out.rglob("*.tmp-*"))
    once_more(out, whole)


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of its own, of 400 KiB; skipped where this process may not mount one."""
    path = tmp_path / "disk"
    path.mkdir()
    made = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=400k", "tmpfs", str(path)], capture_output=True, text=True)
    if made.returncode:
        pytest.skip(f"no file system can be mounted here: {made.stderr.strip()}")
    yield path
    subprocess.run(["umount", str(path)], check=True)


def test_a_full_disk(disk: Path, whole: dict[str, bytes]) -> None:
    """With ever more room: what does not fit is the config, a line of the log, the first checkpoint, the next one."""
    out, kept = disk / "run", []
    for room in range(0, 400_000, 40_000):
        used = sum(p.stat().st_blocks * 512 for p in disk.rglob("*") if p.is_file())
        (disk / "filler").write_bytes(bytes(max(0, 400 * 1024 - used - room)))
        fault = wants(out)
        if fault is None:
            break
        assert "No space left on device" in fault.message
        assert str(out) in fault.message
        assert "make room" in fault.hint
        assert fault.exit == 1
        kept.append([step for step, _ in found(out / "checkpoints")])
        assert check(out).problems == [] or not kept[-1]
        (disk / "filler").unlink()
    assert kept[0] == []
    assert kept[-1] != []
    assert differing(final(out), whole) == []


def wants(out: Path) -> UserError | None:
    """Train; what there was not enough of."""
    try:
        train(settings(), md.objective("gpt"), FakeCorpus(), out, progress="off")
    except UserError as fault:
        return fault
    return None


def test_a_read_only_folder(disk: Path, whole: dict[str, bytes]) -> None:
    out, real = disk / "run", md.objective("gpt")
    remount(disk, "ro")
    with pytest.raises(UserError, match=r"could not write .*run: Read-only file system") as caught:
        train(settings(), real, FakeCorpus(), out, progress="off")
    assert caught.value.exit == 1
    remount(disk, "rw")
    train(settings(), real, FakeCorpus(), out, progress="off")
    remount(disk, "ro")
    assert train(settings(), real, FakeCorpus(), out, progress="off").steps == 14, "a finished run is only read"
    assert check(out).problems == []
    remount(disk, "rw")
    (out / "checkpoints" / "step-14").rename(disk / "taken")
    remount(disk, "ro")
    words = r"could not write .*events\.jsonl: Read-only"
    stopped_for_want(lambda: train(settings(), real, FakeCorpus(), out, progress="off"), out, 12, words)
    remount(disk, "rw")
    once_more(out, whole)


def remount(disk: Path, way: str) -> None:
    subprocess.run(["mount", "-o", f"remount,{way}", str(disk)], check=True, capture_output=True)
