"""Rows taken apart by member, and the members' samples put back into one table in the rows' order."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property, partial
from typing import TYPE_CHECKING

import numpy as np

from maskdial.corruption.text import offsets_of
from maskdial.rng import copy, kernel
from maskdial.sample import DTYPES, PROVENANCE, SILENT, Column, Head, Rows, Samples

if TYPE_CHECKING:
    from jaxtyping import Int64, UInt64
    Members = Int64[np.ndarray, " m"]

#: where a member has no such column; 0 elsewhere
FILL = {"target": SILENT, "answer": -1}
#: columns whose absence no value stands for: a model turns half of its rotary pairs by them
ALL_OR_NONE = ("position2", "position2_key")


@kernel
def _apart(who, side, within, first, at, member):  # type: ignore[no-untyped-def]
    for m in who:
        first[side[m] + 1] += 1
    for i in range(1, len(first)):
        first[i] += first[i - 1]
    place = first.copy()
    for r in range(len(who)):
        i = side[who[r]]
        at[place[i]], member[place[i]] = r, within[who[r]]
        place[i] += 1


def apart(who: Int64[np.ndarray, " r"], side: Members, within: Members, sides: int) -> tuple[list[int], Int64[np.ndarray, "2 r"]]:
    """From the member of each row, and each member's side and number there: where the rows of each side begin (and the last end) when
    they stand one side after another, and then which rows these are and their members' numbers."""
    first, made = np.zeros(sides + 1, dtype=np.int64), np.empty((2, len(who)), dtype=np.int64)
    _apart(who, side, within, first, made[0], made[1])
    return first.tolist(), made


@kernel
def _offsets(offsets, at, out):  # type: ignore[no-untyped-def]
    out[0] = 0
    for j in range(len(at)):
        out[j + 1] = out[j] + offsets[at[j] + 1] - offsets[at[j]]


@kernel
def _lengths(offsets, at, body, lengths, bodies):  # type: ignore[no-untyped-def]
    for j in range(len(at)):
        lengths[at[j]], bodies[at[j]] = offsets[j + 1] - offsets[j], body[j]


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


class Taken(Rows):
    """Rows of another table: a column is copied when it is first looked at, and most objectives look at few.

    `member` says which of the members that run as one makes a row.
    """

    source: tuple[Rows, Int64[np.ndarray, " k"] | None]
    member: Int64[np.ndarray, " r"]

    tokens = cached_property(lambda self: self._taken("tokens"))
    segment = cached_property(lambda self: self._taken("segment"))
    word = cached_property(lambda self: self._taken("word"))
    sentence = cached_property(lambda self: self._taken("sentence"))
    part = cached_property(lambda self: self._taken("part"))
    language = cached_property(lambda self: self._taken("language"))

    @cached_property
    def label(self) -> Column | None:
        table, at = self.source
        return table.label if table.label is None or at is None else table.label[at]

    @property
    def lying(self) -> tuple[Column, Int64[np.ndarray, " v"]]:
        """Tokens among which each unit's lie (the whole table's: none are copied for it), and where each begins there."""
        table, at = vars(self).get("source", (None, None))  # a recipe that prepares its rows puts others in their place
        if at is None or self.packing != "joined":
            return super().lying
        return table.tokens, table.offsets[at]

    def _taken(self, name: str) -> Column | None:
        table, at = self.source
        values: Column | None = getattr(table, name)
        if values is None or at is None:
            return values
        out = np.empty(self.offsets[-1], dtype=values.dtype)
        _gather(values, table.offsets, at, out)
        return out


def take(
    rows: Rows, at: Int64[np.ndarray, " k"] | None, index: UInt64[np.ndarray, " k"], member: Int64[np.ndarray, " k"] | None = None
) -> Taken:
    """The rows `at`, in this order (None: all of them as they are), numbered anew."""
    one, offsets = Taken.__new__(Taken), rows.offsets
    if at is not None:
        offsets = np.empty(len(at) + 1, dtype=np.int64)
        _offsets(rows.offsets, at, offsets)
    vars(one).update(source=(rows, at), offsets=offsets, index=index, packing=rows.packing, member=member)
    return one


def together(
    parts: Sequence[tuple[Int64[np.ndarray, " k"], Samples]], index: UInt64[np.ndarray, " r"], heads: Sequence[Head], name: str
) -> Samples:
    """One table of the rows `at` of each part; a head that a part does not ask is silent there."""
    lengths, body = np.empty(len(index), dtype=np.int64), np.empty(len(index), dtype=np.int64)
    for at, part in parts:
        _lengths(part.offsets, at, part.body, lengths, body)
    offsets = offsets_of(lengths)
    tables = [part for _, part in parts]

    def column(wanted: str) -> Column:
        base = f"target:{wanted.split(':')[1]}" if wanted.startswith("weight:") else wanted
        having = [(at, table, table.column(wanted)) for at, table in parts if table.has(base)]
        part, whole = wanted.split(":")[0], len(having) == len(parts)
        if whole and len(parts) == 1:
            return having[0][2]
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
    for name in ALL_OR_NONE:
        if name in extras and not all(table.has(name) for table in tables):
            raise ValueError(f"members with and without the column {name!r} can't share a table; training keeps them apart")
    asked = [f"{part}:{h.name}" for h in heads for part in ("target", "weight")]
    provenance = [*PROVENANCE, *(f"answer:{h.name}" for h in heads[1:])] if tables[0].has("answer") else []
    return ["read", "position", "segment", "stream", "order", *extras, *asked, *provenance]
