"""`maskdial compare`: objectives side by side."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer


def compare(
    objectives: Annotated[
        list[str] | None,
        typer.Option("-o", "--objective", help="Recipes, or one with options and a name: 'bert:whole_word=true,name=wwm'. Repeat."),
    ] = None,
    data: Annotated[str, typer.Option(help="A prepared folder, text files, or pydocs.")] = "pydocs",
    budget: Annotated[str, typer.Option(help="Of each run: 60s, 200ktok, 2Mtok (raw text) or 1e14flop.")] = "60s",
    seeds: Annotated[int, typer.Option(min=1, help="Runs of each objective.")] = 1,
    out: Annotated[Path | None, typer.Option(help="The folder to write (default: compare-DATA-BUDGET).")] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Start anew in a folder that holds another comparison.")] = False,
    settings: Annotated[
        list[str] | None, typer.Argument(metavar="[KEY=VALUE]…", help="Settings of every run, e.g. length=256 model.preset=small.")
    ] = None,
    json_: Annotated[bool, typer.Option("--json", help="Print results.json instead of the table.")] = False,
) -> None:
    """Train objectives on the same text with the same budget, ask them the same questions, write a report.

    A comparison that was interrupted goes on where it stopped when the command is given again.

    Examples:

      maskdial compare

      maskdial compare -o gpt,bert -o 'bert:whole_word=true,name=wwm' --budget 2Mtok --out words

      maskdial compare -o t5,bart --data corpus/ --budget 5min --seeds 3 model.preset=small
    """
    import shlex
    import sys

    from maskdial.cli import answer
    from maskdial.evaluate.compare import compare as run
    from maskdial.evaluate.selection import DEFAULT, parse
    from maskdial.train.config import setting

    chosen = parse(objectives or [",".join(DEFAULT)])
    command = shlex.join(["maskdial", *sys.argv[1:]]) if sys.argv[1:2] == ["compare"] else ""
    found = run(chosen, data=data, budget=budget, seeds=seeds, out=out, overwrite=overwrite, command=command,
                **dict(setting(text) for text in settings or []))  # fmt: skip
    if json_:
        answer("results/1", found)
    else:
        print(table(found))
    failed = [name for name, one in found["objectives"].items() if one.get("failed")]
    if failed:
        print(f"error: {len(failed)} of {len(found['objectives'])} objectives failed: {', '.join(failed)}", file=sys.stderr)
        raise SystemExit(1)


def table(found: Mapping[str, Any]) -> str:
    """Probes by objective, as text: value and half width of its 95 % interval, the baseline below. Many objectives are rows."""
    objectives = found["objectives"]
    probes = list(dict.fromkeys(p for one in objectives.values() for p in one.get("probes", {})))
    failed = [f"{name} failed: {one['failed']}" for name, one in objectives.items() if one.get("failed")]
    if len(objectives) > COLUMNS:
        return "\n".join(rows(objectives, probes) + failed)
    width = max(15, *(len(name) + 2 for name in objectives))
    lines = [f"{'':26}" + "".join(f"{name:>{width}}" for name in objectives)]
    for p in probes:
        values = [one.get("probes", {}).get(p, {}) for one in objectives.values()]
        better = next((v["better"] for v in values if "value" in v), "")
        lines.append(f"{p.replace('_', ' ')} {ARROWS[better]}".ljust(26) + "".join(f"{_cell(v):>{width}}" for v in values))
        if better:
            base = [f"{v['baseline']:.3f}      " if "value" in v else "" for v in values]
            lines.append(f"{'  baseline':26}" + "".join(f"{b:>{width}}" for b in base))
    return "\n".join(lines + failed)


def rows(objectives: Mapping[str, Any], probes: list[str]) -> list[str]:
    """An objective a line, a probe a column, the baseline last (the first objective's that has one)."""
    measured = {p: [v for one in objectives.values() if "value" in (v := one.get("probes", {}).get(p, {}))] for p in probes}
    heads = [f"{SHORT.get(p, p.replace('_', ' '))} {ARROWS[values[0]['better'] if values else '']}" for p, values in measured.items()]
    base = [f"{values[0]['baseline']:.3f}      " if values else "" for values in measured.values()]
    wide, cells = max(len(name) for name in objectives) + 2, [max(15, len(head) + 2) for head in heads]

    def line(name: str, parts: list[str]) -> str:
        return name.ljust(wide) + "".join(f"{part:>{cell}}" for part, cell in zip(parts, cells, strict=True))

    values = [line(name, [_cell(one.get("probes", {}).get(p, {})) for p in probes]) for name, one in objectives.items()]
    return [line("", heads), *values, line("baseline", base)]


#: objectives that are columns side by side; more are lines
COLUMNS = 6
SHORT = {"bits_per_byte_documents": "documents"}
ARROWS = {"higher": "↑", "lower": "↓", "": ""}


def _cell(value: Mapping[str, Any]) -> str:
    if not value:
        return "failed"
    if "value" not in value:
        return "n/a      "
    bound = ("≤" if value["better"] == "lower" else "≥") if value.get("bound") else ""
    return f"{bound}{value['value']:.3f} ±{(value['high'] - value['low']) / 2:.3f}"
