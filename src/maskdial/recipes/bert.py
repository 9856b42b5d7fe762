"""BERT's masked language model (Devlin et al. 2019, §3.1, appendix A.1), without next-sentence prediction.

A share of the tokens is chosen; of these 80 % read [MASK], 10 % a random token, 10 % stay. All chosen ones are asked, in
place, by a model that sees both sides. With tokens 2 and 5 chosen and read as [MASK]:

    text     transformer models learn   patterns from large  text corpora
    read     transformer models [MASK]  patterns from [MASK] text corpora
    target   ·           ·      learn   ·        ·    large  ·    ·

`count`: "bernoulli" flips a coin a token (the Hugging Face collator; the default); "exact" chooses max(1, round(L · rate))
of L tokens, [CLS] and [SEP] counted but never chosen (the authors' script); "fairseq" chooses floor(L · rate + U), the
frame's tokens included.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal

import numpy as np

from maskdial.corruption.render import Edit, mask_or_random_or_same
from maskdial.corruption.select import exact, independent, stochastic_count, whole_words
from maskdial.corruption.text import Decisions
from maskdial.objective import Objective
from maskdial.recipes import Dial, recipe
from maskdial.sample import Rows
from maskdial.target.in_place import InPlace

if TYPE_CHECKING:
    from jaxtyping import UInt8

    from maskdial.corruption.select import Offsets


@recipe(
    family="encoder",
    formula="15 % hidden (80 % [MASK], 10 % random, 10 % kept) × bidirectional × the hidden tokens",
    corruption="15 % of tokens: 80 % [MASK], 10 % random, 10 % unchanged",
    target="the chosen tokens, in place",
    source="Devlin et al. 2019, §3.1, A.1",
    url="https://arxiv.org/abs/1810.04805",
    good_for="representations of a whole text; filling single blanks",
    known_models=("BERT", "RoBERTa", "ModernBERT"),
    modes={
        "google-bert": ({"count": "exact", "pool": "vocabulary"}, "exact count; random ids from the whole vocabulary (released BERT)"),
        "hf": ({"count": "bernoulli", "pool": "vocabulary"}, "a coin a token; random ids from the whole vocabulary"),
        "fairseq": ({"count": "fairseq"}, "stochastic rounding; frame tokens may be chosen (released RoBERTa)"),
    },
)
def bert(
    rate: Annotated[float, Dial("share of tokens chosen", 0, 1)] = 0.15,
    count: Annotated[Literal["bernoulli", "exact", "fairseq"], Dial("how the number of chosen tokens comes about")] = "bernoulli",
    mask: Annotated[float, Dial("share of chosen tokens read as [MASK]", 0, 1)] = 0.8,
    random: Annotated[float, Dial("share of chosen tokens read as a random token", 0, 1)] = 0.1,
    whole_word: Annotated[bool, Dial("choose all tokens of a word or none")] = False,
    pool: Annotated[Literal["body", "vocabulary"], Dial("where random tokens come from: ordinary ids, or all ids")] = "body",
) -> Objective:
    """Masked language modelling: hidden tokens from both sides."""
    if mask + random > 1:
        raise ValueError(f"bert: mask + random must not exceed 1 (got {mask:g} + {random:g})")

    def select(rows: Rows, offsets: Offsets, d: Decisions) -> UInt8[np.ndarray, " n"]:
        framed = np.diff(offsets) + 2
        if count == "fairseq" and not whole_word:
            return _fairseq(offsets, d)
        counts = None
        if count != "bernoulli":
            counts = np.maximum(1, np.rint(framed * rate)).astype(np.int64)
            if count == "fairseq":
                counts = stochastic_count(np.diff(offsets), d.keys, rate)
        if whole_word:
            if rows.word is None:
                raise ValueError("bert: whole_word=True needs the rows' `word` column (prepare makes it)")
            return whole_words(offsets, d.keys, rows.word, rate, counts)
        return independent(offsets, d.keys, rate) if counts is None else exact(offsets, d.keys, counts)

    def _fairseq(offsets: Offsets, d: Decisions) -> UInt8[np.ndarray, " n"]:
        units = np.arange(len(offsets))
        wide = offsets + 2 * units  # one more token on each side of a unit
        hidden = exact(wide, d.keys, stochastic_count(np.diff(wide), d.keys, rate))
        sides = np.stack([hidden[wide[:-1]], hidden[wide[1:] - 1]], axis=1)
        ends = 2 * np.arange(len(offsets)) if len(offsets) else offsets
        d.values["frame"] = mask_or_random_or_same(sides.reshape(-1).copy(), ends, ~d.keys, mask, random).reshape(-1, 2)
        inside = np.ones(len(hidden), dtype=bool)
        inside[wide[:-1]] = inside[wide[1:] - 1] = False
        return hidden[inside]

    return Objective(
        name="bert", steps=(Edit(select, mask, random, pool=pool),), visibility="bidirectional", target=InPlace(), layout="encoder",
        head="cls", tail="sep", shape=lambda length: (length, 0),
        sees_own="kept",
        scored_share=lambda length: rate,
    )  # fmt: skip
