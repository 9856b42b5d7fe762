"""`prepare`: from text to a corpus folder. The same inputs and options always end in the same bytes.

Everything is written under a temporary name and renamed when it is whole, the manifest last: a killed run leaves no
corpus behind, and the next one starts again.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from maskdial.data.corpus import Corpus
from maskdial.data.document import Tally
from maskdial.data.documents import Errors
from maskdial.data.encode import encode_shard, make_tokenizer
from maskdial.data.options import Options, describe, digest
from maskdial.data.storage import FORMAT, LANGUAGE, MANIFEST, OURS, PART, SUFFIXES, Hasher
from maskdial.data.survey import find, survey
from maskdial.errors import UserError
from maskdial.progress import Mode


@contextmanager
def _workspace(out: Path, number: int) -> Iterator[Path]:
    """A temporary folder inside `out` that only one process holds; what a killed run left in it is wiped."""
    folder = out / f".tmp-shard-{number:05d}"
    folder.mkdir(parents=True, exist_ok=True)
    held = os.open(folder, os.O_RDONLY)
    try:
        try:
            import fcntl

            fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except ImportError:
            pass  # no locks on this system
        except OSError as error:
            raise UserError(f"another prepare is writing shard {number} of {out}", hint="wait for it, or choose another --out",
                            code="corpus.busy", where=str(out), exit=4) from error  # fmt: skip
        for left in folder.iterdir():
            shutil.rmtree(left) if left.is_dir() else left.unlink()
        try:
            yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)
            with suppress(OSError):  # nothing was made: leave no empty folder either
                out.rmdir()
    finally:
        os.close(held)


def _clear(out: Path, described: dict[str, Any], overwrite: bool, names: Sequence[str]) -> bool:
    """True when `out` already holds what is asked for; refuses what is something else (exit 4) unless `overwrite`."""
    present = [out / n for n in names if (out / n).is_file()]
    for path in present:
        try:
            there = json.loads(path.read_text(encoding="utf-8"))
        except ValueError:
            there = {}
        if there.get("options_sha256") == digest(described):
            return True
        if not overwrite:
            raise UserError(f"{out} holds another corpus: {_difference(there, described)}",
                            hint="choose another --out, or replace it with --overwrite", code="corpus.exists", where=str(out),
                            exit=4)  # fmt: skip
    if out.exists() and not out.is_dir():
        raise UserError(f"{out} is a file", hint="--out names a folder", code="corpus.exists", where=str(out), exit=4)
    strange = sorted(p.name for p in out.iterdir() if not OURS.fullmatch(p.name)) if out.is_dir() else []
    if strange:
        raise UserError(f"{out} holds files that are no corpus ({strange[0]} …)", hint="--out names a new or empty folder",
                        code="corpus.exists", where=str(out), exit=4)  # fmt: skip
    for path in present:
        path.unlink()
    return False


def _difference(there: dict[str, Any], asked: dict[str, Any]) -> str:
    changed = [f"{k} was {there['options'].get(k)!r}, now {v!r}" for k, v in asked["options"].items()
               if "options" in there and there["options"].get(k) != v]  # fmt: skip
    if there.get("sources") != asked["sources"]:
        changed.append("the sources or their text changed")
    return "; ".join(changed) or "made by another version"


def _files(folder: Path) -> dict[str, Any]:
    """Digests of small files, as the manifest records them."""
    found = {}
    for path in sorted(folder.iterdir()):
        hashed = Hasher()
        hashed.update(path.read_bytes())
        found[f"tokenizer/{path.name}"] = hashed.record()
    return found


def prepare_shard(sources: Sequence[str], out: Path, options: Options, number: int = 0, of: int = 1, *, overwrite: bool = False,
                  progress: Mode = "auto") -> dict[str, Any]:  # fmt: skip
    """Make shard `number` of `of` and leave its record in `out`, for `merge`. Returns the record.

    Every shard reads all the text and encodes its own documents; each is a pure function of (sources, options, number, of).
    """
    inputs = find(sources)
    described = describe(inputs, options, of)
    own = f"shard-{number:05d}-of-{of:05d}.json"
    if _clear(out, described, overwrite, [MANIFEST, own]):
        path = out / own if (out / own).is_file() else out / MANIFEST
        found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        return found
    _writable(out)
    with _workspace(out, number) as folder:
        surveyed = survey(inputs, options.held_out, options.text_column, options.errors,
                          options.tokenizer in (None, "words"), progress)  # fmt: skip
        tokenizer, added = make_tokenizer(options, surveyed, progress)
        tokenizer.save(folder / "tokenizer")
        made = encode_shard(inputs, options, surveyed, tokenizer, folder, number, of, progress)
        record = {
            "format": FORMAT, "name": inputs.name, "options_sha256": digest(described), **described, "shard": [number, of], **made,
            "tokenizer": {"name": tokenizer.name, "sha256": tokenizer.sha256, "rule": tokenizer.rule, "added": added,
                          "size": tokenizer.vocab.size, "largest_id": tokenizer.vocab.size - 1,
                          "reserved": tokenizer.vocab.to_json(), "files": _files(folder / "tokenizer")},
        }  # fmt: skip
        _publish(folder, out, own, record)
    return record


def _writable(out: Path) -> None:
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(f"{out} can't be made: {error}", hint="choose another --out", code="corpus.out", where=str(out)) from error


def _publish(folder: Path, out: Path, own: str, record: dict[str, Any]) -> None:
    """Rename a finished shard into place, its record last."""
    for suffix in (*SUFFIXES, PART, LANGUAGE):
        for path in sorted(folder.glob(f"*{suffix}")):
            if any(path.name == f"{s['name']}{suffix}" for s in record["shards"]):
                os.replace(path, out / path.name)
    (out / "tokenizer").mkdir(exist_ok=True)
    for path in sorted((folder / "tokenizer").iterdir()):
        os.replace(path, out / "tokenizer" / path.name)
    write_json(out / own, record, folder)


def write_json(path: Path, value: dict[str, Any], folder: Path) -> None:
    """A JSON file that is there whole or not at all."""
    temporary = folder / path.name
    with temporary.open("wb") as file:
        file.write(json.dumps(value, indent=1, sort_keys=True, ensure_ascii=False).encode() + b"\n")
        file.flush()
        os.fsync(file.fileno())
    os.replace(temporary, path)


def merge(out: str | Path) -> Corpus:
    """Join the shards in `out` to a corpus. `UserError` (exit 4) when one is missing or they don't belong together."""
    out = Path(out)
    if (out / MANIFEST).is_file():
        return Corpus.open(out)
    records = [json.loads(p.read_text(encoding="utf-8")) for p in sorted(out.glob("shard-*-of-*.json"))]
    if not records:
        raise UserError(f"{out} holds no shard", hint="make them: maskdial prepare PATH --out DIR --shard I/N",
                        code="corpus.missing", where=str(out))  # fmt: skip
    of = int(records[0]["shard"][1])
    missing = sorted(set(range(of)) - {int(r["shard"][0]) for r in records})
    same = ("options_sha256", "tokenizer", "dtype", "name")
    if any(r[k] != records[0][k] for r in records for k in same):
        raise UserError(f"the shards of {out} were made from different text or options", hint="prepare them again with --overwrite",
                        code="corpus.mixed", where=str(out), exit=4)  # fmt: skip
    if missing:
        raise UserError(f"{out} lacks shard {', '.join(f'{n}/{of}' for n in missing)}", hint=f"run prepare with --shard {missing[0]}/{of}",
                        code="corpus.missing", where=str(out), exit=4)  # fmt: skip
    return _merge(out, sorted(records, key=lambda r: int(r["shard"][0])))


