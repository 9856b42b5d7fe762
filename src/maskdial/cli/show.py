"""`maskdial show`: one text under one or several objectives."""

from __future__ import annotations

from typing import Annotated

import typer


def show(
    text: Annotated[str, typer.Argument(help="The text, or - to read it from standard input.")],
    objectives: Annotated[list[str], typer.Option("-o", "--objective", help="A recipe; repeat to compare, or join by commas.")],
    tokenizer: Annotated[str, typer.Option(help="words, bytes, or a path to a tokenizer.")] = "words",
    hide: Annotated[str | None, typer.Option(help="Tokens to hide, all as [MASK] or in spans: 2,3,8.")] = None,
    force: Annotated[list[str] | None, typer.Option(metavar="NAME=VALUE", help="Set a decision: split=3, spans=1:2,4:0, …")] = None,
    set_: Annotated[list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="Set an option of the recipe: rate=0.3.")] = None,
    seed: Annotated[int, typer.Option(help="Seed of the noise.")] = 0,
    visibility: Annotated[str | None, typer.Option(help="Turn the SEE dial: bidirectional, causal or prefix.")] = None,
    frame: Annotated[bool | None, typer.Option("--frame/--bare", help="With the special tokens around the text, or without.")] = None,
    json_: Annotated[bool, typer.Option("--json", help="Print sample-view/1 documents.")] = False,
) -> None:
    """Show what a model reads, what it must say and who sees whom.

    Examples:

      maskdial show "Thank you for inviting me to your party last week" -o t5 --hide 2,3,8

      maskdial show "The cat sat on the mat because it was warm ." -o prefix-lm --force split=5

      maskdial show "The cat sat on the mat ." -o gpt -o bert -o t5 -o bart --seed 1
    """
    import shutil
    import sys

    from maskdial.cli import answer
    from maskdial.cli.settings import pairs, positions
    from maskdial.recipes import find, objective
    from maskdial.view import picture, sample, view

    if text == "-":
        text = sys.stdin.buffer.read().decode("utf-8", errors="replace")
    names = [name for entry in objectives for name in entry.split(",") if name]
    made = []
    given = pairs(set_ or [], "--set")
    for name in names:
        options = {k: v for k, v in given.items() if len(names) == 1 or k in find(name).options or k == "compat"}
        o = objective(name, compat=options.pop("compat", None), **options)
        o = o.replace(visibility=visibility) if visibility else o
        made.append(sample(text, o, tokenizer, hide=positions(hide), force=pairs(force or [], "--force"), seed=seed, frame=frame))
    if json_:
        views = [view(one) for one in made]
        answer("show/1", views, [w for v in views for w in v["warnings"]])
        return
    width = max(60, shutil.get_terminal_size((100, 24)).columns)
    print("\n\n".join(picture(one, width) for one in made))
