"""UL2R (Tay et al. 2022, *Transcending Scaling Laws with 0.1 % Extra Compute*, §3.1): UL2's denoisers to go on with a language model.

Half of the samples are a prefix language model ([S]), a quarter regular spans ([R]: mean 3, 15 % hidden), a quarter extreme
ones ([X]: spans of mean 32, or half of the text hidden). Over eight tokens (s, split at 5; r-3-15, whose one span is one token):

    text     transformer models learn patterns from large text corpora
    s        [S] transformer models learn patterns from
    answer   large text corpora </s>
    r-3-15   [R] transformer models learn patterns from large text <extra_id_0>
    answer   <extra_id_0> corpora </s>

The model is a decoder that was trained from left to right: mode token, source and answer in one row, the source read both ways.
The paper names two kinds of X and no share of either: they have an eighth each.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from maskdial.mixture import Mixture, mixture
from maskdial.recipes import Dial, objective, recipe
from maskdial.recipes.ul2 import rest_of

#: name → (mean length, share hidden, weight)
SPANS = {"r-3-15": (3.0, 0.15, 2.0), "x-32-15": (32.0, 0.15, 1.0), "x-3-50": (3.0, 0.5, 1.0)}


@recipe(
    family="mixture",
    formula="half the rest after a split, a quarter spans, a quarter long or many spans × source both ways, answer causal × what is cut",
    corruption="all after a split; or spans of mean 3 or 32, 15 % or 50 % hidden, a sentinel each",
    target="the rest, or each sentinel and its span, then end of sequence",
    source="Tay et al. 2022 (U-PaLM), §3.1",
    url="https://arxiv.org/abs/2210.11399",
    good_for="a trained language model that shall fill gaps too, for little more compute",
    known_models=("U-PaLM", "Flan-U-PaLM"),
    modes={
        "t5": (
            {"layout": "complement", "float32": True, "overflow": "vocab", "roll": False},
            "T5's released code: complement layout, float32 counts, one span is the tail, sentinels silently run into the vocabulary",
        )
    },
)
def ul2r(
    s_split: Annotated[Literal["uniform"] | float, Dial("S: share of the text that is asked, or uniform", 0, 1)] = "uniform",
    roll: Annotated[bool, Dial("rotate the spans of x-32-15: up to 316 tokens have one, else always the tail")] = True,
    layout: Annotated[Literal["announce", "complement"], Dial("a sentinel before each span, or one for each kept run")] = "announce",
    overflow: Annotated[
        Literal["error", "vocab", "merge_tail"], Dial("more spans than sentinels: an error, ordinary ids, or surplus spans kept as text")
    ] = "error",
    float32: Annotated[bool, Dial("round the counts in float32, as the released code")] = False,
    mode_tokens: Annotated[bool, Dial("begin each source with its mode token [R], [S] or [X]")] = True,
    architecture: Annotated[Literal["encoder-decoder", "decoder"], Dial("one stack that reads the source both ways, or two")] = "decoder",
) -> Mixture:
    """Half a prefix language model, half denoisers."""
    given: dict[str, Any] = {"layout": layout, "overflow": overflow, "float32": float32}
    turns = {
        name: (objective("t5", rate=rate, mean_length=mean, roll=roll and mean == 32, **given), weight, name[0].upper())
        for name, (mean, rate, weight) in SPANS.items()
    } | {"s": (rest_of(s_split, architecture), 4.0, "S")}
    return mixture(turns, mode_tokens, layout=architecture, name="ul2r")
