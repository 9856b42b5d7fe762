"""`maskdial ask`: a prompt to a trained model."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def ask(
    run: Annotated[Path, typer.Argument(help="A run folder that `maskdial train` or `compare` wrote.")],
    prompt: Annotated[str, typer.Argument(help="The text; a gap is written ____ or [MASK]; - reads standard input.")],
    hide: Annotated[str | None, typer.Option(help="Tokens of the prompt to hide, by number: 2,3,8.")] = None,
    task: Annotated[str | None, typer.Option(help="continue, fill or repair (default: what the prompt and the objective suggest).")] = None,
    tokens: Annotated[int, typer.Option(min=1, max=1024, help="Tokens a continuation has at most.")] = 48,
    temperature: Annotated[float, typer.Option(min=0.0, help="Of a continuation; 0 always takes the likeliest token.")] = 0.8,
    seed: Annotated[int, typer.Option(help="Seed of a continuation.")] = 0,
    json_: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Let a trained model continue, fill or repair a text, whichever its objective can.

    What its objective cannot do, it says, and why.

    Examples:

      maskdial ask runs/gpt "Return the number of"

      maskdial ask runs/bert "Return the ____ of items in the list"

      maskdial ask runs/t5 "Raise an error if the file does not exist" --hide 3,4
    """
    import sys

    from maskdial.cli import answer
    from maskdial.cli.settings import positions
    from maskdial.evaluate.asking import abilities, forms_of
    from maskdial.evaluate.asking import ask as put
    from maskdial.evaluate.generate import Decoding
    from maskdial.train import load

    if prompt == "-":
        prompt = sys.stdin.buffer.read().decode("utf-8", errors="replace").rstrip("\n")
    loaded = load(run)
    how = Decoding(most=tokens, temperature=temperature, top=40, seed=seed)
    said = put(loaded, prompt, positions(hide), task, how)
    able = abilities(forms_of(loaded))
    if json_:
        data = {"objective": loaded.objective.name, "prompt": prompt, "seed": seed, **said.to_json()}
        answer("ask/1", data | {"cannot": {t: why for t, why in able.items() if why}})
        return
    print(said.text)
    if said.note:
        print(f"note: {said.note}", file=sys.stderr)
    for t, why in able.items():
        if why:
            print(f"{loaded.objective.name} cannot {t}: {why}", file=sys.stderr)
