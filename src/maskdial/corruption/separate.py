"""Tokens of the recipe's own in the text: an end of sequence behind each sentence (mBART: Liu et al. 2020, §2.2)."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from maskdial.corruption.suffix import Keep
from maskdial.corruption.text import LOOSE, Decisions
from maskdial.rng import kernel
from maskdial.sample import SPECIAL, Rows
from maskdial.vocab import Vocab

if TYPE_CHECKING:
    from jaxtyping import Int32, Int64

#: one end of sequence for this many tokens, and `SPARE` more: texts of shorter sentences go without the surplus ones, so that
#: a row's length bounds the sample's
EVERY, SPARE = 8, 4


def separated_length(length: int) -> int:
    """The most tokens that a text of `length` has once it is separated."""
    return length + min(max(length - 1, 0), length // EVERY + SPARE) + 1


@kernel
def _sizes(offsets, starts, sizes):  # type: ignore[no-untyped-def]
    for u in range(len(sizes)):
        n, length = np.int64(0), offsets[u + 1] - offsets[u]
        for i in range(offsets[u] + 1, offsets[u + 1]):
            n += np.int64(starts[i] != 0)
        sizes[u] = length + min(n, length // EVERY + SPARE) + 1


@kernel
def _separate(tokens, offsets, starts, place, body, end, out, at, opens, numbers):  # type: ignore[no-untyped-def]
    for u in range(len(offsets) - 1):
        first, last, to = offsets[u], offsets[u + 1], at[u]
        left, n = at[u + 1] - at[u] - (last - first) - 1, np.int64(0)
        opens[at[u] : at[u + 1]] = 0
        for i in range(first, last):
            if i > first and starts[i]:
                if n < left:
                    out[to], numbers[to] = end, 16 * (body[u] + LOOSE + 4 * (8 * body[u] + place[u] + n)) + SPECIAL
                    n, to = n + 1, to + 1
                opens[to] = 1
            out[to], numbers[to] = tokens[i], 16 * (place[u] + i - first)
            to += 1
        out[to], numbers[to] = end, 16 * (body[u] + LOOSE + 4 * (8 * body[u] + place[u] + n)) + SPECIAL


def separated(rows: Rows, vocab: Vocab, recipe: str) -> tuple[Rows, Int32[np.ndarray, " n"]]:
    """The rows with an end of sequence behind every sentence of a unit, and their provenance numbers.

    A unit's language is its first token's, or the vocabulary's only one; `ValueError` when neither is there.
    """
    assert rows.sentence is not None
    units, end = rows.units, vocab.need("eos", recipe)
    sizes = np.empty(len(units), dtype=np.int64)
    _sizes(units.offsets, rows.sentence, sizes)
    at = np.concatenate([[0], np.cumsum(sizes)])
    tokens, numbers = (np.empty(at[-1], dtype=np.int32) for _ in range(2))
    opens = np.empty(at[-1], dtype=np.uint8)
    place, body = units.offsets[:-1] - rows.offsets[units.row], np.diff(rows.offsets)[units.row]
    _separate(rows.tokens, units.offsets, rows.sentence, place, body, np.int32(end), tokens, at, opens, numbers)
    first = np.minimum(units.offsets[:-1], max(len(rows.tokens) - 1, 0))
    segment = rows.segment[first] if len(rows.tokens) else np.zeros(len(units), dtype=np.int32)
    made = replace(
        rows, tokens=tokens, offsets=at[np.searchsorted(units.row, np.arange(len(rows) + 1))], sentence=opens, word=None, part=None,
        segment=np.repeat(segment, sizes), language=np.repeat(languages(rows, vocab, recipe), sizes),
    )  # fmt: skip
    return made, numbers


def languages(rows: Rows, vocab: Vocab, recipe: str) -> Int32[np.ndarray, " u"]:
    """The language's id of each unit; a unit without tokens has the vocabulary's first."""
    units, known = rows.units, sorted(vocab.languages.values())
    if rows.language is None and len(known) != 1:
        raise ValueError(f"{recipe} needs the rows' `language` column (an id a token), or a vocabulary with exactly one language: "
                         f"Vocab(…, languages={{'en': id}}); this one has {len(known)}")  # fmt: skip
    made = np.full(len(units), known[0] if known else vocab.need("eos", recipe), dtype=np.int32)
    if rows.language is not None:
        some = units.lengths > 0
        made[some] = rows.language[units.offsets[:-1][some]]
    return made


class Language(Keep):
    """No corruption: hands each unit's language on, as the decision "language", to a target that names it."""

    def draw(self, rows: Rows, lengths: Int64[np.ndarray, " u"], d: Decisions, vocab: Vocab) -> None:
        """Nothing is drawn: the language is the rows'."""
        assert rows.language is not None
        d.values["language"] = rows.language[rows.units.offsets[:-1]]
