"""Rows: what an objective gets. Body tokens in a ragged table, with the columns a recipe may ask for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

if TYPE_CHECKING:
    from jaxtyping import Int32, Int64, UInt8, UInt64


Packing = Literal["joined", "isolated"]
Column = NDArray[Any]


@dataclass(frozen=True)
class Rows:
    """What an objective gets: body tokens in rows, never a special token of its own.

    tokens int32[N]; offsets int64[R+1]; index uint64[R], the global sample number, which keys the noise;
    segment int32[N], the document of each token within its row. `word` and `sentence` mark the tokens that start one,
    `part` tells prompt (0) from completion (1) or the first of a pair from the second, `language` is an id a token; each may
    be absent. `label` int32[R] is what a row plan decided about a row (a pair: 1 when its second part does not follow).
    """

    tokens: Int32[np.ndarray, " n"]
    offsets: Int64[np.ndarray, " r+1"]
    index: UInt64[np.ndarray, " r"]
    segment: Int32[np.ndarray, " n"]
    word: UInt8[np.ndarray, " n"] | None = None
    sentence: UInt8[np.ndarray, " n"] | None = None
    part: UInt8[np.ndarray, " n"] | None = None
    language: Int32[np.ndarray, " n"] | None = None
    packing: Packing = "joined"
    label: Int32[np.ndarray, " r"] | None = None

    def __len__(self) -> int:
        return len(self.offsets) - 1

    @cached_property
    def units(self) -> Units:
        """The runs that an objective corrupts on their own: rows when joined, documents within rows when isolated."""
        if self.packing == "joined":
            return Units(self.offsets)
        change = np.flatnonzero(np.diff(self.segment)) + 1
        starts = np.unique(np.concatenate([self.offsets[:-1], change]))
        starts = starts[starts < self.offsets[-1]]
        row = np.searchsorted(self.offsets, starts, side="right") - 1
        first = np.searchsorted(row, row, side="left")
        return Units(np.append(starts, self.offsets[-1]), (row, np.arange(len(starts)) - first))

    @property
    def lying(self) -> tuple[Int32[np.ndarray, " m"], Int64[np.ndarray, " v"]]:
        """Tokens among which each unit's lie, and where each unit begins there."""
        return self.tokens, self.units.offsets


class Units:
    """Unit u holds tokens `offsets[u]:offsets[u+1]`, lies in row `row[u]` and is the `number[u]`-th of that row (0: each row is one)."""

    def __init__(
        self, offsets: Int64[np.ndarray, " u+1"], rows: tuple[Int64[np.ndarray, " u"], Int64[np.ndarray, " u"]] | None = None
    ) -> None:
        self.offsets, self._rows = offsets, rows

    @cached_property
    def row(self) -> Int64[np.ndarray, " u"]:
        return np.arange(len(self)) if self._rows is None else self._rows[0]

    @cached_property
    def number(self) -> Int64[np.ndarray, " u"]:
        return np.zeros(len(self), dtype=np.int64) if self._rows is None else self._rows[1]

    def __len__(self) -> int:
        return len(self.offsets) - 1

    @cached_property
    def lengths(self) -> Int64[np.ndarray, " u"]:
        return self.offsets[1:] - self.offsets[:-1]


def rows(
    tokens: Sequence[ArrayLike],
    index: ArrayLike | None = None,
    segment: Sequence[ArrayLike] | None = None,
    part: Sequence[ArrayLike] | None = None,
    word: Sequence[ArrayLike] | None = None,
    sentence: Sequence[ArrayLike] | None = None,
    language: Sequence[ArrayLike] | None = None,
    packing: Packing = "joined",
    label: ArrayLike | None = None,
) -> Rows:
    """Rows from one list of ids a row, and as many lists of the same lengths for each optional column.

    `index` numbers the rows (default 0, 1, …); `segment` numbers the documents within a row (default all 0); `label` is one
    number a row.
    """
    pieces = [np.asarray(row, dtype=np.int64).reshape(-1) for row in tokens]
    offsets = np.concatenate([[0], np.cumsum([len(p) for p in pieces], dtype=np.int64)]).astype(np.int64)
    flat = np.concatenate(pieces) if pieces else np.zeros(0, dtype=np.int64)
    if flat.size and (flat.min() < 0 or flat.max() > np.iinfo(np.int32).max):
        raise ValueError(f"token ids must lie in 0 … 2^31-1; found {flat.min()} … {flat.max()}")
    if packing not in ("joined", "isolated"):
        raise ValueError(f"packing is 'joined' or 'isolated', not {packing!r}")

    def column(name: str, values: Sequence[ArrayLike] | None, dtype: type[np.generic]) -> Column | None:
        if values is None:
            return None
        parts = [np.asarray(v).reshape(-1) for v in values]
        if [len(p) for p in parts] != [len(p) for p in pieces]:
            raise ValueError(f"column {name!r} must have one value a token in every row")
        return np.concatenate(parts).astype(dtype) if parts else np.zeros(0, dtype=dtype)

    numbers = np.arange(len(pieces)) if index is None else np.asarray(index)
    if numbers.shape != (len(pieces),):
        raise ValueError(f"index must hold one number a row: {len(pieces)} rows, {numbers.size} numbers")
    labels = None if label is None else np.asarray(label, dtype=np.int32)
    if labels is not None and labels.shape != (len(pieces),):
        raise ValueError(f"label must hold one number a row: {len(pieces)} rows, {labels.size} numbers")
    documents = column("segment", segment, np.int32)
    return Rows(
        tokens=flat.astype(np.int32), offsets=offsets, index=numbers.astype(np.uint64),
        segment=np.zeros(len(flat), dtype=np.int32) if documents is None else documents,
        word=column("word", word, np.uint8), sentence=column("sentence", sentence, np.uint8),
        part=column("part", part, np.uint8), language=column("language", language, np.int32), packing=packing, label=labels,
    )  # fmt: skip
