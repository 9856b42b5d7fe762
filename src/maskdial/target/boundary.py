"""Say each token of a hidden span from the two tokens beside the span (SpanBERT's span boundary objective)."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from maskdial.corruption.runs import SPARE, longest_of, places
from maskdial.rng import kernel

if TYPE_CHECKING:
    from jaxtyping import Int32, Int64, UInt8

    Column = Int32[np.ndarray, " m"]


class Boundaries(NamedTuple):
    """One value a position of the samples: what the boundary of a span must say there (`silent` where it is not asked), the
    columns `left` and `right` of the span's neighbours within the row, and `offset`, the place in the span; 0 elsewhere."""

    said: Column
    left: Column
    right: Column
    offset: Column


@kernel
def _boundaries(hidden, values, offsets, at, row, most, said, left, right, offset):  # type: ignore[no-untyped-def]
    place = np.empty(longest_of(offsets) + SPARE, dtype=np.int64)
    left[:], right[:], offset[:] = 0, 0, 0
    for u in range(len(at)):
        source, first = values[offsets[u] : offsets[u + 1]], at[u] - row[u]
        count, j = places(hidden[offsets[u] : offsets[u + 1]], np.uint8(0), False, place), np.int64(0)
        while j < count:
            begin, end = place[j], place[j] + 1
            while j + 1 < count and place[j + 1] == end:
                end += 1
                j += 1
            j += 1
            if begin > 0 and end < len(source):
                for i in range(begin, min(end, begin + most)):
                    said[at[u] + i] = source[i]
                    left[at[u] + i], right[at[u] + i], offset[at[u] + i] = first + begin - 1, first + end, i - begin


def boundaries(
    hidden: UInt8[np.ndarray, " n"], values: Int32[np.ndarray, " n"], offsets: Int64[np.ndarray, " u+1"],
    at: Int64[np.ndarray, " u"], row: Int64[np.ndarray, " u"], size: int, most: int, silent: int,
) -> Boundaries:  # fmt: skip
    """Over `size` positions: the text of unit u, `values`, stands at `at[u]`, and its row begins at `row[u]`.

    Spans are the maximal runs of `hidden`. One that touches an end of its unit has no boundary there and asks nothing; of the
    others the first `most` tokens are asked.
    """
    made = Boundaries(*np.empty((4, size), dtype=np.int32))
    made.said[:] = silent
    _boundaries(hidden, values, offsets, at, row, most, made.said, made.left, made.right, made.offset)
    return made
