"""Say it anew in an answer stream: the hidden spans (T5) or the whole text (BART)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from maskdial.corruption.render import sentinel_table
from maskdial.corruption.step import Target
from maskdial.corruption.text import FIXED, SAID, SAID_END, SAID_HEAD, SAID_LAST, Decisions, Ink, Spans, Text, most
from maskdial.corruption.units import NONE
from maskdial.sample import SENTINEL, SPECIAL
from maskdial.target.said import ALWAYS, AUTO, COMPLEMENT, NEVER, hidden_spans, sizes, whole

if TYPE_CHECKING:
    from jaxtyping import Int32, Int64
    Column = Int32[np.ndarray, " k"]


#: the mark of a last sentinel that announces nothing
SAID_LAST_NUMBER = 16 * (FIXED + 4 * SAID_LAST) + SENTINEL


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

    @property
    def form(self) -> int:
        """The layout as the kernels know it."""
        return COMPLEMENT if self.layout == "complement" else AUTO if self.final == "auto" else ALWAYS if self.final else NEVER

    def lengths(self, text: Int64[np.ndarray, " u"], d: Decisions, ink: Ink, framed: bool) -> Int64[np.ndarray, " u"]:
        """Answer tokens a unit, the end of sequence among them."""
        spans: Spans = d["spans"]
        size = np.empty(len(text), dtype=np.int64)
        sizes(text, spans.begin, spans.count, spans.start, spans.length, self.form, size)
        return size

    def write(self, text: Text, d: Decisions, ink: Ink, silent: int, out: Int32[np.ndarray, " m"], at: Int64[np.ndarray, " u"],
              framed: bool) -> None:  # fmt: skip
        """Write the answer of unit u at `out[at[u]:]`."""
        spans: Spans = d["spans"]
        sentinels, last = self.sentinels(text, d, ink), SAID_LAST_NUMBER if ink.numbers else -1
        hidden_spans(text.values, text.offsets, spans.begin, spans.count, spans.start, spans.length, self.form, sentinels, last,
                      ink.mark("eos", SAID_END, SPECIAL), ink.lift, out, at)  # fmt: skip

    def sentinels(self, text: Text, d: Decisions, ink: Ink) -> Int32[np.ndarray, " k"]:
        """At least as many sentinels, as marks, as the answer of any unit needs."""
        spans: Spans = d["spans"]
        wanted = 1 + spans.most
        if ink.numbers:
            return (16 * (SAID + 4 * np.arange(wanted)) + SENTINEL).astype(np.int32)
        if wanted > len(ink.vocab.sentinels):  # then to the last one: whether a last sentinel follows decides
            needed = self.lengths(text.lengths, d, ink, False) - spans.totals - 1
            wanted = max(most(needed), spans.most)
        return sentinel_table(ink, wanted, self.overflow)


@dataclass(frozen=True)
class WholeText(Target):
    """The clean text, framed as the source is, then end of sequence: what the corruption did never shows here (BART, §2.2).

    `opens` names the token in front, if any; `end` the last one; `start` the one that the answer stream reads first.
    """

    opens: str | None = "bos"
    end: str = "eos"
    start: str = "start"
    answers = True

    def head(self, ink: Ink, framed: bool) -> Column:
        """The token in front of each unit's answer; nothing where there is none."""
        if self.opens is None or not framed or ink.vocab.get(self.opens) is None:
            return NONE
        return ink.each(self.opens, SAID_HEAD, SPECIAL)

    def ending(self, d: Decisions, ink: Ink) -> Column:
        """The last token of each unit's answer."""
        return ink.each(self.end, SAID_END, SPECIAL)

    def lengths(self, text: Int64[np.ndarray, " u"], d: Decisions, ink: Ink, framed: bool) -> Int64[np.ndarray, " u"]:
        """Answer tokens a unit."""
        return text + (1 + int(len(self.head(ink, framed)) > 0))

    def write(self, text: Text, d: Decisions, ink: Ink, silent: int, out: Int32[np.ndarray, " m"], at: Int64[np.ndarray, " u"],
              framed: bool) -> None:  # fmt: skip
        """Write the answer of unit u at `out[at[u]:]`."""
        whole(text.values, text.offsets, self.head(ink, framed), self.ending(d, ink), out, at)
