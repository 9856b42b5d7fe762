"""T5's independent masks (Raffel et al. 2020, §3.1.4, §3.3.1-3.3.2, table 3): a coin a token, three ways of asking.

`style="sentinels"` (released as `iid_15_u_u`, the paper's baseline): neighbouring hidden tokens share a sentinel. With tokens
2, 3 and 8 hidden:

    text     Thank you for inviting me to your party last week
    source   Thank you <extra_id_0> me to your party <extra_id_1> week
    answer   <extra_id_0> for inviting <extra_id_1> last <extra_id_2> </s>

`style="bert"` (`iid_15_r10s90_f`): of the hidden tokens 90 % read [MASK] and 10 % a random token, none stays; the answer is
the whole text. `style="mass"` (`iid_15_m_f`): every hidden token reads [MASK]; the answer is the whole text.

    mass     Thank you [MASK] [MASK] me to your party [MASK] week
    whole    Thank you for inviting me to your party last week </s>

The release's one mask id is its last id: a vocabulary of T5's says so with `Vocab(mask=…)`. A text of L tokens has
r + (L - 1) r (1 - r) spans on average: 65 of 511 tokens at 15 %, but over 100 in every fourth text at 25 %.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal

import numpy as np

from maskdial.corruption.render import Edit, Replace
from maskdial.corruption.select import independent, spans_of
from maskdial.corruption.text import Decisions, Spans
from maskdial.objective import Objective
from maskdial.recipes import Dial, recipe
from maskdial.sample import Rows
from maskdial.target.rewritten import HiddenSpans, WholeText

if TYPE_CHECKING:
    from jaxtyping import Int64, UInt8

    from maskdial.corruption.select import Offsets


@recipe(
    family="seq2seq",
    formula="15 % hidden by coins, a sentinel a run × encoder both ways, decoder causal × sentinels and runs",
    corruption="15 % of tokens by independent coins, neighbours sharing a sentinel",
    target="each sentinel and its tokens, then end of sequence (or the whole text)",
    source="Raffel et al. 2020, §3.1.4, §3.3.1-3.3.2, table 3",
    url="https://arxiv.org/abs/1910.10683",
    good_for="the baseline that span corruption is measured against",
    known_models=("T5's baseline",),
    modes={
        "t5": (
            {"layout": "complement", "overflow": "vocab"},
            "released code: complement layout, sentinels silently run into the vocabulary",
        )
    },
)
def t5_iid(
    rate: Annotated[float, Dial("share of tokens hidden", 0, 1)] = 0.15,
    style: Annotated[
        Literal["sentinels", "bert", "mass"], Dial("runs behind sentinels, or [MASK] (bert: a tenth random) and the whole text")
    ] = "sentinels",
    layout: Annotated[Literal["announce", "complement"], Dial("a sentinel before each run, or one for each kept run")] = "announce",
    final_sentinel: Annotated[bool | Literal["auto"], Dial("a last sentinel after the last run; auto: iff the text ends kept")] = "auto",
    overflow: Annotated[
        Literal["error", "vocab", "merge_tail"], Dial("more runs than sentinels: an error, ordinary ids, or surplus runs kept as text")
    ] = "error",
) -> Objective:
    """Independent masks: the hidden tokens, or the whole text."""

    def flags(rows: Rows, offsets: Offsets, d: Decisions) -> UInt8[np.ndarray, " n"]:
        return independent(offsets, d.keys, rate)

    def runs(rows: Rows, lengths: Int64[np.ndarray, " u"], d: Decisions) -> Spans:
        offsets = rows.units.offsets
        return spans_of(independent(offsets, d.keys, rate), offsets)

    if style != "sentinels":
        return Objective(
            name="t5-iid", steps=(Edit(flags, mask=0.9 if style == "bert" else 1.0, random=0.1 if style == "bert" else 0.0),),
            visibility="prefix", target=WholeText(opens=None), layout="encoder-decoder", tail="eos",
            shape=lambda length: (length, length + 1), sees_own="copied",
        )  # fmt: skip
    always = int(layout == "announce" and final_sentinel is True)
    return Objective(
        name="t5-iid", steps=(Replace(runs, by="sentinel", overflow=overflow),), visibility="prefix",
        target=HiddenSpans(layout, final_sentinel, overflow), layout="encoder-decoder", tail="eos", exact=False,
        # a text hidden from end to end: a sentinel, the text, the end; kept tokens only make room for their sentinels
        shape=lambda length: (length, length + 2 + always),
        scored_share=lambda length: rate + rate * (1 - rate) + 1 / length,
    )  # fmt: skip
