"""A checkpoint is whole or not there."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from maskdial.errors import UserError
from maskdial.train import checkpoint, files
from maskdial.train.checkpoint import found, newest, remains, retain, save, set_aside, sweep, verify
from maskdial.train.files import replace_file, write_arrays

ARRAYS = {"model": {"a": torch.arange(6.0).view(2, 3), "b": torch.zeros(0), "c": torch.ones(3, dtype=torch.bfloat16)}}


def made(folder: Path, *steps: int) -> None:
    for step in steps:
        save(folder, step, ARRAYS, {"step": step}, {"config": {"x": 1}})


def never(text: str) -> None:
    raise AssertionError(text)


def test_round_trip_through_the_safetensors_library(tmp_path: Path) -> None:
    said = write_arrays(tmp_path / "x.safetensors", ARRAYS["model"] | {"t": torch.arange(6.0).view(2, 3).T})
    read = load_file(tmp_path / "x.safetensors")
    assert {k: v.tolist() for k, v in read.items()} == {k: v.tolist() for k, v in ARRAYS["model"].items()} | {"t": [[0, 3], [1, 4], [2, 5]]}
    assert said["size"] == (tmp_path / "x.safetensors").stat().st_size


def test_save_and_find(tmp_path: Path) -> None:
    made(tmp_path, 5, 10, 9)
    best = newest(tmp_path, never)
    assert best is not None
    assert (best.step, best.state(), best.manifest["config"]) == (10, {"step": 10}, {"x": 1})
    assert newest(tmp_path / "none", never) is None
    assert not list(tmp_path.glob("*tmp*"))


def test_never_overwritten(tmp_path: Path) -> None:
    made(tmp_path, 5)
    with pytest.raises(FileExistsError, match="never overwritten"):
        made(tmp_path, 5)


@pytest.mark.parametrize("name", ["model.safetensors", "state.json", "MANIFEST.json"])
@pytest.mark.parametrize("harm", ["flip", "cut", "remove", "grow"])
def test_damage_is_named_and_the_one_before_is_used(tmp_path: Path, name: str, harm: str) -> None:
    made(tmp_path, 5, 10)
    file = tmp_path / "step-10" / name
    data = bytearray(file.read_bytes())
    if harm == "remove":
        file.unlink()
    else:
        data[len(data) // 2] ^= 1
        file.write_bytes({"flip": bytes(data), "cut": bytes(data[:-3]), "grow": file.read_bytes() + b"\n"}[harm])
    said: list[str] = []
    best = newest(tmp_path, said.append)
    assert best is not None
    assert best.step == 5
    assert len(said) == 1
    assert name in said[0]
    assert "step-10" in said[0]


def test_every_byte_of_every_file_counts(tmp_path: Path) -> None:
    """Header, numbers, JSON and the manifest itself: whichever byte changes, it is noticed and its file named."""
    made(tmp_path, 1)
    folder = tmp_path / "step-1"
    for file in sorted(folder.iterdir()):
        data = file.read_bytes()
        for at in range(len(data)):
            file.write_bytes(data[:at] + bytes([data[at] ^ (1 << at % 8)]) + data[at + 1 :])
            with pytest.raises(ValueError, match=file.name):
                verify(folder)
        file.write_bytes(data)
    assert verify(folder).step == 1


def test_sizes_alone_are_quick_and_see_less(tmp_path: Path) -> None:
    made(tmp_path, 1)
    file = tmp_path / "step-1" / "model.safetensors"
    file.write_bytes(file.read_bytes()[::-1])
    assert verify(tmp_path / "step-1", hashes=False).step == 1
    file.write_bytes(b"x")
    with pytest.raises(ValueError, match=r"model\.safetensors has 1 bytes instead of"):
        verify(tmp_path / "step-1", hashes=False)


def test_all_damaged_is_an_error_not_a_fresh_start(tmp_path: Path) -> None:
    made(tmp_path, 1, 2)
    for step in (1, 2):
        (tmp_path / f"step-{step}" / "state.json").write_text("{}")
    with pytest.raises(UserError, match="none of the 2") as caught:
        newest(tmp_path, lambda text: None)
    assert caught.value.exit == 1
    assert remains(tmp_path) == "there is no earlier checkpoint"


@pytest.mark.parametrize("breaks", range(5))
def test_a_disk_that_fails_at_any_write_leaves_the_old_one_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, breaks: int) -> None:
    made(tmp_path, 5)
    count, real = iter(range(100)), files.HashedFile.write

    def write(self: files.HashedFile, data: object) -> None:
        if next(count) == breaks:
            raise OSError(28, "No space left on device")
        real(self, data)

    monkeypatch.setattr(files.HashedFile, "write", write)
    with pytest.raises(OSError, match="No space left"):
        made(tmp_path, 10)
    assert [step for step, _ in found(tmp_path)] == [5]
    assert sorted(os.listdir(tmp_path)) == ["step-5"]
    assert newest(tmp_path, never) is not None
    assert remains(tmp_path) == f"the last checkpoint is whole: {tmp_path / 'step-5'}"


def test_a_disk_that_can_t_be_read_is_damage_not_a_crash(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made(tmp_path, 5, 10)
    real = files.sha256_of

    def broken(path: Path) -> str:
        if "step-10" in str(path):
            raise OSError(5, "Input/output error")
        return real(path)

    monkeypatch.setattr(files, "sha256_of", broken)
    said: list[str] = []
    best = newest(tmp_path, said.append)
    assert best is not None
    assert best.step == 5
    assert "model.safetensors can't be read: Input/output error" in said[0]


def test_a_killed_save_is_not_seen_and_swept(tmp_path: Path) -> None:
    made(tmp_path, 5)
    (tmp_path / "step-6.tmp-12ab").mkdir()
    (tmp_path / "step-6.tmp-12ab" / "model.safetensors").write_bytes(b"half")
    assert [step for step, _ in found(tmp_path)] == [5]
    sweep(tmp_path)
    assert os.listdir(tmp_path) == ["step-5"]


def test_retention_needs_a_verified_newest(tmp_path: Path) -> None:
    made(tmp_path, 1, 2, 3)
    (tmp_path / "step-3" / "state.json").write_text("{}")
    with pytest.raises(ValueError, match=r"state\.json"):
        retain(tmp_path, 2)
    assert len(found(tmp_path)) == 3
    assert remains(tmp_path) == f"the last checkpoint is whole: {tmp_path / 'step-2'}"
    made(tmp_path, 4)
    retain(tmp_path, 2)
    assert [step for step, _ in found(tmp_path)] == [4, 3]


def test_damaged_ones_are_set_aside_as_often_as_it_takes(tmp_path: Path) -> None:
    for _ in range(2):
        made(tmp_path, 5, 7)
        set_aside(tmp_path, 5)
        checkpoint.shutil.rmtree(tmp_path / "step-5")
    assert found(tmp_path) == []
    assert len(list(tmp_path.glob("step-7.damaged-*"))) == 2


def test_an_older_format_is_read(tmp_path: Path) -> None:
    """Manifests without a digest of their own were written before; one with a digest is held to it, whatever it calls itself."""
    made(tmp_path, 5)
    file = tmp_path / "step-5" / "MANIFEST.json"
    found = json.loads(file.read_text())
    file.write_bytes(files.encode(found | {"format": 1}))
    with pytest.raises(ValueError, match="damaged"):
        verify(file.parent)
    del found["sha256"]
    file.write_bytes(files.encode(found))
    with pytest.raises(ValueError, match="damaged"):
        verify(file.parent)
    file.write_bytes(files.encode(found | {"format": 1}))
    assert verify(file.parent).step == 5


def test_replace_file_keeps_the_old_one_when_it_fails(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "config.json"
    replace_file(path, b"old")
    monkeypatch.setattr(files.HashedFile, "write", lambda self, data: (_ for _ in ()).throw(OSError(28, "full")))
    with pytest.raises(OSError, match="full"):
        replace_file(path, b"new")
    assert path.read_bytes() == b"old"
    assert os.listdir(tmp_path) == ["config.json"]
