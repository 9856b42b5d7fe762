"""`maskdial show`: one text under one or several objectives."""

from __future__ import annotations

from typing import Annotated, Any

import typer


def show(
    text: Annotated[str | None, typer.Argument(help="The text, or - to read it from standard input.")] = None,
    objectives: Annotated[
        list[str] | None, typer.Option("-o", "--objective", help="A recipe; repeat to compare, or join by commas.")
    ] = None,
    tokenizer: Annotated[str, typer.Option(help="words, bytes, or a path to a tokenizer.")] = "words",
    hide: Annotated[str | None, typer.Option(help="Tokens to hide, all as [MASK] or in spans: 2,3,8.")] = None,
    force: Annotated[list[str] | None, typer.Option(metavar="NAME=VALUE", help="Set a decision: split=3, spans=1:2,4:0, …")] = None,
    set_: Annotated[list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="Set an option of the recipe: rate=0.3.")] = None,
    seed: Annotated[int, typer.Option(help="Seed of the noise.")] = 0,
    visibility: Annotated[str | None, typer.Option(help="Turn the SEE dial: bidirectional, causal, prefix or prefix:5.")] = None,
    frame: Annotated[bool | None, typer.Option("--frame/--bare", help="With the special tokens around the text, or without.")] = None,
    link: Annotated[bool, typer.Option("--link", help="Print the explorer's link to the sample, from # on, and nothing else.")] = False,
    from_link: Annotated[
        str | None, typer.Option("--from-link", metavar="URL", help="Show what a link of the explorer shows, instead of a text.")
    ] = None,
    json_: Annotated[bool, typer.Option("--json", help="Print sample-view/1 documents.")] = False,
) -> None:
    """Show what a model reads, what it must say and who sees whom.

    Examples:

      maskdial show "Thank you for inviting me to your party last week" -o t5 --hide 2,3,8

      maskdial show "The cat sat on the mat because it was warm ." -o prefix-lm --force split=5

      maskdial show "The cat sat on the mat ." -o gpt -o bert -o t5 -o bart --seed 1

      maskdial show --from-link "#v=1&o=gpt&p.see=prefix:5&t=The+cat+sat+on+the+mat"
    """
    import shutil
    import sys

    from maskdial.cli import answer
    from maskdial.cli.settings import pairs, positions
    from maskdial.errors import UserError
    from maskdial.recipes import find, objective
    from maskdial.view import picture, sample, view

    if from_link is not None:
        made = opened(from_link)
    elif text is None or not objectives:
        missing = "TEXT" if text is None else "--objective"
        raise UserError(f"{missing} is missing", hint='such as: maskdial show "The cat sat." -o bert', code="usage.missing", where=missing)
    else:
        text = sys.stdin.buffer.read().decode("utf-8", errors="replace") if text == "-" else text
        names = [name for entry in objectives for name in entry.split(",") if name]
        given, forced, made = pairs(set_ or [], "--set"), pairs(force or [], "--force"), []
        for name in names:
            options = {k: v for k, v in given.items() if len(names) == 1 or k in find(name).options or k == "compat"}
            if link:
                print(linked(name, text, options, tokenizer, seed, positions(hide), forced, visibility, frame))
                continue
            o = objective(name, compat=options.pop("compat", None), **options)
            o = o.replace(visibility=visibility) if visibility else o
            made.append(sample(text, o, tokenizer, hide=positions(hide), force=forced, seed=seed, frame=frame))
    if json_:
        views = [view(one) for one in made]
        answer("show/1", views, [w for v in views for w in v["warnings"]])
        return
    width = max(60, shutil.get_terminal_size((100, 24)).columns)
    print("\n\n".join(picture(one, width) for one in made), end="\n" if made else "")


def opened(url: str) -> list[Any]:
    """The samples of a link of the explorer, one or the two of a comparison; what could not be read of it is named on stderr."""
    import sys

    from maskdial.explore.answers import Answers
    from maskdial.explore.links import decode

    found = decode(url)
    for key in found.ignored:
        print(f"ignored: {key}", file=sys.stderr)
    return [Answers().looked_at(side) for side in (found.request, *([found.request.other] if found.request.second else []))]


def linked(
    name: str, text: str, options: dict[str, str], tokenizer: str, seed: int, hide: list[int] | None, force: dict[str, str],
    visibility: str | None, frame: bool | None,
) -> str:  # fmt: skip
    """The link of a sample; `UserError` when it is too long for one."""
    from maskdial.errors import UserError
    from maskdial.explore.links import encode, parsed, seen
    from maskdial.explore.request import read

    dials = options | {"frame": frame, "see": seen(visibility) if visibility else None}
    asked = read({"objective": name, "text": text, "options": dials, "tokenizer": tokenizer, "seed": seed, "hide": hide,
                  "force": {key: parsed(value) for key, value in force.items()}})  # fmt: skip
    if (made := encode(asked)) is None:
        raise UserError("this text is too long for a link", hint="pass on the JSON instead: --json", code="link.long", where="text")
    return made
