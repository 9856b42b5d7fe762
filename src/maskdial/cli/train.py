"""`maskdial train`: one objective on one corpus."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def train(
    objective: Annotated[str, typer.Option("-o", "--objective", help="A recipe, or one with options: 't5:rate=0.3,mean_length=5'.")],
    out: Annotated[Path, typer.Option(help="The run's folder.")],
    settings: Annotated[
        list[str] | None, typer.Argument(metavar="[KEY=VALUE]…", help="Settings, e.g. length=256 rows=16 model.preset=small.")
    ] = None,
    data: Annotated[str, typer.Option(help="A prepared folder, text files, or pydocs.")] = "pydocs",
    budget: Annotated[str | None, typer.Option(help="60s, 5min, 200ktok, 2Mtok (raw text), 1e14flop or 1000steps (default 60s).")] = None,
    deterministic: Annotated[bool, typer.Option("--deterministic", help="Equal bits on equal machines; no time budget.")] = False,
    init: Annotated[Path | None, typer.Option(help="A run whose parameters to start from.")] = None,
    resume: Annotated[
        str, typer.Option(help="auto goes on where the run stopped; never refuses a used folder; or a checkpoint's path.")
    ] = "auto",
    progress: Annotated[str, typer.Option(help="auto, bar, plain, json or off.")] = "auto",
    json_: Annotated[bool, typer.Option("--json", help="Print the result as JSON.")] = False,
) -> None:
    """Train one objective into a run folder; the same command goes on after an interruption.

    A time budget is measured on the first steps and then fixed as a number of steps.

    Examples:

      maskdial train -o gpt --out runs/gpt

      maskdial train -o t5:rate=0.3 --data corpus/ --budget 2Mtok --out runs/t5 model.preset=small rows=16

      maskdial train -o bert --budget 500steps --deterministic --out runs/bert checkpoint.every=100 seed=1
    """
    import dataclasses

    from maskdial.cli import answer
    from maskdial.data import open_or_prepare
    from maskdial.train import TrainConfig
    from maskdial.train import train as run

    given: dict[str, object] = {"budget": budget, "deterministic": deterministic or None, "init": None if init is None else str(init)}
    config = TrainConfig().with_overrides(settings or []).with_overrides({k: v for k, v in given.items() if v is not None})
    chosen = recipe(objective)
    corpus = open_or_prepare(data)
    result = run(config, chosen, corpus, out, resume=resume, progress=progress)
    if json_:
        answer("train/1", dataclasses.asdict(result) | {"path": str(result.path)})
        return
    loss = "nothing scored" if result.loss is None else f"loss {result.loss:.3f}"
    print(f"{objective}: {loss} after {result.steps:,} steps, {result.text_tokens:,} text tokens, {result.scored_tokens:,} scored, "
          f"{result.flops:.3g} FLOPs, {result.seconds:.0f} s → {result.path}")  # fmt: skip


def recipe(text: str):  # type: ignore[no-untyped-def]
    """The objective of `name` or `name:key=value,key=value`; `UserError` for an unknown name, option or value."""
    from maskdial.errors import UserError
    from maskdial.recipes import objective

    name, _, rest = text.partition(":")
    options: dict[str, str] = {}
    for pair in (p for p in rest.split(",") if p.strip()):
        key, sign, value = pair.partition("=")
        if not sign:
            raise UserError(f"-o {text!r}: {pair!r} should be key=value", hint="for example t5:rate=0.3", code="usage.objective")
        options[key.strip().replace("-", "_")] = value.strip()
    try:
        return objective(name.strip(), compat=options.pop("compat", None), **options)
    except ValueError as error:
        raise UserError(str(error), code="usage.objective", where="objective") from None
