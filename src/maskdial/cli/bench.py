"""`maskdial bench`: speed and memory beside peers."""

from __future__ import annotations

from typing import Annotated, Any

import typer

app = typer.Typer(no_args_is_help=True, help="Speed and memory beside peers, each in one run.",
                  context_settings={"help_option_names": ["-h", "--help"]})  # fmt: skip


@app.command()
def samples(
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
    """Mtok/s of samples, by recipe, beside installed peers.

    Body tokens in, plain arrays out, fresh noise every call, all in one run.

    Examples:

      maskdial bench samples

      maskdial bench samples -o t5,bart --threads 2 --provenance

      maskdial bench samples -o bert -o 'bert:whole_word=true,name=wwm' --json
    """
    import os

    os.environ.setdefault("OMP_NUM_THREADS", "1")
    from maskdial.bench import samples as measured
    from maskdial.cli import answer
    from maskdial.evaluate.selection import parse
    from maskdial.progress import Progress
    from maskdial.recipes import recipes
    from maskdial.vocab import Vocab

    wanted = {entry.name: entry.objective() for entry in parse(objectives or [",".join(recipes())])}
    vocab = Vocab.with_every_role(measured.SIZE)
    table = measured.table(rows, length, vocab)
    found: list[dict[str, Any]] = [measured.limit(table, calls)]
    if not json_:
        traced = ", with provenance" * provenance
        print(f"{rows} × {length} tokens, V = {vocab.size:,}, fresh noise every call, median and best of {calls}{traced}")
        _print(found[0], threads)
    with Progress("bench", len(wanted), "recipes") as bar:
        for one in measured.recipes(wanted, table, vocab, calls, threads, provenance):
            found.append(one)
            bar.update(1, recipe=one["name"])
            if not json_:
                _print(one, threads)
    for one in measured.peers(table, length, calls):
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


@app.command()
def step(
    threads: Annotated[int, typer.Option(help="CPU threads.", min=1)] = 2,
    rounds: Annotated[int, typer.Option(help="Rounds, of which the median counts.", min=1)] = 9,
    device: Annotated[str, typer.Option(help="auto, cpu or cuda.")] = "auto",
    kinds: Annotated[str, typer.Option("--kinds", help="Which of bert, gpt2 and t5 (t5 on a CPU only).")] = "bert,gpt2,t5",
    json_: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Tokens a second of a training step, beside peers.

    Peers are Hugging Face's classes, without dropout at equal precision and as they come, and a plain GPT loop. The peak memory of
    the loss comes first, beside the logits of all positions. Sizes on a CPU: vocabulary 8,192, width 256, 4 layers, 16 × 256 tokens;
    on a GPU: 124 M parameters, BERT of 512 and GPT-2 of 1,024 tokens.

    Examples:

      maskdial bench step

      maskdial bench step --kinds t5 --rounds 15 --json
    """
    import torch

    from maskdial.bench import memory, peers
    from maskdial.bench import step as measured
    from maskdial.cli import answer
    from maskdial.progress import Progress
    from maskdial.train.precision import find_device

    found_device = find_device(device)
    sizes = measured.sizes(found_device)
    if unknown := [kind for kind in kinds.split(",") if kind not in sizes]:
        raise ValueError(f"--kinds is some of {', '.join(sizes)} on {found_device}, not {unknown[0]!r}")
    torch.set_num_threads(threads)
    found: list[dict[str, Any]] = [memory.peak(found_device)]
    if not json_:
        _print_memory(found[0])
    with Progress("bench", len(kinds.split(",")), "steps") as bar:
        for kind in kinds.split(","):
            found.append(measured.measure(kind, sizes[kind], found_device, rounds))
            bar.update(1, step=kind)
            if not json_:
                _print_step(found[-1])
    if json_:
        answer("bench/1", found)
    elif not peers.installed():
        print("Hugging Face was not measured: transformers is not installed (pip install 'maskdial[hf]')")


def _print_memory(one: dict[str, Any]) -> None:
    took = "not measured: this system does not tell" if one["bytes"] is None else f"{one['bytes'] / 2**20:,.0f} MiB"
    share = "" if one["ratio"] is None else f", of which this is {one['ratio']:.1%}"
    print(f"loss and gradient at V = {one['vocab']:,}, {one['scored']:,} of {one['positions']:,} positions scored: {took} "
          f"(logits of all positions {one['full'] / 2**20:,.0f} MiB{share})")  # fmt: skip


def _print_step(one: dict[str, Any]) -> None:
    used = f"{one['utilisation']:.0%} of what its matrix products reach here"
    print(f"\n{one['name']}, {one['tokens']:,} tokens a step, medians; as it trains here: {one['precision']}, {used}")
    for name, speed in one["tokens_per_second"].items():
        ratio = f"   ours {one['ratios'][name]:.2f} ×" if name in one["ratios"] else ""
        print(f"  {name:26} {speed:12,.0f} tokens/s {one['parameters'][name]:14,} parameters{ratio}", flush=True)


def _print(one: dict[str, Any], threads: int) -> None:
    """One line."""
    if "refused" in one:
        print(f"{one['name']:44} {one['refused']}", flush=True)
        return
    more = f"   {one['threads'][str(threads)]:8,.1f} on {threads} threads" if "threads" in one else ""
    print(f"{one['name']:44} {one['mtok_s']:8,.1f} Mtok/s   best {one['best_mtok_s']:8,.1f}{more}", flush=True)
