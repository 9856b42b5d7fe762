"""A run's folder: everything that is needed to go on or to ask the model later, in plain files.

    RUN/config.json      objective and options, model, settings as decided, budget and its frozen steps, corpus
    RUN/tokenizer/       the tokenizer, copied
    RUN/events.jsonl     one line an event; the first is the config
    RUN/checkpoints/     step-N …  (`maskdial.train.checkpoint`)
"""

from __future__ import annotations

import json
import os
import platform
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from maskdial.errors import UserError
from maskdial.train.checkpoint import encode, replace_file
from maskdial.train.config import differences

CONFIG, EVENTS, CHECKPOINTS, TOKENIZER = "config.json", "events.jsonl", "checkpoints", "tokenizer"

#: Settings that may differ when a run goes on: they decide no number.
FREE = ("checkpoint", "log_every", "threads", "device")


class Folder:
    """Reads and writes the files of one run."""

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        self.checkpoints = self.path / CHECKPOINTS

    @property
    def exists(self) -> bool:
        """Whether a run was begun here."""
        return (self.path / CONFIG).is_file()

    def config(self) -> dict[str, Any]:
        """config.json; `UserError` when this is no run folder."""
        try:
            value: dict[str, Any] = json.loads((self.path / CONFIG).read_text())
        except FileNotFoundError:
            raise UserError(f"{self.path} is not a run: it has no {CONFIG}", code="run.missing", where=str(self.path)) from None
        except ValueError:
            raise UserError(f"{self.path / CONFIG} is damaged", code="run.damaged", where=str(self.path), exit=1) from None
        return value

    def begin(self, config: Mapping[str, Any], tokenizer: Any) -> None:
        """Make the folder; the config is written last, so that a folder that has one has all."""
        if self.path.exists() and (not self.path.is_dir() or any(p for p in self.path.iterdir() if p.name not in (TOKENIZER, EVENTS))):
            raise UserError(f"{self.path} exists and is not a run", hint="choose another --out", code="out.exists", where="out", exit=4)
        self.path.mkdir(parents=True, exist_ok=True)
        tokenizer.save(self.path / TOKENIZER)
        (self.path / EVENTS).unlink(missing_ok=True)
        self.store(config)

    def store(self, config: Mapping[str, Any]) -> None:
        """Write config.json, replacing the old one in one step."""
        replace_file(self.path / CONFIG, encode(config))

    def same(self, mine: Mapping[str, Any], saved: Mapping[str, Any], where: Path) -> None:
        """`UserError` (exit 4) with the differences, unless both configs mean the same run."""
        changed = differences(identity(saved), identity(mine))
        if changed:
            raise UserError(
                f"{where} was made with other settings, so it can't go on with these:\n  " + "\n  ".join(changed),
                hint="use the same settings, or another --out", code="resume.mismatch", where="resume", exit=4,
            )


def identity(config: Mapping[str, Any]) -> dict[str, Any]:
    """What decides the numbers of a run."""
    train = {k: v for k, v in config["train"].items() if k not in FREE}
    frozen = {k: v for k, v in config["budget"].items() if k != "steps"}
    return {k: config[k] for k in ("objective", "model", "corpus")} | {"train": train, "budget": frozen}


class Events:
    """events.jsonl: appended and flushed a line at a time, so that a killed run loses at most the line being written."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def add(self, event: str, **fields: Any) -> None:
        """One line; numbers that are not finite become null."""
        line = json.dumps({"event": event, **{k: _finite(v) for k, v in fields.items()}}, ensure_ascii=False, allow_nan=False)
        with self.path.open("a", encoding="utf-8") as file:
            file.write(line + "\n")

    def read(self) -> list[dict[str, Any]]:
        """All whole lines."""
        if not self.path.is_file():
            return []
        made = []
        for line in self.path.read_bytes().split(b"\n"):
            try:
                value = json.loads(line)
            except ValueError:
                continue
            if isinstance(value, dict) and "event" in value:
                made.append(value)
        return made

    def rewind(self, step: int) -> int:
        """Drop the lines after a step (they will be written again) and a torn last line; returns how many went."""
        lines = self.read()
        kept = [e for e in lines if e.get("step", 0) <= step and e["event"] != "done"]
        replace_file(self.path, "".join(json.dumps(e, ensure_ascii=False) + "\n" for e in kept).encode())
        return len(lines) - len(kept)


def _finite(value: Any) -> Any:
    return None if isinstance(value, float) and (value != value or value in (float("inf"), float("-inf"))) else value


def versions() -> dict[str, str]:
    """What made a run."""
    import numpy
    import torch

    import maskdial

    return {"maskdial": maskdial.__version__, "torch": torch.__version__, "numpy": numpy.__version__,
            "python": platform.python_version(), "machine": f"{platform.machine()}, {os.cpu_count()} CPUs"}  # fmt: skip
