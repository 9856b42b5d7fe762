"""Where the documents of a unit lie: the runs between its end-of-document tokens."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from maskdial.corruption.text import Spans
from maskdial.rng import kernel

if TYPE_CHECKING:
    from jaxtyping import Int32

    from maskdial.corruption.select import Offsets

#: tokens looked at together: a block without an end token costs no branch a token
BLOCK = 64


@kernel
def _documents(tokens, offsets, eod, begin, count, start, length):  # type: ignore[no-untyped-def]
    used = 0
    for u in range(len(begin)):
        part = tokens[offsets[u] : offsets[u + 1]]
        begin[u], last = used, 0
        for at in range(0, len(part), BLOCK):
            block = part[at : at + BLOCK]
            found = False
            for i in range(len(block)):
                found |= block[i] == eod
            if found:
                for i in range(len(block)):
                    if block[i] == eod:
                        start[used], length[used] = last, at + i - last
                        last = at + i + 1
                        used += 1
        if last < len(part):
            start[used], length[used] = last, len(part) - last
            used += 1
        count[u] = used - begin[u]
    return used


def documents(tokens: Int32[np.ndarray, " n"], offsets: Offsets, eod: int | None) -> Spans:
    """The documents of each unit, the end tokens themselves left out. A document may be empty, and the last may lack its end."""
    units = len(offsets) - 1
    begin, count = np.empty(units, dtype=np.int64), np.empty(units, dtype=np.int64)
    start, length = (np.empty(len(tokens) + units, dtype=np.int32) for _ in range(2))
    used = _documents(tokens, offsets, -1 if eod is None else eod, begin, count, start, length)
    return Spans(begin, count, start[:used].copy(), length[:used].copy())


def wholes(tokens: Int32[np.ndarray, " n"], offsets: Offsets, eod: int | None) -> Spans:
    """Each unit as one document, without the end token that it may end with."""
    lengths = np.diff(offsets)
    some = lengths > 0
    ended = np.zeros(len(lengths), dtype=bool)
    if eod is not None:
        ended[some] = tokens[offsets[1:][some] - 1] == eod
    units = np.arange(len(lengths))
    return Spans(units, np.ones_like(units), np.zeros(len(lengths), dtype=np.int32), (lengths - ended).astype(np.int32))
