"""objective = corruption × visibility × target: what is hidden, who may look at whom, where the loss falls."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from maskdial import rng
from maskdial.build import Build
from maskdial.corruption.step import Step, Target
from maskdial.corruption.suffix import Keep
from maskdial.corruption.text import Decisions
from maskdial.sample import SAME, SILENT, Column, Head, Layout, Rows, Samples
from maskdial.visibility.order import DIAL, PLAIN, Visibility, size_of
from maskdial.vocab import Vocab

if TYPE_CHECKING:
    from jaxtyping import Int32

#: more columns of a recipe's samples, computed from a `Build`; each a column or a function that makes it when looked at
Columns = Callable[[Build], Mapping[str, Column | Callable[[], Column]]]



#: where a column that a recipe needs comes from
NEEDED = {
    "word": " (prepare makes it)", "sentence": " (prepare makes it)",
    "part": " (0 for a prompt or a first part, 1 for a completion or a second part: `maskdial prepare` makes it of prompt and completion, "
            "of messages, or a row plan makes it for pairs)",
    "label": " (a row plan for pairs makes it)",
}  # fmt: skip


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

    What only some recipes have: `between` names the token between the two parts of a pair or of a split text; `pairs` the row
    plan that makes such pairs; `overlap` how many tokens a window shares with the next; `needs` the columns of rows that it
    cannot do without; `prepare` puts tokens of its own into the text before anything else happens; `columns` adds columns
    (or, for a visibility that does not follow from lengths, writes `order` and `private`) and `answers` their provenance
    (`answer:HEAD`); `places="noise"` says that positions depend on what was drawn; `streams=False` that the answer's
    positions belong to the one stream (query slots, a noisy copy).
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
    between: str | None = None
    pairs: Literal["next", "order"] | None = None
    overlap: int = 0
    needs: tuple[str, ...] = ()
    prepare: Callable[[Rows, Vocab], tuple[Rows, Int32[np.ndarray, " n"]]] | None = None
    columns: Columns | None = None
    answers: Callable[[Build], Mapping[str, Column]] | None = None
    places: Literal["lengths", "noise"] = "lengths"
    streams: bool = True

    def replace(self, **dials: Any) -> Objective:
        """The same objective with a dial turned, e.g. `replace(visibility="causal")`, `replace(visibility="prefix:5")` (the first
        five positions see one another) or `replace(frame=False)`."""
        seen = dials.get("visibility", self.visibility)
        if seen not in (*DIAL, self.visibility) and size_of(str(seen)) is None:
            raise ValueError(f"visibility is 'bidirectional', 'causal', 'prefix' or 'prefix:SIZE', not {seen!r}")
        return replace(self, **dials)

    def __repr__(self) -> str:
        options = ", ".join(f"{name}={value!r}" for name, value in self.options.items())
        asked = f"; SCORE {self.about.target}" if self.about else ""
        return f"Objective({self.name}{': ' + options if options else ''}; SEE {self.visibility}{asked})"

    def _repr_html_(self) -> str:
        from maskdial.html import of_objective

        return of_objective(self)

    def alone(self) -> Objective:
        """The same question about one text by itself: no second part, no label, no difference between prompt and completion.

        A separator that stands where the answer begins (a prefix's) stays.
        """
        paired = self.pairs is not None or (self.between is not None and self.visibility == "bidirectional")
        if not paired and "part" not in self.needs:
            return self
        needs = tuple(column for column in self.needs if column not in ("part", "label"))
        heads = tuple(head for head in self.heads if head.kind == "token")
        return replace(self, between=None, pairs=None, needs=needs, heads=heads, columns=None, answers=None)

    def __call__(self, rows: Rows, vocab: Vocab, seed: int = 0, epoch: int = 0, provenance: bool = False) -> Samples:
        """Draw and build."""
        return self.build(rows, vocab, self.waiting(rows, vocab, seed, epoch), provenance)

    def draw(
        self, rows: Rows, vocab: Vocab, seed: int = 0, epoch: int = 0, force: Mapping[str, Any] | None = None
    ) -> Decisions:
        """The decisions for these rows; `force` sets some by name and the rest are drawn."""
        return self.waiting(rows, vocab, seed, epoch, force).drawn()

    def waiting(
        self, rows: Rows, vocab: Vocab, seed: int = 0, epoch: int = 0, force: Mapping[str, Any] | None = None
    ) -> Decisions:
        """As `draw`, but some may wait until somebody looks at them: for these rows, this vocabulary and this objective only."""
        rows, _ = self.prepared(rows, vocab)
        d = self.begin(rows, seed, epoch)
        if force:
            unknown = set(force) - {name for step in self.steps for name in step.decisions}
            if unknown:
                known = ", ".join(name for step in self.steps for name in step.decisions) or "none"
                raise ValueError(f"{self.name} makes no decision named {sorted(unknown)[0]!r} (its decisions: {known})")
        lengths = rows.units.lengths
        for number, step in enumerate(self.steps):
            if number:
                lengths = self.steps[number - 1].lengths(lengths, d)
            step.draw(rows, lengths, d, vocab)
            if force:
                d.values.update({name: value for name, value in force.items() if name in step.decisions})
        return d

    def begin(self, rows: Rows, seed: int, epoch: int) -> Decisions:
        """No decision yet: what keys the noise of each unit."""
        if rows.packing == "joined":
            return Decisions(rng.keys(seed, self.name, epoch, rows.index))
        units = rows.units
        return Decisions(rng.keys(seed, self.name, epoch, rows.index[units.row], units.number))

    def build(self, rows: Rows, vocab: Vocab, decisions: Decisions, provenance: bool = False) -> Samples:
        """Samples from rows and decisions alone."""
        return Build(self, rows, vocab, decisions, provenance).samples()

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
        if vocab is not None:
            return sum(role is not None for role in self.frame_roles(vocab))
        roles = (self.head, self.tail, self.between) if self.frame else (self.between,)
        return sum(role not in (None, "open") for role in roles)

    def _answer_head(self, vocab: Vocab | None) -> int:
        opens = getattr(self.target, "opens", None)
        return int(opens is not None and self.frame and (vocab is None or vocab.get(opens) is not None))

    def frame_roles(self, vocab: Vocab) -> tuple[str | None, str | None, str | None]:
        """The roles of the tokens before, after and between; None where there is none (or the vocabulary has no such token)."""
        if self.head is None and self.tail is None:
            return None, None, self.between
        head = None if self.head == "open" or not (self.frame or str(self.head).startswith("mode:")) else self.head
        return known(head, vocab), known(self.tail if self.frame else None, vocab), self.between

    def prepared(self, rows: Rows, vocab: Vocab) -> tuple[Rows, Int32[np.ndarray, " n"] | None]:
        """The rows as the steps see them, and their provenance numbers when they are not simply the text's."""
        for column in self.needs:
            if getattr(rows, column) is None:
                raise ValueError(f"{self.name} needs the rows' `{column}` column{NEEDED.get(column, '')}")
        return (rows, None) if self.prepare is None else self.prepare(rows, vocab)

    @cached_property
    def writing(self) -> list[Step]:
        """The steps that write; others leave the text as it is."""
        return [step for step in self.steps if type(step).write is not Keep.write]

    @property
    def plan(self) -> dict[str, Any]:
        """How a corpus makes this objective's rows, as keywords of its `rows`: plain windows, windows that share tokens, pairs."""
        return {"pairs": self.pairs} if self.pairs else {"overlap": self.overlap} if self.overlap else {}

    @property
    def orders_itself(self) -> bool:
        """Whether the recipe writes `order` and `private`, not the dial."""
        return self.visibility not in PLAIN and size_of(self.visibility) is None

    def explain(self) -> dict[str, Any]:
        """What the objective is: formula, the three dials, share scored, source, what it is good for, known models."""
        about = self.about
        return {
            "name": self.name, "family": about.family, "formula": about.formula, "corruption": about.corruption,
            "visibility": self.visibility, "target": about.target, "scored_share": self.scored_share(512),
            "source": about.source, "url": about.url, "good_for": about.good_for, "known_models": list(about.known_models),
            "layout": self.layout, "options": dict(self.options), "sees_own": self.sees_own,
        }  # fmt: skip


def known(role: str | None, vocab: Vocab) -> str | None:
    """A role of the frame, if the vocabulary has a token for it."""
    return role if role and (role == "language" or ":" in role or vocab.get(role) is not None) else None


def declared(objective: Objective, samples: Samples) -> int:
    """How many scored positions can see their own answer, by what the objective declares. Wants provenance."""
    asked = samples.target != SILENT
    if objective.sees_own == "never":
        return 0
    if objective.sees_own == "kept":
        return int((asked & (samples.kind == SAME)).sum())
    shown = 0
    for sample in samples:
        source = sample.origin[sample.stream == 0]
        shown += int(np.isin(sample.answer[sample.target != SILENT], source).sum())
    return shown


__all__ = ["Objective", "Room", "declared"]
