"""What a compare folder holds, read once and checked, so that the rest of the report only looks things up."""

from __future__ import annotations

import hashlib
import json
import os
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from maskdial.errors import UserError

Json = dict[str, Any]
SCHEMA = "results/1"


@dataclass(frozen=True)
class InputFile:
    """A file that the report was made from: enough to know it again."""

    name: str
    size: int
    sha256: str
    #: lines that hold a record, for `.jsonl` files
    records: int | None = None


@dataclass(frozen=True)
class Folder:
    """A compare folder: its results, the sample views of its objectives and the files they came from."""

    path: Path
    results: Json
    views: dict[str, Json] = field(default_factory=dict)
    files: tuple[InputFile, ...] = ()

    @property
    def objectives(self) -> dict[str, Json]:
        """Every objective by name, failed ones too."""
        found: dict[str, Json] = self.results["objectives"]
        return found

    @property
    def finished(self) -> dict[str, Json]:
        """The objectives that trained to the end."""
        return {name: found for name, found in self.objectives.items() if not found.get("failed")}

    @property
    def seeds(self) -> int:
        """How many seeds each objective was asked to train with."""
        return int(self.results.get("budget", {}).get("seeds", 1))

    @property
    def run(self) -> str:
        return str(self.results.get("run", ""))


def read(folder: Path) -> Folder:
    """Reads a compare folder; a `UserError` says what is missing and how to make it."""
    if not folder.is_dir():
        raise UserError(
            f"there is no folder {folder}", hint="give the folder that `maskdial compare --out DIR` wrote", code="report.folder"
        )
    path = folder / "results.json"
    if not path.is_file():
        raise UserError(
            f"{folder} holds no results.json, so it is not a finished comparison",
            hint="`maskdial compare` writes it when the last objective has been evaluated", code="report.results",
        )  # fmt: skip
    results = _json(path)
    _check(results, path)
    views = _json(folder / "views.json") if (folder / "views.json").is_file() else []
    if not isinstance(views, list):
        raise UserError(f"{folder / 'views.json'} must hold a list of sample views", code="report.views")
    named = {str(view.get("name") or view.get("objective")): view for view in views if isinstance(view, dict)}
    return Folder(folder, results, named, tuple(_describe(p) for p in _inputs(folder)))


def _json(path: Path) -> Any:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise UserError(
            f"{path} is not valid JSON: {error}", hint="it may have been cut short; run the comparison again", code="report.json"
        ) from error


def _check(results: Any, path: Path) -> None:
    found = results.get("schema") if isinstance(results, dict) else None
    if found != SCHEMA:
        raise UserError(
            f"{path} has schema {found!r}; this version reads {SCHEMA!r}", code="report.schema", where="schema",
            hint="make the report with the version of maskdial that made the comparison, or compare again",
        )  # fmt: skip
    objectives = results.get("objectives")
    if not isinstance(objectives, dict) or not objectives:
        raise UserError(f"{path} names no objectives, so there is nothing to report", code="report.objectives", where="objectives")


def _inputs(folder: Path) -> list[Path]:
    """The files a report is made from. What the report itself writes is left out, or two builds would differ."""
    fixed = [folder / name for name in ("results.json", "views.json", "events.jsonl")]
    return [p for p in [*fixed, *sorted(folder.glob("samples_*.jsonl"))] if p.is_file()]


def _describe(path: Path) -> InputFile:
    data = path.read_bytes()
    records = sum(1 for line in data.splitlines() if line.strip()) if path.suffix == ".jsonl" else None
    return InputFile(path.name, len(data), hashlib.sha256(data).hexdigest(), records)


def slug(name: str) -> str:
    """A name as it may stand in a file name or an anchor: nothing that leaves the folder or the attribute, and no two alike."""
    clean = re.sub(r"[^A-Za-z0-9_-]+", "-", name).strip("-")
    return clean if clean and clean == name else f"{clean or 'unnamed'}-{hashlib.sha256(name.encode()).hexdigest()[:6]}"


def write(path: Path, text: str) -> None:
    """Writes a whole file or nothing: a reader never sees half a report."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(path.name + ".part")
    part.write_text(text, encoding="utf-8", newline="\n")
    os.replace(part, path)
