"""An audit's result: findings for a terminal, a notebook, a program and the explorer."""

from __future__ import annotations

from html import escape
from typing import Any
from urllib.parse import quote_plus

import numpy as np

from maskdial.audit.check import CHECKS, NAMED, Finding
from maskdial.audit.row import Evidence, Row
from maskdial.mixture import Mixture
from maskdial.picture import plain
from maskdial.sample import SILENT

MARKS = {"ok": "✓", "warn": "!", "fail": "✕", "skipped": "–"}
#: from worst to best
ORDER = ("fail", "warn", "ok", "skipped")
#: runs of unscored tokens that are longer are told, not shown; of scored ones so many are shown
UNSCORED, SCORED = 5, 12
#: characters of an explorer's link
LINK = 2000


class Audit:
    """What `md.audit` found. `.findings` in the order of the checks; `.ok` when none failed and none warns; `.worst` level."""

    def __init__(self, evidence: Evidence) -> None:
        self.source, self.objective, self.notes = evidence.source, evidence.name, list(evidence.notes)
        self.form = evidence.form
        self.findings = [_finding(name, evidence) for name in CHECKS]
        named = {n for one in self.findings for n in one.rows} | set(range(NAMED))
        #: rows that a finding names, and the first ones, with their text
        self.rows = [{"index": r.number, "text": r.text if r.text is not None else " ".join(map(str, r.read[r.real]))}
                     for r in evidence.rows if r.number in named]  # fmt: skip

    @property
    def worst(self) -> str:
        """fail, warn or ok; skipped when no check could be made."""
        levels = {one.level for one in self.findings}
        return next(level for level in ORDER if level in levels)

    @property
    def ok(self) -> bool:
        return self.worst not in ("fail", "warn")

    def __getitem__(self, name: str) -> Finding:
        """A finding by the name of its check."""
        return next(one for one in self.findings if one.name == name)

    @property
    def say(self) -> str:
        """All of it in one sentence."""
        count = {level: sum(one.level == level for one in self.findings) for level in ORDER}
        size = self["size"].say
        return (f"{size}. Of {len(self.findings)} checks {count['fail']} failed, {count['warn']} warned, {count['ok']} found all in order, "
                f"{count['skipped']} could not be made.")  # fmt: skip

    def to_json(self) -> dict[str, Any]:
        """`audit/1`: what the command prints and the explorer's panel reads."""
        return {"source": self.source, "objective": self.objective, "form": self.form, "worst": self.worst, "say": self.say,
                "notes": self.notes, "checks": [one.to_json() for one in self.findings], "rows": self.rows}  # fmt: skip

    def __str__(self) -> str:
        width = max(len(one.name) for one in self.findings)
        lines = [f"{self.source}" + (f"  under {self.objective}" if self.objective else ""), *self.notes, ""]
        for one in self.findings:
            lines.append(f"{MARKS[one.level]} {one.name:<{width}}  {one.say}")
            if one.level in ("fail", "warn"):
                lines += [f"  {'':<{width}}  {text}" for text in (one.why, _rows_said(one), one.example and f"  {one.example}") if text]
        return "\n".join([*lines, "", self.say])

    __repr__ = __str__

    def _repr_html_(self) -> str:
        head = "".join(f"<th scope=col>{name}</th>" for name in ("", "check", "what was found, and why it matters", "rows"))
        lines = [f"<tr><td>{MARKS[one.level]} {one.level}</td><th scope=row>{escape(one.name)}</th><td>{escape(one.say)} "
                 f"<small>{escape(one.why)}</small>{f'<br><code>{escape(one.example)}</code>' if one.example else ''}</td>"
                 f"<td>{one.count or ''}</td></tr>" for one in self.findings]  # fmt: skip
        body = f"<thead><tr>{head}</tr></thead><tbody>{''.join(lines)}</tbody>"
        return f"<div><table><caption>{escape(self.say)}</caption>{body}</table></div>"


def _rows_said(one: Finding) -> str:
    """`rows 0, 3, 4 (and 12 more)`."""
    if not one.rows:
        return ""
    more = f" (and {one.count - len(one.rows):,} more)" if one.count > len(one.rows) else ""
    return f"row{'s' if one.count > 1 else ''} {', '.join(map(str, one.rows))}{more}"


def _finding(name: str, e: Evidence) -> Finding:
    why, make = CHECKS[name]
    found = make(e)
    wrong = found.level in ("fail", "warn")
    first = next((r for r in e.rows if found.rows and r.number == found.rows[0]), None) if wrong else None
    return Finding(name, found.level, found.say, why, found.rows[:NAMED], len(found.rows), rendered(first, e) if first else "",
                   _link(first, e) if first else None)  # fmt: skip


def rendered(r: Row, e: Evidence) -> str:
    """A row in one line: what is read, and after ▲ what must be said; long runs are told by their length."""
    if r.form == "answer":
        source = [plain(e.spell(id)) for id in r.read[r.real].tolist()]
        return f"{_folded(source, [False] * len(source))} ⇒ {_strip(r.target[r.scored], r.target[r.scored], e, False)}"
    return _strip(r.read[r.real], r.target[r.real], e, True)


def _strip(read: np.ndarray, target: np.ndarray, e: Evidence, both: bool) -> str:
    cells = [plain(e.spell(int(i))) if t == SILENT or not both else f"{plain(e.spell(int(i)))}▲{plain(e.spell(int(t)))}"
             for i, t in zip(read, target, strict=True)]  # fmt: skip
    return _folded(cells, (target != SILENT).tolist())


def _folded(cells: list[str], scored: list[bool]) -> str:
    """Cells in a line, runs beyond a length replaced by what they are."""
    made, first = list[str](), 0
    while first < len(cells):
        last = next((i for i in range(first, len(cells)) if scored[i] != scored[first]), len(cells))
        shown = SCORED if scored[first] else UNSCORED
        left = last - first - shown
        made += cells[first : last if left <= 1 else first + shown]
        made += [f"⟨{left} more {'scored' if scored[first] else 'not scored'}⟩"] if left > 1 else []
        first = last
    return " ".join(made)


def _link(r: Row, e: Evidence) -> str | None:
    """The explorer's link to the row's text under the recipe; None without one, or when it is too long."""
    from maskdial.recipes import recipes

    if r.text is None or e.objective is None or isinstance(e.objective, Mixture) or e.name not in recipes():
        return None
    options = "".join(f"&p.{name}={quote_plus(str(value))}" for name, value in sorted(e.objective.options.items()))
    made = f"#v=1&o={e.name}{options}&t={quote_plus(r.text)}" + (f"&seed={e.seed}" if e.seed else "")
    return made if len(made) <= LINK else None
