"""Where the documents of a unit lie: the runs between its end-of-document tokens."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from maskdial.corruption.runs import next_place
from maskdial.corruption.text import Spans, two_columns
from maskdial.rng import kernel

if TYPE_CHECKING:
    from jaxtyping import Int32

    from maskdial.corruption.select import Offsets


@kernel
def _documents(tokens, offsets, eod, begin, count):  # type: ignore[no-untyped-def]
    units, used = len(offsets) - 1, 0
    found = np.empty((2, len(tokens) + units), dtype=np.int32)
    start, length = found[0], found[1]
    for u in range(units):
        first, begin[u] = offsets[u], used
        while first < offsets[u + 1]:
            stop = next_place(tokens, np.int32(eod), True, first, offsets[u + 1])
            start[used], length[used] = first - offsets[u], stop - first
            first, used = stop + 1, used + 1
        count[u] = used - begin[u]
    return found[:, :used].copy()


def documents(tokens: Int32[np.ndarray, " n"], offsets: Offsets, eod: int | None) -> Spans:
    """The documents of each unit, the end tokens themselves left out. A document may be empty, and the last may lack its end."""
    begin, count = two_columns(len(offsets) - 1)
    runs = _documents(tokens, offsets, -1 if eod is None else eod, begin, count)
    return Spans(begin, count, runs[0], runs[1])


def wholes(tokens: Int32[np.ndarray, " n"], offsets: Offsets, eod: int | None) -> Spans:
    """Each unit as one document, without the end token that it may end with."""
    lengths = np.diff(offsets)
    some = lengths > 0
    ended = np.zeros(len(lengths), dtype=bool)
    if eod is not None:
        ended[some] = tokens[offsets[1:][some] - 1] == eod
    units = np.arange(len(lengths))
    return Spans(units, np.ones_like(units), np.zeros(len(lengths), dtype=np.int32), (lengths - ended).astype(np.int32))
