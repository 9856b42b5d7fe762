"""Say it anew in an answer stream: the hidden spans (T5) or the whole text (BART)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from maskdial.corruption.render import sentinel_table
from maskdial.corruption.runs import FEW_AT_ONCE, U1, copy_on
from maskdial.corruption.step import Target
from maskdial.corruption.text import FIXED, SAID, SAID_END, SAID_HEAD, SAID_LAST, Decisions, Ink, Spans, Text, most
from maskdial.rng import copy, inlined, kernel
from maskdial.sample import SENTINEL, SPECIAL

if TYPE_CHECKING:
    from jaxtyping import Int32, Int64


#: the mark of a last sentinel that announces nothing
SAID_LAST_NUMBER = 16 * (FIXED + 4 * SAID_LAST) + SENTINEL

#: whether one more sentinel ends the answer: iff the text ends kept, ever, never; or complement layout
AUTO, ALWAYS, NEVER, COMPLEMENT = range(4)


@inlined
def _ends(text, stop, form):  # type: ignore[no-untyped-def]
    """Whether a last sentinel follows in a unit of `text` tokens whose last span stops at `stop` (0 without spans)."""
    return form == ALWAYS or (form != NEVER and stop < text)


@kernel
def _sizes(texts, begin, count, start, length, form, size):  # type: ignore[no-untyped-def]
    for u in range(len(texts)):
        first, n, covered, stop = np.uint64(begin[u]), np.uint64(count[u]), np.int64(0), np.int32(0)
        closes = form == COMPLEMENT and n > 0 and start[first] == 0
        for j in range(first, first + n):
            covered += length[j]
            stop = start[j] + length[j]
        size[u] = covered + count[u] - np.int64(closes) + np.int64(_ends(texts[u], stop, form)) + 1


@kernel
def _hidden_spans(values, offsets, begin, count, start, length, form, sentinels, last, end, lift, out, at):  # type: ignore[no-untyped-def]
    for u in range(len(at)):
        text, first, place, n, more = np.uint64(offsets[u]), np.uint64(begin[u]), np.uint64(at[u]), np.uint64(count[u]), lift[u]
        closes, stop = form == COMPLEMENT and n > 0 and start[first] == 0, np.int32(0)  # then spans come before their sentinels
        for k in range(n):
            if not closes:
                out[place] = sentinels[k] + more
                place += U1
            covered = np.uint64(length[first + k])
            copy_on(values, text + np.uint64(start[first + k]), covered, out, place, FEW_AT_ONCE)
            place += covered
            stop = start[first + k] + length[first + k]
            if closes and k + U1 < n:
                out[place] = sentinels[k] + more
                place += U1
        if _ends(offsets[u + 1] - offsets[u], stop, form):
            out[place] = (sentinels[n - np.uint64(closes)] if last < 0 else last) + more
            place += U1
        out[place] = end + more


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
    def _form(self) -> int:
        return COMPLEMENT if self.layout == "complement" else AUTO if self.final == "auto" else ALWAYS if self.final else NEVER

    def lengths(self, text: Int64[np.ndarray, " u"], d: Decisions, ink: Ink, framed: bool) -> Int64[np.ndarray, " u"]:
        """Answer tokens a unit, the end of sequence among them."""
        spans: Spans = d["spans"]
        size = np.empty(len(text), dtype=np.int64)
        _sizes(text, spans.begin, spans.count, spans.start, spans.length, self._form, size)
        return size

    def write(self, text: Text, d: Decisions, ink: Ink, silent: int, out: Int32[np.ndarray, " m"], at: Int64[np.ndarray, " u"],
              framed: bool) -> None:  # fmt: skip
        """Write the answer of unit u at `out[at[u]:]`."""
        spans: Spans = d["spans"]
        sentinels, last = self.sentinels(text, d, ink), SAID_LAST_NUMBER if ink.numbers else -1
        _hidden_spans(text.values, text.offsets, spans.begin, spans.count, spans.start, spans.length, self._form, sentinels, last,
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


@kernel
def _whole(values, offsets, head, opening, end, lift, out, at):  # type: ignore[no-untyped-def]
    for u in range(len(at)):
        size = offsets[u + 1] - offsets[u]
        if head:
            out[at[u]] = opening + lift[u]
        copy(values, offsets[u], size, out, at[u] + head)
        out[at[u] + head + size] = end + lift[u]


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
        return text + (1 + self._head(ink, framed))

    def write(self, text: Text, d: Decisions, ink: Ink, silent: int, out: Int32[np.ndarray, " m"], at: Int64[np.ndarray, " u"],
              framed: bool) -> None:  # fmt: skip
        """Write the answer of unit u at `out[at[u]:]`."""
        head = self._head(ink, framed)
        opening = ink.mark(str(self.opens), SAID_HEAD, SPECIAL) if head else 0
        _whole(text.values, text.offsets, head, opening, ink.mark(self.end, SAID_END, SPECIAL), ink.lift, out, at)
