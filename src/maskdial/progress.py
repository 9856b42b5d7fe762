"""How far a long piece of work has come, on stderr: a bar for a person, lines for a log, JSON for a program."""

from __future__ import annotations

import json
import sys
import time
from types import TracebackType
from typing import TYPE_CHECKING, Any, Literal, TextIO

if TYPE_CHECKING:
    from rich.progress import Progress as Bar

Mode = Literal["auto", "bar", "plain", "json", "off"]

#: A plain line is written when both this many seconds and this share of the work have passed since the last one.
SECONDS, SHARE = 10.0, 0.01


class Progress:
    """`with Progress("train", 1000, "steps") as p: p.update(loss=2.31)`.

    `total` None means unknown. `mode` auto is a bar on a terminal and plain lines elsewhere; json writes one line an
    event. Fields of `update` (loss, tokens/s, …) are shown beside the count until they are given anew.
    """

    def __init__(
        self, label: str, total: int | None, unit: str = "steps", mode: Mode = "auto", stream: TextIO | None = None
    ) -> None:
        self.label, self.total, self.unit = label, total, unit
        self.stream = stream if stream is not None else sys.stderr
        self.mode: Mode = mode if mode != "auto" else "bar" if self.stream.isatty() else "plain"
        if self.mode not in ("bar", "plain", "json", "off"):
            raise ValueError(f"progress is auto, bar, plain, json or off, not {mode!r}")
        self.done = 0
        self.fields: dict[str, Any] = {}
        self._began = self._said_at = time.monotonic()
        self._said = 0
        self._drawn_at = 0.0
        self._bar: Bar | None = None
        self._task: Any = None

    def __enter__(self) -> Progress:
        self._began = self._said_at = time.monotonic()
        if self.mode == "bar":
            self._open_bar()
        elif self.mode == "json":
            self._event("start")
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if self.mode == "plain" and self.done > self._said:
            self._line()
        elif self.mode == "json":
            self._event("end", ok=kind is None)
        if self._bar is not None:
            self._draw()
            self._bar.stop()

    @property
    def seconds(self) -> float:
        return time.monotonic() - self._began

    @property
    def rate(self) -> float:
        """Units a second since the start."""
        return self.done / self.seconds if self.seconds > 0 else 0.0

    @property
    def left(self) -> float | None:
        """Seconds left at the rate so far; None when that can't be known."""
        return (self.total - self.done) / self.rate if self.total is not None and self.rate > 0 else None

    def update(self, n: int = 1, **fields: Any) -> None:
        """`n` more units are done."""
        self.done += n
        self.fields.update(fields)
        if self.mode == "off":
            return
        now = time.monotonic()
        if self._bar is not None:
            if now - self._drawn_at >= 0.05:
                self._drawn_at = now
                self._draw()
        elif now - self._said_at >= SECONDS and self.done - self._said >= SHARE * (self.total or 0):
            self._said_at, self._said = now, self.done
            if self.mode == "plain":
                self._line()
            else:
                self._event("progress")

    def note(self, text: str) -> None:
        """A line of its own, now."""
        if self._bar is not None:
            self._bar.console.print(f"{self.label}: {text}", markup=False, highlight=False)
        elif self.mode == "plain":
            self._write(f"{self.label}: {text}")
        elif self.mode == "json":
            self._event("note", text=text)

    def _shown(self) -> str:
        return "  ".join(f"{k} {v:.4g}" if isinstance(v, float) else f"{k} {v}" for k, v in self.fields.items())

    def _line(self) -> None:
        count = f"{self.done:,}" if self.total is None else f"{self.done:,}/{self.total:,}"
        parts = [f"{self.label}: {count} {self.unit}", f"{_rate(self.rate)}/s", self._shown()]
        if self.left:
            parts.append(f"{_clock(self.left)} left")
        self._write("  ".join(p for p in parts if p))
        self._said = self.done

    def _event(self, event: str, **more: Any) -> None:
        record = {"event": event, "label": self.label, "done": self.done, "total": self.total, "unit": self.unit,
                  "seconds": round(self.seconds, 3), "rate": round(self.rate, 3), **self.fields, **more}  # fmt: skip
        self._write(json.dumps(record, default=float))

    def _write(self, line: str) -> None:
        self.stream.write(line + "\n")
        self.stream.flush()

    def _open_bar(self) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
        from rich.progress import Progress as Bar

        self._bar = Bar(
            TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TextColumn("{task.fields[shown]}"),
            TimeRemainingColumn(), console=Console(file=self.stream), transient=False,
        )  # fmt: skip
        self._bar.start()
        self._task = self._bar.add_task(self.label, total=self.total, shown="")

    def _draw(self) -> None:
        if self._bar is not None:
            shown = f"{self.unit}  {_rate(self.rate)}/s  {self._shown()}"
            self._bar.update(self._task, completed=self.done, shown=shown.rstrip())


def _clock(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"


def _rate(rate: float) -> str:
    return f"{rate:,.0f}" if rate >= 100 else f"{rate:.3g}"
