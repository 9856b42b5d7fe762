"""BERT's masked language model (Devlin et al. 2019, §3.1, appendix A.1), without next-sentence prediction (`bert-nsp` has it).

A share of the tokens is chosen; of these 80 % read [MASK], 10 % a random token, 10 % stay. All chosen ones are asked, in
place, by a model that sees both sides. With tokens 2 and 5 chosen and read as [MASK]:

    text     transformer models learn   patterns from large  text corpora
    read     transformer models [MASK]  patterns from [MASK] text corpora
    target   ·           ·      learn   ·        ·    large  ·    ·

`count`: "bernoulli" flips a coin a token (the Hugging Face collator; the default); "exact" chooses max(1, round(L · rate))
of L tokens, [CLS] and [SEP] counted but never chosen (the authors' script); "fairseq" chooses floor(L · rate + U), the
frame's tokens included. With `whole_word` the authors' count stays one of tokens, and a word that would overshoot it is passed
over, so that a text of one long word may be asked nothing; fairseq counts words, and decides once a word what becomes of it.
"""

from __future__ import annotations

from typing import Annotated, Literal

from maskdial.corruption.choosing import Choosing
from maskdial.objective import Objective
from maskdial.recipes import Dial, recipe
from maskdial.target.in_place import InPlace


@recipe(
    family="encoder",
    formula="15 % hidden (80 % [MASK], 10 % random, 10 % kept) × bidirectional × the hidden tokens",
    corruption="15 % of tokens: 80 % [MASK], 10 % random, 10 % unchanged",
    target="the chosen tokens, in place",
    source="Devlin et al. 2019, §3.1, A.1",
    url="https://arxiv.org/abs/1810.04805",
    good_for="representations of a whole text; filling single blanks",
    known_models=("BERT", "DistilBERT", "ModernBERT"),
    modes={
        "google-bert": ({"count": "exact", "pool": "vocabulary"}, "exact count; random ids from the whole vocabulary (released BERT)"),
        "hf": ({"count": "bernoulli", "pool": "vocabulary"}, "a coin a token; random ids from the whole vocabulary"),
        "fairseq": (
            {"count": "fairseq", "pool": "dictionary"},
            "stochastic rounding; frame tokens may be chosen; random ids from all but the first four (released RoBERTa)",
        ),
        "megatron": (
            {"count": "exact", "whole_word": True, "ngram": 3, "pool": "vocabulary"},
            "runs of up to three whole words within an exact count (Megatron-LM; the sentence order that it calls next-sentence is "
            "a mode of bert-nsp)",
        ),
    },
)
def bert(
    rate: Annotated[float, Dial("share of tokens chosen", 0, 1)] = 0.15,
    count: Annotated[Literal["bernoulli", "exact", "fairseq"], Dial("how the number of chosen tokens comes about")] = "bernoulli",
    mask: Annotated[float, Dial("share of chosen tokens read as [MASK]", 0, 1)] = 0.8,
    random: Annotated[float, Dial("share of chosen tokens read as a random token", 0, 1)] = 0.1,
    whole_word: Annotated[bool, Dial("choose all tokens of a word or none")] = False,
    ngram: Annotated[int, Dial("longest run of whole words chosen together; n words with weight 1/n", 1, 16)] = 1,
    pool: Annotated[
        Literal["body", "vocabulary", "dictionary"], Dial("where random tokens come from: ordinary ids, all, or all but fairseq's four")
    ] = "body",
    most: Annotated[int | None, Dial("at most this many tokens chosen by the exact count", 1)] = None,
) -> Objective:
    """Masked language modelling: hidden tokens from both sides."""
    choosing = Choosing("bert", rate, count, mask, random, whole_word, tuple(1 / n for n in range(1, ngram + 1)), most=most)
    return Objective(
        name="bert", steps=(choosing.step(pool),), visibility="bidirectional", target=InPlace(), layout="encoder",
        head="cls", tail="sep", shape=lambda length: (length, 0),
        sees_own="kept",
        scored_share=lambda length: rate,
    )  # fmt: skip
