"""A mixture is an objective whose samples come from several, in turn: `Mixture` and its `Member`s."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from itertools import pairwise
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from maskdial.corruption.text import Decisions
from maskdial.errors import nearest
from maskdial.mixture.alike import Alike, alike
from maskdial.mixture.schedule import Phase, Turns, normal
from maskdial.mixture.table import Taken, apart, take, together
from maskdial.objective import Objective, Room
from maskdial.sample import Head, Layout, Rows, Samples
from maskdial.vocab import MODE_SPELLINGS, Vocab

if TYPE_CHECKING:
    from jaxtyping import Int64

    At = Int64[np.ndarray, " k"]
    Members = Int64[np.ndarray, " m"]


@dataclass(frozen=True)
class Member:
    """One objective of a mixture. Its name keys its noise and its shuffle.

    `mode` names the mode token that stands in front of what is read, None for none. A mode that was not asked for by name
    (`named` False: it is the member's name) is left out where the vocabulary has no such token. `as_one` makes the same samples by
    steps that it shares with other members (`maskdial.mixture.alike`).
    """

    name: str
    objective: Objective
    mode: str | None = None
    named: bool = False
    as_one: Objective | None = None

    def ready(self, layout: Layout, vocab: Vocab | None = None, shared: bool = False) -> Objective:
        """The objective (or `as_one`, when `shared`) as the mixture runs it: keyed by the member's name, its mode token in front.

        An objective that begins with a token of its own ([CLS], a begin token) begins with the mode token in its stead, so
        that nothing grows by two tokens and the first position keeps its head.
        """
        mode, one = self.mode_in(vocab), (self.as_one if shared else None) or self.objective
        return replace(one, name=self.name, layout=layout, head=f"mode:{mode}" if mode else one.head)

    def replace(self, **dials: Any) -> Member:
        """The same member with a dial turned."""
        shared = self.as_one and self.as_one.replace(**dials)
        return replace(self, objective=self.objective.replace(**dials), as_one=shared)

    def mode_in(self, vocab: Vocab | None) -> str | None:
        """The mode whose token stands in front, in this vocabulary or in one that has the usual modes."""
        known = MODE_SPELLINGS if vocab is None else vocab.modes
        return self.mode if self.named or self.mode in known else None


@dataclass(frozen=True)
class Mixture:
    """Weighted objectives behind the interface of one: `mixture(rows, vocab, seed=0, epoch=0)` gives one table of `Samples`.

    Which member makes sample n depends on n alone (`maskdial.mixture.schedule`); the member numbers its own samples 0, 1, 2, …
    and its name and that number key the noise. So the k-th sample of member "r" is the same whatever it is mixed with, and a
    mixture of one member is that member. Training gives every member its own room, windows and shuffle; rows given directly
    keep their lengths.

    `weights` count samples (`mixture()` converts others, for rows of `length` positions). A schedule in shares of a run needs
    `total`, the run's samples: `over(total)` sets it.
    """

    members: Mapping[str, Member]
    phases: tuple[Phase, ...]
    name: str = "mixture"
    layout: Layout = "decoder"
    length: int | None = None
    total: int | None = None
    options: Mapping[str, Any] = field(default_factory=dict)
    about: Any = None

    def over(self, total: int) -> Mixture:
        """The mixture in a run of `total` samples."""
        return replace(self, total=total)

    @property
    def in_shares(self) -> bool:
        """Whether the turns depend on how many samples the run has."""
        return any(isinstance(phase.end, float) for phase in self.phases[:-1])

    @cached_property
    def turns(self) -> Turns:
        return Turns(self.phases, self.total, "/".join(["mixture", *self.members]))

    def member_of(self, n: int) -> str:
        """The name of the member that makes sample n."""
        return list(self.members)[int(self.turns.at(np.array([n], dtype=np.uint64))[0][0])]

    def count_before(self, member: str, n: int) -> int:
        """How many of the samples 0 … n-1 are a member's: the number, among its own, of the sample it makes next."""
        return self.turns.count_before(list(self.members).index(self.find(member).name), n)

    def find(self, name: str) -> Member:
        """A member by name; `ValueError` with the nearest name when there is none."""
        if name not in self.members:
            raise ValueError(f"{self.name} has no member {name!r}: {nearest(name, self.members)}")
        return self.members[name]

    def member(self, name: str, vocab: Vocab | None = None) -> Objective:
        """A member's objective as the mixture runs it."""
        mode = self.find(name).mode_in(vocab)
        if (name, mode) not in self._ready:
            self._ready[name, mode] = self.find(name).ready(self.layout, vocab)
        return self._ready[name, mode]

    @cached_property
    def _ready(self) -> dict[tuple[str, str | None], Objective]:
        return {}

    @property
    def shares(self) -> dict[str, float]:
        """Each member's share of the samples: of the whole run, or of the last phase when that one has no end."""
        ends = [phase.end for phase in self.phases]
        spans = [0.0] * (len(ends) - 1) + [1.0]
        if self.in_shares:
            spans = [float(b or 0) - float(a or 0) for a, b in zip([0.0, *ends], ends, strict=False)]
        by_phase = [normal(phase.weights) for phase in self.phases]
        return {name: sum(s * w[i] for s, w in zip(spans, by_phase, strict=True)) for i, name in enumerate(self.members)}

    @property
    def heads(self) -> tuple[Head, ...]:
        """Every question that a member asks."""
        return tuple({head.name: head for member in self.members.values() for head in member.objective.heads}.values())

    @property
    def visibility(self) -> str:
        """The dial's setting, "mixed" when the members differ."""
        return self._common("visibility")

    @property
    def sees_own(self) -> str:
        """What the members declare, "mixed" when they differ."""
        return self._common("sees_own")

    @property
    def places(self) -> Literal["lengths", "noise"]:
        """Whether some member's positions depend on what was drawn."""
        return "noise" if any(member.objective.places == "noise" for member in self.members.values()) else "lengths"

    @property
    def pairs(self) -> Literal["next", "order"] | None:
        """The row plan of which all members are; in training each gets its own."""
        found = {member.objective.pairs for member in self.members.values()}
        return found.pop() if len(found) == 1 else None

    @property
    def needs(self) -> tuple[str, ...]:
        """The columns of rows that some member can't do without."""
        return tuple(dict.fromkeys(column for member in self.members.values() for column in member.objective.needs))

    def _common(self, name: str) -> str:
        found = {str(getattr(member.objective, name)) for member in self.members.values()}
        return found.pop() if len(found) == 1 else "mixed"

    def scored_share(self, length: int) -> float:
        """The scored share of a row of `length` body tokens, over all members."""
        return sum(share * self.members[name].objective.scored_share(length) for name, share in self.shares.items())

    def replace(self, **dials: Any) -> Mixture:
        """The same mixture with a dial turned in every member (`visibility="causal"`, `frame=False`, …), or itself renamed or
        laid out anew (`name`, `layout`, `about`, `options`)."""
        own = {key: dials.pop(key) for key in ("name", "layout", "about", "options") if key in dials}
        members = {n: m.replace(**dials) for n, m in self.members.items()} if dials else self.members
        if "layout" in own:
            fits([m.objective for m in members.values()], own["layout"])
        return replace(self, members=members, **own)

    def __call__(self, rows: Rows, vocab: Vocab, seed: int = 0, epoch: int = 0, provenance: bool = False) -> Samples:
        """Draw and build, members that are alike as one."""
        ones, *sides = self._sides(vocab)
        made = [(at, ones[i].build(own, vocab, decided(ones[i], own, vocab, seed, epoch), provenance))
                for i, at, own in self._apart(rows, len(ones), *sides)]  # fmt: skip
        return together(made, rows.index, self.heads, self.name)

    def _sides(self, vocab: Vocab) -> tuple[list[Objective], Members, Members]:
        """What runs the members, those that are alike as one; which of these runs each member, and the member's number there."""
        key = tuple(vocab.modes)
        if key not in self._known:
            names, members = list(self.members), [member.ready(self.layout, vocab, shared=True) for member in self.members.values()]
            groups = alike(members)
            ones = [Alike.of([members[i] for i in group], self.name) if len(group) > 1 else self.member(names[group[0]], vocab)
                    for group in groups]  # fmt: skip
            _, side, within = np.array(sorted((m, i, k) for i, group in enumerate(groups) for k, m in enumerate(group))).T.copy()
            self._known[key] = ones, side, within
        return self._known[key]

    @cached_property
    def _known(self) -> dict[tuple[str, ...], tuple[list[Objective], Members, Members]]:
        return {}

    def _apart(self, rows: Rows, sides: int, side: Members, within: Members) -> Iterator[tuple[int, At, Taken]]:
        """Each side that has a turn here: its number, which rows are its own, and those rows under their members' own numbers."""
        who, number = self.turns.at(rows.index)
        first, (at, member) = apart(who, side, within, sides)
        for i, (a, b) in enumerate(pairwise(first)):
            if b - a == len(rows):
                yield i, at, take(rows, None, number, member)
                return
            if b > a:
                yield i, at[a:b], take(rows, at[a:b], number[at[a:b]], member[a:b])

    def _parts(self, rows: Rows) -> Iterator[tuple[str, At, Taken]]:
        """Each member that has a turn here: its name, which rows are its own, and those rows under its own numbers."""
        names, each = list(self.members), np.arange(len(self.members))
        for i, at, own in self._apart(rows, len(names), each, each):
            yield names[i], at, own

    def draw(
        self, rows: Rows, vocab: Vocab, seed: int = 0, epoch: int = 0, force: Mapping[str, Mapping[str, Any]] | None = None
    ) -> Decisions:
        """The members' decisions for their rows, by member name; `force` sets some by member and name."""
        force, units = {self.find(name).name: given for name, given in (force or {}).items()}, rows.units
        d = Decisions(np.empty(len(units), dtype=np.uint64))
        for name, at, own in self._parts(rows):
            d.values[name] = made = decided(self.member(name, vocab), own, vocab, seed, epoch, force.get(name)).drawn()
            d.keys[at if rows.packing == "joined" else np.isin(units.row, at)] = made.keys
        return d

    def build(self, rows: Rows, vocab: Vocab, decisions: Decisions, provenance: bool = False) -> Samples:
        """Samples from rows and decisions alone, in the rows' order."""
        made = [(at, self.member(name, vocab).build(own, vocab, decisions[name], provenance)) for name, at, own in self._parts(rows)]
        return together(made, rows.index, self.heads, self.name)

    def rooms(self, length: int, layout: Layout | None = None, vocab: Vocab | None = None) -> dict[str, Room]:
        """Every member's room, its mode token counted."""
        return {name: self.member(name, vocab).room(length, layout, vocab) for name in self.members}

    def room(self, length: int, layout: Layout | None = None, vocab: Vocab | None = None) -> Room:
        """The room of rows that fit whichever member gets them (training fills each member's own: `rooms`)."""
        rooms = list(self.rooms(length, layout, vocab).values())
        return Room(min(r.raw for r in rooms), max(r.source for r in rooms), max(r.answer for r in rooms),
                    exact=rooms[0].exact and all(r == rooms[0] for r in rooms))  # fmt: skip

    def explain(self) -> dict[str, Any]:
        """What the mixture is, in the words of an objective's `explain`, and its members and schedule."""
        about = self.about or self._facts()
        members = {
            name: {
                "objective": m.objective.name, "options": dict(m.objective.options), "share": self.shares[name], "mode": m.mode_in(None),
                "visibility": m.objective.visibility, "layout": m.objective.layout, "scored_share": m.objective.scored_share(512),
            }
            for name, m in self.members.items()
        }  # fmt: skip
        return {
            "name": self.name, "family": about.family, "formula": about.formula, "corruption": about.corruption,
            "visibility": self.visibility, "target": about.target, "scored_share": self.scored_share(512),
            "source": about.source, "url": about.url, "good_for": about.good_for, "known_models": list(about.known_models),
            "layout": self.layout, "options": dict(self.options), "sees_own": self.sees_own, "members": members,
            "schedule": [[phase.end, dict(zip(self.members, phase.weights, strict=True))] for phase in self.phases],
        }  # fmt: skip

    def _facts(self) -> SimpleNamespace:
        """What stands for a recipe's facts when the mixture was made by hand."""
        parts = [f"{share:.0%} {self.members[name].objective.name}" for name, share in self.shares.items()]
        return SimpleNamespace(
            family="mixture", formula=" + ".join(parts), corruption="the member's whose turn it is", source="made by hand",
            target="the member's whose turn it is", url="", good_for="what its members are good for", known_models=(),
        )  # fmt: skip


def decided(
    one: Objective, rows: Rows, vocab: Vocab, seed: int, epoch: int, force: Mapping[str, Any] | None = None
) -> Decisions:
    """A member's decisions for its rows, of which some may wait."""
    made = one.waiting(rows, vocab, seed, epoch, force)
    if made.get("frame") is not None and str(one.head).startswith("mode:"):
        made.values["frame"] = made["frame"] * np.array([0, 1], dtype=np.uint8)  # a mode token is never hidden
    return made


def fits(objectives: list[Objective], layout: Layout) -> None:
    """`ValueError` unless every objective can be run in this layout: any in a decoder, each stack's own elsewhere."""
    for one in objectives:
        if layout != "decoder" and (layout == "encoder-decoder") != (one.layout == "encoder-decoder"):
            raise ValueError(f"{one.name} ({one.layout}) can't be run in the layout {layout!r}: mix it in layout='decoder', which fits all")
