"""Fill in the middle (Bavarian et al. 2022, *Efficient Training of Language Models to Fill in the Middle*, §3).

Half of the documents are cut in two places and their middle is moved to the end; a causal model then says every token as
usual, and so learns to say a middle from what stands on both sides. With cuts after the second and the fourth token:

    text    a b c d e f <EOT>
    PSM     <PRE> a b <SUF> e f <MID> c d <EOT>
    SPM     <PRE> <SUF> e f <MID> a b c d <EOT>
    SPM 1   <SUF> e f <PRE> a b <MID> c d <EOT>

Half of these take the first form, half the second (appendix D's "variant 2", which is PSM with an empty prefix; `variant=1` is
the other). Both cuts are uniform among all n + 1 places, so that any part may be empty.

`level="context"` cuts a row at its end-of-document tokens, turns each document, joins them again and cuts off what no longer fits:
a row of L tokens may grow by three. `level="document"` takes a whole row, or a document of an isolated row, as one. `unit="char"`
cuts the text between characters and encodes the parts anew, so that tokens are cut too: the paper's way, slower, and it
needs the tokenizer (`Vocab.codec`); a row may then grow by sixteen.
"""

from typing import Annotated, Literal

from maskdial.corruption.middle import Middle
from maskdial.corruption.middle_text import SPARE, MiddleOfText
from maskdial.objective import Objective
from maskdial.recipes import Dial, recipe
from maskdial.target.next_read import NextRead


@recipe(
    family="decoder",
    formula="half of the documents with their middle moved to the end × causal × next token",
    corruption="nothing is hidden; prefix, suffix, middle (or suffix, prefix, middle) behind sentinels, in half of the documents",
    target="the next token, everywhere",
    source="Bavarian et al. 2022, §3, appendix D",
    url="https://arxiv.org/abs/2207.14255",
    good_for="continuing text and filling gaps of any length in it; code",
    known_models=("SantaCoder", "StarCoder", "Code Llama", "DeepSeek-Coder"),
    modes={"spm-variant-1": ({"variant": 1}, "suffix first, each part behind its own sentinel; the paper and its models use variant 2")},
)
def fim(
    rate: Annotated[float, Dial("share of documents whose middle is moved", 0, 1)] = 0.5,
    spm: Annotated[float, Dial("share of these with the suffix first", 0, 1)] = 0.5,
    unit: Annotated[Literal["token", "char"], Dial("cut between tokens, or between characters")] = "token",
    level: Annotated[Literal["context", "document"], Dial("each document of a row, or each row (each document when isolated)")] = "context",
    variant: Annotated[
        int, Dial("suffix first as <PRE> <SUF> suffix <MID> prefix middle (2), or <SUF> suffix <PRE> prefix <MID> middle (1)", 1, 2)
    ] = 2,
) -> Objective:
    """Fill in the middle with a causal model."""
    step = Middle if unit == "token" else MiddleOfText
    more = 3 if unit == "token" else SPARE
    return Objective(
        name="fim", steps=(step(level == "document", rate, spm, variant),), visibility="causal",
        target=NextRead(), layout="decoder",
        shape=lambda length: (length + more, 0), exact=False,
        scored_share=lambda length: (length - 1) / length,
    )  # fmt: skip
