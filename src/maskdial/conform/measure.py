"""What many claims look at: which tokens are chosen, how many, where, and in what runs. Arrays are a row a sample."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from maskdial.conform.claim import Drawn

if TYPE_CHECKING:
    from jaxtyping import Bool, Int64


def hidden(drawn: Drawn) -> Bool[np.ndarray, "r l"]:
    """Which body tokens are chosen, from the flags or the spans."""
    if drawn.decisions.get("hidden") is not None:
        return drawn.flags() > 0
    spans = drawn.spans
    edges = np.zeros((drawn.count, drawn.length + 1), dtype=np.int64)
    unit, start = spans.entry_unit, spans.start.astype(np.int64)
    np.add.at(edges, (unit, start), 1)
    np.add.at(edges, (unit, start + spans.length), -1)
    return np.cumsum(edges, axis=1)[:, :-1] > 0


def one_place(flags: Bool[np.ndarray, "r l"]) -> Int64[np.ndarray, " l"]:
    """Counts of places, one flagged place a row: taken by the row's number, which knows nothing of the noise, so that a uniform
    choice of places shows as equal counts."""
    count = flags.sum(axis=1)
    rank = (np.arange(len(flags)) * 7919) % np.maximum(count, 1)
    place = (np.cumsum(flags, axis=1) == rank[:, None] + 1).argmax(axis=1)
    return np.bincount(place[count > 0], minlength=flags.shape[1])


def first_spans(drawn: Drawn, most: int) -> NDArray[Any]:
    """Counts of the first span's length, one a row that has spans."""
    spans = drawn.spans
    some = spans.count > 0
    return np.bincount(spans.length[spans.begin[some]], minlength=most + 1)


def body_read(drawn: Drawn) -> NDArray[np.int32]:
    """What is read at the text's places, for objectives that keep the text's length, [rows, length]."""
    read = drawn.samples.read.reshape(drawn.count, -1)
    head, tail, between = drawn.objective.frame_roles(drawn.vocab)
    inner = read[:, int(head is not None) : read.shape[1] - int(tail is not None)]
    if between is not None:  # the rows' parts are equal halves
        half = drawn.length // 2
        inner = np.concatenate([inner[:, :half], inner[:, half + 1 :]], axis=1)
    return inner[:, : drawn.length]


def orders(flat: Any, cells: int) -> Int64[np.ndarray, " c"]:
    """Counts of permutations of 0 … n-1 given as [rows, n], numbered lexicographically (`cells` = n!)."""
    table = np.asarray(flat).reshape(-1, _items(cells))
    number = np.zeros(len(table), dtype=np.int64)
    for i in range(table.shape[1]):
        smaller = (table[:, i + 1 :] < table[:, i : i + 1]).sum(axis=1)
        number = number * (table.shape[1] - i) + smaller
    return np.bincount(number, minlength=cells)


def _items(cells: int) -> int:
    n, total = 0, 1
    while total < cells:
        n += 1
        total *= n
    return n


def weights(drawn: Drawn) -> Any:
    """Sum of the weights of each sample."""
    return np.add.reduceat(drawn.samples.weight.astype(np.float64), drawn.samples.offsets[:-1])
