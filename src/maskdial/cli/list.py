"""`maskdial list`: what exists."""

from __future__ import annotations

from typing import Annotated, Any

import typer


def list_(
    name: Annotated[str | None, typer.Argument(help="One recipe, for all its options and modes.")] = None,
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


def describe(recipe: object) -> dict[str, Any]:
    """A recipe as plain values."""
    from maskdial.recipes import Recipe

    assert isinstance(recipe, Recipe)
    explained = recipe.make().replace(about=recipe.about).explain() | {"options": []}
    explained["options"] = [
        {"name": o.name, "default": o.default, "meaning": o.dial.what, "values": o.spelled} for o in recipe.options.values()
    ]
    explained["modes"] = [{"name": n, "sets": dict(s), "differs": text} for n, (s, text) in recipe.about.modes.items()]
    explained["decisions"] = [name for step in recipe.make().steps for name in step.decisions]
    return explained
