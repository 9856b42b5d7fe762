"""`maskdial runs`: what was trained in a folder."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer


def runs(
    folder: Annotated[Path, typer.Argument(help="A folder with runs in it, however deep, or one run.")] = Path("."),
    json_: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """List the runs in a folder: objective, step, budget, loss, state.

    Examples:

      maskdial runs

      maskdial runs runs/ --json

      maskdial runs compare-pydocs-60s
    """
    import sys

    from maskdial.cli import answer
    from maskdial.errors import UserError

    if not folder.is_dir():
        raise UserError(f"there is no folder {folder}", code="usage.folder", where=str(folder))
    found, broken = collect(folder)
    if json_:
        answer("runs/1", found, broken)
        return
    for line in table(found) or [f"no runs in {folder}"]:
        print(line)
    for line in broken:
        print(f"warning: {line}", file=sys.stderr)


def collect(folder: Path) -> tuple[list[dict[str, Any]], list[str]]:
    """(a summary of each run, oldest first; what could not be read)."""
    from maskdial.errors import UserError
    from maskdial.train.folder import CONFIG, EVENTS
    from maskdial.train.run import summary

    found, broken = [], []
    paths = [p.parent for p in folder.rglob(CONFIG) if (p.parent / EVENTS).is_file()]
    for path in sorted(paths, key=lambda p: (p / CONFIG).stat().st_mtime):
        try:
            found.append(summary(path))
        except (UserError, KeyError, TypeError) as error:
            broken.append(f"{path}: {getattr(error, 'message', error)}")
    return found, broken


def table(found: list[dict[str, Any]]) -> list[str]:
    """Aligned lines, the header first; nothing when there is no run."""
    if not found:
        return []
    lines = [["run", "objective", "step", "budget", "loss", "state"]]
    for r in found:
        options = ",".join(f"{k}={v}" for k, v in r["options"].items())
        loss = "–" if r["loss"] is None else f"{r['loss']:.3f}"
        step = f"{r['step']:,}/{r['steps']:,}" if r["steps"] else f"{r['step']:,}/?"
        lines.append([r["run"], r["objective"] + (f":{options}" if options else ""), step, r["budget"], loss, r["state"]])
    widths = [max(len(line[i]) for line in lines) for i in range(len(lines[0]))]
    return ["  ".join(cell.ljust(w) for cell, w in zip(line, widths, strict=True)).rstrip() for line in lines]
