"""T5's span corruption (Raffel et al. 2020, §3.1.4, §3.3.4; released code `random_spans_noise_mask`).

Spans are cut out, each leaving its sentinel; the answer says each span behind its sentinel. With tokens 2, 3 and 8 hidden:

    text     Thank you for inviting me to your party last week
    source   Thank you <extra_id_0> me to your party <extra_id_1> week
    answer   <extra_id_0> for inviting <extra_id_1> last <extra_id_2> </s>

The decoder reads the answer behind a start token. `final_sentinel="auto"` adds a last sentinel iff the text ends kept, as in
the paper's example; the released random masks always end hidden and so never have one. When one span is enough (every text
of at most 30 tokens at the defaults) it is the tail: that is the released law; `roll=True` rotates the mask.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal

import numpy as np

from maskdial.corruption.render import Replace
from maskdial.corruption.select import random_spans, span_counts
from maskdial.corruption.text import Decisions, Spans
from maskdial.objective import Objective
from maskdial.recipes import Dial, recipe
from maskdial.sample import Rows
from maskdial.target.rewritten import HiddenSpans

if TYPE_CHECKING:
    from jaxtyping import Int64


@recipe(
    family="seq2seq",
    formula="15 % hidden in spans of mean 3, a sentinel each × encoder both ways, decoder causal × sentinels and spans",
    corruption="15 % in spans of mean length 3, each one sentinel",
    target="each sentinel and its span, then end of sequence",
    source="Raffel et al. 2020, §3.1.4, §3.3.4",
    url="https://arxiv.org/abs/1910.10683",
    good_for="filling gaps of any length; sequence-to-sequence fine-tuning",
    known_models=("T5", "mT5", "FLAN-T5", "ByT5"),
    modes={
        "t5": (
            {"layout": "complement", "float32": True, "overflow": "vocab"},
            "released code: complement layout, counts rounded in float32, sentinels silently run into the vocabulary",
        )
    },
)
def t5(
    rate: Annotated[float, Dial("share of tokens hidden", 0, 1)] = 0.15,
    mean_length: Annotated[float, Dial("mean length of a span, in tokens", 1)] = 3.0,
    layout: Annotated[Literal["announce", "complement"], Dial("a sentinel before each span, or one for each kept run")] = "announce",
    final_sentinel: Annotated[bool | Literal["auto"], Dial("a last sentinel after the last span; auto: iff the text ends kept")] = "auto",
    roll: Annotated[bool, Dial("rotate the mask by a uniform offset")] = False,
    overflow: Annotated[
        Literal["error", "vocab", "merge_tail"], Dial("more spans than sentinels: an error, ordinary ids, or surplus spans kept as text")
    ] = "error",
    float32: Annotated[bool, Dial("round the counts in float32, as the released code")] = False,
) -> Objective:
    """Span corruption: the hidden spans, each announced by its sentinel."""

    def select(rows: Rows, lengths: Int64[np.ndarray, " u"], d: Decisions) -> Spans:
        return random_spans(lengths, d.keys, rate, mean_length, roll, float32)

    def shape(length: int) -> tuple[int, int]:
        hidden, spans = span_counts(length, rate, mean_length, float32)
        spans += int(roll and spans > 0)
        final = layout == "announce" and (final_sentinel is True or (roll and final_sentinel == "auto"))
        source = length if overflow == "merge_tail" else length - hidden + spans  # surplus spans stay in the source
        return source, hidden + spans + int(final or hidden == 0 or (roll and layout == "complement")) + 1

    return Objective(
        name="t5", steps=(Replace(select, by="sentinel", overflow=overflow),), visibility="prefix",
        target=HiddenSpans(layout, final_sentinel, overflow), layout="encoder-decoder", tail="eos", shape=shape,
        exact=not roll and overflow != "merge_tail",
        scored_share=lambda length: shape(length)[1] / length,
    )  # fmt: skip
