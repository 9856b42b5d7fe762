"""`maskdial runs`: what was trained in a folder."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer


def runs(
    folder: Annotated[Path, typer.Argument(help="A folder with runs in it, however deep, or one run.")] = Path("."),
    quick: Annotated[bool, typer.Option("--quick", help="Judge checkpoints by sizes, without reading them.")] = False,
    json_: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """List the runs in a folder: objective, step, loss, text tokens, speed, the last checkpoint and the state.

    State: running, finished, interrupted (by a signal, saved), failed (it said why) or killed. Utilisation is FLOPs a second
    over the device's peak.

    Examples:

      maskdial runs

      maskdial runs runs/ --json

      maskdial runs compare-pydocs-60s --quick
    """
    import sys

    from maskdial.cli import answer
    from maskdial.errors import UserError

    if not folder.is_dir():
        raise UserError(f"there is no folder {folder}", code="usage.folder", where=str(folder))
    found, broken = collect(folder, hashes=not quick)
    if json_:
        answer("runs/1", found, broken)
        return
    for line in table(found) or [f"no runs in {folder}"]:
        print(line)
    for line in [*broken, *(f"{r['run']}: {said}" for r in found for said in remarks(r))]:
        print(f"warning: {line}", file=sys.stderr)


def collect(folder: Path, hashes: bool = True) -> tuple[list[dict[str, Any]], list[str]]:
    """(a summary of each run, oldest first; what could not be read)."""
    from maskdial.errors import UserError
    from maskdial.train.folder import CONFIG, EVENTS
    from maskdial.train.summary import summary

    found, broken = [], []
    paths = [p.parent for p in folder.rglob(CONFIG) if (p.parent / EVENTS).is_file()]
    for path in sorted(paths, key=lambda p: (p / CONFIG).stat().st_mtime):
        try:
            found.append(summary(path, hashes=hashes))
        except (UserError, KeyError, TypeError, ValueError) as error:
            broken.append(f"{path}: {getattr(error, 'message', repr(error))}")
    return found, broken


def table(found: list[dict[str, Any]]) -> list[str]:
    """Aligned lines, the header first; nothing when there is no run."""
    if not found:
        return []
    lines = [["run", "objective", "step", "budget", "loss", "tokens", "tokens/s", "FLOP/s", "use", "checkpoint", "state"]]
    for r in found:
        options = ",".join(f"{k}={v}" for k, v in r["options"].items())
        step, saved = f"{r['step']:,}/{r['steps']:,}" if r["steps"] else f"{r['step']:,}/?", r["checkpoint"]
        lines.append([
            r["run"], r["objective"] + (f":{options}" if options else ""), step, r["budget"], shown(r["loss"], ".3f"), f"{r['tokens']:,}",
            shown(r["tokens_per_second"], ",.0f"), shown(r["flops_per_second"], ".3g"), shown(r["utilisation"], ".1%"),
            "–" if saved is None else f"step {saved['step']:,}, {'whole' if saved['whole'] else 'damaged'}", r["state"],
        ])  # fmt: skip
    widths = [max(len(line[i]) for line in lines) for i in range(len(lines[0]))]
    return ["  ".join(cell.ljust(w) for cell, w in zip(line, widths, strict=True)).rstrip() for line in lines]


def shown(value: float | None, form: str) -> str:
    """A number, or a dash where there is none."""
    return "–" if value is None else format(value, form)


def remarks(run: dict[str, Any]) -> list[str]:
    """What a person should know beside the table."""
    saved = run["checkpoint"]
    return [said for said in (run["message"], saved and saved.get("fault")) if said]
