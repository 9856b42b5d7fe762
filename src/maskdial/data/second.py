"""One text as a pair, for looking at: pretraining on pairs needs a second text, and a person gives one."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

from maskdial.rows import Rows, rows

if TYPE_CHECKING:
    from maskdial.data.tokenizer import Columns, Tokenizer

#: What follows a text when something random should. The tokenizer `words` knows its words when loaded with it.
SECOND = "The river froze early that year."


class Shown(NamedTuple):
    """A pair of one row; the `text` that both parts were cut from, and `spans` int32[N, 2], the characters of each token."""

    rows: Rows
    text: str
    spans: NDArray[np.int32]


def pair_of(text: str, tokenizer: Tokenizer, kind: str = "next", label: int | None = None) -> Shown:
    """A text cut at its middle sentence (or word), or followed by SECOND.

    `next`: by default its own rest follows (label 0) if it has two sentences, else SECOND (label 1). `order`: its two parts,
    exchanged if `label` is 1. `ValueError` for an empty text and for another kind or label.
    """
    kind = kind.partition(":")[0]
    if kind not in ("next", "order") or label not in (None, 0, 1):
        raise ValueError(f"a pair is 'next' or 'order' with label 0 or 1, not {kind!r} with {label!r}")
    own = tokenizer.encode_columns(text)
    if not len(own.ids):
        raise ValueError("the text is empty: there is no pair to make of it")
    cut = _middle(own)
    if kind == "next" and label is None:
        label = int(own.sentence.sum() < 2)
    if cut == 0 or (kind == "next" and label == 1):
        cut, second = len(own.ids), tokenizer.encode_columns(SECOND)
        second = second._replace(spans=second.spans + np.int32(len(text) + 1))
        both = [own, second]
        own, text = type(own)(*(np.concatenate(c) for c in zip(*both, strict=True))), f"{text} {SECOND}"
        label = 1 if kind == "next" else label
    order = np.arange(len(own.ids))
    if kind == "order" and label == 1:
        order, cut = np.roll(order, -cut), len(order) - cut
    part = (np.arange(len(order)) >= cut).astype(np.uint8)
    made = rows([own.ids[order]], part=[part], word=[own.word[order]], sentence=[own.sentence[order]], label=[label or 0])
    return Shown(made, text, own.spans[order])


def _middle(columns: Columns) -> int:
    """The start of the middle sentence, else of the middle word; 0 when there is only one."""
    for starts in (np.flatnonzero(columns.sentence[1:]), np.flatnonzero(columns.word[1:])):
        if len(starts):
            return int(starts[len(starts) // 2]) + 1
    return 0
