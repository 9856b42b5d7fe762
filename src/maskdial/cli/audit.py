"""`maskdial audit`: what data really supervises."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer


def audit(
    source: Annotated[str, typer.Argument(metavar="FILE|DIR|hf:NAME", help="Text, a prepared corpus, a saved dataset, or a run.")],
    objective: Annotated[
        str | None, typer.Option("-o", "--objective", help="A recipe, or one with options: 't5:rate=0.3' (default: sft or gpt).")
    ] = None,
    tokenizer: Annotated[Path | None, typer.Option(help="A tokenizer.json or a folder with one (default: train one on the text).")] = None,
    rows: Annotated[int, typer.Option(help="Rows that are looked at.", min=1)] = 256,
    seed: Annotated[int, typer.Option(help="Seed of the noise.")] = 0,
    strict: Annotated[bool, typer.Option("--strict", help="Leave with status 3 when a check fails (a warning is none).")] = False,
    progress: Annotated[Literal["auto", "bar", "plain", "json", "off"], typer.Option(help="How preparing the text is told.")] = "auto",
    json_: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """See what is really supervised, row by row, before a run is paid for.

    Records with messages, or with a prompt and a completion, are read under sft, a row each; other text under gpt, in windows, as
    training reads it. A run's folder is audited with the text and settings that it was trained with. Each check says ✓ (in order),
    ! (a warning), ✕ (failed) or – (not checked, and why).

    Examples:

      maskdial audit chats.jsonl

      maskdial audit notes.txt -o bert:rate=0.3 --rows 64

      maskdial audit corpus/ -o t5 --strict --json
    """
    from maskdial.audit import audit as look
    from maskdial.cli import answer
    from maskdial.cli.train import recipe

    found = look(source, recipe(objective) if objective else None, tokenizer=tokenizer, rows=rows, seed=seed, progress=progress)
    if json_:
        answer("audit/1", found.to_json())
    else:
        print(found)
    if strict and found.worst == "fail":
        raise typer.Exit(3)
