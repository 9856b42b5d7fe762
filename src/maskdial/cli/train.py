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
    data: Annotated[
        list[str] | None,
        typer.Option(help="A prepared folder, text files, or pydocs (the default); several, each with a weight: --data a --data b:0.3."),
    ] = None,
    budget: Annotated[str | None, typer.Option(help="60s, 5min, 200ktok, 2Mtok (raw text), 1e14flop or 1000steps (default 60s).")] = None,
    deterministic: Annotated[bool, typer.Option("--deterministic", help="Equal bits on equal machines; no time budget.")] = False,
    init: Annotated[Path | None, typer.Option(help="A run, or a published Hugging Face folder, whose parameters to start from.")] = None,
    add: Annotated[list[str] | None, typer.Option(help="With --init: add missing special tokens: mask, sentinels, …")] = None,
    resume: Annotated[
        str, typer.Option(help="auto goes on where the run stopped; never refuses a used folder; or a checkpoint's path.")
    ] = "auto",
    progress: Annotated[str, typer.Option(help="auto, bar, plain, json or off.")] = "auto",
    json_: Annotated[bool, typer.Option("--json", help="Print the result as JSON.")] = False,
) -> None:
    """Train one objective into a run folder; the same command goes on after an interruption.

    A time budget is measured on the first steps and then fixed as a number of steps. Under torchrun several processes train one
    model, with the numbers of one (parallel=ddp or fsdp); how many may change whenever the run goes on.

    Examples:

      maskdial train -o gpt --out runs/gpt

      maskdial train -o t5:rate=0.3 --data corpus/ --budget 2Mtok --out runs/t5 model.preset=small rows=16

      maskdial train -o bert --budget 500steps --deterministic --out runs/bert checkpoint.every=100 seed=1

      maskdial train -o bert --init bert-base/ --data notes.jsonl --out runs/notes

      torchrun --nproc-per-node 4 -m maskdial train -o gpt --data corpus/ --data notes.txt:0.2 --out runs/big parallel=fsdp
    """
    import dataclasses

    from maskdial.cli import answer
    from maskdial.train import TrainConfig, find_device, parse_budget, started
    from maskdial.train import train as run

    given: dict[str, object] = {"budget": budget, "deterministic": deterministic or None, "init": None if init is None else str(init)}
    config = TrainConfig().with_overrides(settings or []).with_overrides({k: v for k, v in given.items() if v is not None})
    chosen = recipe(objective)
    parse_budget(config.budget)  # a mistake is said before any text is read
    with started(find_device(config.device), config.timeout) as ranks:
        corpus = ranks.first_before_others(lambda: corpus_of(data or ["pydocs"], config.init, add or []), "opening the data")
        result = run(config, chosen, corpus, out, resume=resume, progress=progress)
    if not ranks.first:
        return
    if json_:
        answer("train/1", dataclasses.asdict(result) | {"path": str(result.path)})
        return
    loss = "nothing scored" if result.loss is None else f"loss {result.loss:.3f}"
    print(f"{objective}: {loss} after {result.steps:,} steps, {result.text_tokens:,} text tokens, {result.scored_tokens:,} scored, "
          f"{result.flops:.3g} FLOPs, {result.seconds:.0f} s → {result.path}")  # fmt: skip


def corpus_of(sources: list[str], init: str | None, add: list[str]):  # type: ignore[no-untyped-def]
    """The corpus; with `init`, raw text is read by the tokenizer that its parameters know. Tokens that were added are said."""
    import sys

    from maskdial.errors import UserError
    from maskdial.train.init import origin
    from maskdial.train.mixed_corpus import open_data

    source = origin(init)
    if source is None:
        if add:
            raise UserError("--add is for --init: a tokenizer that is made here has every special token", code="usage.add")
        return open_data(sources)
    corpus = open_data(sources, str(source.tokenizer), tuple(add))
    for spelling, id in getattr(corpus, "corpora", [corpus])[0].manifest["tokenizer"]["added"].items():
        print(f"added {spelling} as {id}", file=sys.stderr)
    return corpus


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
