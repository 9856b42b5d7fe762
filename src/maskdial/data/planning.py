"""Making a plan: the survey of all files, what it decides, and the tokenizer."""

from __future__ import annotations

import os
import shutil
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

import numpy as np
from numpy.typing import NDArray

from maskdial.data.crew import Crew
from maskdial.data.encode import make_tokenizer
from maskdial.data.inputs import Inputs
from maskdial.data.options import Options, digest
from maskdial.data.plan import BITS, PLAN, Plan
from maskdial.data.split import ROW, Rows, Split, repeated, sample_floor, settle, steps
from maskdial.data.storage import FORMAT, record_of
from maskdial.data.survey import Survey, picked, sum_up, units
from maskdial.data.work import Work, write_json
from maskdial.progress import Mode, Progress

#: Text that a tokenizer is trained on, at most; of a larger corpus a sample by hash.
SAMPLE_BYTES = 64 << 20


def make_plan(inputs: Inputs, described: dict[str, Any], work: Work, crew: Crew, progress: Mode) -> Plan:
    """Survey the inputs, make the tokenizer, and publish both in the corpus folder. `UserError` when no document is left."""
    every = range(len(work.files))
    with Progress("read", None, "documents", progress) as shown:
        found = crew.do("look", every, shown)
    rows = _together(work)
    survey = sum_up(found, rows)
    left_out = _duplicates(survey, rows, work.options)
    survey.text_bytes = sum(int(some["size"].sum()) for some in steps(rows, left_out))
    survey.split = settle(work.options.held_out, rows, left_out, survey.text_bytes)
    samples = _sample(survey.split, rows, left_out, work, crew, progress) if work.options.tokenizer in (None, "words") else []
    tokenizer, added = make_tokenizer(work.options, survey, picked(samples), progress)
    tokenizer.save(work.folder / "tokenizer")
    files = {f"tokenizer/{p.name}": record_of(p) for p in sorted((work.folder / "tokenizer").iterdir())}
    size = tokenizer.vocab.size
    head = {
        "format": FORMAT, "name": inputs.name, "options_sha256": digest(described), **described, "tally": survey.tally.to_json(),
        "dtype": "<u2" if size <= 1 << 16 else "<u4",
        "tokenizer": {"name": tokenizer.name, "sha256": tokenizer.sha256, "rule": tokenizer.rule, "added": added, "size": size,
                      "largest_id": size - 1, "reserved": tokenizer.vocab.to_json(), "files": files},
    }  # fmt: skip
    bits = _bits(left_out, work)
    plan = Plan(work.out, head, survey.also, survey.split, units(found, work.unit), bits)
    _publish(plan, work)
    return plan


def _together(work: Work) -> list[Rows]:
    """The rows of each file, all mapped from one: there may be more inputs than files can be open."""
    counts, whole = [], work.folder / "rows"
    with whole.open("wb") as out:
        for n in range(len(work.files)):
            counts.append(work.rows(n).stat().st_size // ROW.itemsize)
            with work.rows(n).open("rb") as one:
                shutil.copyfileobj(one, out)
            work.rows(n).unlink()
    mapped = np.memmap(whole, ROW, "r") if sum(counts) else np.zeros(0, ROW)
    return np.split(mapped, np.cumsum(counts)[:-1])


def _duplicates(survey: Survey, rows: Sequence[Rows], options: Options) -> list[NDArray[np.bool_]] | None:
    """Count duplicates; which documents to leave out, None for none."""
    if options.duplicates == "keep":
        return None
    found = repeated(rows)
    survey.tally.duplicates = sum(int(marks.sum()) for marks in found)
    return found if options.duplicates == "drop" and survey.tally.duplicates else None


def _sample(split: Split, rows: Sequence[Rows], left_out: Sequence[NDArray[np.bool_]] | None, work: Work, crew: Crew,
            progress: Mode) -> list[Any]:  # fmt: skip
    """Have the texts written out that a tokenizer is trained on; returns the files."""
    floor, chosen, total, size = sample_floor(rows, left_out, SAMPLE_BYTES), [], 0, 0
    for n, some in enumerate(rows):
        marks = (some["side"] >= np.uint64(floor)) & split.trains(some["side"])
        if left_out is not None:
            marks &= ~left_out[n]
        sizes = np.cumsum(np.where(marks, some["size"], 0), dtype=np.int64) + size
        marks &= sizes - some["size"].astype(np.int64) < SAMPLE_BYTES  # one text, again and again, fits no budget
        if marks.any():
            size = int(sizes[-1])
            marks.tofile(work.marks(n))
            chosen.append(n)
            total += int(marks.sum())
    with Progress("sample", total, "documents", progress) as shown:
        crew.do("pick", chosen, shown, split=asdict(split))
    return [work.sample(n) for n in chosen]


def _bits(left_out: Sequence[NDArray[np.bool_]] | None, work: Work) -> dict[str, Any] | None:
    if left_out is None:
        return None
    path = work.folder / BITS
    np.packbits(np.concatenate(left_out), bitorder="little").tofile(path)
    return record_of(path)


def _publish(plan: Plan, work: Work) -> None:
    """Rename what was made into place, the plan last."""
    (work.out / "tokenizer").mkdir(exist_ok=True)
    for path in sorted((work.folder / "tokenizer").iterdir()):
        os.replace(path, work.out / "tokenizer" / path.name)
    if plan.bits is not None:
        os.replace(work.folder / BITS, work.out / BITS)
    write_json(work.out / PLAN, plan.to_json(), work.folder)
