"""T5's dropped tokens (Raffel et al. 2020, §3.3.1-3.3.2, table 3; released as `iid_15_d_d`): removed without a trace.

A coin a token removes 15 %; the answer says the removed tokens in their order. With tokens 2, 3 and 8 removed:

    text     Thank you for inviting me to your party last week
    source   Thank you me to your party week
    answer   for inviting last </s>

Source and answer together hold every token, but not where it stood: the model must find out where something is missing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import numpy as np

from maskdial.corruption.render import REMOVED, Edit
from maskdial.corruption.select import independent
from maskdial.corruption.text import Decisions
from maskdial.objective import Objective
from maskdial.recipes import Dial, recipe
from maskdial.sample import Rows
from maskdial.target.hidden_tokens import HiddenTokens

if TYPE_CHECKING:
    from jaxtyping import UInt8

    from maskdial.corruption.select import Offsets


@recipe(
    family="seq2seq",
    formula="15 % removed × encoder both ways, decoder causal × the removed tokens",
    corruption="15 % of tokens by independent coins, removed without a trace",
    target="the removed tokens in their order, then end of sequence",
    source="Raffel et al. 2020, §3.3.1-3.3.2, table 3",
    url="https://arxiv.org/abs/1910.10683",
    good_for="short targets and sources: the cheapest of T5's variants",
    known_models=("T5's ablations",),
)
def t5_drop(rate: Annotated[float, Dial("share of tokens removed", 0, 1)] = 0.15) -> Objective:
    """Dropped tokens: what is missing, not where."""

    def select(rows: Rows, offsets: Offsets, d: Decisions) -> UInt8[np.ndarray, " n"]:
        return independent(offsets, d.keys, rate) * np.uint8(REMOVED)

    return Objective(
        name="t5-drop", steps=(Edit(select, removes=True),), visibility="prefix", target=HiddenTokens(), layout="encoder-decoder",
        tail="eos", shape=lambda length: (length, length + 1), exact=False,
        scored_share=lambda length: rate + 1 / length,
    )  # fmt: skip
