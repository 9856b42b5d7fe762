"""XLNet's permutation language model (Yang et al. 2019, *XLNet: Generalized Autoregressive Pretraining*, §2.2-2.3).

Tokens and positions stay; a sixth of the tokens is predicted, one after another in a random order, each from all tokens that
are not predicted and those that were predicted before it. The position that asks must not read its answer, so a token is there
twice: where it is read (content), and in a query slot of its own that reads [MASK] at the token's position and that nobody else
looks at. With tokens 1, 3 and 4 predicted in the order 1, 4, 3:

    text      x0 x1 x2 x3 x4 x5
    read      x0 x1 x2 x3 x4 x5 [MASK] [MASK] [MASK]
    position  0  1  2  3  4  5  1      3      4
    order     0  2  0  6  4  0  1      5      3
    target    ·  ·  ·  ·  ·  ·  x1     x3     x4

Exactly round(L / 6) tokens are predicted, 85 of 512, in runs of 1 to 5 tokens. One permutation ranks those of a row (the release
ranks each half of 512 on its own, with memory of earlier rows, reversed copies and a pair of parts that are read but never asked
about; these are left out).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated

import numpy as np

from maskdial.corruption.marked import Mark
from maskdial.corruption.sixths import Ranks, sixths
from maskdial.corruption.text import Decisions
from maskdial.objective import Objective
from maskdial.recipes import Dial, recipe
from maskdial.sample import Column, Rows
from maskdial.target.slots import QuerySlots
from maskdial.visibility.streams import lazily, two_streams

if TYPE_CHECKING:
    from jaxtyping import UInt8

    from maskdial.build import Build
    from maskdial.corruption.select import Offsets


@recipe(
    family="encoder",
    formula="nothing hidden × a random order, two streams × a sixth of the tokens, in that order",
    corruption="nothing; a sixth of the tokens is chosen, in runs of 1 to 5",
    target="the chosen tokens, one after another in a random order",
    source="Yang et al. 2019, §2.2-2.3",
    url="https://arxiv.org/abs/1906.08237",
    good_for="representations of a whole text without [MASK] in what is read",
    known_models=("XLNet",),
)
def xlnet(k: Annotated[int, Dial("one token in k is predicted", 1, 100)] = 6) -> Objective:
    """Permutation language modelling with two streams."""

    def select(rows: Rows, offsets: Offsets, d: Decisions) -> UInt8[np.ndarray, " n"]:
        return sixths(offsets, d.keys, rows.word, k)

    def columns(build: Build) -> dict[str, Column | Callable[[], Column]]:
        d = build.d
        return lazily(["position", "order", "private"],
                      lambda: two_streams(build.units.offsets, d["hidden"], d["ranks"], build.out, build.middle))  # fmt: skip

    return Objective(
        name="xlnet", steps=(Mark(select), Ranks()), visibility="two-stream", target=QuerySlots(), layout="encoder",
        shape=lambda length: (length + round(length / k), 0), columns=columns, places="noise", streams=False,
        scored_share=lambda length: round(length / k) / length,
    )  # fmt: skip
