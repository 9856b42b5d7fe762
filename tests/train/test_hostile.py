"""Files that somebody else made: refused with a message that names the file; nothing is run, followed or believed about its size."""

from __future__ import annotations

import hashlib
import json
import os
import pickle
import resource
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

import maskdial as md
from maskdial.errors import UserError
from maskdial.train import checkpoint, load, train
from maskdial.train.check import check
from maskdial.train.checkpoint import found, newest, save, sealed, verify
from maskdial.train.files import LARGEST_JSON, write_arrays
from maskdial.train.folder import Folder
from maskdial.train.summary import summary
from tests.train.helpers import FakeCorpus, config

DEEP = b"[" * 200_000


def sealed_again(folder: Path, **changes: Any) -> Path:
    """The manifest as its author would write it: digests of what is there now, and its own."""
    manifest = json.loads((folder / "MANIFEST.json").read_text())
    manifest["files"] = {p.name: {"size": p.stat().st_size, "sha256": hashlib.sha256(p.read_bytes()).hexdigest()}
                         for p in folder.iterdir() if p.name in manifest["files"] and p.is_file()}  # fmt: skip
    del manifest["sha256"]
    (folder / "MANIFEST.json").write_bytes(sealed(manifest | changes))
    return folder


def one(folder: Path) -> Path:
    return save(folder, 1, {"model": {"a": torch.ones(2, 3)}}, {"step": 1}, {"config": {}})


class Payload:
    """Runs when it is unpickled."""

    def __reduce__(self) -> tuple[Any, ...]:
        return os.system, ("touch /tmp/maskdial-was-here",)


def refused(path: Path, name: str) -> str:
    """`verify` says no, and says which file."""
    with pytest.raises(ValueError, match=name) as caught:
        verify(path)
    assert isinstance(caught.value, ValueError)
    return str(caught.value)


OUTSIDE = ["../x", "..", ".", "", "/etc/passwd", "a/b", "..\\x", "C:\\x", "a\x00b", ".hidden", "a\nb", "state.json\n"]


@pytest.mark.parametrize("name", OUTSIDE)
def test_a_manifest_names_no_file_outside_its_folder(tmp_path: Path, name: str) -> None:
    path = one(tmp_path)
    (tmp_path / "x").write_bytes(b"")
    said = {"size": 0, "sha256": hashlib.sha256(b"").hexdigest()}
    sealed_again(path, files={name: said})
    assert "no file of this folder" in refused(path, r"MANIFEST\.json")


MANIFESTS: list[Any] = [
    b"", b"null", b"3", b'"x"', b"[]", b"{}", b"{", b"\xff\xfe", b"\x80", b"NaN", DEEP, b'{"a":' * 100_000, b"9" * 10_000, b'{"format": 1}',
    b'{"format": 1, "step": NaN, "files": {}, "config": {}}', b'{"format": 2, "step": Infinity, "files": {}, "config": {}, "sha256": 3}',
    b'{"format": 1, "step": 1e999, "files": {}, "config": {}}', b'{"format": 1, "step": true, "files": {}, "config": {}}',
    b'{"format": 1, "step": -1, "files": {}, "config": {}}', b'{"format": 1, "step": "1", "files": {}, "config": {}}',
    b'{"format": 1, "step": 1, "files": [], "config": {}}', b'{"format": 1, "step": 1, "files": {}, "config": []}',
    b'{"format": 1, "step": 1, "files": {"a": 3}, "config": {}}', b'{"format": 1, "step": 1, "files": {"a": {"size": 1}}, "config": {}}',
    b'{"format": 1, "step": 1, "files": {"a": {"size": "1", "sha256": ""}}, "config": {}}',
    b'{"format": 1, "step": 1, "files": {"a": {"size": true, "sha256": ""}}, "config": {}}',
    b'{"format": [], "step": 1, "files": {}, "config": {}}', b'{"format": "2"}', pickle.dumps(Payload()),
    b'{"format": 1, "step": 2, "files": {}, "config": {}}',
]  # fmt: skip


@pytest.mark.parametrize("data", MANIFESTS, ids=lambda d: repr(d[:40]))
def test_a_manifest_of_anything_is_refused(tmp_path: Path, data: bytes) -> None:
    path = one(tmp_path)
    (path / "MANIFEST.json").write_bytes(data)
    refused(path, "MANIFEST|step-1")


