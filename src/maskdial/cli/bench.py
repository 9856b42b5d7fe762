"""`maskdial bench`: speed beside peers."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import typer


def bench(
    what: Annotated[Literal["samples"], typer.Argument(help="What is measured.")],
    objectives: Annotated[
        list[str] | None, typer.Option("-o", "--objective", help="Recipes, or one with options: 'bert:whole_word=true,name=wwm'. Repeat.")
    ] = None,
    rows: Annotated[int, typer.Option(help="Rows a batch.", min=1)] = 128,
    length: Annotated[int, typer.Option(help="Body tokens a row.", min=8)] = 512,
    calls: Annotated[int, typer.Option(help="Calls a figure, of which the median counts.", min=1)] = 20,
    threads: Annotated[int, typer.Option(help="Also measure so many threads together.", min=1)] = 1,
    provenance: Annotated[bool, typer.Option("--provenance", help="Make provenance too.")] = False,
    json_: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Million body tokens a second that each recipe makes into samples, beside installed peers, in one run.

    Examples:

      maskdial bench samples

      maskdial bench samples -o t5,bart --threads 2 --provenance

      maskdial bench samples -o bert -o 'bert:whole_word=true,name=wwm' --json
    """
    import os

    os.environ.setdefault("OMP_NUM_THREADS", "1")
    from maskdial.bench import samples
    from maskdial.cli import answer
    from maskdial.evaluate.selection import parse
    from maskdial.progress import Progress
    from maskdial.recipes import recipes
    from maskdial.vocab import Vocab

    wanted = {entry.name: entry.objective() for entry in parse(objectives or [",".join(recipes())])}
    vocab = Vocab.with_every_role(samples.SIZE)
    table = samples.table(rows, length, vocab)
    found: list[dict[str, Any]] = [samples.limit(table, calls)]
    if not json_:
        print(f"{rows} × {length} tokens, V = {vocab.size:,}, fresh noise every call, median of {calls}" + ", with provenance" * provenance)
        _print(found[0], threads)
    with Progress("bench", len(wanted), "recipes") as bar:
        for one in samples.recipes(wanted, table, vocab, calls, threads, provenance):
            found.append(one)
            bar.update(1, recipe=one["name"])
            if not json_:
                _print(one, threads)
    for one in samples.peers(table, length, calls):
        found.append(one)
        if not json_:
            _print(one, threads)
    if json_:
        answer("bench/1", found)
        return
    by_name = {one["name"]: one.get("mtok_s") for one in found}
    peer = by_name.get("Hugging Face MLM collator, end to end")
    if peer and by_name.get("bert"):
        print(f"bert / Hugging Face MLM collator end to end: {by_name['bert'] / peer:,.0f} ×")
    elif not peer:
        print("no peer was measured: transformers is not installed (pip install 'maskdial[hf]')")


def _print(one: dict[str, Any], threads: int) -> None:
    """One line."""
    if "refused" in one:
        print(f"{one['name']:44} {one['refused']}", flush=True)
        return
    more = f"   {one['threads'][str(threads)]:8,.1f} on {threads} threads" if "threads" in one else ""
    print(f"{one['name']:44} {one['mtok_s']:8,.1f} Mtok/s{more}", flush=True)
