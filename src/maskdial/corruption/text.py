"""What the steps of a corruption pass along: ragged text, spans over it, decisions, and the ink that writes new tokens.

The same kernels write tokens and provenance. Over ids they copy ids; over *numbers* they copy `16 * number + kind`, where
a body token's number is its index in the row and an introduced token's is `L + slot` (L = body tokens of the row).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import lru_cache
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from maskdial.rng import kernel
from maskdial.sample import MASK, Rows
from maskdial.vocab import Vocab

if TYPE_CHECKING:
    from jaxtyping import Int32, Int64, UInt64


#: slot = family + 4 * j. BODY and SAID stand for body index j (read in the source, said in the answer); LOOSE stands for none.
BODY, SAID, FIXED, LOOSE = range(4)
#: the j of FIXED slots
HEAD, TAIL, START, SAID_HEAD, SAID_END, SAID_LAST, BETWEEN, LABEL = range(8)


@kernel
def _offsets(lengths, out):  # type: ignore[no-untyped-def]
    out[0] = 0
    for u in range(len(lengths)):
        out[u + 1] = out[u] + lengths[u]


def offsets_of(lengths: Int64[np.ndarray, " u"]) -> Int64[np.ndarray, " u+1"]:
    """Where each unit begins when they lie side by side, and where the last one ends."""
    out = np.empty(len(lengths) + 1, dtype=np.int64)
    _offsets(lengths, out)
    return out


def begins_of(rows: Rows, lengths: Int64[np.ndarray, " u"]) -> Int64[np.ndarray, " u+1"]:
    """`offsets_of` lengths that may still be those of the rows' units."""
    return rows.units.offsets if lengths is rows.units.lengths else offsets_of(lengths)


@kernel
def most(values):  # type: ignore[no-untyped-def]
    """The largest value, 0 for none. (After a kernel the first call of numpy's own costs more than such a loop.)"""
    found = values[0] if len(values) else values.dtype.type(0)
    for value in values:
        found = max(found, value)
    return np.int64(found)


def two_columns(units: int) -> tuple[Int64[np.ndarray, " u"], Int64[np.ndarray, " u"]]:
    """Two columns to be filled, a number a unit. (Taking a table of two apart costs more than making both.)"""
    return np.empty(units, dtype=np.int64), np.empty(units, dtype=np.int64)


class Text(NamedTuple):
    """Ragged values: unit u is `values[offsets[u]:offsets[u+1]]`."""

    values: Int32[np.ndarray, " n"]
    offsets: Int64[np.ndarray, " u+1"]

    @property
    def lengths(self) -> Int64[np.ndarray, " u"]:
        return self.offsets[1:] - self.offsets[:-1]


@kernel
def _left(lengths, begin, count, length, out):  # type: ignore[no-untyped-def]
    largest = np.int64(0)
    for u in range(len(lengths)):
        left, largest = lengths[u] + count[u], max(largest, count[u])
        for j in range(np.uint64(begin[u]), np.uint64(begin[u] + count[u])):
            left -= length[j]
        out[u] = left
    return largest


@kernel
def _totals(begin, count, length, out):  # type: ignore[no-untyped-def]
    for u in range(len(begin)):
        covered = np.int64(0)
        for j in range(np.uint64(begin[u]), np.uint64(begin[u] + count[u])):
            covered += length[j]
        out[u] = covered


@dataclass
class Spans:
    """Runs over units: entries `begin[u]:begin[u]+count[u]` of `start` (within the unit) and `length`, in reading order."""

    begin: Int64[np.ndarray, " u"]
    count: Int64[np.ndarray, " u"]
    start: Int32[np.ndarray, " k"]
    length: Int32[np.ndarray, " k"]
    _most: int | None = field(default=None, repr=False, compare=False)

    @staticmethod
    def of(lists: list[list[tuple[int, int]]]) -> Spans:
        """From one list of (start, length) a unit."""
        count = np.array([len(unit) for unit in lists], dtype=np.int64)
        flat = [pair for unit in lists for pair in unit]
        start, length = (np.array([pair[i] for pair in flat], dtype=np.int32) for i in (0, 1))
        return Spans(np.cumsum(count) - count, count, start, length)

    def unit(self, u: int) -> list[tuple[int, int]]:
        """The (start, length) pairs of one unit."""
        entries = slice(int(self.begin[u]), int(self.begin[u] + self.count[u]))
        return [(int(s), int(n)) for s, n in zip(self.start[entries], self.length[entries], strict=True)]

    def first(self, count: Int64[np.ndarray, " u"]) -> Spans:
        """Only the first `count[u]` entries of each unit."""
        begin = np.cumsum(count) - count
        entries = np.arange(int(count.sum())) + np.repeat(self.begin - begin, count)
        return Spans(begin, count, self.start[entries], self.length[entries])

    @property
    def entry_unit(self) -> Int64[np.ndarray, " k"]:
        """The unit of each entry."""
        return np.repeat(np.arange(len(self.count)), self.count)

    @property
    def most(self) -> int:
        """The largest number of entries in one unit."""
        if self._most is None:
            self._most = most(self.count)
        return self._most

    def left(self, lengths: Int64[np.ndarray, " u"]) -> Int64[np.ndarray, " u"]:
        """How long units become when each run makes room for one token."""
        out = np.empty(len(lengths), dtype=np.int64)
        self._most = _left(lengths, self.begin, self.count, self.length, out)
        return out

    @property
    def totals(self) -> Int64[np.ndarray, " u"]:
        """Tokens covered in each unit."""
        out = np.empty(len(self.count), dtype=np.int64)
        _totals(self.begin, self.count, self.length, out)
        return out


