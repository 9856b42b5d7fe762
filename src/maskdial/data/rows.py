"""Windows of a part's token stream as `Rows`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from maskdial.sample import Packing, Rows

if TYPE_CHECKING:
    from maskdial.data.corpus import Part, Shard
    from maskdial.data.storage import Mapped


def gather(part: Part, starts: NDArray[np.int64], length: int, index: NDArray[np.uint64], packing: Packing) -> Rows:
    """Rows of `length` tokens from each start (a place in the part's stream), with `word` and `sentence`.

    Joined rows are one segment; in isolated rows the documents of a row are segments 0, 1, …, each with its
    end-of-document id.
    """
    if packing not in ("joined", "isolated"):
        raise ValueError(f"packing is 'joined' or 'isolated', not {packing!r}")
    shape = (len(starts), length)
    tokens, word, sentence = np.empty(shape, np.int32), np.empty(shape, np.uint8), np.empty(shape, np.uint8)
    document = np.zeros(shape, np.int64)
    owner = np.searchsorted(part.token_offsets, starts, side="right") - 1
    inside = starts + length <= part.token_offsets[owner + 1]
    for s in np.unique(owner[inside]).tolist():
        rows = np.flatnonzero(inside & (owner == s))
        shard, local = part.shards[s], starts[rows] - part.token_offsets[s]
        for column, source in ((tokens, shard.tokens), (word, shard.word), (sentence, shard.sentence)):
            column[rows] = _windows(source, local, length)
        if packing == "isolated":
            document[rows] = part.document_offsets[s] + _documents(shard, local[:, None] + np.arange(length))
    for row in np.flatnonzero(~inside).tolist():  # a window over the border of two shards
        _across(part, int(starts[row]), (tokens[row], word[row], sentence[row], document[row]), packing)
    segment = (document - document[:, :1]).astype(np.int32)
    offsets = np.arange(len(starts) + 1, dtype=np.int64) * length
    return Rows(tokens=tokens.reshape(-1), offsets=offsets, index=index, segment=segment.reshape(-1), word=word.reshape(-1),
                sentence=sentence.reshape(-1), packing=packing)  # fmt: skip


def _windows(source: Mapped, local: NDArray[np.int64], length: int) -> NDArray[np.generic]:
    source.check(local, local + length - 1)
    return np.lib.stride_tricks.sliding_window_view(source.raw, length)[local]


def _documents(shard: Shard, places: NDArray[np.int64]) -> NDArray[np.int64]:
    """The shard's document at each place of its stream."""
    ends = shard.ends.slice(0, len(shard.ends))
    return np.searchsorted(ends, places.astype(np.uint64), side="right")


def _across(part: Part, start: int, columns: tuple[NDArray[np.generic], ...], packing: Packing) -> None:
    """Fill one row's columns (tokens, word, sentence, document) piece by piece from several shards."""
    tokens, word, sentence, document = columns
    done = 0
    while done < len(tokens):
        s = int(np.searchsorted(part.token_offsets, start + done, side="right")) - 1
        shard, local = part.shards[s], start + done - int(part.token_offsets[s])
        end = min(local + len(tokens) - done, len(shard.tokens))
        here = slice(done, done + end - local)
        tokens[here], word[here], sentence[here] = (c.slice(local, end) for c in (shard.tokens, shard.word, shard.sentence))
        if packing == "isolated":
            document[here] = part.document_offsets[s] + _documents(shard, np.arange(local, end))
        done = here.stop
