"""Windows of a part's token stream as `Rows`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from maskdial.sample import Packing, Rows

if TYPE_CHECKING:
    from maskdial.data.corpus import Part, Shard
    from maskdial.data.storage import Mapped

Arrays = dict[str, NDArray[Any]]


def gather(part: Part, starts: NDArray[np.int64], length: int, index: NDArray[np.uint64], packing: Packing) -> Rows:
    """Rows of `length` tokens from each start (a place in the part's stream), with `word` and `sentence`, and with `part` and
    `language` where the corpus has them.

    Joined rows are one segment; in isolated rows the documents of a row are segments 0, 1, …, each with its
    end-of-document id.
    """
    if packing not in ("joined", "isolated"):
        raise ValueError(f"packing is 'joined' or 'isolated', not {packing!r}")
    shape = (len(starts), length)
    columns: Arrays = {"tokens": np.empty(shape, np.int32), "word": np.empty(shape, np.uint8), "sentence": np.empty(shape, np.uint8)}
    if part.supervised:
        columns["part"] = np.empty(shape, np.uint8)
    document = np.zeros(shape, np.int64) if packing == "isolated" or part.languages is not None else None
    owner = np.searchsorted(part.token_offsets, starts, side="right") - 1
    inside = starts + length <= part.token_offsets[owner + 1]
    for s in np.unique(owner[inside]).tolist():
        rows = np.flatnonzero(inside & (owner == s))
        shard, local = part.shards[s], starts[rows] - part.token_offsets[s]
        for name, column in columns.items():
            column[rows] = _windows(getattr(shard, name), local, length)
        if document is not None:
            document[rows] = part.document_offsets[s] + _documents(shard, local[:, None] + np.arange(length))
    for row in np.flatnonzero(~inside).tolist():  # a window over the border of two shards
        _across(part, int(starts[row]), {name: c[row] for name, c in columns.items()}, None if document is None else document[row])
    flat: Arrays = {name: c.reshape(-1) for name, c in columns.items()}
    if part.languages is not None and document is not None:
        flat["language"] = part.languages[document.reshape(-1)]
    segment = np.zeros(shape, np.int32) if packing == "joined" or document is None else (document - document[:, :1]).astype(np.int32)
    offsets = np.arange(len(starts) + 1, dtype=np.int64) * length
    return Rows(offsets=offsets, index=index, segment=segment.reshape(-1), packing=packing, **flat)


def _windows(source: Mapped, local: NDArray[np.int64], length: int) -> NDArray[np.generic]:
    source.check(local, local + length - 1)
    return np.lib.stride_tricks.sliding_window_view(source.raw, length)[local]


def _documents(shard: Shard, places: NDArray[np.int64]) -> NDArray[np.int64]:
    """The shard's document at each place of its stream."""
    ends = shard.ends.slice(0, len(shard.ends))
    return np.searchsorted(ends, places.astype(np.uint64), side="right")


def _across(part: Part, start: int, columns: Arrays, document: NDArray[np.int64] | None) -> None:
    """Fill one row's columns piece by piece from several shards."""
    done, length = 0, len(columns["tokens"])
    while done < length:
        s = int(np.searchsorted(part.token_offsets, start + done, side="right")) - 1
        shard, local = part.shards[s], start + done - int(part.token_offsets[s])
        end = min(local + length - done, len(shard.tokens))
        here = slice(done, done + end - local)
        for name, column in columns.items():
            column[here] = getattr(shard, name).slice(local, end)
        if document is not None:
            document[here] = part.document_offsets[s] + _documents(shard, np.arange(local, end))
        done = here.stop
