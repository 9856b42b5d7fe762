"""RoBERTa's masked language model (Liu et al. 2019, §3.1, §4.1): BERT's question, drawn anew each epoch, over full rows.

No pairs and no next-sentence question. Which tokens are chosen follows the released code (fairseq, `mask_tokens_dataset.py`):
floor(n · 0.15 + U) of the n tokens, the frame's <s> and </s> among them, so that 15 % are chosen on average in texts of any length.
Of the chosen 80 % read <mask>, 10 % a random token, 10 % stay. With tokens 0 and 3 and the end chosen, all read as [MASK]:

    text     ·    the     weather is  fine    ·
    read     <s>  [MASK]  weather is  [MASK]  [MASK]
    target   ·    the     ·       ·   fine    </s>

"Dynamic": the epoch is part of the noise's key, so each epoch chooses other tokens (BERT's released data repeat ten choices).
`whole_word` chooses words instead, counts them, and decides once a word what becomes of it.
"""

from __future__ import annotations

from typing import Annotated, Literal

from maskdial.corruption.choosing import Choosing
from maskdial.objective import Objective
from maskdial.recipes import Dial, recipe
from maskdial.target.in_place import InPlace


@recipe(
    family="encoder",
    formula="15 % hidden anew each epoch (80 % [MASK], 10 % random, 10 % kept) × bidirectional × the hidden tokens",
    corruption="15 % of tokens, those of the frame too: 80 % [MASK], 10 % random, 10 % unchanged",
    target="the chosen tokens, in place",
    source="Liu et al. 2019, §3.1, §4.1; fairseq `mask_tokens_dataset.py`",
    url="https://arxiv.org/abs/1907.11692",
    good_for="representations of a whole text; filling single blanks",
    known_models=("RoBERTa", "XLM-R", "CamemBERT"),
    modes={
        "fairseq": (
            {"pool": "dictionary"},
            "random ids from all but the begin, padding, end and unknown tokens, so [MASK] among them (released RoBERTa)",
        ),
        "hf": ({"count": "bernoulli", "pool": "vocabulary"}, "a coin a token, the frame is never chosen; random ids from all"),
        "google-bert": ({"count": "exact", "pool": "vocabulary"}, "BERT's exact count, the frame is never chosen; random ids from all"),
    },
)
def roberta(
    rate: Annotated[float, Dial("share of tokens chosen", 0, 1)] = 0.15,
    count: Annotated[Literal["fairseq", "bernoulli", "exact"], Dial("how the number of chosen tokens comes about")] = "fairseq",
    mask: Annotated[float, Dial("share of chosen tokens read as [MASK]", 0, 1)] = 0.8,
    random: Annotated[float, Dial("share of chosen tokens read as a random token", 0, 1)] = 0.1,
    whole_word: Annotated[bool, Dial("choose all tokens of a word or none")] = False,
    pool: Annotated[
        Literal["body", "vocabulary", "dictionary"], Dial("where random tokens come from: ordinary ids, all, or all but fairseq's four")
    ] = "body",
) -> Objective:
    """Masked language modelling over full rows, drawn anew each epoch."""
    return Objective(
        name="roberta", steps=(Choosing("roberta", rate, count, mask, random, whole_word).step(pool),),
        visibility="bidirectional", target=InPlace(), layout="encoder", head="cls", tail="sep",
        shape=lambda length: (length, 0),
        sees_own="kept",
        scored_share=lambda length: rate,
    )  # fmt: skip
