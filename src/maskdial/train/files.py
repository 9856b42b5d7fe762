"""Files that are whole or not there: hashed while they are written, flushed to the disk, replaced in one step; read with suspicion."""

from __future__ import annotations

import hashlib
import json
import os
import stat
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from maskdial.errors import UserError

DTYPES = {torch.float32: "F32", torch.float64: "F64", torch.bfloat16: "BF16", torch.int64: "I64", torch.int32: "I32"}
#: No JSON file of ours is larger, and a stranger's that is isn't read into memory.
LARGEST_JSON = 16 << 20


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


def make_folder(path: Path) -> None:
    """A folder whose own entry is flushed too."""
    if not path.is_dir():
        path.mkdir(parents=True, exist_ok=True)
        sync(path.parent)


def sync(folder: Path) -> None:
    """Flush a folder's entries."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def encode(value: Mapping[str, Any]) -> bytes:
    """Readable JSON in the order given (the first head stays the first); floats round-trip, NaN is refused."""
    return (json.dumps(value, indent=1, allow_nan=False) + "\n").encode()


def read_json(path: Path) -> dict[str, Any]:
    """A JSON object; `FileNotFoundError`, or `ValueError` that names the file when it is anything else."""
    try:
        size = plain(path).st_size
        if size > LARGEST_JSON:
            raise ValueError(f"{path} has {size:,} bytes: no such file of ours is that large")
        data = path.read_bytes()
    except FileNotFoundError:
        raise
    except OSError as fault:
        raise ValueError(f"{path} can't be read: {fault.strerror}") from None
    try:
        value = json.loads(data)
    except (ValueError, RecursionError):
        raise ValueError(f"{path} is damaged: it is no JSON") from None
    if not isinstance(value, dict):
        raise ValueError(f"{path} is damaged: it holds no JSON object")
    return value


def check_file(path: Path, size: int, sha256: str | None) -> None:
    """`ValueError` unless this is a plain file of that size and, when given, that digest."""
    try:
        found = plain(path).st_size
        if found != size:
            raise ValueError(f"{path} has {found:,} bytes instead of {size:,}")
        if sha256 is not None and sha256_of(path) != sha256:
            raise ValueError(f"{path} is damaged: its sha256 is not the manifest's")
    except FileNotFoundError:
        raise ValueError(f"{path} is missing") from None
    except OSError as fault:
        raise ValueError(f"{path} can't be read: {fault.strerror}") from None


def sha256_of(path: Path) -> str:
    """The digest of a file's bytes, read a piece at a time."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def plain(path: Path) -> os.stat_result:
    """What the system says of a file; `ValueError` for a link, a folder, a pipe or a device: those are not ours."""
    found = path.lstat()
    if not stat.S_ISREG(found.st_mode):
        raise ValueError(f"{path} is no plain file")
    return found


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """An `OSError` while writing `path` becomes a `UserError` that names it: a full disk, a folder that can't be written."""
    try:
        yield
    except OSError as fault:
        raise UserError(f"could not write {path}: {fault.strerror or fault}",
                        hint="make room, then run the same command again: it goes on from the last checkpoint", code="run.write",
                        where=str(path), exit=1) from fault  # fmt: skip
