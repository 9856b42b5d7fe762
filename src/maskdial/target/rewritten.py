"""Say it anew in an answer stream: the hidden spans (T5) or the whole text (BART)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from maskdial.corruption.render import sentinel_table
from maskdial.corruption.runs import SPARE, U1, copy_on, longest_of
from maskdial.corruption.step import Target
from maskdial.corruption.text import SAID, SAID_END, SAID_HEAD, SAID_LAST, Decisions, Ink, Spans, Text
from maskdial.rng import copy, kernel
from maskdial.sample import SENTINEL, SPECIAL

if TYPE_CHECKING:
    from jaxtyping import Bool, Int32, Int64



#: whether one more sentinel ends the answer: iff the text ends kept, ever, never; or complement layout
AUTO, ALWAYS, NEVER, COMPLEMENT = range(4)


@kernel
def _rims(texts, begin, count, start, length, form, ends, closes, size):  # type: ignore[no-untyped-def]
    most = np.int64(0)
    for u in range(len(texts)):
        first, n = begin[u], count[u]
        last = first + n - 1
        kept = texts[u] > 0 and (n == 0 or start[last] + length[last] < texts[u])
        closes[u] = form == COMPLEMENT and n > 0 and start[first] == 0
        ends[u] = form == ALWAYS or (form != NEVER and kept)
        covered = np.int64(0)
        for j in range(np.uint64(first), np.uint64(first + n)):
            covered += length[j]
        between = n - np.int64(closes[u])
        size[u] = covered + between + np.int64(ends[u]) + 1
        most = max(most, n, between + np.int64(ends[u]))
    return most


@kernel
def _new_ids(begin, count, closes, table, new, last):  # type: ignore[no-untyped-def]
    for u in range(len(begin)):
        copy(table, 0, count[u], new, begin[u])
        last[u] = table[min(count[u] - np.int64(closes[u]), len(table) - 1)] if len(table) else 0


@kernel
def _new_numbers(begin, count, body, kind, new):  # type: ignore[no-untyped-def]
    for u in range(len(begin)):
        for j in range(count[u]):
            new[begin[u] + j] = 16 * (body[u] + SAID + 4 * j) + kind


@kernel
def _hidden_spans(values, offsets, begin, count, start, length, new, closes, last, ends, end, out, at):  # type: ignore[no-untyped-def]
    written = np.empty(longest_of(offsets) + count.max() + SPARE if len(count) else 0, dtype=np.int32)
    for u in range(len(at)):
        first, place, stop = np.uint64(offsets[u]), np.uint64(0), np.uint64(begin[u] + count[u])
        for j in range(np.uint64(begin[u]), stop):
            if not closes[u]:
                written[place] = new[j]
                place += U1
            copy_on(values, first + np.uint64(start[j]), length[j], written, place)
            place += np.uint64(length[j])
            if closes[u] and j + U1 < stop:
                written[place] = new[j]
                place += U1
        if ends[u]:
            written[place] = last[u]
            place += U1
        written[place] = end[u]
        copy(written, 0, place + U1, out, at[u])


class Rims(NamedTuple):
    """Of each unit: whether a last sentinel follows, whether spans come before their sentinels, answer tokens; and the most
    sentinels that a unit needs."""

    ends: Bool[np.ndarray, " u"]
    closes: Bool[np.ndarray, " u"]
    size: Int64[np.ndarray, " u"]
    most: int


@dataclass(frozen=True)
class HiddenSpans(Target):
    """Each hidden span behind its sentinel, then end of sequence (T5, §3.1.4).

    `layout="announce"`: sentinel k, span k, …; `final`: "auto" adds one more sentinel iff the text ends kept, True always,
    False never. `layout="complement"` is the released code: every *kept* run becomes a sentinel, so a text that starts
    hidden gives span 0, sentinel 0, span 1, … and one that ends kept gives a last sentinel.
    """

    layout: str = "announce"
    final: bool | str = "auto"
    overflow: str = "error"
    answers = True

    def _rims(self, text: Int64[np.ndarray, " u"], spans: Spans) -> Rims:
        form = COMPLEMENT if self.layout == "complement" else AUTO if self.final == "auto" else ALWAYS if self.final else NEVER
        ends, closes = np.empty(len(text), dtype=np.bool_), np.empty(len(text), dtype=np.bool_)
        size = np.empty(len(text), dtype=np.int64)
        most = _rims(text, spans.begin, spans.count, spans.start, spans.length, form, ends, closes, size)
        return Rims(ends, closes, size, most)

    def lengths(self, text: Int64[np.ndarray, " u"], d: Decisions, ink: Ink, framed: bool) -> Int64[np.ndarray, " u"]:
        """Answer tokens a unit, the end of sequence among them."""
        return self._rims(text, d["spans"]).size

    def write(self, text: Text, d: Decisions, ink: Ink, silent: int, out: Int32[np.ndarray, " m"], at: Int64[np.ndarray, " u"],
              framed: bool) -> None:  # fmt: skip
        """Write the answer of unit u at `out[at[u]:]`."""
        spans: Spans = d["spans"]
        rims, new = self._rims(text.lengths, spans), np.empty(len(spans.start), dtype=np.int32)
        if ink.numbers:
            _new_numbers(spans.begin, spans.count, ink.body, SENTINEL, new)
            last, end = ink.fixed(SAID_LAST, SENTINEL), ink.fixed(SAID_END, SPECIAL)
        else:
            last = np.empty(len(at), dtype=np.int32)
            _new_ids(spans.begin, spans.count, rims.closes, sentinel_table(ink, rims.most, self.overflow), new, last)
            end = np.full(len(at), ink.vocab.need("eos", ink.recipe), dtype=np.int32)
        _hidden_spans(text.values, text.offsets, spans.begin, spans.count, spans.start, spans.length, new, rims.closes, last, rims.ends,
                      end, out, at)  # fmt: skip


@kernel
def _whole(values, offsets, head, opening, end, out, at):  # type: ignore[no-untyped-def]
    for u in range(len(at)):
        size = offsets[u + 1] - offsets[u]
        if head:
            out[at[u]] = opening[u]
        copy(values, offsets[u], size, out, at[u] + head)
        out[at[u] + head + size] = end[u]


@dataclass(frozen=True)
class WholeText(Target):
    """The clean text, framed as the source is, then end of sequence: what the corruption did never shows here (BART, §2.2).

    `opens` names the token in front, if any; `end` the last one; `start` the one that the answer stream reads first.
    """

    opens: str | None = "bos"
    end: str = "eos"
    start: str = "start"
    answers = True

    def _head(self, ink: Ink, framed: bool) -> int:
        return int(self.opens is not None and framed and ink.vocab.get(self.opens) is not None)

    def lengths(self, text: Int64[np.ndarray, " u"], d: Decisions, ink: Ink, framed: bool) -> Int64[np.ndarray, " u"]:
        """Answer tokens a unit."""
        return text + 1 + self._head(ink, framed)

    def write(self, text: Text, d: Decisions, ink: Ink, silent: int, out: Int32[np.ndarray, " m"], at: Int64[np.ndarray, " u"],
              framed: bool) -> None:  # fmt: skip
        """Write the answer of unit u at `out[at[u]:]`."""
        head = self._head(ink, framed)
        if ink.numbers:
            opening, end = ink.fixed(SAID_HEAD, SPECIAL), ink.fixed(SAID_END, SPECIAL)
        else:
            end = np.full(len(at), ink.vocab.need("eos", ink.recipe), dtype=np.int32)
            opening = np.full(len(at), ink.vocab.need("bos", ink.recipe), dtype=np.int32) if head else end
        _whole(text.values, text.offsets, head, opening, end, out, at)
