"""Checkpoints that are whole or not there: written aside, hashed, flushed, renamed; verified before use.

    checkpoints/step-420/model.safetensors      fp32 parameters
                         optimizer.safetensors  momentum and averages
                         state.json             step, samples consumed, sums since the last log line, …
                         MANIFEST.json          size and sha256 of each file above; written last

A folder without a manifest whose sizes and hashes hold is not a checkpoint. Nothing is ever overwritten, nothing is
pickled, and an older checkpoint goes only after a newer one has been read back.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from maskdial.errors import UserError

FORMAT = 1
MANIFEST = "MANIFEST.json"
DTYPES = {torch.float32: "F32", torch.float64: "F64", torch.bfloat16: "BF16", torch.int64: "I64", torch.int32: "I32"}


@dataclass(frozen=True)
class Checkpoint:
    """A folder whose manifest holds."""

    path: Path
    step: int
    manifest: dict[str, Any]

    def state(self) -> dict[str, Any]:
        """state.json."""
        value: dict[str, Any] = json.loads((self.path / "state.json").read_text())
        return value

    def tensors(self, name: str) -> dict[str, Tensor]:
        """The arrays of `name`.safetensors."""
        from safetensors.torch import load_file

        return load_file(self.path / f"{name}.safetensors")


class HashedFile:
    """A file that is hashed while it is written and flushed to the disk when closed."""

    def __init__(self, path: Path) -> None:
        self.file, self.hash, self.size = path.open("wb"), hashlib.sha256(), 0

    def write(self, data: Any) -> None:
        """Bytes or anything with a buffer."""
        self.file.write(data)
        self.hash.update(data)
        self.size += memoryview(data).nbytes

    def close(self) -> dict[str, Any]:
        """What the manifest says of the file."""
        self.file.flush()
        os.fsync(self.file.fileno())
        self.file.close()
        return {"size": self.size, "sha256": self.hash.hexdigest()}


def save(
    folder: Path, step: int, arrays: Mapping[str, Mapping[str, Tensor]], state: Mapping[str, Any], about: Mapping[str, Any]
) -> Path:
    """Write `folder`/step-N; `about` goes into the manifest. An `OSError` leaves what was there as it was."""
    final = folder / f"step-{step}"
    if final.exists():
        raise FileExistsError(f"{final} exists; a checkpoint is never overwritten")
    folder.mkdir(parents=True, exist_ok=True)
    aside = folder / f"step-{step}.tmp-{uuid.uuid4().hex[:8]}"
    try:
        aside.mkdir()
        files = {f"{name}.safetensors": write_arrays(aside / f"{name}.safetensors", values) for name, values in arrays.items()}
        files["state.json"] = write_bytes(aside / "state.json", encode(state))
        manifest = {"format": FORMAT, "step": step, "files": files, **about}
        write_bytes(aside / MANIFEST, encode(manifest))
        sync(aside)
        aside.rename(final)
    except BaseException:
        shutil.rmtree(aside, ignore_errors=True)
        raise
    sync(folder)
    return final


def write_arrays(path: Path, arrays: Mapping[str, Tensor]) -> dict[str, Any]:
    """A safetensors file, streamed (the library's own writer can't be hashed on the way): length, JSON header, bytes."""
    header: dict[str, Any] = {}
    at = 0
    for name, value in arrays.items():
        size = value.numel() * value.element_size()
        header[name] = {"dtype": DTYPES[value.dtype], "shape": list(value.shape), "data_offsets": [at, at + size]}
        at += size
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    file = HashedFile(path)
    try:
        file.write(len(text).to_bytes(8, "little") + text)
        for value in arrays.values():
            flat = value.detach().cpu().contiguous().reshape(-1)
            if flat.numel():
                file.write(flat.view(torch.uint8).numpy())
        return file.close()
    finally:
        file.file.close()


def write_bytes(path: Path, data: bytes) -> dict[str, Any]:
    """A small file, flushed."""
    file = HashedFile(path)
    try:
        file.write(data)
        return file.close()
    finally:
        file.file.close()


def replace_file(path: Path, data: bytes) -> None:
    """Write beside `path` and rename over it: readers see the old bytes or the new ones."""
    aside = path.with_name(f"{path.name}.tmp-{uuid.uuid4().hex[:8]}")
    try:
        write_bytes(aside, data)
        aside.replace(path)
    finally:
        aside.unlink(missing_ok=True)
    sync(path.parent)


def encode(value: Mapping[str, Any]) -> bytes:
    """Readable JSON; floats round-trip, NaN is refused."""
    return (json.dumps(value, indent=1, sort_keys=True, allow_nan=False) + "\n").encode()


def sync(folder: Path) -> None:
    """Flush a folder's entries."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def verify(path: Path) -> Checkpoint:
    """The checkpoint at `path`, every size and hash checked; `ValueError` names the file that is wrong and how."""
    try:
        manifest = json.loads((path / MANIFEST).read_text())
        files, step = dict(manifest["files"]), int(manifest["step"])
    except FileNotFoundError:
        raise ValueError(f"{path} has no {MANIFEST}: it was never finished") from None
    except (ValueError, KeyError, TypeError):
        raise ValueError(f"{path / MANIFEST} is damaged") from None
    if manifest.get("format") != FORMAT:
        raise ValueError(f"{path} has format {manifest.get('format')!r}; this version reads {FORMAT}")
    for name, said in files.items():
        file = path / name
        if "/" in name or not file.is_file():
            raise ValueError(f"{file} is missing")
        if file.stat().st_size != said["size"]:
            raise ValueError(f"{file} has {file.stat().st_size:,} bytes instead of {said['size']:,}")
        with file.open("rb") as opened:
            if hashlib.file_digest(opened, "sha256").hexdigest() != said["sha256"]:
                raise ValueError(f"{file} is damaged: its sha256 is not the manifest's")
    return Checkpoint(path, step, manifest)


def found(folder: Path) -> list[tuple[int, Path]]:
    """Folders named step-N, newest first, whole or not."""
    names = ((re.fullmatch(r"step-(\d+)", p.name), p) for p in (folder.iterdir() if folder.is_dir() else ()))
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


def retain(folder: Path, keep: int) -> None:
    """Remove all but the newest `keep` whole checkpoints, and only once the newest one has been read back."""
    candidates = found(folder)
    if len(candidates) <= keep:
        return
    verify(candidates[0][1])
    for _, path in candidates[keep:]:
        shutil.rmtree(path)


def sweep(folder: Path) -> None:
    """Remove what killed runs left half written."""
    for path in folder.glob("step-*.tmp-*"):
        shutil.rmtree(path, ignore_errors=True)
