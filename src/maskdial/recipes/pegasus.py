"""PEGASUS's gap sentences (Zhang et al. 2020, §3.1): the sentences that tell a text best are cut out and must be written.

A sentence's importance is the F1 of the tokens that it shares with the rest of its text (ROUGE-1). The most important 30 % of
the sentences, at least one, each leave one [MASK]; the answer is these sentences, in the text's order. The middle sentence
of this text shares 4 of its 4 tokens with the 8 others, F1 0.67; the first has 0.50, the last 0.33:

    text     the cat sat . the cat ran . a dog ran .
    source   the cat sat . [MASK] a dog ran .
    answer   the cat ran . </s>

ROUGE is taken over token ids as they are: no stemming, no stop words. `strategy="random"` and `"lead"` are the paper's other
two choices (§3.1); `score` its four ways to count: each sentence on its own ("ind") or greedily one after another ("seq"),
repeated tokens counted as often ("orig") or once ("uniq"). A text of one sentence is hidden whole.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal

import numpy as np

from maskdial.corruption.gap_sentences import gap_sentences
from maskdial.corruption.render import Replace
from maskdial.corruption.text import Decisions, Spans
from maskdial.objective import Objective
from maskdial.recipes import Dial, recipe
from maskdial.sample import Rows
from maskdial.target.hidden_tokens import HiddenRuns

if TYPE_CHECKING:
    from jaxtyping import Int64


@recipe(
    family="seq2seq",
    formula="the most important 30 % of sentences, one [MASK] each × encoder both ways, decoder causal × these sentences",
    corruption="30 % of the sentences, the ones most like the rest, each one [MASK]",
    target="the sentences that were cut out, then end of sequence",
    source="Zhang et al. 2020, §3.1, §6.1",
    url="https://arxiv.org/abs/1912.08777",
    good_for="summarising",
    known_models=("PEGASUS",),
)
def pegasus(
    rate: Annotated[float, Dial("share of the sentences, rounded down, at least one", 0, 1)] = 0.3,
    strategy: Annotated[Literal["principal", "random", "lead"], Dial("which sentences: by importance, any, or the first")] = "principal",
    score: Annotated[
        Literal["ind-orig", "ind-uniq", "seq-orig", "seq-uniq"], Dial("importance: alone or greedily; repeated tokens counted or not")
    ] = "ind-orig",
) -> Objective:
    """Gap sentences: a text's summary from the rest of it."""

    def select(rows: Rows, lengths: Int64[np.ndarray, " u"], d: Decisions) -> Spans:
        return gap_sentences(rows, d, rate, strategy, score)

    return Objective(
        name="pegasus", steps=(Replace(select, by="mask"),), visibility="prefix", target=HiddenRuns(), layout="encoder-decoder",
        tail="eos", needs=("sentence",), shape=lambda length: (length, length + 1), exact=False,
        scored_share=lambda length: rate,
    )  # fmt: skip
