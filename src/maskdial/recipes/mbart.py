"""mBART (Liu et al. 2020, §2.2): BART's noise in many languages; every text says in which one it is.

Each sentence is closed by an end of sequence, then the sentences are shuffled and 35 % of the tokens hidden in spans of
Poisson length 3.5, one [MASK] a span. The source ends with the language's token; the answer begins with it and says
the clean text and the language. With the sentences swapped and one span cut:

    text     A B . C D .
    source   <s> C D . </s> A [MASK] . </s> [en]
    reads    [en] <s> A B . </s> C D . </s>
    says     <s> A B . </s> C D . </s> [en]

The ends of sequence are text like the rest: they move with their sentence and may be hidden, as in the released code. A
text of more sentences than one for 8 tokens, and 4 more, goes without the surplus ends between them, so that a row of known
length fills a sample. The rows' `language` column says what a text is in; one language in the vocabulary needs no column.
`compat="fairseq"` lets spans overlap, as released, so that less than 35 % is hidden.
"""

from __future__ import annotations

from typing import Annotated, Literal

from maskdial.corruption.overlapping import OverlappingSpans, insertions
from maskdial.corruption.poisson import PoissonSpans
from maskdial.corruption.rearrange import ShuffleSentences
from maskdial.corruption.render import Replace
from maskdial.corruption.separate import InLanguage, separated, separated_length
from maskdial.corruption.step import Step
from maskdial.objective import Objective
from maskdial.recipes import Dial, recipe
from maskdial.target.with_language import WithLanguage


@recipe(
    family="seq2seq",
    formula="35 % hidden in Poisson spans, sentences shuffled × encoder both ways, decoder causal × the whole text and its language",
    corruption="sentences shuffled and 35 % in spans of Poisson length 3.5, each one [MASK]",
    target="the whole clean text, then its language",
    source="Liu et al. 2020, §2.2",
    url="https://arxiv.org/abs/2001.08210",
    good_for="translation and rewriting in many languages",
    known_models=("mBART", "mBART-50"),
    modes={"fairseq": ({"spans": "overlapping"}, "released code: spans may overlap, so that less than 35 % is hidden")},
)
def mbart(
    infill: Annotated[float, Dial("share of tokens covered by spans, one [MASK] a span", 0, 1)] = 0.35,
    poisson_lambda: Annotated[float, Dial("mean of the spans' Poisson lengths, in tokens", 0.1, 100)] = 3.5,
    permute: Annotated[bool, Dial("shuffle the sentences")] = True,
    spans: Annotated[Literal["apart", "overlapping"], Dial("spans apart (exact share), or overlapping as released")] = "apart",
) -> Objective:
    """Multilingual denoising: the whole clean text and its language from a damaged one."""

    steps: list[Step] = [InLanguage(), ShuffleSentences()] if permute else [InLanguage()]
    if infill and spans == "overlapping":
        steps += [OverlappingSpans(infill, poisson_lambda), Replace(insertions, by="mask")]
    else:
        steps += [Replace(PoissonSpans(infill, poisson_lambda), by="mask")]
    return Objective(
        name="mbart", steps=tuple(steps), visibility="prefix", target=WithLanguage(),
        layout="encoder-decoder", head="bos", tail="language", needs=("sentence",),
        prepare=lambda rows, vocab: separated(rows, vocab, "mbart"),
        shape=lambda length: (separated_length(length), separated_length(length) + 1), exact=False, sees_own="copied",
    )  # fmt: skip
