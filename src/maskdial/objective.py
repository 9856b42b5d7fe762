"""objective = corruption × visibility × target: what is hidden, who may look at whom, where the loss falls."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from maskdial import rng
from maskdial.corruption.text import FIXED, HEAD, START, TAIL, Decisions, Ink, Text, body_text
from maskdial.sample import SILENT, SPECIAL, Column, Head, Layout, Rows, Samples
from maskdial.visibility.order import Visibility, order, position, prefix_of, stream
from maskdial.vocab import Vocab

if TYPE_CHECKING:
    from jaxtyping import Int32, Int64
    Lengths = Int64[np.ndarray, " u"]




class Step(Protocol):
    """One step of a corruption: draws decisions from lengths and keys, then writes text from text and decisions."""

    decisions: Any

    def draw(self, rows: Rows, lengths: Lengths, d: Decisions, vocab: Vocab) -> None: ...
    def lengths(self, lengths: Lengths, d: Decisions) -> Lengths: ...
    def write(self, text: Text, d: Decisions, ink: Ink, out: Int32[np.ndarray, " m"], at: Lengths) -> None: ...


class Target(Protocol):
    """What positions must say. `answers`: in an answer stream of its own, or (False) over the source."""

    answers: bool

    def lengths(self, text: Lengths, d: Decisions, ink: Ink, framed: bool) -> Lengths: ...
    def write(self, text: Text, d: Decisions, ink: Ink, silent: int, out: Int32[np.ndarray, " m"], at: Lengths,
              framed: bool) -> None: ...  # fmt: skip


@dataclass(frozen=True)
class Room:
    """How many body tokens a row must have (`raw`) to fill a model's length; what source and answer then measure, exactly
    or at most."""

    raw: int
    source: int
    answer: int
    exact: bool


@dataclass(frozen=True)
class Objective:
    """One pretraining objective. Call it: `objective(rows, vocab, seed=0, epoch=0)` gives `Samples`.

    `steps` corrupt, in order; `visibility` is the dial; `target` asks. `head` and `tail` name the special tokens that frame
    a unit. `sees_own` declares which scored positions can see their own answer: "never", "kept" (tokens chosen but left
    unchanged) or "copied" (text that the source still shows). `shape(L)` gives body tokens of source and answer.
    """

    name: str
    steps: tuple[Step, ...]
    visibility: Visibility
    target: Target
    layout: Layout
    shape: Callable[[int], tuple[int, int]]
    head: str | None = None
    tail: str | None = None
    exact: bool = True
    sees_own: Literal["never", "kept", "copied"] = "never"
    scored_share: Callable[[int], float] = field(default=lambda length: 1.0)
    options: Mapping[str, Any] = field(default_factory=dict)
    frame: bool = True
    heads: tuple[Head, ...] = (Head(),)
    about: Any = None

    def replace(self, **dials: Any) -> Objective:
        """The same objective with a dial turned, e.g. `replace(visibility="causal")` or `replace(frame=False)`."""
        if dials.get("visibility", self.visibility) not in ("bidirectional", "causal", "prefix"):
            raise ValueError(f"visibility is 'bidirectional', 'causal' or 'prefix', not {dials['visibility']!r}")
        return replace(self, **dials)

    def __call__(self, rows: Rows, vocab: Vocab, seed: int = 0, epoch: int = 0, provenance: bool = False) -> Samples:
        """Draw and build."""
        return self.build(rows, vocab, self.draw(rows, vocab, seed, epoch), provenance)

    def draw(
        self, rows: Rows, vocab: Vocab, seed: int = 0, epoch: int = 0, force: Mapping[str, Any] | None = None
    ) -> Decisions:
        """The decisions for these rows; `force` sets some by name and the rest are drawn."""
        units = rows.units
        d = Decisions(rng.keys(seed, self.name, epoch, rows.index[units.row], units.number))
        if force:
            unknown = set(force) - {name for step in self.steps for name in step.decisions}
            if unknown:
                known = ", ".join(name for step in self.steps for name in step.decisions) or "none"
                raise ValueError(f"{self.name} makes no decision named {sorted(unknown)[0]!r} (its decisions: {known})")
        lengths = units.lengths
        for step in self.steps:
            step.draw(rows, lengths, d, vocab)
            d.values.update({name: value for name, value in (force or {}).items() if name in step.decisions})
            lengths = step.lengths(lengths, d)
        return d

    def build(self, rows: Rows, vocab: Vocab, decisions: Decisions, provenance: bool = False) -> Samples:
        """Samples from rows and decisions alone."""
        return _Build(self, rows, vocab, decisions).samples(provenance)

    def room(self, length: int, layout: Layout | None = None, vocab: Vocab | None = None) -> Room:
        """How many body tokens fill `length` positions: of the source with an encoder–decoder, of everything otherwise."""
        layout = layout or self.layout
        frame, opening = self._frame_size(vocab), self._answer_head(vocab)

        def sizes(raw: int) -> tuple[int, int]:
            source, answer = self.shape(raw)
            return source + frame, answer + (opening if self.target.answers else 0)

        def fits(raw: int) -> bool:
            source, answer = sizes(raw)
            return (source if layout == "encoder-decoder" else source + answer) <= length

        if not fits(1):
            raise ValueError(f"{self.name} can't fit one token into {length} positions")
        low = max(1, length // 4)
        while not fits(low):
            low //= 2
        while fits(low + 1):
            low += 1
        return Room(low, *sizes(low), exact=self.exact and not (layout == "encoder-decoder" and self.layout == "decoder"))

    def _frame_size(self, vocab: Vocab | None) -> int:
        roles = [r for r in (self.head, self.tail) if r and r != "open" and self.frame]
        return sum(vocab is None or vocab.get(r) is not None for r in roles)

    def _answer_head(self, vocab: Vocab | None) -> int:
        from maskdial.target.rewritten import WholeText

        return int(isinstance(self.target, WholeText) and self.frame and (vocab is None or vocab.bos is not None))

    def explain(self) -> dict[str, Any]:
        """What the objective is: formula, the three dials, share scored, source, what it is good for, known models."""
        about = self.about
        return {
            "name": self.name, "family": about.family, "formula": about.formula, "corruption": about.corruption,
            "visibility": self.visibility, "target": about.target, "scored_share": self.scored_share(512),
            "source": about.source, "url": about.url, "good_for": about.good_for, "known_models": list(about.known_models),
            "layout": self.layout, "options": dict(self.options), "sees_own": self.sees_own,
        }  # fmt: skip


@rng.kernel
def _shift(said, begin, end, opening, read):  # type: ignore[no-untyped-def]
    for u in range(len(begin)):
        if end[u] > begin[u]:
            read[begin[u]] = opening[u]
            read[begin[u] + 1 : end[u]] = said[begin[u] : end[u] - 1]


class _Build:
    """One call of `Objective.build`: sizes first, then each column written once."""

    def __init__(self, objective: Objective, rows: Rows, vocab: Vocab, decisions: Decisions) -> None:
        self.o, self.rows, self.vocab, self.d = objective, rows, vocab, decisions
        units = rows.units
        self.units = units
        self.body = np.diff(rows.offsets)[units.row]
        ink = self.ink(False)
        #: documents framed each by a begin token: position i reads token i-1 and says token i
        self.opened = objective.frame and rows.packing == "isolated" and objective.head == "open" and vocab.bos is not None
        self.head = None if objective.head in (None, "open") or not objective.frame else vocab.get(str(objective.head))
        self.tail = None if objective.tail is None or not objective.frame else vocab.get(objective.tail)
        self.front = int(self.head is not None)
        lengths = units.lengths
        for step in objective.steps:
            lengths = step.lengths(lengths, decisions)
        self.source = lengths + self.front + int(self.tail is not None)
        self.answer = objective.target.lengths(units.lengths, decisions, ink, objective.frame)
        self.out = np.concatenate([[0], np.cumsum(self.source + self.answer)]).astype(np.int64)

    def ink(self, numbers: bool) -> Ink:
        return Ink(self.vocab, self.o.name, self.body, numbers)

    def samples(self, provenance: bool) -> Samples:
        read, said = self.write(False)
        total, o, out = self.source + self.answer, self.o, self.out
        split = self.source if o.target.answers else total
        if (drawn := self.d.get("split")) is not None:
            split = drawn + self.front
        prefix = prefix_of(o.visibility, total, split)
        restart = split if o.layout == "encoder-decoder" else total
        first = np.searchsorted(self.units.row, np.arange(len(self.rows) + 1))
        name = o.heads[0].name
        columns: dict[str, Column | Callable[[], Column]] = {
            "read": read, f"target:{name}": said,
            "order": lambda: order(out, prefix), "position": lambda: position(out, restart),
            "stream": lambda: stream(out, split), "segment": self.segment,
        }  # fmt: skip
        if provenance:
            columns |= self.provenance()
        start = self.vocab.get("start")
        return Samples(out[first], self.rows.index, columns, o.heads, o.layout, o.name, np.diff(self.rows.offsets),
                       self.vocab.pad or 0, start)  # fmt: skip

    def segment(self) -> Column:
        sizes = np.diff(self.out)
        if self.rows.packing == "joined":
            return np.zeros(self.out[-1], dtype=np.int32)
        return np.repeat(self.rows.segment[np.minimum(self.units.offsets[:-1], max(len(self.rows.segment) - 1, 0))], sizes)

    def write(self, numbers: bool) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
        """(what is read, what must be said) as ids, or as numbers (-1 where nothing is asked)."""
        o, d, ink = self.o, self.d, self.ink(numbers)
        body, begin = body_text(self.rows, numbers), self.out[:-1]
        middle, end, silent = begin + self.source, self.out[1:], -1 if numbers else SILENT
        read = np.empty(self.out[-1], dtype=np.int32)
        said = np.full(self.out[-1], silent, dtype=np.int32) if o.target.answers else np.empty(self.out[-1], dtype=np.int32)
        if self.opened:
            o.target.write(body, d, ink, silent, said, begin, True)
            _shift(said, begin, end, self.special(HEAD, "bos", ink), read)
            return read, said
        text = body
        for step in o.steps[:-1]:
            text = run(step, text, d, ink)
        o.steps[-1].write(text, d, ink, read, begin + self.front)
        if o.target.answers:
            o.target.write(body, d, ink, silent, said, middle, o.frame)
            _shift(said, middle, end, self.special(START, "start", ink), read)
        else:
            o.target.write(body, d, ink, silent, said, begin + self.front, False)
        self.write_frame(read, said, begin, middle - 1, ink, silent)
        return read, said

    def special(self, slot: int, role: str, ink: Ink) -> Column:
        units = np.arange(len(self.units))
        made = ink.number(FIXED, slot, units, SPECIAL) if ink.numbers else self.vocab.need(role, self.o.name)
        return np.full(len(units), made, dtype=np.int32)

    def write_frame(self, read: Column, said: Column, first: Lengths, last: Lengths, ink: Ink, silent: int) -> None:
        """The frame's tokens; a recipe that may hide them too (fairseq's counting) says so in the decision "frame"."""
        hidden = self.d.get("frame")
        for side, (id, slot, at) in enumerate(((self.head, HEAD, first), (self.tail, TAIL, last))):
            if id is None:
                continue
            clean = self.special(slot, str(self.o.head if side == 0 else self.o.tail), ink)
            read[at], said[at] = clean, silent
            if hidden is not None and hidden[:, side].any():
                hit = hidden[:, side] > 0
                shown = self.framed(hidden[:, side], clean, ink, side)
                read[at[hit]], said[at[hit]] = shown[hit], clean[hit]

    def framed(self, action: NDArray[np.uint8], clean: Column, ink: Ink, side: int) -> Column:
        from maskdial.corruption.render import AS_MASK, AS_RANDOM
        from maskdial.corruption.text import LOOSE
        from maskdial.sample import MASK, RANDOM, SAME

        units = np.arange(len(self.units))
        if ink.numbers:
            made = (clean & ~15) | SAME
            for a, kind in ((AS_MASK, MASK), (AS_RANDOM, RANDOM)):
                made = np.where(action == a, ink.number(LOOSE, 4 * self.body + clean % 7, units, kind), made)
            return np.asarray(made, dtype=np.int32)
        random = self.vocab.body[rng.below_each(self.d.keys, rng.FRAME, side, len(self.vocab.body))]
        return np.where(action == AS_MASK, self.vocab.need("mask", self.o.name), np.where(action == AS_RANDOM, random, clean))

    def provenance(self) -> dict[str, Column]:
        """origin, place, answer and kind, decoded from the numbers that the same kernels wrote."""
        read, said = self.write(True)
        length = np.repeat(self.body, np.diff(self.out))
        origin = read >> 4
        place = origin.copy()
        for _ in range(2):  # a token introduced in place of an introduced one stands for what that one stood for
            new = place >= length
            slot = place - length
            place = np.where(new, np.where(slot % 4 == 0, slot >> 2, -1), place)
        return {
            "origin": origin, "place": place.astype(np.int32), "kind": (read & 15).astype(np.uint8),
            "answer": np.where(said < 0, -1, said >> 4).astype(np.int32),
        }  # fmt: skip


def run(step: Step, text: Text, d: Decisions, ink: Ink) -> Text:
    """A step in the middle: text to text."""
    offsets = np.concatenate([[0], np.cumsum(step.lengths(text.lengths, d))]).astype(np.int64)
    values = np.empty(offsets[-1], dtype=np.int32)
    step.write(text, d, ink, values, offsets[:-1])
    return Text(values, offsets)


def declared(objective: Objective, samples: Samples) -> int:
    """How many scored positions can see their own answer, by what the objective declares. Wants provenance."""
    asked = samples.target != SILENT
    if objective.sees_own == "never":
        return 0
    if objective.sees_own == "kept":
        from maskdial.sample import SAME

        return int((asked & (samples.kind == SAME)).sum())
    shown = 0
    for sample in samples:
        source = sample.origin[sample.stream == 0]
        shown += int(np.isin(sample.answer[sample.target != SILENT], source).sum())
    return shown


__all__ = ["Objective", "Room", "Sequence", "declared"]
