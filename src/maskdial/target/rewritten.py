"""Say it anew in an answer stream: the hidden spans (T5) or the whole text (BART)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from maskdial.corruption.render import scatter, sentinel_table, span_number
from maskdial.corruption.step import Target
from maskdial.corruption.text import FIXED, SAID, SAID_END, SAID_HEAD, SAID_LAST, Decisions, Ink, Spans, Text
from maskdial.rng import copy, kernel
from maskdial.sample import SENTINEL, SPECIAL

if TYPE_CHECKING:
    from jaxtyping import Bool, Int32, Int64



@kernel
def _hidden_spans(values, offsets, begin, count, start, length, new, closes, last, ends, end, out, at):  # type: ignore[no-untyped-def]
    for u in range(len(at)):
        source, place = values[offsets[u] : offsets[u + 1]], at[u]
        for j in range(begin[u], begin[u] + count[u]):
            if not closes[u]:
                out[place] = new[j]
                place += 1
            copy(source, start[j], length[j], out, place)
            place += length[j]
            if closes[u] and j + 1 < begin[u] + count[u]:
                out[place] = new[j]
                place += 1
        if ends[u]:
            out[place] = last[u]
            place += 1
        out[place] = end[u]


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

    def _ends(self, text: Int64[np.ndarray, " u"], spans: Spans) -> tuple[Bool[np.ndarray, " u"], Bool[np.ndarray, " u"]]:
        """(a last sentinel follows, spans come before their sentinels) for each unit."""
        some = spans.count > 0
        if not len(spans.start):
            kept, opens = np.ones(len(text), dtype=bool), np.zeros(len(text), dtype=bool)
        else:
            tail = np.minimum(spans.begin + np.maximum(spans.count, 1) - 1, len(spans.start) - 1)
            kept = ~some | (spans.start[tail] + spans.length[tail] < text)
            opens = some & (spans.start[np.minimum(spans.begin, len(spans.start) - 1)] == 0)
        if self.layout == "complement":
            return kept & (text > 0), opens
        return (kept & (text > 0) if self.final == "auto" else np.full(len(text), bool(self.final))), np.zeros(len(text), dtype=bool)

    def lengths(self, text: Int64[np.ndarray, " u"], d: Decisions, ink: Ink, framed: bool) -> Int64[np.ndarray, " u"]:
        """Answer tokens a unit, the end of sequence among them."""
        spans: Spans = d["spans"]
        ends, closes = self._ends(text, spans)
        sentinels = spans.count - (closes & (spans.count > 0)) + ends
        return np.asarray(spans.totals + sentinels + 1, dtype=np.int64)

    def write(self, text: Text, d: Decisions, ink: Ink, silent: int, out: Int32[np.ndarray, " m"], at: Int64[np.ndarray, " u"],
              framed: bool) -> None:  # fmt: skip
        """Write the answer of unit u at `out[at[u]:]`."""
        spans: Spans = d["spans"]
        ends, closes = self._ends(text.lengths, spans)
        number = np.empty(len(spans.start), dtype=np.int32)
        span_number(spans.begin, spans.count, number)
        final = spans.count - (closes & (spans.count > 0))
        if ink.numbers:
            unit, units = spans.entry_unit, np.arange(len(at))
            new = ink.number(SAID, number, unit, SENTINEL)
            last, end = ink.number(FIXED, SAID_LAST, units, SENTINEL), ink.number(FIXED, SAID_END, units, SPECIAL)
        else:
            wanted = int(max((final + ends).max(initial=0), spans.count.max(initial=0)))
            table = sentinel_table(ink, wanted, self.overflow)
            new, last = table[number], table[np.minimum(final, len(table) - 1)] if len(table) else np.zeros(len(at), np.int32)
            end = np.full(len(at), ink.vocab.need("eos", ink.recipe), dtype=np.int32)
        _hidden_spans(text.values, text.offsets, spans.begin, spans.count, spans.start, spans.length, new, closes, last, ends, end,
                      out, at)  # fmt: skip


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
        units, head = np.arange(len(at)), self._head(ink, framed)
        if head:
            out[at] = ink.number(FIXED, SAID_HEAD, units, SPECIAL) if ink.numbers else ink.vocab.need("bos", ink.recipe)
        scatter(text.values, text.offsets, out, at + head)
        end = ink.number(FIXED, SAID_END, units, SPECIAL) if ink.numbers else ink.vocab.need("eos", ink.recipe)
        out[at + head + text.lengths] = end
