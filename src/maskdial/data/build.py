"""`prepare`: from text to a corpus folder. The same inputs and options always end in the same bytes.

A plan is made first and each shard is a pure function of it, so neither the number of processes nor of machines changes
anything. Everything is written under a temporary name and renamed when it is whole, the manifest last: a killed run leaves no
corpus behind, and the next one goes on with the shards that are missing.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from maskdial.data import survey
from maskdial.data.corpus import Corpus
from maskdial.data.crew import Crew, cores
from maskdial.data.document import Tally
from maskdial.data.inputs import find
from maskdial.data.options import Duplicates, Options, describe, digest
from maskdial.data.plan import BITS, PLAN, Plan
from maskdial.data.planning import make_plan
from maskdial.data.reader import Errors
from maskdial.data.storage import MANIFEST, OURS, all_files, settle, verify
from maskdial.data.work import Work, write_json
from maskdial.errors import UserError
from maskdial.progress import Mode, Progress

ASIDE = ".tmp-shard-"


@contextmanager
def _workspace(out: Path, number: int) -> Iterator[Path]:
    """A temporary folder inside `out` that only one process holds; what a killed run left in it is wiped."""
    folder = out / f"{ASIDE}{number:05d}"
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


def _clear(out: Path, described: dict[str, Any], overwrite: bool) -> dict[str, Any] | None:
    """The manifest when `out` already holds what is asked for. Refuses what is something else (exit 4) unless `overwrite`,
    which makes a damaged corpus again too."""
    if out.exists() and not out.is_dir():
        raise UserError(f"{out} is a file", hint="--out names a folder", code="corpus.exists", where=str(out), exit=4)
    strange = sorted(p.name for p in out.iterdir() if not OURS.fullmatch(p.name)) if out.is_dir() else []
    if strange:
        raise UserError(f"{out} holds files that are no corpus ({strange[0]} …)", hint="--out names a new or empty folder",
                        code="corpus.exists", where=str(out), exit=4)  # fmt: skip
    path = next((out / n for n in (MANIFEST, PLAN) if (out / n).is_file()), None)
    if path is None:
        return None
    there = _json(path)
    if there.get("options_sha256") == digest(described):
        if path.name == PLAN:
            return None
        if not overwrite or not verify(out):
            return there
    elif not overwrite:
        state = "" if path.name == MANIFEST else "shards of "
        raise UserError(f"{out} holds {state}another corpus: {_difference(there, described)}",
                        hint="choose another --out, or replace it with --overwrite", code="corpus.exists", where=str(out),
                        exit=4)  # fmt: skip
    for old in (path, *(p for p in out.iterdir() if p.is_file())):
        old.unlink(missing_ok=True)
    return None


def _json(path: Path) -> dict[str, Any]:
    try:
        found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    except ValueError:
        return {}
    return found


def _difference(there: dict[str, Any], asked: dict[str, Any]) -> str:
    known = there.get("options", {})
    changed = [f"{k} was {known[k]!r}, now {v!r}" for k, v in asked["options"].items() if k in known and known[k] != v]
    if there.get("sources", asked["sources"]) != asked["sources"]:
        changed.append("the sources or their text changed")
    return "; ".join(changed) or "made by another version"


def prepare_shard(sources: Sequence[str], out: Path, options: Options, number: int = 0, of: int = 1, *, workers: int | None = None,
                  overwrite: bool = False, progress: Mode = "auto") -> dict[str, Any]:  # fmt: skip
    """Make the shards that are machine `number`'s of `of` and leave them in `out`, for `merge`. Returns what was made, in the
    form of a manifest, with `units`, their numbers.

    Every machine reads all the text, or finds in `out` what another one decided from it, and encodes its own part.
    `workers`: processes (default: one a core).
    """
    if workers is not None and workers < 1:
        raise UserError(f"workers are 1 or more, not {workers}", code="prepare.option")
    inputs = find(sources, progress)
    described = describe(inputs, options)
    if (finished := _clear(out, described, overwrite)) is not None:
        return finished | {"units": []}
    _writable(out)
    with _workspace(out, number) as folder:
        work = Work(inputs.files, options, out, folder, survey.UNIT, of)
        with Crew(work, workers or cores()) as crew:
            plan = Plan.read(out) or make_plan(inputs, described, work, crew, progress)
            mine = plan.share(number, of)
            there = sum((out / f"shard-{n:05d}.json").is_file() for n in mine)
            try:
                with Progress("encode", plan.documents(mine), "documents", progress) as shown:
                    if there:
                        shown.note(f"{there:,} of {len(mine):,} shards are there already and are only checked")
                    records = crew.do("make", mine, shown)
            except BaseException:
                if of == 1 and not any(out.glob("shard-*.json")):  # nothing to go on with: leave nothing
                    _drop(out, [PLAN, BITS, "tokenizer"])
                raise
    return plan.head | {"shards": _ordered(records), "tally": _tally(plan, records), "units": [*mine]}


def _drop(out: Path, names: Sequence[str]) -> None:
    for path in (out / name for name in names):
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)


def _writable(out: Path) -> None:
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(f"{out} can't be made: {error}", hint="choose another --out", code="corpus.out", where=str(out)) from error


def merge(out: str | Path) -> Corpus:
    """Join the shards in `out` to a corpus. `UserError` (exit 4) when one is missing or they don't belong together."""
    out = Path(out)
    if (out / MANIFEST).is_file():
        return _finished(out)
    plan = Plan.read(out)
    paths = [out / f"shard-{n:05d}.json" for n in range(len(plan.units))] if plan else []
    records = {n: _json(path) for n, path in enumerate(paths) if path.is_file()}
    if plan is None or not records:
        raise UserError(f"{out} holds no shards, or not the plan that they were made from ({PLAN}, tokenizer)",
                        hint="make them: maskdial prepare PATH --out DIR --shard I/N; then bring all files of all machines together",
                        code="corpus.missing", where=str(out))  # fmt: skip
    for n, record in records.items():
        other = [name for name, digest in plan.made_from.items() if record.get("made_from", {}).get(name) != digest]
        if other:
            raise UserError(f"{paths[n]} was not made from the same {other[0]} as {out / PLAN}", hint="make it again with the same "
                            "text, options and version", code="corpus.mixed", where=str(paths[n]), exit=4)  # fmt: skip
    if lost := {n for n in range(len(paths)) if n not in records or not _is_there(out, records[n])}:
        raise _lacking(out, plan, lost, max(int(r["of"]) for r in records.values()))
    return _merge(out, plan, [*records.values()])


