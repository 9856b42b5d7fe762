"""Files on disk: which ones a path means, and their bytes whether packed or not."""

from __future__ import annotations

import glob
import gzip
import hashlib
import io
import json
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

from maskdial.errors import UserError, nearest

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

FORMATS = (".txt", ".md", ".jsonl", ".csv", ".parquet", ".arrow")
#: Token ids, as nanoGPT keeps them: only where one is named, since a folder's .bin may be anything.
TOKENS = ".bin"
PACKED = (".gz", ".zst")


@dataclass(frozen=True)
class File:
    """One input file: where it is, and the name it has in the manifest (relative, so that moving a corpus changes nothing).

    `kind` is its format where the path does not tell: `pydocs` is no file at all.
    """

    path: Path
    name: str
    kind: str = ""

    @property
    def format(self) -> str:
        """`.txt`, `.jsonl`, …; packing aside."""
        return self.kind or format_of(self.path)

    def sha256(self, said: Callable[[int], None] = lambda size: None) -> str:
        """Digest of its bytes; `said` hears how many were read."""
        digest = hashlib.sha256()
        with self.path.open("rb") as file:
            while block := file.read(1 << 20):
                digest.update(block)
                said(len(block))
        return digest.hexdigest()


def format_of(path: Path) -> str:
    """The format a name promises, or '' for none that we read."""
    stem = path.name.lower()
    for packed in PACKED:
        stem = stem.removesuffix(packed)
    return next((f for f in (*FORMATS, TOKENS) if stem.endswith(f)), "")


def expand(path: str) -> list[File]:
    """The files that a file name, a folder or a glob means, in a fixed order.

    `UserError` (exit 2) for a path that is missing, empty, or holds nothing that can be read as text.
    """
    given = Path(path).expanduser()
    if given.is_dir():
        return _folder(given)
    if given.exists():
        return [_single(given)]
    if glob.has_magic(path):
        found = sorted(p for p in map(Path, glob.glob(str(given), recursive=True)) if p.is_file() and format_of(p))
        if not found:
            raise UserError(f"no file matches {path}", hint=f"formats read: {_formats()}", code="data.missing", where=path)
        return _filled([File(p, p.as_posix()) for p in found], path)
    beside = [p.name for p in given.parent.iterdir()] if given.parent.is_dir() else []
    hint = nearest(given.name, beside) if 0 < len(beside) <= 1000 else "a path is a file, a folder, a glob, pydocs or hf:NAME"
    raise UserError(f"there is no {path}", hint=hint, code="data.missing", where=path)


def _single(path: Path) -> File:
    if not format_of(path):
        raise UserError(f"{path} is of no format that is read", hint=f"formats read: {_formats()}", code="data.format",
                        where=str(path))  # fmt: skip
    if path.stat().st_size == 0:
        raise UserError(f"{path} is empty", hint="give a file with some text in it", code="data.empty", where=str(path))
    return File(path, path.name)


def _folder(folder: Path) -> list[File]:
    if (folder / "dataset_dict.json").is_file():
        splits = ", ".join(sorted(p.name for p in folder.iterdir() if (p / "state.json").is_file()))
        raise UserError(f"{folder} is a saved dataset with several splits: {splits}", hint=f"name one: {folder}/SPLIT", code="data.split",
                        where=str(folder))  # fmt: skip
    if (folder / "state.json").is_file() and (folder / "dataset_info.json").is_file():
        return _saved(folder)
    inside = sorted(folder.rglob("*"), key=lambda p: p.relative_to(folder).parts)
    files = [
        File(p, p.relative_to(folder).as_posix()) for p in inside
        if p.is_file() and format_of(p) in FORMATS and not any(part.startswith(".") for part in p.relative_to(folder).parts)
    ]  # fmt: skip
    if not files:
        raise UserError(f"{folder} holds no text", hint=f"formats read: {_formats()}", code="data.empty", where=str(folder))
    return _filled(files, str(folder))


def _saved(folder: Path) -> list[File]:
    """The files of a dataset that Hugging Face's `save_to_disk` wrote, without what was cached beside them."""
    try:
        state = json.loads((folder / "state.json").read_text(encoding="utf-8"))
        names = [Path(f["filename"]).name for f in state["_data_files"]]
    except (ValueError, KeyError, TypeError) as error:
        raise UserError(f"{folder / 'state.json'} does not list the dataset's files ({error!r})", hint="save the dataset again",
                        code="data.damaged", where=str(folder)) from error  # fmt: skip
    if state.get("_indices_data_files") or state.get("_indices_files"):
        raise UserError(f"{folder} is a selection of rows", hint="save it with a newer datasets, which writes them out", code="data.format",
                        where=str(folder))  # fmt: skip
    lost = [n for n in names if not (folder / n).is_file()]
    if lost:
        raise UserError(f"{folder / lost[0]} is missing, though state.json lists it", hint="save the dataset again", code="data.damaged",
                        where=str(folder / lost[0]))  # fmt: skip
    return _filled([File(folder / n, n, ".arrow") for n in names], str(folder))


def _filled(files: list[File], where: str) -> list[File]:
    """The files that hold anything; among many an empty one is no mistake, but all of them are."""
    filled = [f for f in files if f.path.stat().st_size]
    if not filled:
        raise UserError(f"every file of {where} is empty", hint="give a file with some text in it", code="data.empty", where=where)
    return filled


def _formats() -> str:
    return f"{' '.join(FORMATS)}, each also {' and '.join(PACKED)}"


class _Zstd(io.RawIOBase):
    """A reader of one or more zstd frames that, unlike the library's own, notices when the last one is cut short."""

    def __init__(self, file: BinaryIO) -> None:
        import zstandard

        self._file, self._new = file, zstandard.ZstdDecompressor(max_window_size=1 << 31).decompressobj
        self._frame: Any = None
        self._ready = b""

    def readable(self) -> bool:
        return True

    def _more(self) -> bool:
        """Unpack the next bytes; False at the end of the file."""
        packed = self._file.read(1 << 16)
        if not packed:
            if self._frame is not None and not self._frame.eof:
                raise EOFError("the last zstd frame is cut short")
            return False
        pieces: list[bytes] = []
        while packed:
            if self._frame is None or self._frame.eof:
                self._frame = self._new()
            pieces.append(self._frame.decompress(packed))
            packed = self._frame.unused_data
        self._ready = b"".join(pieces)
        return True

    def readinto(self, buffer: WriteableBuffer) -> int:
        view = memoryview(buffer).cast("B")
        while not self._ready:
            if not self._more():
                return 0
        taken = self._ready[: len(view)]
        self._ready = self._ready[len(taken) :]
        view[: len(taken)] = taken
        return len(taken)


@contextmanager
def opened(file: File) -> Iterator[io.BufferedReader]:
    """A file's bytes, unpacked. What goes wrong while reading becomes a `UserError` that names the file."""
    import zstandard

    try:
        with file.path.open("rb") as raw:
            name = file.path.name.lower()
            if name.endswith(".gz"):
                with gzip.GzipFile(fileobj=raw) as unpacked:
                    yield io.BufferedReader(unpacked, 1 << 20)
            elif name.endswith(".zst"):
                yield io.BufferedReader(_Zstd(raw), 1 << 20)
            else:
                yield raw
    except (OSError, EOFError, zlib.error, zstandard.ZstdError) as error:
        raise UserError(f"{file.path} can't be read to its end: {error}", hint="it may be truncated or damaged; fetch it again",
                        code="data.damaged", where=str(file.path)) from error  # fmt: skip
