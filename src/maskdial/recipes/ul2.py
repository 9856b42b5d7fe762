"""UL2 (Tay et al. 2023, §3.1, table 1): seven denoisers in turn; a mode token says which.

Two regular ones ([R]: spans of mean 3 or 8, 15 % hidden), four extreme ones ([X]: much hidden or long spans) and one that goes on
with the text ([S]). Over eight tokens (s, the text split at 5; x-64-50, whose one span is then half of the text):

    text     transformer models learn patterns from large text corpora
    s        [S] transformer models learn patterns from
    answer   large text corpora </s>
    x-64-50  [X] transformer models learn patterns <extra_id_0>
    answer   <extra_id_0> from large text corpora </s>

A member is named by its mode, mean length and percentage. Each has its own room, in which a place is kept for the mode token:
for 512 positions, no mode token and no roll, 568, 588, 766, 908, 600 and 1006 tokens of text have answers of 114, 100, 512,
512, 92 and 512. Turns are alike by default; `weights="grouped"` gives R, X and S the .4, .4 and .2 that some follow.

x-64-15 cuts one span from up to 636 tokens of text, in T5's law always the tail; `roll` rotates it to any place (and keeps room
for it to wrap round). x-3-50 cuts 128 spans from 766: more than T5's 100 sentinels (`overflow`). `s_split=0.25` asks the last
quarter in S, as the paper's table says; its code, and the default, splits anywhere alike. `architecture="decoder"` is one
stack: mode, source and answer in a row, the source read both ways.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from maskdial.corruption.prefix import Prefix
from maskdial.mixture import Mixture, mixture
from maskdial.objective import Objective
from maskdial.recipes import Dial, objective, recipe
from maskdial.target.rest import Rest

#: name → (mean length, share hidden)
SPANS = {
    "r-3-15": (3.0, 0.15), "r-8-15": (8.0, 0.15), "x-3-50": (3.0, 0.5), "x-8-50": (8.0, 0.5),
    "x-64-15": (64.0, 0.15), "x-64-50": (64.0, 0.5),
}  # fmt: skip
#: samples of each mode in ten, where modes are weighed and not members
GROUPS = {"r": 4.0, "x": 4.0, "s": 2.0}


def rest_of(s_split: Literal["uniform"] | float, architecture: Literal["encoder-decoder", "decoder"]) -> Objective:
    """The S denoiser: the text up to a split is read, the answer goes on with it."""
    one = architecture == "decoder"  # source and answer vary, but what they measure together does not
    return Objective(
        name="prefix-lm", steps=(Prefix(None if s_split == "uniform" else 1 - float(s_split)),), visibility="prefix", target=Rest(),
        layout=architecture, tail="eos", exact=one, options={"split": s_split if s_split == "uniform" else 1 - float(s_split)},
        shape=lambda length: (length + 1, 0) if one else (max(length - 1, 0), max(length, 2)),
        scored_share=lambda length: 0.5 if s_split == "uniform" else float(s_split),
    )  # fmt: skip



@recipe(
    family="mixture",
    formula="seven corruptions in turn × encoder both ways, decoder causal × sentinels and spans, or the rest of the text",
    corruption="spans of mean 3, 8 or 64, 15 % or 50 % hidden, a sentinel each; or all after a split",
    target="each sentinel and its span, or the rest, then end of sequence",
    source="Tay et al. 2023, §3.1, table 1, appendix",
    url="https://arxiv.org/abs/2205.05131",
    good_for="one model for filling gaps, for understanding and for going on with a text",
    known_models=("UL2 20B", "Flan-UL2"),
    modes={
        "t5": (
            {"layout": "complement", "float32": True, "overflow": "vocab", "roll": False},
            "released code (T5's): complement layout, float32 counts, one span is the tail, sentinels silently run into the vocabulary",
        )
    },
)
def ul2(
    weights: Annotated[Literal["uniform", "grouped"], Dial("the seven denoisers alike, or R .4, X .4 and S .2")] = "uniform",
    s_split: Annotated[Literal["uniform"] | float, Dial("S: share of the text that is asked, or uniform", 0, 1)] = "uniform",
    roll: Annotated[bool, Dial("rotate the one long span of x-64-15, else it is always the tail")] = True,
    layout: Annotated[Literal["announce", "complement"], Dial("a sentinel before each span, or one for each kept run")] = "announce",
    overflow: Annotated[
        Literal["error", "vocab", "merge_tail"], Dial("more spans than sentinels: an error, ordinary ids, or surplus spans kept as text")
    ] = "error",
    float32: Annotated[bool, Dial("round the counts in float32, as the released code")] = False,
    mode_tokens: Annotated[bool, Dial("begin each source with its mode token [R], [S] or [X]")] = True,
    architecture: Annotated[Literal["encoder-decoder", "decoder"], Dial("two stacks, or one that reads the source both ways")]
    = "encoder-decoder",
) -> Mixture:  # fmt: skip
    """A mixture of denoisers: regular, extreme and sequential."""
    given: dict[str, Any] = {"layout": layout, "overflow": overflow, "float32": float32}
    members = {
        name: objective("t5", rate=rate, mean_length=mean, roll=roll and name == "x-64-15", **given) for name, (mean, rate) in SPANS.items()
    } | {"s": rest_of(s_split, architecture)}
    size = {group: sum(name[0] == group for name in members) for group in GROUPS}
    weighed = {name: GROUPS[name[0]] / size[name[0]] if weights == "grouped" else 1.0 for name in members}
    turns = {name: (one, weighed[name], name[0].upper()) for name, one in members.items()}
    return mixture(turns, mode_tokens, layout=architecture, name="ul2")
