"""`md.mixture`: objectives, weights, mode tokens and a schedule to a `Mixture`; and back from a run's config."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any, Literal, Protocol

import numpy as np

from maskdial.mixture.objective import Member, Mixture, fits
from maskdial.mixture.schedule import Phase, normal, read_schedule, read_weights
from maskdial.objective import Objective
from maskdial.sample import Head, Layout

Given = Objective | tuple[Objective, float] | tuple[Objective, float, str | None]


class Costed(Protocol):
    """What counts the FLOPs of a batch, given how many positions each head is asked at (`maskdial.model.Model`)."""

    def flops(self, batch: Mapping[str, Any], scored: Mapping[str, int] | None = None) -> float: ...


def mixture(
    members: Mapping[str, Given],
    mode_tokens: bool = True,
    schedule: Sequence[tuple[Any, ...]] | None = None,
    by: Literal["sample", "token", "flop"] = "sample",
    *,
    length: int | None = None,
    model: Costed | None = None,
    layout: Layout | None = None,
    name: str = "mixture",
    as_one: Mapping[str, Objective] | None = None,
) -> Mixture:
    """Weighted objectives as one, e.g. `mixture({"r": (t5, .5), "s": (prefix_lm, .5)})`.

    members: name → `(objective, weight)`, `(objective, weight, mode)` or the objective alone (weight 1). The name keys the
    member's noise. With `mode_tokens` a member's mode token (`vocab.modes`) stands in front of what it reads, room kept for
    it: the one named by `mode`, which the vocabulary must have, else the name in capitals where the vocabulary has it. In a
    member framed by a begin or [CLS] token it takes that token's place.

    schedule: `[(0.5, {"a": 1}), (1.0, {"b": 1})]`, weights until each share of the run; `(end, {…}, {…})` is a linear ramp;
    whole numbers are samples, and the last phase then goes on for ever.

    by: what weights count. "token" (body tokens) and "flop" weights are converted to samples for rows of `length` positions;
    "flop" uses `model.flops`, or without a model the positions read.

    layout: default the members' own, or "decoder" where they differ. `ValueError` for what can't be mixed.

    as_one: by name, objectives that make the same samples as a member, but by steps that they share: these run as one, which is
    faster. Members whose steps are equal, or differ in the spans' rate and length, do so anyway.
    """
    read = {key: _member(key, given, mode_tokens) for key, given in members.items()}
    for key, shared in (as_one or {}).items():
        read[key] = replace(read[key][0], as_one=shared), read[key][1]
    if not read:
        raise ValueError("a mixture needs at least one member")
    made, weights = {key: member for key, (member, _) in read.items()}, {key: weight for key, (_, weight) in read.items()}
    objectives = [member.objective for member in made.values()]
    _same_questions(objectives)
    if layout is None:
        layout = objectives[0].layout if len({o.layout for o in objectives}) == 1 else "decoder"
    fits(objectives, layout)
    names = list(made)
    phases = (Phase(None, read_weights(weights, names)),) if schedule is None else read_schedule(schedule, names)
    if schedule is None and not all(phases[0].weights):
        raise ValueError(f"member {names[phases[0].weights.index(0)]!r} has weight 0 and no schedule: it would never have a turn")
    costs = _costs(made, by, length, model, layout)
    phases = tuple(replace(p, weights=normal([w / c for w, c in zip(p.weights, costs, strict=True)])) for p in phases)
    one = Mixture(made, phases, name, layout, None if by == "sample" else length)
    return replace(one, options=describe(one))


def _member(name: str, given: Given, mode_tokens: bool) -> tuple[Member, float]:
    objective, weight, mode = (*given, None)[:3] if isinstance(given, tuple) else (given, 1.0, None)
    if not isinstance(objective, Objective):
        raise ValueError(f"member {name!r} must be an objective (with a weight), not {type(objective).__name__}")
    if not mode_tokens:
        return Member(name, objective), weight
    return Member(name, objective, mode or name.upper(), mode is not None), weight


def _same_questions(objectives: Sequence[Objective]) -> None:
    """Heads are normalised over all members together, so a head of one name must be one question."""
    asked: dict[str, tuple[Head, str]] = {}
    for one in objectives:
        for head in one.heads:
            first, name = asked.setdefault(head.name, (head, one.name))
            if first != head:
                raise ValueError(f"{name} and {one.name} can't be mixed: they ask the head {head.name!r} differently ({first}; {head})")
    if len({one.heads[0].name for one in objectives}) > 1:
        raise ValueError("the first heads of a mixture's members must be the same")


def _costs(members: Mapping[str, Member], by: str, length: int | None, model: Costed | None, layout: Layout) -> list[float]:
    """What one sample of each member costs in the unit that weights count."""
    if by not in ("sample", "token", "flop"):
        raise ValueError(f"weights count by 'sample', 'token' or 'flop', not {by!r}")
    if by == "sample":
        return [1.0] * len(members)
    if length is None:
        raise ValueError(f"weights by {by} depend on how long rows are: say length=…, the positions of a row")
    made = []
    for member in members.values():
        one = member.ready(layout)
        room = one.room(length)
        if by == "token":
            made.append(float(room.raw))
        elif model is None:
            made.append(float(room.source + room.answer))
        else:
            sizes = {"read": room.source + room.answer, "source_read": room.source, "answer_read": room.answer}
            batch = {name: np.broadcast_to(np.int32(0), (1, size)) for name, size in sizes.items()}
            made.append(model.flops(batch, {one.heads[0].name: round(one.scored_share(room.raw) * room.raw)}))
    return made


def describe(one: Mixture) -> dict[str, Any]:
    """The mixture in plain values, enough to make it again when its members are recipes. The members' order decides the turns, so
    they are a list: the keys of a stored mapping are sorted."""
    members = [
        {"name": m.name, "recipe": m.objective.name, "options": dict(m.objective.options), "visibility": m.objective.visibility,
         "mode": m.mode, "named": m.named}
        for m in one.members.values()
    ]  # fmt: skip
    value = {"members": members, "phases": [[p.end, list(p.weights)] for p in one.phases], "layout": one.layout, "length": one.length}
    plain: dict[str, Any] = json.loads(json.dumps(value, default=str))
    return plain


def restore(name: str, described: Mapping[str, Any], find: Callable[..., Objective]) -> Mixture:
    """The mixture that was described; `find(recipe, **options)` makes its members."""
    members = {}
    for m in described["members"]:
        objective = find(m["recipe"], **m["options"]).replace(visibility=m["visibility"])
        members[m["name"]] = Member(m["name"], objective, m["mode"], m["named"])
    phases = tuple(Phase(end, tuple(weights)) for end, weights in described["phases"])
    return Mixture(members, phases, name, described["layout"], described["length"], options=described)
