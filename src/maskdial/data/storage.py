"""A corpus folder's files: written with their digests, mapped with their blocks checked at first touch, verified in full.

For each shard of each part, little-endian and without headers:
`.bin` tokens uint16 or uint32 · `.idx` uint64 end of each document in tokens · `.word` `.sent` uint8 a token, 1 where one
starts · `.bytes` uint64 UTF-8 bytes of each document's text · `.label` int32 a document (-1 none) · `.title` JSON lines.
Only where there is something to tell: `.part` uint8 a token, 1 where a completion or an assistant's turn is · `.lang` int32
the language of a document.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import zlib
from collections.abc import Iterable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from maskdial.data.languages import UNNAMED
from maskdial.errors import UserError

FORMAT = "maskdial-corpus/1"
MANIFEST = "manifest.json"
BLOCK = 4 << 20
#: Files mapped at a time: each takes one of a process's open files, of which some systems allow 256.
MAPS = 128
SUFFIXES = (".bin", ".idx", ".word", ".sent", ".bytes", ".label", ".title")
#: What a token's part or a document's language is stored under, in corpora that have them.
PART, LANGUAGE = ".part", ".lang"
#: Names that prepare gives to what it leaves in a corpus folder.
OURS = re.compile(r"(shard|held-out)-\d{5}(\.\w+|-of-\d{5}\.json)|manifest\.json|plan\.(json|bits)|tokenizer|\.tmp-shard-\d{5}")
PARTS = {"train": "shard", "held_out": "held-out"}


def canonical(value: Any) -> bytes:
    """JSON with one spelling: what fingerprints are taken of."""
    return json.dumps(value, sort_keys=True, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "surrogatepass")


def damaged(file: Path, what: str) -> UserError:
    return UserError(f"{file}: {what}", hint="prepare the corpus again (--overwrite) or restore this file", code="corpus.damaged",
                     where=str(file), exit=1)  # fmt: skip


class Hasher:
    """Length, sha256 and a crc32 for every 4 MiB of the bytes that pass."""

    def __init__(self) -> None:
        self._sha, self._crc, self.bytes = hashlib.sha256(), 0, 0
        self._crcs: list[int] = []

    def update(self, data: bytes) -> None:
        self._sha.update(data)
        view = memoryview(data)
        while view:
            piece = view[: BLOCK - self.bytes % BLOCK]
            self._crc = zlib.crc32(piece, self._crc)
            self.bytes += len(piece)
            view = view[len(piece) :]
            if self.bytes % BLOCK == 0:
                self._crcs.append(self._crc)
                self._crc = 0

    def record(self) -> dict[str, Any]:
        crcs = self._crcs + ([self._crc] if self.bytes % BLOCK else [])
        return {"bytes": self.bytes, "sha256": self._sha.hexdigest(), "crc32": [f"{c:08x}" for c in crcs]}


class HashedFile:
    """A file being written, its digests taken as it goes; `settle` sees to it that it outlasts a power failure."""

    def __init__(self, path: Path) -> None:
        self._file: BinaryIO = path.open("wb")
        self._hasher = Hasher()

    def __enter__(self) -> HashedFile:
        return self

    def __exit__(self, *error: object) -> None:
        self._file.close()

    def write(self, data: bytes) -> None:
        self._file.write(data)
        self._hasher.update(data)

    def record(self) -> dict[str, Any]:
        return self._hasher.record()


def settle(paths: Iterable[Path]) -> None:
    """Wait until files are on the disk."""
    for path in paths:
        with path.open("rb") as file:
            os.fsync(file.fileno())


@dataclass(frozen=True)
class Encoded:
    """One document on its way to a shard; `ids` without the end-of-document id, whose part is `ends`. No `part`: plain text,
    which is all to be said."""

    ids: NDArray[np.int32]
    word: NDArray[np.uint8]
    sentence: NDArray[np.uint8]
    text_bytes: int
    label: str | None = None
    title: str | None = None
    language: str = UNNAMED
    part: NDArray[np.uint8] | None = None
    ends: bool = True


class ShardWriter:
    """Writes one shard of one part; memory does not grow with the shard, labels aside. `also`: PART, LANGUAGE or both."""

    def __init__(self, folder: Path, part: str, number: int, eod: int, dtype: str, also: Sequence[str] = ()) -> None:
        self.name, self.part, self._eod, self._dtype = f"{PARTS[part]}-{number:05d}", part, eod, np.dtype(dtype)
        self.tokens = self.documents = self.text_bytes = 0
        self.asking = self.longest_prompt = 0
        self._labels: dict[str, int] = {}
        self._languages: dict[str, int] = {}
        self._open = ExitStack()
        self._files = {s: self._open.enter_context(HashedFile(folder / f"{self.name}{s}")) for s in (*SUFFIXES, *also)}

    def __enter__(self) -> ShardWriter:
        return self

    def __exit__(self, *error: object) -> None:
        self._open.close()

    def add(self, document: Encoded) -> None:
        """Append a document and its end-of-document id, which is a word of its own in the last sentence."""
        write = {s: f.write for s, f in self._files.items()}
        write[".bin"](np.append(document.ids, self._eod).astype(self._dtype).tobytes())
        write[".word"](np.append(document.word, 1).astype(np.uint8).tobytes())
        write[".sent"](np.append(document.sentence, 0).astype(np.uint8).tobytes())
        self.tokens += len(document.ids) + 1
        self.documents += 1
        self.text_bytes += document.text_bytes
        label = -1 if document.label is None else self._labels.setdefault(document.label, len(self._labels))
        write[".idx"](self.tokens.to_bytes(8, "little"))
        write[".bytes"](document.text_bytes.to_bytes(8, "little"))
        write[".label"](label.to_bytes(4, "little", signed=True))
        write[".title"](json.dumps(document.title, ensure_ascii=True).encode() + b"\n")
        if LANGUAGE in write:
            language = self._languages.setdefault(document.language, len(self._languages))
            write[LANGUAGE](language.to_bytes(4, "little", signed=True))
        if PART in write:
            part = np.ones(len(document.ids), np.uint8) if document.part is None else document.part
            write[PART](np.append(part, document.ends).astype(np.uint8).tobytes())
            self.asking += int((part == 0).sum()) + (not document.ends)
            self.longest_prompt = max(self.longest_prompt, prompt_of(part))

    def record(self) -> dict[str, Any]:
        """The shard's entry in the manifest."""
        return {"name": self.name, "part": self.part, "tokens": self.tokens, "documents": self.documents,
                "text_bytes": self.text_bytes, "labels": list(self._labels),
                "files": {s: f.record() for s, f in self._files.items()},
                **({"languages": list(self._languages)} if LANGUAGE in self._files else {}),
                **({"asking": self.asking, "longest_prompt": self.longest_prompt} if PART in self._files else {})}  # fmt: skip


