"""ELECTRA's replaced-token detection (Clark et al. 2020, §2): a generator fills blanks, a discriminator judges every token.

The samples are the generator's view: 15 % of the tokens are chosen, of these 85 % read [MASK] and 15 % stay (nothing is random);
the generator is asked for all of them. What it draws there makes the second view (`maskdial.target.discriminated`), in which
every token, the frame's too, is judged: 1 where it differs from the original, 0 elsewhere, also where the generator guessed right.

    text      the     chef  cooked  the  meal
    read      [MASK]  chef  [MASK]  the  meal
    target    the     ·     cooked  ·    ·
    drawn     the     chef  ate     the  meal
    replaced  0       0     1       0    0

Until the generator has drawn, `target:replaced` is 0 everywhere: it says where the head asks. No gradient passes through what is
drawn: the two losses, the second with weight 50, are summed.

k = max(1, round(L · 0.15)) of L tokens with the frame, at most floor((0.15 + 0.005) · `length`) when the model's length is given.
They are drawn without replacement; the released code draws with replacement, so that of 19 draws from 125 tokens 17.69 are distinct,
and one drawn twice counts twice. The released data also hold pairs and short texts; here a row is one text.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import numpy as np

from maskdial.corruption.drawing import EditDrawn, drawn
from maskdial.corruption.render import Edit, scatter
from maskdial.corruption.select import exact
from maskdial.corruption.text import LOOSE, Decisions
from maskdial.objective import Objective
from maskdial.recipes import Dial, recipe
from maskdial.sample import Column, Head, Rows
from maskdial.target.in_place import InPlace

if TYPE_CHECKING:
    from maskdial.corruption.select import Hidden, Offsets


@recipe(
    family="encoder",
    formula="15 % hidden and filled by a generator × bidirectional × every token: replaced or not",
    corruption="15 % of tokens: 85 % [MASK], 15 % unchanged; a generator's draws in their place",
    target="the chosen tokens for the generator; every token, replaced or not, for the discriminator",
    source="Clark et al. 2020, §2",
    url="https://arxiv.org/abs/2003.10555",
    good_for="representations of a whole text for little compute",
    known_models=("ELECTRA", "DeBERTa-v3"),
    modes={
        "google-electra": (
            {"replacement": True, "length": 512},
            "draws with replacement: a token drawn twice counts twice; at most 79 draws, as for rows of 512 (released ELECTRA)",
        )
    },
)
def electra(
    rate: Annotated[float, Dial("share of tokens chosen", 0, 1)] = 0.15,
    mask: Annotated[float, Dial("share of chosen tokens that the generator reads as [MASK]", 0, 1)] = 0.85,
    replacement: Annotated[bool, Dial("draw with replacement, as released")] = False,
    length: Annotated[int | None, Dial("the model's length in tokens, which bounds the count; none: no bound", 1)] = None,
    coefficient: Annotated[float, Dial("weight of the discriminator's loss", 0)] = 50.0,
) -> Objective:
    """Which tokens are not the original ones."""
    most = None if length is None else int((rate + 0.005) * length)

    def select(rows: Rows, offsets: Offsets, d: Decisions) -> Hidden:
        counts = np.rint((np.diff(offsets) + 2) * rate).astype(np.int64)
        counts = np.maximum(int(rate > 0), counts if most is None else np.minimum(counts, most))
        return drawn(offsets, d.keys, counts) if replacement else exact(offsets, d.keys, counts)

    def weight(b: Any) -> Column:
        made = np.zeros(b.out[-1], dtype=np.float32)
        times = np.where(b.d["hidden"] > 0, np.maximum(b.d["times"], 1), 0).astype(np.float32)
        scatter(times, b.units.offsets, made, b.begin + b.front)
        return made

    def columns(b: Any) -> dict[str, Any]:
        made: dict[str, Any] = {"target:replaced": lambda: np.zeros(b.out[-1], dtype=np.int32)}
        return made | {"weight:token": lambda: weight(b)} if replacement else made

    def answers(b: Any) -> dict[str, Column]:
        body = np.repeat(b.body, b.total)  # a number that no position reads
        return {"answer:replaced": (body + LOOSE + 4 * (2 * body + np.arange(b.out[-1]))).astype(np.int32)}

    return Objective(
        name="electra", steps=(EditDrawn(select, mask) if replacement else Edit(select, mask),), visibility="bidirectional",
        target=InPlace(), layout="encoder", head="cls", tail="sep", shape=lambda length: (length, 0),
        sees_own="kept",
        heads=(Head(divisor="weights"), Head("replaced", kind="binary", coefficient=coefficient, form="drawn")),
        columns=columns, answers=answers,
    )  # fmt: skip
