"""How an objective's samples are written: sizes first, then each column once; the same code writes ids and provenance.

Four common shapes are made in `maskdial.one_pass` instead where nobody wants provenance.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from maskdial.corruption.pool import pool_ids
from maskdial.corruption.render import AS_MASK, AS_RANDOM, edit_frame
from maskdial.corruption.separate import languages
from maskdial.corruption.text import BETWEEN, FIXED, HEAD, LABEL, LOOSE, START, TAIL, Ink, Text, begins_of, body_text, offsets_of, same
from maskdial.corruption.units import NONE, ask_frame, decode, following_read, lay_out, mark_overtaken, put_between, rim, shift
from maskdial.corruption.words import first_parts
from maskdial.one_pass import one_pass
from maskdial.rng import ZERO
from maskdial.sample import MASK, RANDOM, SAME, SILENT, SPECIAL, Column, Rows, Samples
from maskdial.visibility.order import backward, order, position, prefix_of, source_first, stream
from maskdial.vocab import Vocab

if TYPE_CHECKING:
    from jaxtyping import Int32, Int64, UInt8

    from maskdial.corruption.step import Step
    from maskdial.corruption.text import Decisions
    from maskdial.objective import Objective
    Lengths = Int64[np.ndarray, " u"]


# The C library gives blocks of memory above a bound (128 KB) back to the system and gets them anew, page by page, until it has seen
# a larger one come back: then that one's size is the bound. This one is never touched and so takes no memory; without it BART's
# batches of 65,000 tokens take 1.7 times the time.
_large = np.empty(1 << 24, dtype=np.uint8)
del _large


class Build:
    """One call of `Objective.build`. A recipe's own columns (`Objective.columns`) are computed from what stands here.

    `units` of `rows`; int64 a unit: `source`, `answer`, `total` (positions of the parts, of both), `begin`, `at` (where the text
    begins), `middle` (where the answer begins) and `end` in the columns; `front` is how many special tokens stand before the text.
    """

    def __init__(self, objective: Objective, rows: Rows, vocab: Vocab, decisions: Decisions, provenance: bool = False) -> None:
        self.o, self.vocab, self.d, self.given, self.traced = objective, vocab, decisions, rows, provenance
        self.rows, self._numbers = objective.prepared(rows, vocab)
        self.units = units = self.rows.units
        #: body tokens of each unit's row, as given
        self.body = rows.units.lengths if rows.packing == "joined" else np.diff(rows.offsets)[units.row]
        #: documents framed each by a begin token: position i reads token i-1 and says token i
        self.opened = objective.frame and rows.packing == "isolated" and objective.head == "open" and vocab.bos is not None
        self.head, self.tail, self.between = objective.frame_roles(vocab)
        self.front = int(self.head is not None)
        added = self.front + int(self.tail is not None) + int(self.between is not None)
        answers = objective.target.answers
        #: whether samples are the texts alone, as the steps left them
        self.bare = not answers and not self.opened and added == 0
        #: what one pass made, None where `write` must
        self.written = None if provenance else one_pass(self)
        if self.written is None:
            self.lay_out(added)
        else:
            _, _, self.source, self.total, self.out = self.written
            self.begin, self.end = self.out[:-1], self.out[1:]
        #: whether what is read is the rows' tokens, unchanged: then it is not copied
        self.as_it_is = self.bare and not objective.writing

    @cached_property
    def middle(self) -> Lengths:
        """Where each unit's answer begins in the columns."""
        return self.begin + self.source

    @cached_property
    def at(self) -> Lengths:
        """Where each unit's text begins in the columns."""
        return self.begin + self.front

    def lay_out(self, added: int) -> None:
        """Where units and their parts lie, from the lengths that the steps leave and `added` special tokens."""
        o, units, answers = self.o, self.units, self.o.target.answers
        lengths = units.lengths
        for step in o.steps:
            lengths = step.lengths(lengths, self.d)
        self.out = begins_of(self.rows, lengths) if self.bare else np.empty(len(lengths) + 1, dtype=np.int64)
        self.source = lengths if self.bare else np.empty(len(lengths), dtype=np.int64)
        self.begin, self.end = self.out[:-1], self.out[1:]
        self.total = np.empty(len(lengths), dtype=np.int64) if answers else self.source
        self.middle = np.empty(len(lengths), dtype=np.int64) if answers else self.end
        self.at = np.empty(len(lengths), dtype=np.int64) if self.front else self.begin
        if not self.bare:
            answer = o.target.lengths(units.lengths, self.d, self.ink(False), o.frame) if answers else lengths
            cut = ZERO if self.between is None else self.cut
            lay_out(lengths, cut, self.front, added, answer, answers, self.source, self.total, self.at, self.middle, self.out)

    def ink(self, numbers: bool) -> Ink:
        return Ink(self.vocab, self.o.name, self.body, numbers)

    @property
    def answer(self) -> Lengths:
        """Positions of each unit's answer."""
        return self.total - self.source

    @cached_property
    def cut(self) -> Lengths:
        """Where the second part begins, in text tokens: a drawn split, or the rows' parts."""
        if (drawn := self.d.get("split")) is not None:
            return np.asarray(drawn, dtype=np.int64)
        return first_parts(self.rows, self.units.offsets)

    def samples(self) -> Samples:
        o, out = self.o, self.out
        if self.written is None:
            # one block of memory: an allocator keeps it for the next call, where it would give several back
            block = np.empty((5 if self.traced else 2, int(out[-1])), dtype=np.int32)
            read, said = self.rows.tokens if self.as_it_is else block[0], block[1]
            self.write(False, read, said)
        else:
            read, said, *_ = self.written
        split = self.source if o.target.answers and o.streams else self.total
        if not o.target.answers and self.d.get("split") is not None:
            split = self.d["split"] + self.front + int(self.between is not None)
        restart = split if o.layout == "encoder-decoder" else self.total
        columns: dict[str, Column | Callable[[], Column]] = {
            "read": read, f"target:{o.heads[0].name}": said,
            "order": lambda: self.order(split), "position": lambda: position(out, restart),
            "stream": lambda: stream(out, split), "segment": self.segment,
        }  # fmt: skip
        if o.columns:
            dialled = () if o.orders_itself else ("order", "private")
            columns |= {name: column for name, column in o.columns(self).items() if name not in dialled}
        if self.traced:
            columns |= self.provenance(*block[-3:])
            columns |= o.answers(self) if o.answers else {}
        joined = self.rows.packing == "joined"
        offsets = out if joined else out[np.searchsorted(self.units.row, np.arange(len(self.rows) + 1))]
        return Samples(offsets, self.rows.index, columns, o.heads, o.layout, o.name,
                       self.body if joined else np.diff(self.given.offsets), self.vocab.pad or 0, self.vocab.get("start"),
                       placed=o.places == "noise")  # fmt: skip

    def order(self, split: Lengths) -> Int32[np.ndarray, " m"]:
        """The order column of the dial's own settings; others are the recipe's (`Objective.columns`)."""
        if self.o.visibility == "backward":
            return backward(self.out)
        if self.o.visibility == "source-first":
            return source_first(self.out, split)
        return order(self.out, prefix_of(self.o.visibility, self.total, split))

    def segment(self) -> Column:
        if self.rows.packing == "joined":
            return np.zeros(self.out[-1], dtype=np.int32)
        return np.repeat(self.rows.segment[np.minimum(self.units.offsets[:-1], max(len(self.rows.segment) - 1, 0))], self.total)

    def text(self, numbers: bool) -> Text:
        """The clean text, as ids or as numbers."""
        if numbers and self._numbers is not None:
            return Text(self._numbers, self.units.offsets)
        return body_text(self.rows, numbers)

    def write(self, numbers: bool, read: Column, said: Column) -> None:
        """What is read and what must be said, as ids, or as numbers (-1 where nothing is asked)."""
        o, d, ink, silent = self.o, self.d, self.ink(numbers), -1 if numbers else SILENT
        body, begin, end, middle = self.text(numbers), self.begin, self.end, self.middle
        if self.opened:
            o.target.write(body, d, ink, silent, said, begin, True)
            shift(body.values, begin, end, self.special(HEAD, "bos", ink), read)
            return
        text, lengths = body, self.units.lengths
        for step in o.writing[:-1]:
            text, lengths = run(step, text, lengths, d, ink)
        if read is not body.values:
            (o.writing or o.steps)[-1].write(text, d, ink, read, self.at)
        if o.target.answers:
            o.target.write(body, d, ink, silent, said, middle, o.frame)
        elif not o.target.over_read:
            o.target.write(body, d, ink, silent, said, self.at, False)
        if not self.as_it_is:
            self.write_around(read, said, ink, silent)
        if o.target.over_read:
            following_read(read, begin, end, np.int32(silent), said)
        if o.target.reads_itself:
            o.target.read(body, d, ink, read, middle)

    def special(self, slot: int, role: str | None, ink: Ink) -> Column:
        """The token of a role, one a unit; nothing for no role."""
        if role is None:
            return NONE
        if ink.numbers:
            return ink.each(role, slot, SPECIAL)
        return ids_of(role, self.vocab, self.o.name, self.rows)

    def write_around(self, read: Column, said: Column, ink: Ink, silent: int) -> None:
        """The frame's tokens and the start of an answer; a recipe that may hide the frame's too (fairseq's counting) says so in
        the decision "frame"."""
        if self.between is not None:
            at, token = self.begin + self.front + self.cut, self.special(BETWEEN, self.between, ink)
            put_between(read, said, at, self.middle, token, np.int32(silent))
        answers, head, tail = self.o.target.answers, self.special(HEAD, self.head, ink), self.special(TAIL, self.tail, ink)
        opening = self.special(START, self.o.target.start, ink) if answers and not self.o.target.reads_itself else NONE
        if answers or len(head) or len(tail):
            rim(read, said, self.begin, self.middle, self.end, np.int32(silent), head, tail, answers, opening)
        hidden = self.d.get("frame")
        if hidden is not None and hidden.any():
            for side, (clean, at) in enumerate(((head, self.begin), (tail, self.middle - 1))):
                if len(clean):
                    ask_frame(read, said, at, hidden, side, self.framed(hidden, clean, ink, side), clean)

    def framed(self, hidden: UInt8[np.ndarray, "u 2"], clean: Column, ink: Ink, side: int) -> Column:
        """What is read on a side of the frame instead of the token that stands there."""
        if ink.numbers:
            made, units = (clean & ~15) | SAME, np.arange(len(self.units))
            for a, kind in ((AS_MASK, MASK), (AS_RANDOM, RANDOM)):
                made = np.where(hidden[:, side] == a, ink.number(LOOSE, 4 * self.body + clean % 7, units, kind), made)
            return np.asarray(made, dtype=np.int32)
        shown, pool = np.empty_like(clean), pool_ids(self.vocab, getattr(self.o.steps[-1], "pool", "body"))
        edit_frame(hidden, self.d.keys, side, clean, np.int32(self.vocab.need("mask", self.o.name)), pool, shown)
        return shown

    def labels(self, numbers: bool = False) -> Int32[np.ndarray, " m"]:
        """The rows' labels as targets of the first position of each unit (or, as numbers, what no position reads)."""
        if self.rows.label is None:
            raise ValueError(f"{self.o.name} needs the rows' `label` (a row plan for pairs makes it)")
        made = np.full(self.out[-1], -1 if numbers else SILENT, dtype=np.int32)
        first = self.begin[self.total > 0]
        units = np.arange(len(self.units))[self.total > 0]
        made[first] = self.body[units] + FIXED + 4 * LABEL if numbers else self.rows.label[self.units.row[units]]
        return made

    def provenance(self, origin: Column, answer: Column, place: Column) -> dict[str, Column]:
        """origin, place, answer and kind, decoded from the numbers that the same kernels wrote."""
        self.write(True, origin, answer)
        kind = np.empty(len(origin), dtype=np.uint8)
        decode(origin, answer, self.out, self.body, place, kind)
        if self.o.target.over_read:
            mark_overtaken(origin, self.out, self.body, kind)
        return {"origin": origin, "place": place, "kind": kind, "answer": answer}


def ids_of(role: str, vocab: Vocab, recipe: str, rows: Rows) -> Column:
    """The id of a role for each unit: `mode:R` is a mode token, `language` the unit's own language, others are the vocabulary's."""
    if role == "language":
        return languages(rows, tuple(sorted(vocab.languages.values())), vocab.need("eos", recipe), recipe)
    if not role.startswith("mode:"):
        return same(vocab.need(role, recipe), len(rows.units))
    name = role.removeprefix("mode:")
    if name not in vocab.modes:
        raise ValueError(f"{recipe} needs the mode token {name!r} and this vocabulary has {sorted(vocab.modes) or 'none'}: "
                         f"name it with Vocab(…, modes={{{name!r}: id}})")  # fmt: skip
    return same(vocab.modes[name], len(rows.units))


def run(step: Step, text: Text, lengths: Lengths, d: Decisions, ink: Ink) -> tuple[Text, Lengths]:
    """A step in the middle: text and its lengths to text and its lengths."""
    after = step.lengths(lengths, d)
    offsets = text.offsets if after is lengths else offsets_of(after)
    values = np.empty(offsets[-1], dtype=np.int32)
    step.write(text, d, ink, values, offsets[:-1])
    return Text(values, offsets), after