def prompt_of(part: NDArray[np.uint8]) -> int:
    """Tokens before the first that answers."""
    return int(part.argmax()) if part.any() else len(part)


class Mapped:
    """A shard's file as an array, never loaded whole; each 4 MiB block is checked against its crc32 when first touched."""

    def __init__(self, path: Path, dtype: str, record: dict[str, Any]) -> None:
        self.path, self._record, self._dtype = path, record, np.dtype(dtype)
        found = path.stat().st_size if path.is_file() else -1
        if found != record["bytes"]:
            raise damaged(path, "missing" if found < 0 else f"{found:,} bytes, but the manifest says {record['bytes']:,}")
        size = self._dtype.itemsize
        if found % size or len(record["crc32"]) != -(-found // BLOCK):
            raise damaged(path, f"its manifest entry does not fit {found:,} bytes of {dtype}")
        self._unchecked = np.ones(len(record["crc32"]), dtype=bool)
        self._left = len(record["crc32"])
        self._per_block = BLOCK // size
        self._length = found // size

    def __len__(self) -> int:
        return self._length

    @property
    def raw(self) -> NDArray[Any]:
        """All elements, unchecked."""
        return _mapped(self) if self._length else np.zeros(0, dtype=self._dtype)

    def check(self, first: NDArray[np.int64], last: NDArray[np.int64]) -> None:
        """Check the blocks of elements first[i] … last[i] (inclusive) that nobody touched before."""
        if not self._left or not len(first):
            return
        wanted = np.zeros(len(self._unchecked) + 1, dtype=np.int64)
        np.add.at(wanted, first // self._per_block, 1)
        np.add.at(wanted, last // self._per_block + 1, -1)
        bytes_ = self.raw.view(np.uint8)
        for block in np.flatnonzero((np.cumsum(wanted)[:-1] > 0) & self._unchecked).tolist():
            found = f"{zlib.crc32(bytes_[block * BLOCK : (block + 1) * BLOCK].data):08x}"
            if found != self._record["crc32"][block]:
                raise damaged(self.path, f"block {block} (bytes {block * BLOCK:,} …) is damaged: crc32 {found}, "
                                         f"the manifest says {self._record['crc32'][block]}")  # fmt: skip
            self._unchecked[block] = False
            self._left -= 1

    def slice(self, first: int, end: int) -> NDArray[Any]:
        """Elements first … end-1, checked."""
        if end > first:
            self.check(np.array([first]), np.array([end - 1]))
        return self.raw[first:end]

    def __getitem__(self, i: int) -> int:
        return int(self.slice(i, i + 1)[0])


@lru_cache(maxsize=MAPS)
def _mapped(file: Mapped) -> NDArray[Any]:
    return np.memmap(file.path, dtype=file._dtype, mode="r")


def read_manifest(folder: Path) -> dict[str, Any]:
    """A corpus's manifest, or a `UserError` that says why the folder is none."""
    path = folder / MANIFEST
    if not path.is_file():
        begun = folder.is_dir() and any(OURS.fullmatch(p.name) for p in folder.iterdir())
        hint = "prepare was stopped before it was done: run it again" if begun else "make one: maskdial prepare PATH --out DIR"
        raise UserError(f"{folder} is no prepared corpus", hint=hint, code="corpus.missing", where=str(folder))
    try:
        manifest = json.loads(path.read_text(encoding="utf-8"))
        version = manifest["format"]
    except (ValueError, KeyError, TypeError) as error:
        raise damaged(path, f"no manifest ({error})") from error
    if version != FORMAT:
        raise UserError(f"{path} is of format {version!r}; this version reads {FORMAT!r}", hint="prepare the corpus again",
                        code="corpus.format", where=str(path), exit=1)  # fmt: skip
    found: dict[str, Any] = manifest
    return found


def fingerprint(manifest: dict[str, Any]) -> str:
    """sha256 of the canonical manifest, which holds every file's digest."""
    return hashlib.sha256(canonical(manifest)).hexdigest()


def all_files(manifest: dict[str, Any]) -> Iterable[tuple[str, dict[str, Any]]]:
    """(name, record) of every file the manifest vouches for."""
    for shard in manifest["shards"]:
        for suffix, record in shard["files"].items():
            yield f"{shard['name']}{suffix}", record
    yield from manifest["tokenizer"]["files"].items()


def verify(folder: str | Path) -> list[str]:
    """Read every file of a corpus in full; returns what is wrong, file and block named. Empty: all is as it was written."""
    folder = Path(folder)
    manifest = read_manifest(folder)
    return [problem for name, record in all_files(manifest) for problem in wrong(folder / name, record)]


def wrong(path: Path, record: dict[str, Any]) -> list[str]:
    """What is wrong with one file that a manifest vouches for."""
    if not path.is_file():
        return [f"{path}: missing"]
    found = record_of(path)
    problems = []
    if found["bytes"] != record["bytes"]:
        problems.append(f"{path}: {found['bytes']:,} bytes, the manifest says {record['bytes']:,}")
    blocks = [n for n, (a, b) in enumerate(zip(found["crc32"], record["crc32"], strict=False)) if a != b]
    problems += [f"{path}: block {n} (bytes {n * BLOCK:,} …) is damaged" for n in blocks]
    if not problems and found["sha256"] != record["sha256"]:
        problems.append(f"{path}: sha256 differs from the manifest")
    return problems


def record_of(path: Path) -> dict[str, Any]:
    """What a manifest records of a file."""
    hashed = Hasher()
    with path.open("rb") as file:
        while block := file.read(BLOCK):
            hashed.update(block)
    return hashed.record()