def test_json_beyond_any_of_ours_is_not_read(tmp_path: Path) -> None:
    path = one(tmp_path)
    (path / "MANIFEST.json").write_bytes(b'{"format": 2, "x": "' + b"x" * LARGEST_JSON + b'"}')
    assert "no such file of ours is that large" in refused(path, r"MANIFEST\.json has 16,777,2.. bytes")


def links(folder: Path) -> dict[str, Callable[[Path], None]]:
    """Things that are no plain file, under a file's name."""
    same = folder / "elsewhere"

    def symlink(file: Path) -> None:
        file.rename(same)
        file.symlink_to(same)

    return {"symlink": symlink, "pipe": lambda f: (f.unlink(), os.mkfifo(f))[0], "folder": lambda f: (f.unlink(), f.mkdir())[0],
            "device": lambda f: (f.unlink(), f.symlink_to("/dev/zero"))[0], "loop": lambda f: (f.unlink(), f.symlink_to(f))[0]}  # fmt: skip


@pytest.mark.parametrize("name", ["model.safetensors", "state.json", "MANIFEST.json"])
@pytest.mark.parametrize("sort", ["symlink", "pipe", "folder", "device", "loop"])
def test_what_is_no_plain_file_is_not_opened(tmp_path: Path, name: str, sort: str) -> None:
    """A link to the very bytes that belong there is refused too: what it points to may change after it was verified."""
    path = one(tmp_path / "c")
    links(tmp_path)[sort](path / name)
    assert "no plain file" in refused(path, name.replace(".", r"\."))


def header(text: bytes, length: int | None = None) -> bytes:
    return (len(text) if length is None else length).to_bytes(8, "little") + text


F32 = '{"a":{"dtype":"F32","shape":[%s],"data_offsets":[0,%s]}}'
SAFETENSORS = [
    b"", b"\x00", header(b"{}", 2**63 - 1), header(b"{}", 2**64 - 1), header(b"{}", 2**40), header(b"{}", 99_000_000), header(b"{"),
    header(b"[]"), header(b'"x"'), header(DEEP), header((F32 % ("2,3", 24)).encode()),  # fewer bytes than it says
    header((F32 % (f"{2**62},{2**62}", 24)).encode()) + bytes(24), header((F32 % ("-1", 24)).encode()) + bytes(24),
    header((F32 % ("2,3", 2**63)).encode()) + bytes(24), header(b'{"a":{"dtype":"F3","shape":[6],"data_offsets":[0,24]}}') + bytes(24),
    header(b'{"a":{"dtype":"F32","shape":[6],"data_offsets":[24,0]}}') + bytes(24), pickle.dumps(Payload()), b"PK\x03\x04" + bytes(64),
    header((F32 % (0, 0)).encode() + b" " * 40) + bytes(4096),  # bytes that belong to no array
]  # fmt: skip


@pytest.mark.parametrize("data", SAFETENSORS, ids=lambda d: repr(d[:30]))
def test_arrays_of_anything_are_refused_without_memory(tmp_path: Path, data: bytes) -> None:
    """Its digests are right, so whoever made it meant it: still nothing is executed, and no claimed size is believed."""
    path = one(tmp_path)
    (path / "model.safetensors").write_bytes(data)
    made = verify(sealed_again(path))
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(UserError, match=r"model\.safetensors is no safetensors file") as caught:
        made.tensors("model")
    assert caught.value.exit == 1
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 200_000, "kB"
    assert not Path("/tmp/maskdial-was-here").exists()


def test_a_file_that_the_manifest_does_not_vouch_for_is_not_read(tmp_path: Path) -> None:
    path = one(tmp_path)
    made = verify(sealed_again(path, files={}))
    for read in (made.state, lambda: made.tensors("model")):
        with pytest.raises(UserError, match=r"MANIFEST\.json does not vouch for"):
            read()


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("hostile") / "run"
    train(config(budget="4steps", checkpoint__every=2, deterministic=True), md.objective("gpt"), FakeCorpus(), out, progress="off")
    return out


@pytest.fixture
def run(trained: Path, tmp_path: Path) -> Path:
    """A run at step 2 of 4."""
    out = tmp_path / "run"
    checkpoint.shutil.copytree(trained, out)
    checkpoint.shutil.rmtree(out / "checkpoints" / "step-4")
    return out


def go_on(out: Path) -> None:
    train(config(budget="4steps", checkpoint__every=2, deterministic=True), md.objective("gpt"), FakeCorpus(), out, progress="off")


