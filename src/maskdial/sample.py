"""The one contract: `Rows` go into an objective, `Samples` come out, whatever the objective.

Both are ragged tables: flat columns over `offsets`, no padding inside. A `Sample` is one row of the table, for looking at.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from maskdial.rows import Packing, Rows, Units, rows

if TYPE_CHECKING:
    from jaxtyping import Bool, Float32, Int32, Int64, UInt8, UInt64

    from maskdial.batch import Batch

#: A target that asks nothing (torch's `ignore_index`).
SILENT = -100

Layout = Literal["encoder", "decoder", "encoder-decoder"]
Column = NDArray[Any]
__all__ = ["SILENT", "Head", "Packing", "Rows", "Sample", "Samples", "Units", "rows", "sight"]

#: What happened to the token that is read; the index is the value of the `kind` column.
KINDS = ("kept", "mask", "random", "same", "sentinel", "replaced", "moved", "inserted", "special", "pad")
KEPT, MASK, RANDOM, SAME, SENTINEL, REPLACED, MOVED, INSERTED, SPECIAL, PAD = range(len(KINDS))


def sight(
    order: Int32[np.ndarray, " s"], segment: Int32[np.ndarray, " s"], private: Bool[np.ndarray, " s"] | None = None
) -> Bool[np.ndarray, "s s"]:
    """Who may look at whom: `sight[q, k]` is True where position q may look at position k.

    k must share q's segment (padding, -1, sees and shows nothing) and either come earlier in the order and not be
    private, or share q's order.
    """
    earlier = order[None, :] < order[:, None]
    if private is not None:
        earlier &= ~private[None, :]
    together = (segment[:, None] == segment[None, :]) & (segment[:, None] >= 0)
    return together & (earlier | (order[None, :] == order[:, None]))


@dataclass(frozen=True)
class Head:
    """One question asked of positions: its name, how it is answered and how its loss is weighed.

    `divisor` is what the summed loss is divided by over the global batch; `reach` is how many tokens further right
    than the order allows the head may read (sequential multi-token modules read token i + k). `form` says what it is read
    off: the position's own final state ("plain"); the states at the columns `left` and `right` and the learnt place `offset`
    ("boundary", SpanBERT); a transformer block of its own ("module": parallel with reach 0, else sequential); or a second
    network that reads what a generator drew ("drawn", ELECTRA: its targets are 0 until the generator has drawn).
    """

    name: str = "token"
    kind: Literal["token", "class", "binary"] = "token"
    coefficient: float = 1.0
    divisor: Literal["scored", "weights", "tokens", "rows"] | int = "scored"
    reach: int = 0
    form: Literal["plain", "boundary", "module", "drawn"] = "plain"


class Samples:
    """What an objective returns: a ragged table with one row a sample.

    Columns (flat over `offsets` int64[R+1]): `read`, `position`, `segment`, `order` int32, `stream` uint8; optional
    `private` bool, `position2` int32 and, where a position that is looked at has another one, `position2_key`; per head
    a target int32 (`SILENT` where nothing is asked) and a weight float32; with provenance `origin`, `place`, `answer`
    int32 and `kind` uint8. A column may be given as a function, which is called when it is first looked at. Targets stand
    at the position that must say them.
    """

    def __init__(
        self,
        offsets: Int64[np.ndarray, " r+1"],
        index: UInt64[np.ndarray, " r"],
        columns: Mapping[str, Column | Callable[[], Column]],
        heads: Sequence[Head] = (Head(),),
        layout: Layout = "encoder",
        objective: str = "",
        body: Int64[np.ndarray, " r"] | None = None,
        pad: int = 0,
        start: int | None = None,
        placed: bool = False,
    ) -> None:
        self.offsets, self.index, self.heads, self.layout = offsets, index, tuple(heads), layout
        #: positions are the recipe's own: a batch keeps them as they are
        self.placed = placed
        self.objective, self.pad, self.start = objective, pad, start
        #: body tokens a row, before corruption
        self.body = np.diff(offsets) if body is None else body
        self._columns: dict[str, Column | Callable[[], Column]] = dict(columns)

    @classmethod
    def of(cls, *, heads: Sequence[Head] = (Head(),), layout: Layout = "encoder", **columns: ArrayLike) -> Samples:
        """One sample from plain lists; what is left out takes its plain value (`target` is the first head's)."""
        length = len(np.asarray(columns["read"]))
        given: dict[str, Column] = {}
        for name, values in columns.items():
            key = f"{name}:{heads[0].name}" if name in ("target", "weight") else name
            given[key] = np.asarray(values).astype(DTYPES.get(key.split(":")[0], np.int32))
            if given[key].shape != (length,):
                raise ValueError(f"column {name!r} must have one value a token: {length}, not {given[key].size}")
        return cls(np.array([0, length], dtype=np.int64), np.zeros(1, dtype=np.uint64), given, heads, layout)

    def __len__(self) -> int:
        return len(self.offsets) - 1

    def __repr__(self) -> str:
        rows = "row" if len(self) == 1 else "rows"
        return f"Samples({self.objective!r}, {len(self):,} {rows}, {int(self.offsets[-1]):,} positions, {self.num_scored:,} scored)"

    def _repr_html_(self) -> str:
        from maskdial.html import of_samples

        return of_samples(self)

    def __iter__(self) -> Iterator[Sample]:
        return (self[i] for i in range(len(self)))

    def __getitem__(self, i: int) -> Sample:
        if not -len(self) <= i < len(self):
            raise IndexError(f"sample {i} of {len(self)}")
        return Sample(self, i % len(self))

    def has(self, name: str) -> bool:
        """Whether a column is there (given, or with a plain value)."""
        return name in self._columns or name.split(":")[0] in PLAIN

    @property
    def extras(self) -> list[str]:
        """Columns that a recipe adds and a model reads as they are: `private`, `position2`, `left`, `part`, …"""
        return [n for n in self._columns if ":" not in n and n != "read" and n not in PLAIN and n not in PROVENANCE]

    def column(self, name: str) -> Column:
        """A column by name; targets and weights are `target:HEAD` and `weight:HEAD`."""
        value = self._columns.get(name)
        if callable(value):
            value = self._columns[name] = value()
        if value is not None:
            return value
        plain = PLAIN.get(name.split(":")[0])
        if plain is None:
            hint = " (ask for provenance=True)" if name.split(":")[0] in PROVENANCE else ""
            raise KeyError(f"these samples have no column {name!r}{hint}")
        self._columns[name] = made = plain(self, name)
        return made

    read: Int32[np.ndarray, " m"] = property(lambda self: self.column("read"))  # type: ignore[assignment]
    position: Int32[np.ndarray, " m"] = property(lambda self: self.column("position"))  # type: ignore[assignment]
    segment: Int32[np.ndarray, " m"] = property(lambda self: self.column("segment"))  # type: ignore[assignment]
    stream: UInt8[np.ndarray, " m"] = property(lambda self: self.column("stream"))  # type: ignore[assignment]
    order: Int32[np.ndarray, " m"] = property(lambda self: self.column("order"))  # type: ignore[assignment]
    origin: Int32[np.ndarray, " m"] = property(lambda self: self.column("origin"))  # type: ignore[assignment]
    place: Int32[np.ndarray, " m"] = property(lambda self: self.column("place"))  # type: ignore[assignment]
    answer: Int32[np.ndarray, " m"] = property(lambda self: self.column("answer"))  # type: ignore[assignment]
    kind: UInt8[np.ndarray, " m"] = property(lambda self: self.column("kind"))  # type: ignore[assignment]

    @property
    def private(self) -> Bool[np.ndarray, " m"] | None:
        return self.column("private") if self.has("private") else None

    @property
    def target(self) -> Int32[np.ndarray, " m"]:
        """The first head's targets."""
        return self.column(f"target:{self.heads[0].name}")

    @property
    def weight(self) -> Float32[np.ndarray, " m"]:
        """The first head's weights."""
        return self.column(f"weight:{self.heads[0].name}")

    @property
    def targets(self) -> dict[str, Int32[np.ndarray, " m"]]:
        """Every head's targets by head name."""
        return {h.name: self.column(f"target:{h.name}") for h in self.heads}

    @property
    def num_scored(self) -> int:
        """Scored positions over all heads."""
        return sum(int((t != SILENT).sum()) for t in self.targets.values())

    def batch(self, layout: Layout | None = None, length: int | None = None) -> Batch:
        """Rectangular arrays for a model (`maskdial.batch`); `length` pads single-stream rows to a fixed width."""
        from maskdial.batch import batch

        return batch(self, layout or self.layout, length)


def _plain_position(s: Samples, name: str) -> Column:
    return (np.arange(s.offsets[-1]) - np.repeat(s.offsets[:-1], np.diff(s.offsets))).astype(np.int32)


def _plain_weight(s: Samples, name: str) -> Column:
    return (s.column("target:" + name.split(":")[1]) != SILENT).astype(np.float32)


#: Values of columns that were not given.
PLAIN: dict[str, Callable[[Samples, str], Column]] = {
    "position": _plain_position,
    "segment": lambda s, name: np.zeros(s.offsets[-1], dtype=np.int32),
    "stream": lambda s, name: np.zeros(s.offsets[-1], dtype=np.uint8),
    "order": lambda s, name: np.zeros(s.offsets[-1], dtype=np.int32),
    "weight": _plain_weight,
}
PROVENANCE = ("origin", "place", "answer", "kind")
DTYPES: dict[str, type[np.generic]] = {"stream": np.uint8, "kind": np.uint8, "private": np.bool_, "weight": np.float32}


class Sample:
    """One row of `Samples`: the same names, one-dimensional numpy views."""

    def __init__(self, table: Samples, row: int) -> None:
        self.table, self.row = table, row
        self.index = int(table.index[row])
        #: set by `md.sample`: text, tokens' spellings and settings, for `show` and `to_json`
        self.context: dict[str, Any] = {}

    def __len__(self) -> int:
        return int(self.table.offsets[self.row + 1] - self.table.offsets[self.row])

    def __repr__(self) -> str:
        if self.context:
            return self.show()
        scored = sum(int((target != SILENT).sum()) for target in self.targets.values())
        return f"Sample({self.table.objective!r}, row {self.row}: {len(self):,} positions, {scored:,} scored)"

    def _repr_html_(self) -> str:
        from maskdial.html import of_sample

        return of_sample(self)

    def column(self, name: str) -> Column:
        """This sample's part of a column."""
        return self.table.column(name)[self.table.offsets[self.row] : self.table.offsets[self.row + 1]]

    def __getattr__(self, name: str) -> Column:
        if name.startswith("_") or name in ("table", "row", "context"):
            raise AttributeError(name)
        if name in ("target", "weight"):
            return self.column(f"{name}:{self.table.heads[0].name}")
        try:
            return self.column(name)
        except KeyError as error:
            raise AttributeError(str(error)) from None

    @property
    def targets(self) -> dict[str, Column]:
        return {h.name: self.column(f"target:{h.name}") for h in self.table.heads}

    @property
    def heads(self) -> tuple[Head, ...]:
        return self.table.heads

    def visible(self) -> Bool[np.ndarray, "s s"]:
        """`visible()[q, k]`: position q may look at position k."""
        return sight(self.order, self.segment, self.column("private") if self.table.has("private") else None)

    @property
    def own_answer(self) -> Bool[np.ndarray, " s"]:
        """Scored positions (any head) that can see a token holding the very answer they must give. Wants provenance.

        A head's answers are `answer` (the first head's) or `answer:HEAD`; what its `reach` lets it read counts as seen.
        """
        visible, origin, found = self.visible(), self.origin, np.zeros(len(self), dtype=bool)
        ahead = np.arange(len(self))[None, :] - np.arange(len(self))[:, None]
        document = self.segment[None, :] == self.segment[:, None]
        for head in self.heads:
            key = "answer" if head is self.heads[0] else f"answer:{head.name}"
            answer = self.column(key)
            seen = visible | (document & (ahead > 0) & (ahead <= head.reach)) if head.reach else visible
            found |= (answer >= 0) & (seen & (origin[None, :] == answer[:, None])).any(axis=1)
        return found

    @property
    def leaks(self) -> int:
        """How many scored positions can see their own answer."""
        return int(self.own_answer.sum())

    def show(self) -> str:
        """The sample as aligned strips and a picture of who sees whom, for a terminal."""
        from maskdial.view import picture

        return picture(self)

    def to_json(self) -> dict[str, Any]:
        """The sample as `sample-view/1`."""
        from maskdial.view import view

        return view(self)
