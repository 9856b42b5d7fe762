"""events.jsonl: what a run says of itself, a line at a time."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

from maskdial.train.files import replace_file, writing


class Events:
    """Appended and flushed a line at a time, so that a killed run loses at most the line being written.

    Whoever is in `listeners` hears each event too.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.listeners: list[Callable[[dict[str, Any]], None]] = []

    def add(self, event: str, **fields: Any) -> None:
        """One line; numbers that are not finite become null."""
        made = {"event": event, **{k: _finite(v) for k, v in fields.items()}}
        line = json.dumps(made, ensure_ascii=False, allow_nan=False)
        with writing(self.path), self.path.open("a", encoding="utf-8") as file:
            file.write(line + "\n")
        for listener in self.listeners:
            listener(made)

    def flush(self) -> None:
        """To the disk: what a checkpoint follows must not be lost to a power cut that the checkpoint survives."""
        with writing(self.path), self.path.open("a") as file:
            os.fsync(file.fileno())

    def read(self) -> list[dict[str, Any]]:
        """All whole lines."""
        return self.whole()[0]

    def whole(self) -> tuple[list[dict[str, Any]], int]:
        """(all whole lines, how many others there are); one torn line at the end is what a kill leaves."""
        if not self.path.is_file():
            return [], 0
        made, torn = [], 0
        for line in self.path.read_bytes().split(b"\n"):
            try:
                value = json.loads(line or b"null")
            except (ValueError, RecursionError):
                value = line
            if isinstance(value, dict) and "event" in value:
                made.append(value)
            else:
                torn += value is not None
        return made, torn

    def rewind(self, step: int) -> int:
        """Drop the lines after a step (they will be written again) and a torn last line; returns how many went."""
        lines = self.read()
        kept = [e for e in lines if e.get("step", 0) <= step and e["event"] not in ("done", "failed")]
        with writing(self.path):
            replace_file(self.path, "".join(json.dumps(e, ensure_ascii=False) + "\n" for e in kept).encode())
        return len(lines) - len(kept)


def _finite(value: Any) -> Any:
    if isinstance(value, dict):
        return {k: _finite(v) for k, v in value.items()}
    return None if isinstance(value, float) and (value != value or value in (float("inf"), float("-inf"))) else value