def _merge(out: Path, records: list[dict[str, Any]]) -> Corpus:
    shards = [s for part in ("train", "held_out") for r in records for s in r["shards"] if s["part"] == part]
    if not any(s["part"] == "train" for s in shards):
        raise UserError(f"no text is left to train on in {out}", hint="hold out less, or give more text", code="data.empty")
    # every shard reads all the text and counts it all, except for what it encodes itself
    tally = records[0]["tally"] | {name: sum(r["tally"][name] for r in records) for name in Tally.ENCODED}
    manifest = {k: v for k, v in records[0].items() if k != "shard"} | {"shards": shards, "tally": tally}
    with _workspace(out, 99999) as folder:
        write_json(out / MANIFEST, manifest, folder)
    for path in out.glob("shard-*-of-*.json"):
        path.unlink()
    known = {f"{s['name']}{suffix}" for s in shards for suffix in s["files"]}
    for path in (*out.glob("shard-*.*"), *out.glob("held-out-*.*")):
        if path.name not in known:  # of a corpus that stood here before
            path.unlink()
    return Corpus.open(out)


def prepare(sources: Sequence[str] | str, out: str | Path, tokenizer: str | None = None, vocab_size: int | None = None,
            held_out: float = 0.05, *, text_column: str = "text", errors: Errors = "replace", grow: Sequence[str] = (),
            template: str | None = None, max_length: int | None = None, overwrite: bool = False,
            progress: Mode = "auto") -> Corpus:  # fmt: skip
    """Make a corpus folder from files, folders, globs, `pydocs` or `hf:NAME`, or reuse `out` if it is this very corpus.

    `held_out` is the share of documents kept from training; `Options` has the other settings. `UserError`: exit 2 for input
    that can't be read, exit 4 when `out` holds something else and `overwrite` is false.
    """
    options = Options(tokenizer, vocab_size, held_out, text_column, errors, tuple(grow), template, max_length)
    prepare_shard([sources] if isinstance(sources, str) else list(sources), Path(out), options, overwrite=overwrite,
                  progress=progress)  # fmt: skip
    return merge(out)
