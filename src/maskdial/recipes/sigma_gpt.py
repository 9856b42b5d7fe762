"""Sigma-GPT: a causal model over shuffled text (Pannatier et al. 2024, *σ-GPTs: A New Approach to Autoregressive Models*, §2).

The tokens of a row are read in a random order. Each comes with two positions: its own place in the text, and the place of the
token that must be said next, so that the model knows what it is asked for. Read in the order 2, 0, 4, 1, 3:

    text        a b c d e
    read        c a e b d
    position    2 0 4 1 3
    position 2  0 4 1 3 3
    target      a e b d ·

What is looked at is compared by its own place twice: with the place of the token that looks (`position`), and with the place that is
asked for (`position2` against `position2_key`), so that a neighbour of what is asked is found in one step.

Given any part of a text, such a model says any other part. The last token has nothing to announce and repeats its own place.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np

from maskdial.corruption.permute import ShuffleTokens
from maskdial.objective import Objective
from maskdial.recipes import recipe
from maskdial.sample import Column
from maskdial.target.next_read import NextRead

if TYPE_CHECKING:
    from maskdial.build import Build


def columns(build: Build) -> dict[str, Column | Callable[[], Column]]:
    """Where the token that is read stands in the text, and the one that is said."""
    place = build.d["permutation"]

    def following() -> Column:
        made = np.append(place[1:], place[-1:])
        last = build.end[build.total > 0] - 1
        made[last] = place[last]
        return made

    return {"position": place, "position2": following, "position2_key": place}


@recipe(
    family="decoder",
    formula="tokens shuffled × causal over the shuffled text × the next token, whose place is given",
    corruption="all tokens in a random order",
    target="the next token of that order, everywhere",
    source="Pannatier et al. 2024, §2",
    url="https://arxiv.org/abs/2404.09562",
    good_for="saying any part of a text from any other; infilling; sampling in bursts",
    known_models=("σ-GPT",),
)
def sigma_gpt() -> Objective:
    """Autoregression in a random order with a double position."""
    return Objective(
        name="sigma-gpt", steps=(ShuffleTokens(),), visibility="causal", target=NextRead(), layout="decoder",
        shape=lambda length: (length, 0), columns=columns, places="noise",
        scored_share=lambda length: (length - 1) / length,
    )  # fmt: skip
