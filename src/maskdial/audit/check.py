"""A check is a function from what is known (`Evidence`) to what was found; it registers itself under a name, with why it matters.

The files of this folder that end in `_checks` hold them by theme. A check that can't be made from what is given returns
`skipped` with the reason: it never passes in silence.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, Literal

from maskdial.audit.row import Evidence

Level = Literal["ok", "warn", "fail", "skipped"]
#: how many rows a finding names
NAMED = 20


@dataclass(frozen=True)
class Found:
    """What a check says: one sentence with its number, and the rows it is about."""

    level: Level
    say: str
    rows: tuple[int, ...] = ()


@dataclass(frozen=True)
class Finding:
    """One check's result. `rows` are the first 20 row numbers of `count`; `example` is the first of them, rendered; `link` opens its
    text in the explorer, where a recipe made it."""

    name: str
    level: Level
    say: str
    why: str
    rows: tuple[int, ...] = ()
    count: int = 0
    example: str = ""
    link: str | None = None

    def to_json(self) -> dict[str, Any]:
        return {"name": self.name, "level": self.level, "say": self.say, "why": self.why, "rows": list(self.rows), "count": self.count,
                "example": self.example, "link": self.link}  # fmt: skip


Check = Callable[[Evidence], Found]
#: name → (why it matters, the check), in the order in which they are shown
CHECKS: dict[str, tuple[str, Check]] = {}


def check(name: str, why: str) -> Callable[[Check], Check]:
    """Register a check."""

    def wrap(function: Check) -> Check:
        CHECKS[name] = (why, function)
        return function

    return wrap


def ok(say: str, rows: Iterable[int] = ()) -> Found:
    return Found("ok", say, tuple(rows))


def warn(say: str, rows: Iterable[int] = ()) -> Found:
    return Found("warn", say, tuple(rows))


def fail(say: str, rows: Iterable[int] = ()) -> Found:
    return Found("fail", say, tuple(rows))


def skipped(reason: str) -> Found:
    return Found("skipped", f"not checked: {reason}")


def many(count: int, one: str) -> str:
    """`1 row`, `3 rows`."""
    return f"{count:,} {one if count == 1 else one + 's'}"


def unknown(e: Evidence, what: str) -> Found:
    """Skipped for want of ids: nobody said which they are, or the vocabulary has none."""
    return skipped(f"no {what} is known (give tokenizer= or vocab=)" if e.vocab is None else f"the vocabulary names no {what}")
