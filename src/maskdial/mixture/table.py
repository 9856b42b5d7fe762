"""Rows taken apart by member, and the members' samples put back into one table in the rows' order."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from maskdial.corruption.text import offsets_of
from maskdial.rng import copy, kernel
from maskdial.sample import DTYPES, PROVENANCE, SILENT, Column, Head, Rows, Samples

if TYPE_CHECKING:
    from jaxtyping import Int64, UInt64

#: where a member has no such column; 0 elsewhere
FILL = {"target": SILENT, "answer": -1}
#: a column whose absence no value stands for: a model turns half of its rotary pairs by it
ALL_OR_NONE = "position2"


@kernel
def _gather(column, offsets, at, out):  # type: ignore[no-untyped-def]
    place = 0
    for j in range(len(at)):
        first, end = offsets[at[j]], offsets[at[j] + 1]
        copy(column, first, end - first, out, place)
        place += end - first


@kernel
def _scatter(column, offsets, at, starts, out):  # type: ignore[no-untyped-def]
    for j in range(len(at)):
        first, end = offsets[j], offsets[j + 1]
        copy(column, first, end - first, out, starts[at[j]])


def take(rows: Rows, at: Int64[np.ndarray, " k"], index: UInt64[np.ndarray, " k"]) -> Rows:
    """The rows `at` (ascending), numbered anew."""
    offsets = offsets_of(np.diff(rows.offsets)[at])

    def column(values: Column | None) -> Column | None:
        if values is None:
            return None
        out = np.empty(offsets[-1], dtype=values.dtype)
        _gather(values, rows.offsets, at, out)
        return out

    by_token: dict[str, Any] = {n: column(getattr(rows, n)) for n in ("tokens", "segment", "word", "sentence", "part", "language")}
    label = None if rows.label is None else rows.label[at]
    return replace(rows, **by_token, offsets=offsets, index=index, label=label)


def together(
    parts: Sequence[tuple[Int64[np.ndarray, " k"], Samples]], index: UInt64[np.ndarray, " r"], heads: Sequence[Head], name: str
) -> Samples:
    """One table of the rows `at` of each part; a head that a part does not ask is silent there."""
    lengths, body = (np.zeros(len(index), dtype=np.int64) for _ in range(2))
    for at, part in parts:
        lengths[at], body[at] = np.diff(part.offsets), part.body
    offsets = offsets_of(lengths)
    tables = [part for _, part in parts]

    def column(wanted: str) -> Column:
        base = f"target:{wanted.split(':')[1]}" if wanted.startswith("weight:") else wanted
        having = [(at, table, table.column(wanted)) for at, table in parts if table.has(base)]
        part, whole = wanted.split(":")[0], len(having) == len(parts)
        dtype = having[0][2].dtype if having else DTYPES.get(part, np.int32)
        out = np.empty(offsets[-1], dtype=dtype) if whole else np.full(offsets[-1], FILL.get(part, 0), dtype=dtype)
        for at, table, values in having:
            _scatter(values, table.offsets, at, offsets, out)
        return out

    first = tables[0]
    return Samples(offsets, index, {n: partial(column, n) for n in _names(tables, heads)}, heads, first.layout, name, body,
                   first.pad, first.start, placed=any(table.placed for table in tables))  # fmt: skip


def _names(tables: Sequence[Samples], heads: Sequence[Head]) -> list[str]:
    """Every column that one of the tables has, and every head's."""
    extras = list(dict.fromkeys(name for table in tables for name in table.extras))
    if ALL_OR_NONE in extras and not all(table.has(ALL_OR_NONE) for table in tables):
        raise ValueError(f"members with and without the column {ALL_OR_NONE!r} can't share a table; training keeps them apart")
    asked = [f"{part}:{h.name}" for h in heads for part in ("target", "weight")]
    provenance = [*PROVENANCE, *(f"answer:{h.name}" for h in heads[1:])] if tables[0].has("answer") else []
    return ["read", "position", "segment", "stream", "order", *extras, *asked, *provenance]
