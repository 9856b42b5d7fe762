"""`maskdial list`: what exists."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer


def list_(
    name: Annotated[str | None, typer.Argument(help="One recipe, for all its options and modes.")] = None,
    markdown: Annotated[Path | None, typer.Option(help="Write the table of all objectives to this file.")] = None,
    json_: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """List the objectives: paper, family, the three dials and their options.

    Examples:

      maskdial list

      maskdial list t5

      maskdial list --json
    """
    from maskdial.cli import answer
    from maskdial.recipes import find, recipes

    found = [find(n) for n in ([name] if name else recipes())]
    if markdown is not None:
        markdown.parent.mkdir(parents=True, exist_ok=True)
        markdown.write_text(page([describe(recipe) for recipe in found]), encoding="utf-8")
    if json_:
        answer("list/1", [describe(recipe) for recipe in found])
        return
    for recipe in found:
        about = describe(recipe)
        print(f"{recipe.name}  ({about['family']}; {about['source']})")
        print(f"  HIDE   {about['corruption']}\n  SEE    {about['visibility']}\n  SCORE  {about['target']}")
        if name:
            print(f"  good for: {about['good_for']}\n  known models: {', '.join(about['known_models'])}\n  {about['url']}")
            for option in about["options"]:
                print(f"  --set {option['name']}={option['default']}   {option['meaning']}  [{option['values']}]")
            for mode in about["modes"]:
                print(f"  --set compat={mode['name']}   {mode['differs']}")
            print(f"  decisions to --force: {', '.join(about['decisions']) or 'none'}")
        print()
    if not name:
        print("maskdial list NAME shows a recipe's options; maskdial show TEXT -o NAME shows it at work.")


PAGE = """# Objectives

objective = corruption × visibility × target. `maskdial list --markdown docs/recipes.md` wrote this page from the recipes themselves;
`maskdial list NAME` prints the options of one, `maskdial show TEXT -o NAME` shows it at work, [faithfulness](faithfulness.md) holds each
against its law. *Scored* is the share of positions that bear loss at 512 tokens, relative to the text's tokens.

| name | family | formula | HIDE | SEE | SCORE | defaults | modes | scored | good for | known models | source |
|---|---|---|---|---|---|---|---|---|---|---|---|
"""


def page(found: list[dict[str, Any]]) -> str:
    """The table of objectives as Markdown."""
    rows = []
    for a in found:
        defaults = ", ".join(f"{o['name']} {o['default']}" for o in a["options"]) or "none"
        modes = "; ".join(f"`{m['name']}`: {m['differs']}" for m in a["modes"]) or "none"
        cells = [f"`{a['name']}`", a["family"], a["formula"], a["corruption"], a["visibility"], a["target"], defaults, modes,
                 f"{a['scored_share']:.0%}", a["good_for"], ", ".join(a["known_models"]), f"[{a['source']}]({a['url']})"]  # fmt: skip
        rows.append("| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |")
    return PAGE + "\n".join(rows) + "\n"


def describe(recipe: object) -> dict[str, Any]:
    """A recipe as plain values."""
    from maskdial.mixture import Mixture
    from maskdial.recipes import Recipe

    assert isinstance(recipe, Recipe)
    explained = recipe.make().replace(about=recipe.about).explain() | {"options": []}
    explained["options"] = [
        {"name": o.name, "default": o.default, "meaning": o.dial.what, "values": o.spelled} for o in recipe.options.values()
    ]
    explained["modes"] = [{"name": n, "sets": dict(s), "differs": text} for n, (s, text) in recipe.about.modes.items()]
    made = recipe.make()
    members = [m.objective for m in made.members.values()] if isinstance(made, Mixture) else [made]
    explained["decisions"] = list(dict.fromkeys(name for o in members for step in o.steps for name in step.decisions))
    return explained
