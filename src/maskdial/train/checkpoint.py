"""Checkpoints that are whole or not there: written aside, hashed, flushed, renamed; verified before use.

    checkpoints/step-420/model.safetensors      fp32 parameters
                         optimizer.safetensors  momentum and averages
                         state.json             step, samples consumed, sums since the last log line, …
                         MANIFEST.json          size and sha256 of each file above, and its own; written last

A folder without a manifest whose sizes and hashes hold is not a checkpoint. Nothing is ever overwritten, nothing is
pickled, and an older checkpoint goes only after a newer one has been read back. At any moment, killed or not, a folder
named step-N is whole: it gets its name last, and loses it first.
"""

from __future__ import annotations

import hashlib
import json
import re
import shutil
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import Tensor

from maskdial.errors import UserError
from maskdial.train.files import check_file, encode, make_folder, read_json, sync, write_arrays, write_bytes

Arrays = Mapping[str, Mapping[str, Tensor]]

FORMAT = 2
MANIFEST = "MANIFEST.json"


@dataclass(frozen=True)
class Checkpoint:
    """A folder whose manifest holds."""

    path: Path
    step: int
    manifest: dict[str, Any]

    def state(self, like: Mapping[str, Any] | None = None) -> dict[str, Any]:
        """state.json; `UserError` when it can't be read or holds other things than `like` (an older one may hold fewer)."""
        file = self._file("state.json")
        try:
            found = read_json(file)
        except ValueError as fault:
            raise foreign(str(fault), self.path) from None
        odd = next((name for name, value in found.items() if like is not None and (name not in like or not fits(value, like[name]))), None)
        if odd is not None:
            raise foreign(f"{file} does not fit this run: {odd!r} is not what it should be", self.path)
        return found

    def tensors(self, name: str, like: Mapping[str, Tensor] | None = None) -> dict[str, Tensor]:
        """The arrays of `name`.safetensors, or those that several ranks wrote; `UserError` when there are none, or others than
        `like` (names and shapes)."""
        from safetensors import SafetensorError
        from safetensors.torch import load_file

        if any(file.startswith("shard-") for file in self.manifest["files"]):
            from maskdial.train.sharded import read

            made, file = read(self, name), self.path
        else:
            file = self._file(f"{name}.safetensors")
            try:
                made = load_file(file)
            except SafetensorError as fault:
                raise foreign(f"{file} is no safetensors file: {fault}", self.path) from None
        for key in sorted({*made, *like}) if like is not None else ():
            here, there = (tuple(side[key].shape) if key in side else "absent" for side in (like or {}, made))
            if here != there:
                raise foreign(f"{file} does not fit this run: {key} is {there} there and {here} here", self.path)
        return made

    def _file(self, name: str) -> Path:
        """A file that the manifest vouches for."""
        if name not in self.manifest["files"]:
            raise foreign(f"{self.path / MANIFEST} does not vouch for {name}", self.path)
        return self.path / name


def fits(value: Any, like: Any) -> bool:
    """Whether a value read is of the kind of another one: the same type, and of a mapping at least the same keys."""
    if isinstance(like, dict):
        return isinstance(value, dict) and all(name in value and fits(value[name], usual) for name, usual in like.items())
    return like is None or isinstance(value, (int, float) if type(like) is float else type(like))


def foreign(what: str, path: Path) -> UserError:
    """A checkpoint that is as it was written, but not by a run like this one."""
    return UserError(what, hint="go on from another checkpoint, or start again with another --out", code="checkpoint.foreign",
                     where=str(path), exit=1)  # fmt: skip


def one_process(folder: Path, arrays: Arrays) -> dict[str, Any]:
    """Write a file for each mapping of arrays; what the manifest says of them."""
    return {f"{name}.safetensors": write_arrays(folder / f"{name}.safetensors", values) for name, values in arrays.items()}


def save(
    folder: Path, step: int, arrays: Arrays, state: Mapping[str, Any], about: Mapping[str, Any],
    write: Callable[[Path, Arrays], dict[str, Any]] = one_process,
) -> Path:  # fmt: skip
    """Write `folder`/step-N; `about` goes into the manifest. An `OSError` leaves what was there as it was.

    `write` writes the arrays into a folder and returns once they are on the disk, with size and sha256 of each file.
    """
    final = folder / f"step-{step}"
    if final.exists():
        raise FileExistsError(f"{final} exists; a checkpoint is never overwritten")
    make_folder(folder)
    aside = folder / f"{final.name}.tmp-{uuid.uuid4().hex[:8]}"
    try:
        aside.mkdir()
        files = write(aside, arrays) | {"state.json": write_bytes(aside / "state.json", encode(state))}
        write_bytes(aside / MANIFEST, sealed({"format": FORMAT, "step": step, "files": files, **about}))
        sync(aside)
        aside.rename(final)
    except BaseException:
        shutil.rmtree(aside, ignore_errors=True)
        raise
    sync(folder)
    return final