def _is_there(out: Path, record: dict[str, Any]) -> bool:
    """Whether a shard's files have their sizes; what is in them is looked at when they are read."""
    files = {f"{s['name']}{suffix}": f["bytes"] for s in record["shards"] for suffix, f in s["files"].items()}
    return all((out / name).is_file() and (out / name).stat().st_size == size for name, size in files.items())


def _lacking(out: Path, plan: Plan, lost: set[int], of: int) -> UserError:
    machines = [f"{i}/{of}" for i in range(of) if lost.intersection(plan.share(i, of))]
    named = ", ".join(machines[:10]) + (f" and {len(machines) - 10} more" if len(machines) > 10 else "")
    what, do = (f"shard {named}", f"prepare with --shard {machines[0]}") if of > 1 else (f"{len(lost)} of its shards", "prepare again")
    return UserError(f"{out} lacks {what}", hint=f"run {do}", code="corpus.missing", where=str(out), exit=4)


def _ordered(records: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    return [s for part in ("train", "held_out") for r in records for s in r["shards"] if s["part"] == part]


def _tally(plan: Plan, records: Sequence[dict[str, Any]]) -> dict[str, int]:
    """The plan counted what was read, each shard what became of its documents."""
    tally = Tally(**plan.head["tally"])
    for record in records:
        tally.add(record["tally"])
    return tally.to_json()


def _merge(out: Path, plan: Plan, records: Sequence[dict[str, Any]]) -> Corpus:
    shards = _ordered(records)
    if not any(s["part"] == "train" for s in shards):
        raise UserError(f"no text is left to train on in {out}", hint="hold out less, or give more text", code="data.empty")
    manifest = plan.head | {"shards": shards, "tally": _tally(plan, records)}
    settle(out / name for name, _ in all_files(manifest))
    with _workspace(out, 99999) as folder:
        write_json(out / MANIFEST, manifest, folder)
    return _finished(out)


def _finished(out: Path) -> Corpus:
    """Open a corpus; the plan, the records and what a corpus before it left are of no use any more."""
    corpus = Corpus.open(out)
    known = {MANIFEST, *(f"{s['name']}{suffix}" for s in corpus.manifest["shards"] for suffix in s["files"])}
    for path in [*out.iterdir()]:
        if path.is_file() and OURS.fullmatch(path.name) and path.name not in known:
            path.unlink()
        elif path.name.startswith(ASIDE):  # of a run that was killed, unless it is still at work
            with suppress(UserError), _workspace(out, int(path.name.removeprefix(ASIDE))):
                pass
    return corpus


def prepare(sources: Sequence[str] | str, out: str | Path, tokenizer: str | None = None, vocab_size: int | None = None,
            held_out: float = 0.05, *, text_column: str = "text", errors: Errors = "replace", grow: Sequence[str] = (),
            template: str | None = None, max_length: int | None = None, duplicates: Duplicates = "report",
            workers: int | None = None, overwrite: bool = False, progress: Mode = "auto") -> Corpus:  # fmt: skip
    """Make a corpus folder from files, folders, globs, `pydocs` or `hf:NAME`, or reuse `out` if it is this very corpus.

    `held_out` is the share of documents kept from training; `Options` has the other settings. `workers`: processes (default:
    one a core), which change nothing in the result. `UserError`: exit 2 for input that can't be read, exit 4 when `out` holds
    something else and `overwrite` is false.
    """
    options = Options(tokenizer, vocab_size, held_out, text_column, errors, tuple(grow), template, max_length, duplicates)
    prepare_shard([sources] if isinstance(sources, str) else list(sources), Path(out), options, workers=workers, overwrite=overwrite,
                  progress=progress)  # fmt: skip
    return merge(out)
