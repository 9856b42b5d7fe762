"""Huge texts in bounded pieces, cut where a tokenizer would cut anyway."""

from __future__ import annotations

from collections.abc import Iterator

#: Characters a call: tokenizers hold several copies of what they are given.
LIMIT = 1 << 16


def pieces(text: str, limit: int = LIMIT, drop_space: bool = False) -> Iterator[tuple[int, str]]:
    """(first character, piece) for each piece of at most `limit` characters; together they are the text.

    A piece ends before a run of spaces when there is one in its second half, else wherever it is full (never inside a
    character). With `drop_space` the space at such a cut is left out, for tokenizers that put one before every text.
    """
    at = 0
    while len(text) - at > limit:
        cut = _cut(text, at, limit)
        yield at, text[at:cut]
        at = cut + (drop_space and text[cut] == " ")
    if at < len(text):
        yield at, text[at:]


def _cut(text: str, at: int, limit: int) -> int:
    middle, full = at + limit // 2, at + limit
    cut = max(text.rfind(" ", middle, full), text.rfind("\n", middle, full))
    while cut > middle and text[cut - 1].isspace():
        cut -= 1
    return cut if cut > middle else full