STATES: list[tuple[bytes, str]] = [
    (b"[]", "holds no JSON object"), (b"{", "no JSON"), (b'{"step": "2"}', "'step'"), (b'{"since": {}}', "'since'"), (DEEP, "no JSON"),
    (b'{"samples": null}', "'samples'"), (b'{"import os": 1}', "'import os'"), (b'{"recent": {}}', "'recent'"),
]  # fmt: skip


@pytest.mark.parametrize(("data", "text"), STATES)
def test_a_state_of_anything_is_refused(run: Path, data: bytes, text: str) -> None:
    path = run / "checkpoints" / "step-2"
    (path / "state.json").write_bytes(data)
    sealed_again(path)
    with pytest.raises(UserError, match=text) as caught:
        go_on(run)
    assert caught.value.exit == 1
    assert "state.json" in caught.value.message


@pytest.mark.parametrize("shape", [(1,), (1, 1), (60, 1), (60, 17), ()])
def test_arrays_of_another_shape_are_not_stretched(run: Path, shape: tuple[int, ...]) -> None:
    """One number would fit a whole matrix, if broadcasting were asked."""
    path = run / "checkpoints" / "step-2"
    arrays = {name: value.clone() for name, value in verify(path).tensors("model").items()}  # the file is mapped, and about to change
    write_arrays(path / "model.safetensors", arrays | {"embedding": torch.zeros(shape)})
    sealed_again(path)
    with pytest.raises(UserError, match=r"model\.safetensors does not fit this run: embedding is .* there and \(60, 16\) here"):
        go_on(run)
    write_arrays(path / "model.safetensors", arrays | {"extra": torch.zeros(1)})
    sealed_again(path)
    with pytest.raises(UserError, match=r"extra is \(1,\) there and absent here"):
        go_on(run)


def test_a_checkpoint_of_another_run_is_refused_with_the_difference(run: Path, tmp_path: Path) -> None:
    train(config(budget="4steps", checkpoint__every=2, seed=1), md.objective("gpt"), FakeCorpus(), tmp_path / "other", progress="off")
    checkpoint.shutil.rmtree(run / "checkpoints" / "step-2")
    checkpoint.shutil.copytree(tmp_path / "other" / "checkpoints" / "step-2", run / "checkpoints" / "step-2")
    assert any("are not of one run" in problem and "train.seed: 0 → 1" in problem for problem in check(run).problems)


def test_renamed_and_foreign_things_beside_checkpoints(run: Path) -> None:
    home = run / "checkpoints"
    (home / "step-3").mkdir()
    (home / "step-x").mkdir()
    (home / ("step-" + "9" * 100)).mkdir()
    (home / "notes.txt").write_text("mine")
    (home / "step-2" / "notes.txt").write_text("mine")
    checkpoint.shutil.copytree(home / "step-2", home / "step-7")
    said: list[str] = []
    best = newest(home, said.append)
    assert best is not None
    assert best.step == 2
    assert [("step-7 holds step 2: it was renamed" in s, "step-3 has no MANIFEST" in s) for s in said] == [(True, False), (False, True)]
    go_on(run)
    assert found(home)[0][0] == 4
    assert (home / "step-2" / "notes.txt").is_file()


CONFIGS = [b"", b"[]", b"{}", DEEP, b'{"objective": 3}', b"\xff", b'{"objective": {}, "model": []}']


@pytest.mark.parametrize("data", CONFIGS, ids=lambda d: repr(d[:30]))
def test_a_config_of_anything_is_refused(run: Path, data: bytes) -> None:
    (run / "config.json").write_bytes(data)
    for look in (load, summary, go_on, lambda path: Folder(path).config()):
        with pytest.raises(UserError, match=r"config\.json"):
            look(run)
    assert any("config.json" in problem for problem in check(run).problems)


def test_an_event_log_of_anything_is_read_for_what_it_is_worth(run: Path) -> None:
    """A torn line is what a kill leaves; other nonsense is counted, and never in the way."""
    whole = (run / "events.jsonl").read_bytes()
    (run / "events.jsonl").write_bytes(whole + b'{"event": "st')
    assert check(run).problems == []
    (run / "events.jsonl").write_bytes(b"\xff\n" + DEEP + b"\n[]\n3\n" + whole + b'{"no": 1}\n')
    assert summary(run)["step"] == 4
    assert "5 lines are no events" in check(run).problems[0]
    go_on(run)
    assert check(run).problems == []


def test_a_run_is_never_pickled() -> None:
    source = "".join(p.read_text() for p in Path(checkpoint.__file__).parent.glob("*.py"))
    for word in ("torch.load", "torch.save", "import pickle", "np.load", "allow_pickle"):
        assert word not in source
