"""Members that run as one: they differ in nothing but names, mode tokens, sights and those settings that a step takes of each.

Of a batch a member gets a few rows, and most of what they cost is the same for many.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from copy import copy
from dataclasses import dataclass, fields, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from maskdial import rng
from maskdial.build import Build
from maskdial.corruption.text import HEAD, Decisions, Ink
from maskdial.mixture.table import Taken
from maskdial.objective import Objective
from maskdial.sample import Column, Rows, Samples
from maskdial.vocab import Vocab

if TYPE_CHECKING:
    from jaxtyping import Int32, Int64

#: what neither drawing nor building asks of an objective
UNASKED = ("shape", "exact", "sees_own", "scored_share", "options", "about", "pairs", "overlap")


def trait(name: str, one: Objective) -> Any:
    """What must be equal of members that run as one."""
    value = getattr(one, name)
    if name == "head":
        return "mode" if str(value).startswith("mode:") else value
    if name == "visibility":
        return value if one.orders_itself else None
    if name == "steps":
        return [setting(step, dict.fromkeys(own(step))) for step in value]
    return value


def own(step: Any) -> Sequence[str]:
    """The settings of a step, or of its selection, of which each member may have its own."""
    return getattr(getattr(step, "select", step), "by_member", ())


def setting(step: Any, settings: dict[str, Any]) -> Any:
    """A step with these settings of its own or of its selection."""
    if settings and hasattr(step, "select"):
        return replace(step, select=replace(step.select, **settings))
    return replace(step, **settings) if settings else step


def alike(objectives: Iterable[Objective]) -> list[list[int]]:
    """The numbers of the objectives that can run as one, together; one that rewrites its rows (`prepare`) runs alone."""
    found: list[tuple[list[Any], list[int]]] = []
    for i, one in enumerate(objectives):
        traits = [trait(f.name, one) for f in fields(Objective) if f.name not in ("name", *UNASKED)]
        group = next((group for known, group in found if known == traits and one.prepare is None), None)
        if group is None:
            found.append((traits, [i]))
        else:
            group.append(i)
    return [group for _, group in found]


@dataclass(frozen=True)
class Alike(Objective):
    """`members` as one. The decision "member" is each unit's number among them."""

    members: tuple[Objective, ...] = ()

    @staticmethod
    def of(members: Sequence[Objective], name: str) -> Alike:
        """The members of one group."""
        shared: dict[str, Any] = {f.name: getattr(members[0], f.name) for f in fields(Objective)}
        steps = [setting(same[0], {key: np.array([getattr(getattr(step, "select", step), key) for step in same]) for key in own(same[0])})
                 for same in zip(*(one.steps for one in members), strict=True)]  # fmt: skip
        return Alike(**shared | {"name": name, "steps": tuple(steps)}, members=tuple(members))

    def begin(self, rows: Rows, seed: int, epoch: int) -> Decisions:
        """Keys by the members' names."""
        assert isinstance(rows, Taken)
        units, index, member, number = rows.units, rows.index, rows.member, None
        if rows.packing == "isolated":
            index, member, number = index[units.row], member[units.row], units.number
        return Decisions(rng.keys(seed, self.names, epoch, index, number, member), {"member": member})

    @cached_property
    def names(self) -> tuple[str, ...]:
        """The members' names, which key their noise."""
        return tuple(one.name for one in self.members)

    @cached_property
    def modes(self) -> tuple[str, ...]:
        """The members' modes, where they have some."""
        return tuple(str(one.head).partition(":")[2] for one in self.members)

    def build(self, rows: Rows, vocab: Vocab, decisions: Decisions, provenance: bool = False) -> Samples:
        """Samples from rows and decisions alone."""
        return BuildAlike(self, rows, vocab, decisions, provenance).samples()


class BuildAlike(Build):
    """What members that run as one do not share: the mode token and the order."""

    o: Alike

    def special(self, slot: int, role: str | None, ink: Ink) -> Column:
        """The token of a role, one a unit."""
        if slot != HEAD or ink.numbers or not str(role).startswith("mode:"):
            return super().special(slot, role, ink)
        ids = [self.vocab.modes.get(mode) for mode in self.o.modes]
        if None in ids:  # which is refused
            return super().special(slot, f"mode:{self.o.modes[ids.index(None)]}", ink)
        return np.array(ids, dtype=np.int32)[self.d["member"]]

    def order(self, split: Int64[np.ndarray, " u"]) -> Int32[np.ndarray, " m"]:
        """Each unit's as its member's."""
        as_member, made = copy(self), []
        for member in self.o.members:
            as_member.o = member  # type: ignore[assignment]
            made.append(Build.order(as_member, split))
        return np.stack(made)[np.repeat(self.d["member"], self.total), np.arange(self.out[-1])]
