"""What mBART does to a text first: an end of sequence behind each sentence, and which language it is in (Liu et al. 2020, §2.2)."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from maskdial.corruption.held import Runs
from maskdial.corruption.suffix import Keep
from maskdial.corruption.text import LOOSE, Decisions, offsets_of
from maskdial.rng import copy, kernel
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
def _run(tokens, first, count, number, out, numbers, to):  # type: ignore[no-untyped-def]
    copy(tokens, first, count, out, to)
    part, number = numbers[to : to + count], np.int32(16 * number)
    for i in range(np.uint64(len(part))):
        part[i] = number + np.int32(16) * np.int32(i)


@kernel
def _separate(tokens, offsets, starts, place, body, end, out, at, opens, numbers):  # type: ignore[no-untyped-def]
    for u in range(len(offsets) - 1):
        text, begins, to, run = tokens[offsets[u] : offsets[u + 1]], starts[offsets[u] : offsets[u + 1]], at[u], np.int64(0)
        left, ends = at[u + 1] - at[u] - len(text), 16 * (body[u] + LOOSE + 4 * (8 * body[u] + place[u])) + SPECIAL
        opens[at[u] : at[u + 1]] = 0
        for i in range(np.uint64(1), np.uint64(max(1, len(text)))):
            if begins[i]:
                _run(text, run, np.int64(i) - run, place[u] + run, out, numbers, to)
                to, run = to + np.int64(i) - run, np.int64(i)
                if left > 1:
                    out[to], numbers[to] = end, ends
                    left, ends, to = left - 1, ends + 64, to + 1
                opens[to] = 1
        _run(text, run, len(text) - run, place[u] + run, out, numbers, to)
        out[at[u + 1] - 1], numbers[at[u + 1] - 1] = end, ends


@kernel
def _fill(at, values, out):  # type: ignore[no-untyped-def]
    for u in range(len(values)):
        out[at[u] : at[u + 1]] = values[u]


def separated(rows: Rows, vocab: Vocab, recipe: str) -> tuple[Rows, Int32[np.ndarray, " n"]]:
    """The rows with an end of sequence behind every sentence of a unit, and their provenance numbers.

    A unit's language is its first token's, or the vocabulary's only one; `ValueError` when neither is there.
    """
    end, known = vocab.need("eos", recipe), tuple(sorted(vocab.languages.values()))
    kept = rows.__dict__.setdefault("separated", {})  # drawing and building both ask for it
    if (end, known) not in kept:
        kept[end, known] = _separated(rows, end, languages(rows, known, end, recipe))
    return kept[end, known]


def _separated(rows: Rows, end: int, spoken: Int32[np.ndarray, " u"]) -> tuple[Rows, Int32[np.ndarray, " n"]]:
    units = rows.units
    sizes = np.empty(len(units), dtype=np.int64)
    _sizes(units.offsets, rows.sentence, sizes)
    at = offsets_of(sizes)
    tokens, numbers, language, segment = np.empty((4, at[-1]), dtype=np.int32)
    opens = np.empty(at[-1], dtype=np.uint8)
    place, body = units.offsets[:-1] - rows.offsets[units.row], np.diff(rows.offsets)[units.row]
    _separate(rows.tokens, units.offsets, rows.sentence, place, body, np.int32(end), tokens, at, opens, numbers)
    _fill(at, spoken, language)
    first = np.minimum(units.offsets[:-1], max(len(rows.tokens) - 1, 0))
    _fill(at, rows.segment[first] if len(rows.tokens) else np.zeros(len(units), dtype=np.int32), segment)
    offsets = at[np.searchsorted(units.row, np.arange(len(rows) + 1))]
    return replace(rows, tokens=tokens, offsets=offsets, sentence=opens, word=None, part=None, segment=segment, language=language), numbers


def languages(rows: Rows, known: tuple[int, ...], end: int, recipe: str) -> Int32[np.ndarray, " u"]:
    """The language's id of each unit; one without tokens has the first known one, or the end token's id."""
    units = rows.units
    if rows.language is None and len(known) != 1:
        raise ValueError(f"{recipe} needs the rows' `language` column (an id a token), or a vocabulary with exactly one language: "
                         f"Vocab(…, languages={{'en': id}}); this one has {len(known)}")  # fmt: skip
    made = np.full(len(units), known[0] if known else end, dtype=np.int32)
    if rows.language is not None:
        some = units.lengths > 0
        made[some] = rows.language[units.offsets[:-1][some]]
    return made


class InLanguage(Keep):
    """Hands each unit's language on, as "language", to a target that says it: what the rows say, so no decision."""

    def draw(self, rows: Rows, lengths: Int64[np.ndarray, " u"], d: Decisions, vocab: Vocab) -> None:
        """What the rows say of their first token."""
        d.values |= self.hold(rows, lengths, ())

    def hold(self, rows: Rows, lengths: Int64[np.ndarray, " u"], runs: Runs) -> dict[str, Any]:
        """The same: nothing else to decide."""
        return {"language": languages(rows, (), 0, "mbart")}
