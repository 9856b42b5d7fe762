"""`maskdial card`: what is known of one objective, and what a run measured."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def card(
    objective: Annotated[str, typer.Argument(metavar="OBJ", help="An objective, or the name it has in the run.")],
    run: Annotated[Path | None, typer.Option("--run", metavar="DIR", help="A compare folder, to add what it measured.")] = None,
    format_: Annotated[
        str | None, typer.Option("--format", metavar="term|md|json|html", help="How to print it; term when not given.")
    ] = None,
    json_: Annotated[bool, typer.Option("--json", help="Print JSON: the card inside the answer that every command gives.")] = False,
) -> None:
    """Print the evidence card of an objective: what it asks, a sample, which model fits, what it does and where it fails.

    Every claim says whether it was measured in the run or comes from the literature, and from which paper.

    Examples:

      maskdial card t5

      maskdial card bert --run compare-pydocs-60s --format md

      maskdial card gpt --format json
    """
    import json
    import shutil

    from maskdial.cli import answer
    from maskdial.errors import UserError, nearest
    from maskdial.report.card_text import markdown, terminal
    from maskdial.report.cards import card as made
    from maskdial.report.cards import check
    from maskdial.report.folder import read

    formats = ("term", "md", "json", "html")
    chosen = format_ or "term"
    if chosen not in formats:
        raise UserError(f"there is no format {chosen!r}", hint=nearest(chosen, formats), code="card.format")
    found = check(made(objective, read(run) if run else None))
    if json_:
        answer("card/1", found)
    elif chosen == "json":
        print(json.dumps(found, ensure_ascii=False, indent=2))
    elif chosen == "md":
        print(markdown(found), end="")
    elif chosen == "html":
        from maskdial.report.page import render_card

        print(render_card(found), end="")
    else:
        print(terminal(found, min(110, shutil.get_terminal_size((92, 24)).columns)))
