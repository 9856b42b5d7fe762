"""A recipe's own samples as rows, with what only their provenance tells: leaks, and whether the text can be had back."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, cast

import numpy as np

from maskdial.audit.outside import NEARLY
from maskdial.audit.row import Form, Row
from maskdial.mixture import Mixture
from maskdial.objective import Objective, declared
from maskdial.sample import SILENT, Sample, Samples

if TYPE_CHECKING:
    from jaxtyping import Int64


#: positions times positions that are looked at, in all rows together
PAIRS = 2**28


def rows_of(samples: Samples, objective: Objective | Mixture | None, bodies: Sequence[Int64[np.ndarray, " n"]] | None = None) -> list[Row]:
    """Rows of a table of samples. `bodies` are the rows' own tokens, by which it is seen whether any got lost.

    Of several heads that say tokens the first is meant; an encoder–decoder's source asks nothing. Who sees whom follows from the
    order, by which each position sees itself and no other document: only leaks are counted.
    """
    form = form_of(samples)
    known = samples.has("origin") and samples.has("answer")
    near = int((np.diff(samples.offsets) ** 2).sum()) <= PAIRS
    declares = known and near and objective is not None and objective.sees_own != "mixed"
    allowed = declared(cast(Objective, objective), samples) if declares else None
    made = []
    for number, one in enumerate(samples):
        made.append(_row(one, number, form))
        if bodies is not None:
            made[-1].body = bodies[number]
        if allowed is not None:  # the declaration is one of a whole table: its first row carries the number
            made[-1].leaks = (one.leaks, allowed if number == 0 else 0)
        if known and bodies is not None and not getattr(objective, "prepare", None):
            made[-1].lost = lost(one, bodies[number])
    return made


def form_of(samples: Samples) -> Form:
    """What the table's targets ask for."""
    if samples.layout == "encoder-decoder":
        return "answer"
    target, read = samples.target, samples.read
    asked = target != SILENT
    if not asked.any():
        return "next"
    ahead = int((asked[:-1] & (target[:-1] == read[1:])).sum())
    last = int(asked[samples.offsets[1:][np.diff(samples.offsets) > 0] - 1].sum())
    copied = int((asked & (target == read)).sum())
    causal = ahead >= NEARLY * max(1, int(asked.sum()) - last) and ahead > copied
    if causal:
        return "next"
    own = all(len({*zip(one.segment.tolist(), one.position.tolist(), strict=True)}) == len(one) for one in samples)
    return "in place" if own else "elsewhere"  # a slot that asks for another position's text shares that position


def _row(one: Sample, number: int, form: Form) -> Row:
    source = one.stream == 0 if form == "answer" else np.ones(len(one), dtype=bool)
    asks = ~source if form == "answer" else source
    return Row(
        number, one.read[source].astype(np.int64), one.segment[source] >= 0, one.target[asks].astype(np.int64), form,
        answer=one.read[asks].astype(np.int64) if form == "answer" else None,
        position=one.position[source].astype(np.int64),
        segment=one.segment[source].astype(np.int64), kind=one.kind[source] if one.table.has("kind") else None,
    )  # fmt: skip


def lost(one: Sample, body: Int64[np.ndarray, " n"]) -> int:
    """Tokens of the text that are neither read nor asked, or come back as others."""
    found = np.full(len(body), SILENT)
    shown = (one.origin >= 0) & (one.origin < len(body))
    found[one.origin[shown]] = one.read[shown]
    for head in one.heads:
        if head.kind != "token" or not one.table.has("answer"):
            continue
        answer = one.column("answer" if head is one.heads[0] else f"answer:{head.name}")
        target = one.column(f"target:{head.name}")
        said = (answer >= 0) & (answer < len(body)) & (target != SILENT)
        found[answer[said]] = target[said]
    return int((found != body).sum())
