"""GLM's blanks: spans of a document that leave one [MASK] each, and the order in which they are said (Du et al. 2022, §2.1)."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from maskdial.corruption.documents import documents
from maskdial.corruption.held import Runs, counted
from maskdial.corruption.render import Replace
from maskdial.corruption.runs import U1
from maskdial.corruption.suffix import Keep
from maskdial.corruption.text import Decisions, Spans
from maskdial.corruption.words import size_drawn
from maskdial.rng import BLANKS, PERMUTE, PLACES, TURNS, U32, below, draw, kernel, site
from maskdial.sample import Rows
from maskdial.vocab import Vocab

if TYPE_CHECKING:
    from jaxtyping import Int64, UInt64

    from maskdial.corruption.select import Keys
    Lengths = Int64[np.ndarray, " u"]

#: lengths of blanks are Poisson of this mean, 1 … LONGEST
MEAN, LONGEST = 3.0, 39
_LAW = [math.exp(k * math.log(MEAN) - math.lgamma(k + 1)) for k in range(1, LONGEST + 1)]
#: of the lengths drawn: integer bounds of their cumulative law, mean, variance, and the mean to the third power
LIMITS: UInt64[np.ndarray, " k"] = np.round(np.cumsum(_LAW) / sum(_LAW) * 2.0**32).astype(np.uint64)
DRAWN = sum(k * p for k, p in enumerate(_LAW, 1)) / sum(_LAW)
SPREAD, CUBED = sum((k - DRAWN) ** 2 * p for k, p in enumerate(_LAW, 1)) / sum(_LAW), DRAWN**3


@kernel
def budget_of(length, rate):  # type: ignore[no-untyped-def]
    """floor(length · rate), whole products kept whole."""
    return np.int64(np.floor(length * rate + 1e-9))


@kernel
def most_blanks(length, rate):  # type: ignore[no-untyped-def]
    """More blanks than a text of this length ever draws (six standard deviations above the mean), and never more than its budget."""
    budget = budget_of(length, rate)
    return min(budget, np.int64(np.ceil(budget / DRAWN + 1 + 6 * np.sqrt(budget * SPREAD / CUBED))))


@kernel
def _shuffle(key, values):  # type: ignore[no-untyped-def]
    n = np.uint64(len(values))
    for c in range(max(n, U1) - U1):
        other = c + below(draw(key, c), n - c)
        values[c], values[other] = values[other], values[c]


@kernel
def _lengths(key, budget, most, limits, length):  # type: ignore[no-untyped-def]
    """Draw lengths until they reach the budget; returns (how many, their sum)."""
    n, total = 0, np.int64(0)
    while total < budget and n < most:
        length[n] = size_drawn(draw(key, np.uint64(n)) >> U32, limits)
        total += length[n]
        n += 1
    return n, total


@kernel
def _places(key, free, drawn, place):  # type: ignore[no-untyped-def]
    """As many uniform places in 0 … free as `place` has, ascending: each goes where as many lie before it."""
    n = np.uint64(len(place))
    for j in range(n):
        drawn[j] = (below(draw(key, j), free + 1) << U32) + j  # no two are equal
    for j in range(n):
        mine, before = drawn[j], np.uint64(0)
        for i in range(n):
            before += np.uint64(drawn[i] < mine)
        place[before] = mine >> U32


@kernel
def _token_blanks(lengths, keys, begins, counts, starts, sizes, rate, limits):  # type: ignore[no-untyped-def]
    begin, count, used = np.empty(len(keys), dtype=np.int64), np.empty(len(keys), dtype=np.int64), 0
    start, length = np.empty(lengths.sum(), dtype=np.int32), np.empty(lengths.sum(), dtype=np.int32)
    drawn = np.empty(len(start), dtype=np.uint64)
    for u in range(len(keys)):
        begin[u], left = used, most_blanks(lengths[u], rate)
        for p in range(begins[u], begins[u] + counts[u]):
            key, size, before = draw(site(keys[u], BLANKS), np.uint64(p - begins[u])), np.int64(sizes[p]), starts[p]
            n, total = _lengths(key, budget_of(size, rate), left, limits, length[used:])
            free = size - total - n + 1  # what is left when a token stands between neighbours
            if n == 0 or free < 0:
                continue
            place, taken = start[used : used + n], length[used : used + n]
            _shuffle(site(key, PERMUTE), taken)  # the last draw is the one that went over the budget: it may stand anywhere
            _places(site(key, PLACES), free, drawn, place)
            for j in range(np.uint64(n)):
                place[j] += before
                before += taken[j] + np.int32(1)
            used, left = used + n, left - n
        count[u] = used - begin[u]
    return begin, count, start[:used], length[:used]


def token_blanks(keys: Keys, texts: Spans, lengths: Lengths, rate: float) -> Spans:
    """In each document, spans of Poisson length until they cover floor(rate · length) tokens, at least one token apart.

    A document whose spans do not fit is left as it is, and so is one whose budget is 0.
    """
    return Spans(*_token_blanks(lengths, keys, texts.begin, texts.count, texts.start, texts.length, rate, LIMITS))


@kernel
def _sentence_blanks(offsets, keys, begins, counts, starts, sizes, rate, sentence, begin, count, start, length):  # type: ignore[no-untyped-def]
    used = 0
    for u in range(len(keys)):
        begin[u] = used
        flags = sentence[offsets[u] : offsets[u + 1]]
        for p in range(counts[u]):
            first, size = np.int64(starts[begins[u] + p]), np.int64(sizes[begins[u] + p])
            budget, key = budget_of(size, rate), draw(site(keys[u], BLANKS), np.uint64(p))
            heads = np.empty(size + 1, dtype=np.int64)
            n = 0
            for i in range(first, first + size):
                if i == first or flags[i]:
                    heads[n] = i
                    n += 1
            heads[n] = first + size
            turn, chosen = np.arange(n), np.zeros(n, dtype=np.uint8)
            _shuffle(key, turn)
            total = np.int64(0)
            for which in turn:
                if total < budget:
                    total += heads[which + 1] - heads[which]
                    chosen[which] = 1
            for j in range(n):
                if chosen[j]:
                    start[used], length[used] = heads[j], heads[j + 1] - heads[j]
                    used += 1
        count[u] = used - begin[u]
    return used


def sentence_blanks(rows: Rows, keys: Keys, texts: Spans, rate: float) -> Spans:
    """In each document, whole sentences in random order until they cover floor(rate · length) tokens."""
    assert rows.sentence is not None
    offsets = rows.units.offsets
    begin, count = np.empty(len(keys), dtype=np.int64), np.empty(len(keys), dtype=np.int64)
    start, length = (np.empty(len(rows.tokens), dtype=np.int32) for _ in range(2))
    used = _sentence_blanks(offsets, keys, texts.begin, texts.count, texts.start, texts.length, rate, rows.sentence, begin, count,
                            start, length)  # fmt: skip
    return Spans(begin, count, start[:used].copy(), length[:used].copy())


@kernel
def _long_blanks(lengths, keys, several, least, begin, count, start, length):  # type: ignore[no-untyped-def]
    used = 0
    for u in range(len(keys)):
        begin[u], count[u], high = used, 0, lengths[u] - 2
        if high < 1:
            continue
        key, low = site(keys[u], BLANKS), min(max(budget_of(lengths[u], least), 1), high)
        size = low + np.int64(below(draw(key, np.uint64(0)), high - low + 1))
        last = lengths[u] - size
        inside = not several[u] and (draw(key, np.uint64(1)) >> np.uint64(63)) == np.uint64(1)
        start[used] = np.int64(below(draw(key, np.uint64(2)), last + 1)) if inside else last
        length[used], count[u] = size, 1
        used += 1
    return used


def long_blanks(keys: Keys, texts: Spans, lengths: Lengths, least: float) -> Spans:
    """One span a unit, its length uniform in floor(least · L) … L - 2: its end, or (half of the time, in a single document)
    anywhere."""
    begin, count = np.empty(len(keys), dtype=np.int64), np.empty(len(keys), dtype=np.int64)
    start, length = np.empty(len(keys), dtype=np.int32), np.empty(len(keys), dtype=np.int32)
    used = _long_blanks(lengths, keys, texts.count > 1, least, begin, count, start, length)
    return Spans(begin, count, start[:used].copy(), length[:used].copy())


@dataclass(frozen=True)
class Blank(Replace):
    """`Replace` whose selection may ask where the documents of each unit lie (`d["documents"]`)."""

    def draw(self, rows: Rows, lengths: Lengths, d: Decisions, vocab: Vocab) -> None:
        """Which spans."""
        d.values["documents"] = documents(rows.tokens, rows.units.offsets, vocab.eod)
        super().draw(rows, lengths, d, vocab)


@kernel
def _turns(keys, begin, count, turns):  # type: ignore[no-untyped-def]
    for u in range(len(keys)):
        part = turns[begin[u] : begin[u] + count[u]]
        for j in range(len(part)):
            part[j] = j
        _shuffle(site(keys[u], TURNS), part)


class Turns(Keep):
    """In which order the spans are said, uniform over all orders. The decision is "turns": for each turn of a unit the number of
    the span, counted from 0 in reading order; flat, as the spans are."""

    decisions = ("turns",)

    def draw(self, rows: Rows, lengths: Lengths, d: Decisions, vocab: Vocab) -> None:
        """An order of each unit's spans."""
        spans: Spans = d["spans"]
        d.values["turns"] = np.empty(len(spans.start), dtype=np.int32)
        _turns(d.keys, spans.begin, spans.count, d["turns"])

    def hold(self, rows: Rows, lengths: Lengths, runs: Runs) -> dict[str, Any]:
        """In reading order."""
        return {"turns": counted(np.array([len(unit) for unit in runs], dtype=np.int64))}
