"""`maskdial conform`: does a recipe do what its paper says?"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from maskdial.cli.settings import pairs


def conform(
    name: Annotated[list[str] | None, typer.Argument(help="Recipes; all in all their modes when none is named.")] = None,
    samples: Annotated[str, typer.Option("--samples", help="Draws a recipe and mode, e.g. 1e6.")] = "1e5",
    length: Annotated[int, typer.Option(help="Body tokens a row.", min=8)] = 64,
    set_: Annotated[list[str] | None, typer.Option("--set", help="An option of the recipe, e.g. rate=0.3 or compat=t5.")] = None,
    seed: Annotated[int, typer.Option(help="Seed of the noise.")] = 0,
    markdown: Annotated[Path | None, typer.Option(help="Also write the tables to this file.")] = None,
    json_: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Check rates, span laws, splits, orders and counts of recipes against their analytic laws; exit status 3 when one fails.

    Examples:

      maskdial conform t5 --samples 1e6

      maskdial conform bart --set compat=fairseq

      maskdial conform --samples 1e6 --markdown docs/faithfulness.md
    """
    from maskdial.cli import answer
    from maskdial.conform.document import markdown as page
    from maskdial.conform.run import conform as check
    from maskdial.conform.run import everything
    from maskdial.progress import Progress

    draws, given = _draws(samples), pairs(set_ or [], "--set")
    if given and not name:
        raise ValueError("--set needs the name of a recipe")
    wanted = [(n, given) for n in name or ()] if given else [pair for pair in everything() if not name or pair[0] in name]
    wanted += [(n, {}) for n in name or () if n not in {recipe for recipe, _ in wanted}]  # an unknown name is named there
    reports: list[dict[str, Any]] = []
    with Progress("conform", len(wanted), "tables") as bar:
        for recipe, options in wanted:
            reports.append(check(recipe, options, draws, length, seed))
            bar.update(1, recipe=recipe)
            if not json_:
                _print(reports[-1])
    if markdown is not None:
        markdown.parent.mkdir(parents=True, exist_ok=True)
        markdown.write_text(page(reports, samples), encoding="utf-8")
    if json_:
        answer("conform/1", reports)
    if not all(r["holds"] for r in reports):
        raise typer.Exit(3)


def _draws(text: str) -> int:
    try:
        draws = int(float(text))
    except ValueError:
        raise ValueError(f"--samples {text!r} is not a number, e.g. 1e6 or 20000") from None
    if draws < 1:
        raise ValueError(f"--samples must be at least 1, not {text}")
    return draws


def _print(report: dict[str, Any]) -> None:
    """One table, a line a claim."""
    chosen = "".join(f"  {k}={v}" for k, v in report["options"].items())
    print(f"\n{report['recipe']}{chosen}   {report['draws']:,} samples of {report['length']} tokens")
    width = max(len(c["claim"]) for c in report["claims"])
    for c in report["claims"]:
        mark = "✓" if c["holds"] else "✗"
        print(f"  {mark} {c['claim']:<{width}}  {c['found']} {c['tolerance'] if c['tolerance'] != 'none' else ''}".rstrip())
        print(f"    {'':<{width}}  law: {c['law']}" + (f"  [{c['source']}]" if c["source"] else ""))
