"""ALBERT's objective (Lan et al. 2020, §3.1, §4.1): runs of whole words, and the order of two texts.

Runs of one, two or three whole words are hidden (n words with probability proportional to 1/n: .5455, .2727, .1818) until 15 %
of the tokens are; a run that would overshoot is tried shorter, and a word that would is passed over. Two neighbouring texts of one
document are exchanged half of the time, and the first position says whether they are. With `c d` first, and `d a` chosen:

    text            ·      c  d       ·      a       b  ·
    read            [CLS]  c  [MASK]  [SEP]  [MASK]  b  [SEP]
    part            0      0  0       0      1       1  1
    target          ·      ·  d       ·      a       ·  ·
    sentence_order  1      ·  ·       ·      ·       ·  ·

A run ends at the separator; `across` lets it reach over, as the released code does. The released code exchanges nothing in a chunk
of one sentence and takes a random text there; the row plan (`pairs="order"`) leaves such chunks out.
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
    formula="15 % hidden in runs of 1 to 3 words, two texts perhaps exchanged × bidirectional × the hidden tokens, and the order",
    corruption="15 % of tokens in runs of up to three whole words: 80 % [MASK], 10 % random, 10 % unchanged; two texts may be exchanged",
    target="the chosen tokens, in place; at the first position, 1 when the two texts are exchanged",
    source="Lan et al. 2020, §3.1, §4.1",
    url="https://arxiv.org/abs/1909.11942",
    good_for="representations of a text and of pairs of texts; coherence",
    known_models=("ALBERT",),
    modes={
        "google-albert": (
            {"pool": "vocabulary", "across": True},
            "random ids from the whole vocabulary; a run of words may reach across the separator (released ALBERT)",
        )
    },
)
def albert(
    rate: Annotated[float, Dial("share of tokens chosen", 0, 1)] = 0.15,
    mask: Annotated[float, Dial("share of chosen tokens read as [MASK]", 0, 1)] = 0.8,
    random: Annotated[float, Dial("share of chosen tokens read as a random token", 0, 1)] = 0.1,
    ngram: Annotated[int, Dial("longest run of whole words chosen together", 1, 16)] = 3,
    favor: Annotated[Literal["short", "long"], Dial("runs of n words have weight 1/n, or these weights in reverse")] = "short",
    across: Annotated[bool, Dial("words and runs of words may reach across the separator, as released")] = False,
    pool: Annotated[Literal["body", "vocabulary"], Dial("where random tokens come from: ordinary ids, or all ids")] = "body",
    most: Annotated[int | None, Dial("at most this many tokens chosen (released data: 20)", 1)] = None,
) -> Objective:
    """Hidden runs of words from both sides, and the order of two texts."""
    runs = tuple(1 / n for n in range(1, ngram + 1))[:: 1 if favor == "short" else -1]
    choosing = Choosing("albert", rate, "exact", mask, random, True, runs, framed=3, most=most, pairs=not across)
    return Objective(
        name="albert", steps=(choosing.step(pool),), visibility="bidirectional", target=InPlace(), layout="encoder",
        head="cls", tail="sep", between="sep", shape=lambda length: (length, 0),
        sees_own="kept",
        scored_share=lambda length: rate,
        heads=(Head(), Head("sentence_order", kind="class", divisor="rows")), pairs="order", needs=("part", "label", "word"),
        columns=lambda b: {"part": lambda: stream(b.out, b.front + b.cut + 1), "target:sentence_order": b.labels},
        answers=lambda b: {"answer:sentence_order": b.labels(True)},
    )  # fmt: skip
