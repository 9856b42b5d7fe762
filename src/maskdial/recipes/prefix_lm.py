"""Prefix LM (Raffel et al. 2020, *Exploring the Limits of Transfer Learning*, §3.2.1; Dong et al. 2019 for the sight).

The first l tokens see one another both ways; the rest is predicted one by one. For l = 3 of 6 tokens:

    read     a b c d e f        row a  111...
    order    0 0 0 1 2 3        row c  111...   says d
    target   · · d e f ·        row d  1111..   says e

The text is one run in a decoder: the first target stands on the last token of the prefix, so no start token is spent
("folded"). `batch(layout="encoder-decoder")` gives the two-stream form with a start token.
"""

from typing import Annotated, Literal

from maskdial.corruption.suffix import Split
from maskdial.objective import Objective
from maskdial.recipes import Dial, recipe
from maskdial.target.following import Following


@recipe(
    family="decoder",
    formula="nothing hidden × prefix × next token after the prefix",
    corruption="nothing; a split parts the text",
    target="the next token, after the prefix only",
    source="Raffel et al. 2020, §3.2; Liu et al. 2018",
    url="https://arxiv.org/abs/1910.10683",
    good_for="continuing a given input that is read both ways",
    known_models=("T5's LM-adapted variants", "PaLI", "UL2's S-denoiser"),
)
def prefix_lm(
    split: Annotated[
        Literal["uniform"] | float, Dial("where the asked part begins: uniform in 1 … L-1, or a share of L", 0, 1)
    ] = "uniform",
) -> Objective:
    """The rest of a text, given a prefix that is read both ways."""
    fraction = None if split == "uniform" else float(split)
    return Objective(
        name="prefix-lm", steps=(Split(fraction),), visibility="prefix", target=Following(after="split"), layout="decoder",
        shape=lambda length: (length, 0),
        scored_share=lambda length: 0.5 if fraction is None else 1 - fraction,
    )  # fmt: skip
