"""Conditional masked LM (Ghazvininejad et al. 2019, *Mask-Predict*, §3.2): an answer that fills its own blanks, both ways.

The source is the first part of the text, the answer the rest. Of the rest's N tokens 1 … N-1, each number as likely, read
[MASK] and are asked where they stand; the others are read as they are. Source and answer are read both ways, so that many
blanks can be filled at once. With the text split at 4 and tokens 5 and 7 hidden:

    text     transformer models learn patterns from large text corpora
    source   transformer models learn patterns
    reads    from [MASK] text [MASK]
    says     ·    large  ·    corpora

In translation the source is a sentence and the answer its translation; a single text is parted by a split, uniform in
1 … L-1. To generate, all of the answer starts as [MASK] and the least certain tokens are masked anew T times; how long
it is to be must be told: the paper's length predictor is left out.
"""

from __future__ import annotations

from typing import Annotated, Literal

from maskdial.corruption.prefix import HideRest, Prefix
from maskdial.objective import Objective
from maskdial.recipes import Dial, recipe
from maskdial.target.rest import HiddenRest


@recipe(
    family="seq2seq",
    formula="some of the rest hidden, all [MASK] × source and answer both ways, source first × the hidden tokens",
    corruption="a uniform number of the answer's tokens, all [MASK]; the source is the text before it",
    target="the hidden tokens, in place",
    source="Ghazvininejad et al. 2019, §3.2",
    url="https://arxiv.org/abs/1904.09324",
    good_for="generating in a few parallel steps",
    known_models=("Mask-Predict",),
)
def cmlm(
    split: Annotated[
        Literal["uniform"] | float, Dial("where the answer begins: uniform in 1 … L-1, or a share of L", 0, 1)
    ] = "uniform",
) -> Objective:
    """Conditional masked language modelling: the blanks of an answer, given its source."""
    return Objective(
        name="cmlm", steps=(Prefix(None if split == "uniform" else float(split)), HideRest()), visibility="source-first",
        target=HiddenRest(), layout="encoder-decoder", tail="eos", exact=False,
        shape=lambda length: (max(length - 1, 0), max(length - 1, 1)),
        scored_share=lambda length: 0.25 if split == "uniform" else (1 - float(split)) / 2,
    )  # fmt: skip
