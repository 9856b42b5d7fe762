"""The jobs that `prepare` is made of. Each depends on the inputs and options alone, so that any process can do it."""

from __future__ import annotations

import json
import os
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from maskdial.data.documents import Walk
from maskdial.data.encode import encode_unit
from maskdial.data.files import TOKENS, File
from maskdial.data.options import Options
from maskdial.data.plan import Plan
from maskdial.data.reader import Reader
from maskdial.data.split import Split
from maskdial.data.storage import settle, wrong
from maskdial.data.survey import Said, look, pick
from maskdial.data.tokenizer import Tokenizer, load


@dataclass
class Work:
    """`out` is the corpus folder, `folder` a temporary one inside it. `unit`: bytes of text in a shard; `of`: machines."""

    files: tuple[File, ...]
    options: Options
    out: Path
    folder: Path
    unit: int
    of: int

    def to_json(self) -> dict[str, Any]:
        files = [[str(f.path), f.name, f.kind] for f in self.files]
        return {"files": files, "options": asdict(self.options), "out": str(self.out), "folder": str(self.folder), "unit": self.unit,
                "of": self.of}  # fmt: skip

    @classmethod
    def of_json(cls, found: dict[str, Any]) -> Work:
        files = tuple(File(Path(path), name, kind) for path, name, kind in found["files"])
        options = Options(**found["options"] | {"grow": tuple(found["options"]["grow"])})
        return cls(files, options, Path(found["out"]), Path(found["folder"]), found["unit"], found["of"])

    @cached_property
    def _walk(self) -> Walk:
        given, ids = self.options.tokenizer, any(f.format == TOKENS for f in self.files)
        tokenizer = load(given) if ids and given not in (None, "words") else None
        return Walk(Reader(self.options.text_column, self.options.errors, tokenizer=tokenizer))

    @cached_property
    def _plan(self) -> Plan:
        plan = Plan.read(self.out)
        assert plan is not None, "the plan is published before any shard is made"
        self._walk.reader.sound = {f.path for f in self.files}
        return plan

    @cached_property
    def _tokenizer(self) -> Tokenizer:
        return load(self.out / "tokenizer")

    def rows(self, number: int) -> Path:
        """Where `look` leaves what it remembers of a file's documents."""
        return self.folder / f"rows-{number}"

    def marks(self, number: int) -> Path:
        """bool a document of a file: whether a tokenizer may be trained on it."""
        return self.folder / f"marks-{number}"

    def sample(self, number: int) -> Path:
        """Where `pick` leaves a file's texts."""
        return self.folder / f"sample-{number}"

    def look(self, number: int, said: Said) -> dict[str, Any]:
        """Survey file `number`."""
        return look(self.files[number], self._walk, self.rows(number), self.unit, said)

    def pick(self, number: int, said: Said, split: dict[str, Any]) -> dict[str, Any]:
        """Copy what a tokenizer is trained on from file `number`."""
        pick(self.files[number], self._walk, np.fromfile(self.marks(number), dtype=bool), self.sample(number), Split(**split), said)
        return {}

    def make(self, number: int, said: Said) -> dict[str, Any]:
        """Make shard `number`, unless it is there already, whole and from this plan."""
        record = self.out / f"shard-{number:05d}.json"
        if (found := made(record, self._plan)) is not None:
            said(self._plan.documents([number]))
            return found
        new = encode_unit(self.files, self.options, self._plan, self._tokenizer, self._walk, self.folder, number, said)
        new |= {"made_from": self._plan.made_from, "of": self.of}
        for shard in new["shards"]:
            for suffix in shard["files"]:
                os.replace(self.folder / f"{shard['name']}{suffix}", self.out / f"{shard['name']}{suffix}")
        write_json(record, new, self.folder)
        return new


def made(path: Path, plan: Plan) -> dict[str, Any] | None:
    """The record of a shard that was made from this plan and whose files are as they were written; else None."""
    try:
        record: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        if record["made_from"] != plan.made_from:
            return None
        files = [(f"{s['name']}{suffix}", f) for s in record["shards"] for suffix, f in s["files"].items()]
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return None if any(wrong(path.parent / name, f) for name, f in files) else record


def write_json(path: Path, value: dict[str, Any], folder: Path) -> None:
    """A JSON file that is there whole or not at all; `folder` is where it is written first."""
    temporary = folder / path.name
    temporary.write_bytes(json.dumps(value, indent=1, sort_keys=True, ensure_ascii=False).encode() + b"\n")
    settle([temporary])
    os.replace(temporary, path)