@dataclass
class Decisions:
    """What was drawn: one key a unit, and each step's decisions by name. `build` is a function of rows and these alone.

    Until somebody looks at it, a decision may be a function of these that draws it. Only an objective that is called makes such
    (`Objective.waiting`): what `draw` gives, and what is pickled, is drawn.
    """

    keys: UInt64[np.ndarray, " u"]
    values: dict[str, Any] = field(default_factory=dict)

    def __getitem__(self, name: str) -> Any:
        value = self.values[name]
        if callable(value):
            value = self.values[name] = value(self)
        return value

    def __getstate__(self) -> dict[str, Any]:
        return {"keys": self.keys, "values": dict(self.drawn().values)}

    def drawn(self) -> Decisions:
        """These, and none waits any more."""
        for name in self.values:
            self[name]
        return self

    def get(self, name: str) -> Any:
        return self[name] if name in self.values else None

    def undrawn(self, name: str) -> bool:
        """Whether this decision still waits."""
        return callable(self.values.get(name))


@lru_cache(maxsize=256)
def same(id: int, count: int) -> Int32[np.ndarray, " k"]:
    """One id so many times, made once for all calls: nobody writes to it."""
    return np.full(count, id, dtype=np.int32)


@lru_cache(maxsize=256)
def _no_lift(units: int) -> Int64[np.ndarray, " u"]:
    return np.zeros(units, dtype=np.int64)


class Ink(NamedTuple):
    """How new tokens are written: as ids of `vocab`, or as numbers when `numbers` is set."""

    vocab: Vocab
    recipe: str
    body: Int64[np.ndarray, " u"]  # body tokens of each unit's row
    numbers: bool = False

    def number(self, family: int, j: Any, unit: Any, kind: int) -> Any:
        """16 * (L + family + 4 j) + kind, of one or many introduced tokens."""
        return (16 * (self.body[unit] + family + 4 * np.asarray(j)) + kind).astype(np.int32)

    def mark(self, role: str, slot: int, kind: int) -> int:
        """A token that is the same in every unit: its id, or its number without the unit's part (`lift`)."""
        return 16 * (FIXED + 4 * slot) + kind if self.numbers else self.vocab.need(role, self.recipe)

    def each(self, role: str, slot: int, kind: int) -> Int32[np.ndarray, " u"]:
        """A mark as every unit writes it."""
        if self.numbers:
            return (self.lift + self.mark(role, slot, kind)).astype(np.int32)
        return same(self.vocab.need(role, self.recipe), len(self.body))

    def masks(self, text: Text) -> Int32[np.ndarray, " n"]:
        """[MASK] in the place of each token, as numbers."""
        unit = np.repeat(np.arange(len(text.lengths)), text.lengths)
        return np.asarray(self.number(BODY, text.values >> 4, unit, MASK), dtype=np.int32)

    @property
    def lift(self) -> Int64[np.ndarray, " u"]:
        """What a mark is more in each unit: nothing for ids."""
        return 16 * self.body if self.numbers else _no_lift(len(self.body))


@kernel
def _numbers(offsets, out):  # type: ignore[no-untyped-def]
    for r in range(len(offsets) - 1):
        first, row = np.uint64(offsets[r]), np.uint64(offsets[r + 1] - offsets[r])
        for i in range(row):
            out[first + i] = np.uint64(16) * i


def body_text(rows: Rows, numbers: bool = False) -> Text:
    """The rows' units as text: their ids, or their numbers."""
    units = rows.units
    if not numbers:
        return Text(rows.tokens, units.offsets)
    numbers_of = np.empty(len(rows.tokens), dtype=np.int32)
    _numbers(rows.offsets, numbers_of)
    return Text(numbers_of, units.offsets)