def sealed(manifest: Mapping[str, Any]) -> bytes:
    """The manifest's bytes with their own digest in them."""
    plain = json.loads(encode(manifest))  # keys as they will be read
    return encode(plain | {"sha256": hashlib.sha256(encode(plain)).hexdigest()})


def intact(file: Path, found: Mapping[str, Any]) -> bool:
    """Whether a manifest's bytes are those that were sealed."""
    try:
        return file.read_bytes() == sealed({k: v for k, v in found.items() if k != "sha256"})
    except (ValueError, RecursionError):
        return False  # JSON that we never write


def read_manifest(path: Path) -> dict[str, Any]:
    """The manifest of the checkpoint at `path`, as it was sealed; `ValueError` says what is wrong with it."""
    file = path / MANIFEST
    try:
        found = read_json(file)
    except FileNotFoundError:
        raise ValueError(f"{path} has no {MANIFEST}: it was never finished") from None
    version, step, files = found.get("format"), found.get("step"), found.get("files")
    if version not in (1, FORMAT):
        raise ValueError(f"{file} has format {version!r}; this version reads {FORMAT}")
    if (version == FORMAT or "sha256" in found) and not intact(file, found):
        raise ValueError(f"{file} is damaged: it is not what its own sha256 says")
    if type(step) is not int or step < 0 or not isinstance(files, dict) or not isinstance(found.get("config"), dict):
        raise ValueError(f"{file} is damaged: it lacks a step, files or a config")
    for name, said in files.items():
        if not re.fullmatch(r"\w[\w.-]*", name):
            raise ValueError(f"{file} names {name!r}, which is no file of this folder")
        if not isinstance(said, dict) or type(said.get("size")) is not int or not isinstance(said.get("sha256"), str):
            raise ValueError(f"{file} is damaged: it does not say what {name} is")
    named = re.fullmatch(r"step-(\d+)", path.name)
    if named and int(named[1]) != step:
        raise ValueError(f"{path} holds step {step:,}: it was renamed")
    return found


def verify(path: Path, *, hashes: bool = True) -> Checkpoint:
    """The checkpoint at `path`, every size and hash checked; `ValueError` names the file that is wrong and how."""
    manifest = read_manifest(path)
    for name, said in manifest["files"].items():
        check_file(path / name, said["size"], said["sha256"] if hashes else None)
    return Checkpoint(path, manifest["step"], manifest)


def found(folder: Path) -> list[tuple[int, Path]]:
    """Folders named step-N, newest first, whole or not."""
    names = ((re.fullmatch(r"step-(\d{1,18})", p.name), p) for p in (folder.iterdir() if folder.is_dir() else ()))
    return sorted(((int(m[1]), p) for m, p in names if m), reverse=True)


def newest(folder: Path, warn: Callable[[str], None]) -> Checkpoint | None:
    """The newest whole checkpoint; each bad one before it is named through `warn`. None when there is none at all.

    `UserError` when there are checkpoints and none is whole: starting again without a word would hide the loss.
    """
    candidates = found(folder)
    for _, path in candidates:
        try:
            return verify(path)
        except ValueError as fault:
            warn(f"{fault}; trying the checkpoint before it")
    if candidates:
        raise UserError(
            f"none of the {len(candidates)} checkpoints in {folder} is whole",
            hint="remove the folder, or give another --out, to start again", code="checkpoint.damaged", where=str(folder), exit=1,
        )
    return None


def remains(folder: Path) -> str:
    """After a failure: what there is to go on from, in words."""
    for _, path in found(folder):
        try:
            return f"the last checkpoint is whole: {verify(path).path}"
        except ValueError:
            continue
    return "there is no earlier checkpoint"


def retain(folder: Path, keep: int) -> None:
    """Remove all but the newest `keep` whole checkpoints, and only once the newest one has been read back."""
    candidates = found(folder)
    if len(candidates) <= keep:
        return
    verify(candidates[0][1])
    for _, path in candidates[keep:]:
        shutil.rmtree(path.rename(path.with_name(f"{path.name}.tmp-{uuid.uuid4().hex[:8]}")))


def set_aside(folder: Path, step: int) -> None:
    """Rename the checkpoints after `step`, which are damaged: their numbers are free again, and they can still be looked at."""
    for number, path in found(folder):
        if number > step:
            path.rename(path.with_name(f"{path.name}.damaged-{uuid.uuid4().hex[:8]}"))


def sweep(folder: Path) -> None:
    """Remove what killed runs left half written or half removed."""
    for path in folder.glob("step-*.tmp-*"):
        shutil.rmtree(path, ignore_errors=True)
