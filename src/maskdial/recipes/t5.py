"""T5's span corruption (Raffel et al. 2020, §3.1.4, §3.3.4; released code `random_spans_noise_mask`).

Spans are cut out, each leaving its sentinel; the answer says each span behind its sentinel. With tokens 2, 3 and 8 hidden:

    text     Thank you for inviting me to your party last week
    source   Thank you <extra_id_0> me to your party <extra_id_1> week
    answer   <extra_id_0> for inviting <extra_id_1> last <extra_id_2> </s>

The decoder reads the answer behind a start token. `final_sentinel="auto"` adds a last sentinel iff the text ends kept, as in
the paper's example; the released random masks always end hidden and so never have one. When one span is enough (every text
of at most 30 tokens at the defaults) it is the tail: that is the released law; `roll=True` rotates the mask.

mT5 (Xue et al. 2021, §3.1) trains on the same objective over a larger vocabulary that also ends in 100 sentinels, T5 1.1 on it
alone; ByT5 (Xue et al. 2022, §3.1) on bytes with spans of mean length 20. Which languages a row is drawn from is the data's.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Annotated, Literal

import numpy as np

from maskdial.corruption.render import Replace
from maskdial.corruption.spans import RandomSpans, span_counts
from maskdial.objective import Objective, Room
from maskdial.recipes import Dial, recipe
from maskdial.sample import Layout
from maskdial.target.rewritten import HiddenSpans
from maskdial.vocab import Vocab

#: what every released model of this family has in common
RELEASED = {"layout": "complement", "float32": True, "overflow": "vocab"}


@dataclass(frozen=True)
class HalfHidden(Objective):
    """Span corruption of exactly one half, whose answer must not outgrow its source."""

    def room(self, length: int, layout: Layout | None = None, vocab: Vocab | None = None) -> Room:
        """As of any objective, but a token less where half of the text rounds up (released `random_spans_helper`)."""
        room = super().room(length, layout, vocab)
        if (layout or self.layout) != "encoder-decoder" or np.rint(room.raw / 2) <= room.raw / 2:
            return room
        (source, answer), (less, fewer) = self.shape(room.raw), self.shape(room.raw - 1)
        return replace(room, raw=room.raw - 1, source=room.source - source + less, answer=room.answer - answer + fewer)


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
        "t5": (RELEASED, "released code: complement layout, counts rounded in float32, sentinels silently run into the vocabulary"),
        "mt5": (RELEASED, "released mT5 and T5 1.1: as t5; what differs is the vocabulary and the text"),
        "byt5": (RELEASED | {"mean_length": 20.0}, "released ByT5: as t5, over bytes, spans of mean length 20"),
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

    def shape(length: int) -> tuple[int, int]:
        hidden, spans = span_counts(length, rate, mean_length, float32)
        spans += int(roll and spans > 0)
        final = layout == "announce" and (final_sentinel is True or (roll and final_sentinel == "auto"))
        source = length if overflow == "merge_tail" else length - hidden + spans  # surplus spans stay in the source
        return source, hidden + spans + int(final or hidden == 0 or (roll and layout == "complement")) + 1

    return (HalfHidden if rate == 0.5 else Objective)(
        name="t5", steps=(Replace(RandomSpans(rate, mean_length, roll, float32), by="sentinel", overflow=overflow),), visibility="prefix",
        target=HiddenSpans(layout, final_sentinel, overflow), layout="encoder-decoder", tail="eos", shape=shape,
        exact=not roll and overflow != "merge_tail",
        scored_share=lambda length: shape(length)[1] / length,
    )  # fmt: skip
