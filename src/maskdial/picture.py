"""A sample in a terminal: aligned strips (reads, target, scored) and the picture of who sees whom. Readable without colour."""

from __future__ import annotations

import unicodedata

import numpy as np
from numpy.typing import NDArray

from maskdial.sample import KINDS, SILENT, Sample
from maskdial.view import CHANGED, parts, said, spelled

#: more positions than this and the picture gives way to a sentence a row
GRID = 48
TWO_WAY, ONE_WAY, HIDDEN, ITSELF, SCORED = "█", "▒", "·", "▪", "▲"
LETTERS = {"mask": "M", "random": "R", "same": "K", "sentinel": "S", "replaced": "Δ", "moved": "⇄", "inserted": "+"}


def cells(text: str) -> int:
    """Columns a string takes in a terminal."""
    return sum(0 if unicodedata.combining(c) else 2 if unicodedata.east_asian_width(c) in "WF" else 1 for c in text)


def plain(token: str) -> str:
    """A token with its blanks made visible and nothing that moves the cursor."""
    shown = token.replace(" ", "␣").replace("\n", "⏎").replace("\t", "⇥").replace("\r", "␍")
    shown = "".join(c if c.isprintable() else f"<{ord(c):02X}>" for c in shown) or "∅"
    return shown if len(shown) <= 16 else shown[:15] + "…"


def pad(text: str, width: int) -> str:
    """Left-aligned in `width` columns."""
    return text + " " * max(0, width - cells(text))


def draw(one: Sample, width: int = 100) -> str:
    """The whole picture, at most `width` columns wide."""
    objective = one.context.get("objective")
    scored = scored_positions(one)
    settings = " ".join(f"{k}={v}" for k, v in (objective.options if objective else {}).items())
    tokenizer = one.context.get("tokenizer")
    member = one.context.get("member")
    head = [one.table.objective, f"member={member}" if member else "", settings, f"seed={one.context.get('seed', 0)}",
            f"tokenizer={tokenizer.name}" if tokenizer else ""]  # fmt: skip
    leaks = one.leaks
    lines = [
        "  ".join(part for part in head if part)
        + f"   {int(one.table.body[one.row])} tokens, {len(one)} read, {int(scored.sum())} scored, {leaks} see their own answer"
    ]
    for name, at in parts(one):
        title = {"source": "source" if one.table.layout == "encoder-decoder" else "", "answer": "answer"}[name]
        lines += ["", *strip(one, np.flatnonzero(at), title, width)]
    lines += ["", *sight(one, scored, width), "", sentence(one, scored)]
    if (second := one.context.get("second")) is not None:
        lines += ["", *strip(second, np.arange(len(second)), second.context["note"], width), "", sentence(second, scored_positions(second))]
    return "\n".join(lines)


def scored_positions(one: Sample) -> NDArray[np.bool_]:
    """Positions that any head asks."""
    scored = np.zeros(len(one), dtype=bool)
    for target in one.targets.values():
        scored |= target != SILENT
    return scored


def strip(one: Sample, where: NDArray[np.int64], title: str, width: int) -> list[str]:
    """pos / read / what happened / target / scored, one column a position, folded to the terminal's width."""
    read = [plain(spelled(one, t)) for t in one.read[where]]
    marks = [LETTERS.get(KINDS[k], "") for k in one.kind[where]]
    rows = [("pos", [str(p) for p in where]), ("read", read)]
    position = one.position[where]
    if (position != where - where[:1]).any():
        rows.append(("position", [str(p) for p in position]))
    if one.table.has("position2"):
        rows.append(("second", [str(p) for p in one.column("position2")[where]]))
    if any(KINDS[k] in CHANGED for k in one.kind[where]):
        rows.append(("", marks))
    for h in one.heads:
        target = one.column(f"target:{h.name}")[where]
        if (target != SILENT).any():
            label = "target" if h.name == "token" else h.name
            rows.append((label, ["·" if t == SILENT else plain(said(one, h, t)) for t in target]))
            rows.append(("scored", [SCORED if t != SILENT else "" for t in target]))
            weight = one.column(f"weight:{h.name}")[where]
            if not np.isin(weight, (0, 1)).all():
                rows.append(("weight", [f"{w:.3g}" if w else "" for w in weight]))
    side = max(len(label) for label, _ in rows) + 2
    size = [max(cells(values[i]) for _, values in rows) + 1 for i in range(len(where))]
    lines, first = ([title] if title else []), 0
    while first < len(where):
        last, used = first, side
        while last < len(where) and (last == first or used + size[last] <= width):
            used += size[last]
            last += 1
        for label, values in rows:
            lines.append((" " + pad(label, side) + "".join(pad(values[i], size[i]) for i in range(first, last))).rstrip())
        first = last
        if first < len(where):
            lines.append("")
    return lines


def sight(one: Sample, scored: NDArray[np.bool_], width: int) -> list[str]:
    """The grid: row = who looks, column = what is looked at."""
    n = len(one)
    visible = one.visible()
    if n > GRID or 2 * n + 24 > max(width, 60):
        return [f"sight: {int(visible.sum()):,} of {n * n:,} pairs visible (the picture is drawn up to {GRID} positions)"]
    digits = len(str(n - 1))
    border = int((one.stream == 0).sum()) if one.table.layout == "encoder-decoder" else -1
    top = "".join(("│ " if i == border else "") + f"{i % 10} " for i in range(n))
    lines = [
        f"{' ' * (digits + 3)}{top.rstrip()}     row looks at column",
        *(f" {i:>{digits}}  {grid_row(i, visible, border)}{'  ' + SCORED if scored[i] else ''}" for i in range(n)),
        f" {TWO_WAY} two-way  {ONE_WAY} one-way  {HIDDEN} not visible  {ITSELF} itself  {SCORED} scored"
        + ("  │ source left, answer right" if border >= 0 else ""),
    ]
    return lines


def grid_row(q: int, visible: NDArray[np.bool_], border: int) -> str:
    """One row of the grid."""
    text = ""
    for k in range(len(visible)):
        mark = HIDDEN if not visible[q, k] else ITSELF if q == k else TWO_WAY if visible[k, q] else ONE_WAY
        text += ("│ " if k == border else "") + mark + " "
    return text.rstrip()


def sentence(one: Sample, scored: NDArray[np.bool_]) -> str:
    """One row in words: the scored one in the middle."""
    asked = np.flatnonzero(scored)
    if not len(asked):
        return "No position is scored: this sample would teach nothing."
    from maskdial.view import intervals

    q = int(asked[len(asked) // 2])
    row = one.visible()[q]
    runs = ", ".join(f"{a}–{b - 1}" if b - a > 1 else str(a) for a, b in intervals(row))
    says = next(plain(said(one, h, t)) for h in one.heads if (t := one.column(f"target:{h.name}")[q]) != SILENT)
    leak = " — LEAK: it can see that very token" if one.own_answer[q] else ""
    reads = plain(spelled(one, one.read[q]))
    return f"Position {q} reads “{reads}”, sees {int(row.sum())} of {len(one)} positions ({runs}) and must say “{says}”{leak}."
