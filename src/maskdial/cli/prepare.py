"""`maskdial prepare`: text to a corpus folder."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from maskdial.data import Corpus


def prepare(
    out: Annotated[Path, typer.Option(help="The corpus folder to make.")],
    paths: Annotated[list[str] | None, typer.Argument(metavar="[PATH]…", help="Files, folders, globs, pydocs or hf:NAME.")] = None,
    tokenizer: Annotated[str | None, typer.Option(help="words, bytes, a tokenizer.json or a folder with one (default: train one).")] = None,
    vocab_size: Annotated[int | None, typer.Option(help="Body ids of the trained tokenizer (default: by amount of text).")] = None,
    add: Annotated[list[str] | None, typer.Option(help="Add missing special tokens to a given tokenizer: mask, languages, …")] = None,
    template: Annotated[str | None, typer.Option(help="Chat template for messages: a Jinja file, a tokenizer's folder or plain.")] = None,
    max_length: Annotated[int | None, typer.Option(help="Leave out supervised records whose prompt alone has so many tokens.")] = None,
    duplicates: Annotated[str, typer.Option(help="Documents that came before: report (count), drop, or keep (don't look).")] = "report",
    workers: Annotated[int | None, typer.Option(help="Processes; they change nothing in the result (default: one a core).")] = None,
    shard: Annotated[str | None, typer.Option(metavar="I/N", help="Make one of N shards, on a machine of its own; then --merge.")] = None,
    merge: Annotated[bool, typer.Option("--merge", help="Join the shards in --out to one corpus.")] = False,
    export: Annotated[list[str] | None, typer.Option(metavar="FORM=DIR", help="Write the corpus for others: nanogpt or datasets.")] = None,
    held_out: Annotated[float, typer.Option(help="Share of documents kept from training, 0 to below 1.")] = 0.05,
    text_column: Annotated[str, typer.Option(help="The column of .jsonl, .csv and .parquet that holds the text.")] = "text",
    errors: Annotated[str, typer.Option(help="Bytes that are not UTF-8: replace, drop the document, or stop with an error.")] = "replace",
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace another corpus in --out.")] = False,
    progress: Annotated[str, typer.Option(help="auto, bar, plain, json or off.")] = "auto",
    json_: Annotated[bool, typer.Option("--json", help="Print the result as JSON.")] = False,
) -> None:
    """Turn text into a corpus folder: tokens, words and sentences, with a tokenizer and digests of everything.

    .txt and .md (a blank line ends a document), .jsonl, .csv, .parquet and .arrow (a dataset's saved folder too), each also
    .gz and .zst; nanoGPT's .bin with its --tokenizer. Records without a text may be supervised: a prompt and a completion, or
    messages of a conversation (role, content). The same text and options always give the same bytes, whatever the number of
    workers or machines; a command that was stopped is run again and goes on. With --shard I/N, N machines each make their
    part of the same folder, and `maskdial prepare --merge --out DIR` joins them.

    Examples:

      maskdial prepare pydocs --out corpus

      maskdial prepare books/*.txt notes.jsonl --out corpus --vocab-size 8192

      maskdial prepare books/ --out corpus --duplicates drop --shard 1/4

      maskdial prepare --out corpus --export nanogpt=data/mine

      maskdial prepare chats.jsonl --out chats --tokenizer DIR --max-length 2048
    """
    from maskdial.data import Corpus
    from maskdial.data import merge as join
    from maskdial.data.build import prepare_shard
    from maskdial.data.options import Options
    from maskdial.errors import UserError

    exports = [_export(form) for form in export or ()]
    if merge and (paths or shard):
        raise UserError("--merge joins the shards that are in --out; it takes no text and no --shard", code="usage.merge")
    if shard and exports:
        raise UserError("--export writes a whole corpus: give it with --merge, or without --shard", code="usage.export")
    if merge or (exports and not paths):
        _say(join(out) if merge else Corpus.open(out), exports, json_)
        return
    options = Options(tokenizer, vocab_size, held_out, text_column, _one_of("errors", errors, "replace", "drop", "error"),
                      tuple(add or ()), template, max_length, _one_of("duplicates", duplicates, "report", "drop", "keep"))  # fmt: skip
    number, of = _shard(shard)
    mode = _one_of("progress", progress, "auto", "bar", "plain", "json", "off")
    record = prepare_shard(paths or [], out, options, number, of, workers=workers, overwrite=overwrite, progress=mode)
    if shard is None:
        _say(join(out), exports, json_)
    else:
        _say_shard(record, out, number, of, json_)


def _export(text: str) -> tuple[str, Path]:
    from maskdial.errors import UserError, nearest

    known = ("nanogpt", "datasets")
    form, _, folder = text.partition("=")
    if form not in known or not folder:
        hint = nearest(form, known) if form not in known else f"for example --export {form}=DIR"
        raise UserError(f"--export {text!r} should be nanogpt=DIR or datasets=DIR", hint=hint, code="usage.export")
    return form, Path(folder)


def _shard(text: str | None) -> tuple[int, int]:
    """(number, of) of I/N. Both ways of counting, 0 … N-1 and 1 … N, name all N shards: N/N is shard 0."""
    from maskdial.errors import UserError

    if text is None:
        return 0, 1
    first, _, second = text.partition("/")
    if not (first.isdecimal() and second.isdecimal() and 0 <= int(first) <= int(second) and 1 <= int(second) < 99_999):
        raise UserError(f"--shard {text!r} should be I/N, for example 1/4 … 4/4", code="usage.shard")
    return int(first) % int(second), int(second)


def _one_of(name: str, text: str, *known: str) -> Any:
    from maskdial.errors import UserError, nearest

    if text not in known:
        raise UserError(f"--{name} is {', '.join(known)}, not {text!r}", hint=nearest(text, known), code=f"usage.{name}")
    return text


def _supervised(record: dict[str, Any], part: str) -> dict[str, int]:
    """How many of a part's tokens ask and how many answer; nothing for plain text."""
    shards = [s for s in record["shards"] if s["part"] == part and "asking" in s]
    asking = sum(s["asking"] for s in shards)
    return {
        "prompt_tokens": asking, "completion_tokens": sum(s["tokens"] for s in shards) - asking,
        "longest_prompt": max(s["longest_prompt"] for s in shards),
    } if shards else {}  # fmt: skip


def _say(corpus: Corpus, exports: Sequence[tuple[str, Path]], json_: bool) -> None:
    from maskdial.cli import answer
    from maskdial.data.notices import notices

    written = {form: [str(path) for path in _written(corpus, form, folder)] for form, folder in exports}
    warnings = notices(corpus.manifest)
    parts = {
        p.name: {"documents": p.num_documents, "tokens": p.num_tokens, "bytes": p.total_bytes} | _supervised(corpus.manifest, p.name)
        for p in (corpus.train, corpus.held_out)
    }
    if json_:
        noted = corpus.manifest["tokenizer"]
        answer("prepare/1", {
            "path": str(corpus.folder), "name": corpus.name, "fingerprint": corpus.fingerprint, **parts, "tally": corpus.manifest["tally"],
            "tokenizer": {k: noted[k] for k in ("name", "sha256", "size", "rule", "added")}, "exported": written,
        }, warnings)  # fmt: skip
        return
    print(f"{corpus.folder}  ({corpus.name}, fingerprint {corpus.fingerprint[:16]})")
    for name, part in parts.items():
        print(f"  {name.replace('_', ' '):9} {part['documents']:>11,} documents {part['tokens']:>13,} tokens {part['bytes']:>13,} bytes")
        if "prompt_tokens" in part:
            print(f"  {'':9} {part['completion_tokens']:>11,} tokens answer, {part['prompt_tokens']:,} ask; "
                  f"the longest prompt has {part['longest_prompt']:,}")  # fmt: skip
    special = len(corpus.vocab.special)
    print(f"  tokenizer {corpus.tokenizer.name}: {corpus.vocab.size - special:,} body ids + {special} special")
    for form, paths in written.items():
        print(f"  for {form}: {', '.join(paths)}")
    for warning in warnings:
        print(f"  note: {warning}")


def _written(corpus: Corpus, form: str, folder: Path) -> list[Path]:
    """Write a corpus for others; its tokenizer goes beside it."""
    from maskdial.errors import UserError
    from maskdial.interop import datasets, nanogpt

    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise UserError(f"{folder} is there already", hint=f"--export {form}=DIR names a new or empty folder", code="export.exists",
                        where=str(folder), exit=4)  # fmt: skip
    folder.mkdir(parents=True, exist_ok=True)
    paths = {"nanogpt": nanogpt, "datasets": datasets}[form].export(corpus, folder)
    corpus.tokenizer.save(folder / "tokenizer")
    return [*paths, folder / "tokenizer"]


def _say_shard(record: dict[str, Any], out: Path, number: int, of: int, json_: bool) -> None:
    from maskdial.cli import answer
    from maskdial.data.notices import notices

    tokens, made = sum(s["tokens"] for s in record["shards"]), record["units"]
    if json_:
        data = {"path": str(out), "shard": [number, of], "made": made, "tokens": tokens, "tally": record["tally"]}
        answer("prepare/1", data, notices(record))
        return
    print(f"{out}  shard {number} of {of}: {tokens:,} tokens in {len(made):,} files. When all {of} are there: "
          f"maskdial prepare --merge --out {out}")  # fmt: skip
