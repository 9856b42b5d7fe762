"""`maskdial export`: a run for other people's programs."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def export(
    run: Annotated[Path, typer.Argument(help="A run folder that `maskdial train` or `compare` wrote.")],
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="The folder to make; it must be new or empty.")],
    to: Annotated[str, typer.Option(help="The format: hf, a folder that transformers loads.")] = "hf",
    json_: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Write a trained model as a Hugging Face folder: weights, tokenizer, generation settings and a card, no code.

    The folder is loaded again and held against the run before it gets its name. What the class has no place for (further heads) is
    left out and printed; a run that no class can hold says why.

    Examples:

      maskdial export runs/gpt --to hf gpt-hf

      maskdial export runs/t5 --to hf t5-hf --json
    """
    import dataclasses
    import sys

    from maskdial.cli import answer
    from maskdial.interop.export import export as write

    made = write(run, folder, to)
    if json_:
        answer("export/1", dataclasses.asdict(made) | {"path": str(made.path)}, made.notes)
        return
    for note in (*(f"left out: {what}" for what in made.left), *made.notes):
        print(note, file=sys.stderr)
    print(f"{made.path}  {made.classname}, {made.parameters:,} parameters, {made.objective} at step {made.step:,}; "
          f"largest difference from the run {made.difference:.1e} of {made.largest:.2f}")  # fmt: skip
