"""BART's denoising (Lewis et al. 2020, §2.2, §5.1): the source is damaged, the answer is the whole clean text.

Five noises, alone or together. Over the document `A B C . D E .`:

    token masking   {1, 4}            A [MASK] C . [MASK] E .
    token deletion  {1, 4}            A C . E .
    text infilling  span 1-2, 0 at 4  A [MASK] . [MASK] D E .   (a span of length 0 inserts)
    sentence order  second first      D E . A B C .
    rotation        to its 3rd token  C . D E . A B
    answer          in all five       A B C . D E .   and end of sequence

Released BART uses text infilling (30 %, lengths Poisson 3) and sentence permutation only. The decoder reads clean text; the
encoder has no target of its own. `compat="fairseq"` is the command that circulates for bart.large: lengths Poisson 3.5, 10 %
of the [MASK]s random tokens, and spans that may overlap, so that about 26.6 % is removed, not 30 %.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal

import numpy as np

from maskdial.corruption.overlapping import OverlappingSpans, insertions
from maskdial.corruption.poisson import PoissonSpans
from maskdial.corruption.rearrange import Rotate, ShuffleSentences
from maskdial.corruption.render import AS_MASK, REMOVED, Edit, Replace
from maskdial.corruption.select import independent
from maskdial.corruption.step import Step
from maskdial.corruption.suffix import Keep
from maskdial.corruption.text import Decisions
from maskdial.objective import Objective
from maskdial.recipes import Dial, recipe
from maskdial.rng import COUNT, SELECT
from maskdial.sample import Rows
from maskdial.target.rewritten import WholeText

if TYPE_CHECKING:
    from jaxtyping import UInt8

    from maskdial.corruption.select import Offsets


@recipe(
    family="seq2seq",
    formula="30 % hidden in Poisson spans, one [MASK] each, sentences shuffled × encoder both ways, decoder causal × the whole text",
    corruption="text infilling (30 %, Poisson 3) and sentence permutation",
    target="the whole clean text, then end of sequence",
    source="Lewis et al. 2020, §2.2, §5.1",
    url="https://arxiv.org/abs/1910.13461",
    good_for="rewriting: repair, summarising, translation",
    known_models=("BART", "mBART"),
    modes={
        "paper": ({}, "lengths Poisson 3, no random tokens, exactly 30 % covered (the default)"),
        "fairseq": (
            {"poisson_lambda": 3.5, "random": 0.1, "spans": "overlapping"},
            "lengths Poisson 3.5, 10 % random tokens, spans may overlap: 26.6 % removed (circulated command)",
        ),
    },
)
def bart(
    infill: Annotated[float, Dial("share of tokens covered by spans, one [MASK] a span", 0, 1)] = 0.3,
    poisson_lambda: Annotated[float, Dial("mean of the spans' Poisson lengths, in tokens", 0.1, 100)] = 3.0,
    permute: Annotated[bool, Dial("shuffle the sentences")] = True,
    mask: Annotated[float, Dial("share of tokens read as [MASK], one by one", 0, 1)] = 0.0,
    delete: Annotated[float, Dial("share of tokens removed without a trace", 0, 1)] = 0.0,
    rotate: Annotated[float, Dial("probability that the text starts elsewhere", 0, 1)] = 0.0,
    random: Annotated[float, Dial("share of the spans' [MASK]s that are random tokens instead", 0, 1)] = 0.0,
    spans: Annotated[Literal["apart", "overlapping"], Dial("spans apart (exact share), or overlapping as released")] = "apart",
) -> Objective:
    """Denoising: the whole clean text from a damaged one."""

    def one_by_one(rows: Rows, offsets: Offsets, d: Decisions) -> UInt8[np.ndarray, " n"]:
        masked = independent(offsets, d.keys, mask, SELECT) * np.uint8(AS_MASK)
        removed = independent(offsets, d.keys, delete, COUNT).astype(bool)
        return np.where(removed, np.uint8(REMOVED), masked)

    steps: list[Step] = [ShuffleSentences()] if permute else []
    if mask or delete:
        if infill and spans == "overlapping":
            raise ValueError("bart: spans='overlapping' goes alone; mask and delete need spans='apart'")
        steps.append(Edit(one_by_one, removes=delete > 0))
    if infill and spans == "apart":
        steps.append(Replace(PoissonSpans(infill, poisson_lambda), by="mask", random=random))
    elif infill:
        steps += [OverlappingSpans(infill, poisson_lambda, random), Replace(insertions, by="mask", random=random)]
    if rotate:
        steps.append(Rotate(rotate))
    return Objective(
        name="bart", steps=tuple(steps) or (Keep(),), visibility="prefix", target=WholeText(), layout="encoder-decoder",
        head="bos", tail="eos", shape=lambda length: (length, length + 1),
        exact=not (infill or delete), sees_own="copied",
        scored_share=lambda length: 1.0,
    )  # fmt: skip
