"""BERT as it was released: masked tokens and next-sentence prediction (Devlin et al. 2019, §3.1, appendix A.1 and A.2).

Two runs of sentences share a frame; half of the time or more the second is from another document. The first position says
whether it is (1) or follows (0). With `b c` and `e f` of different documents, and `e` chosen:

    text           ·      b  c  ·      e       f  ·
    read           [CLS]  b  c  [SEP]  [MASK]  f  [SEP]
    part           0      0  0  0      1       1  1
    target         ·      ·  ·  ·      e       ·  ·
    next_sentence  1      ·  ·  ·      ·       ·  ·

The pairs come from a row plan (`pairs="next"`), which draws them by their number alone. The two losses are summed: the mean over
chosen tokens and the mean over rows. "Next sentence" says which text follows which; that a random one is easy to tell by its
topic is why sentence order (`albert`) came after it, and why RoBERTa went without.
"""

from __future__ import annotations

from typing import Annotated, Literal

from maskdial.corruption.choosing import Choosing
from maskdial.objective import Objective
from maskdial.recipes import Dial, recipe
from maskdial.sample import Head
from maskdial.target.in_place import InPlace
from maskdial.visibility.order import stream


@recipe(
    family="encoder",
    formula="15 % hidden in a pair of texts × bidirectional × the hidden tokens, and whether the second text follows",
    corruption="15 % of tokens: 80 % [MASK], 10 % random, 10 % unchanged; the second text may be a random one",
    target="the chosen tokens, in place; at the first position, 1 when the second text is a random one",
    source="Devlin et al. 2019, §3.1, A.1, A.2",
    url="https://arxiv.org/abs/1810.04805",
    good_for="representations of a text and of pairs of texts",
    known_models=("BERT", "Megatron BERT"),
    modes={
        "google-bert": (
            {"count": "exact", "pool": "vocabulary", "across": True},
            "exact count; random ids from the whole vocabulary; a word may run across the separator (released BERT)",
        ),
        "megatron": (
            {"pairs": "order", "count": "exact", "whole_word": True, "ngram": 3, "pool": "vocabulary", "across": True},
            "the two texts of one document, exchanged half of the time: sentence order under the name next-sentence; runs of up to three "
            "whole words within an exact count (Megatron-LM)",
        ),
    },
)
def bert_nsp(
    rate: Annotated[float, Dial("share of tokens chosen", 0, 1)] = 0.15,
    count: Annotated[Literal["bernoulli", "exact"], Dial("how the number of chosen tokens comes about")] = "bernoulli",
    mask: Annotated[float, Dial("share of chosen tokens read as [MASK]", 0, 1)] = 0.8,
    random: Annotated[float, Dial("share of chosen tokens read as a random token", 0, 1)] = 0.1,
    whole_word: Annotated[bool, Dial("choose all tokens of a word or none")] = False,
    ngram: Annotated[int, Dial("longest run of whole words chosen together; n words with weight 1/n", 1, 16)] = 1,
    pairs: Annotated[Literal["next", "order"], Dial("the second text follows or is random, or the two are exchanged")] = "next",
    across: Annotated[bool, Dial("words and runs of words may reach across the separator, as released")] = False,
    pool: Annotated[Literal["body", "vocabulary"], Dial("where random tokens come from: ordinary ids, or all ids")] = "body",
    most: Annotated[int | None, Dial("at most this many tokens chosen by the exact count", 1)] = None,
) -> Objective:
    """Masked language modelling over a pair of texts, and whether the second one follows the first."""
    runs = tuple(1 / n for n in range(1, ngram + 1))
    choosing = Choosing("bert-nsp", rate, count, mask, random, whole_word, runs, framed=3, most=most, pairs=not across)
    return Objective(
        name="bert-nsp", steps=(choosing.step(pool),), visibility="bidirectional", target=InPlace(), layout="encoder",
        head="cls", tail="sep", between="sep", shape=lambda length: (length, 0),
        sees_own="kept",
        scored_share=lambda length: rate,
        heads=(Head(), Head("next_sentence", kind="class", divisor="rows")), pairs=pairs, needs=("part", "label"),
        columns=lambda b: {"part": lambda: stream(b.out, b.front + b.cut + 1), "target:next_sentence": b.labels},
        answers=lambda b: {"answer:next_sentence": b.labels(True)},
    )  # fmt: skip
