"""MASS (Song et al. 2019, §3.2, §4.1): one half of the text is hidden in a run; the answer is that half.

The source reads the run token by token: 80 % [MASK], 10 % random, 10 % unchanged. The answer says the run and nothing else;
it reads it shifted behind [MASK], each token at the place that it has in the text, so the decoder must take from the encoder
what the source shows. With tokens 2 to 5 hidden, each as [MASK]:

    text       x1 x2 x3     x4     x5     x6     x7 x8
    source     x1 x2 [MASK] [MASK] [MASK] [MASK] x7 x8
    place      0  1  2      3      4      5      6  7
    reads      [MASK] x3 x4 x5
    says       x3 x4 x5 x6
    standing   2 3 4 5

A framed source opens with a token of its own, so there the answer's tokens stand exactly where the source's do: x3, third in
the text, at 3, and the [MASK] before it at 2. `rate` near 1 is a language model, one token alone is BERT's question (§3.3).

`compat="mass"` is the released code: a fifth of the runs begins the text, a fifth ends it, the rest lies anywhere alike; and
the answer's first position reads the text's token before the run. Released code also counts the frame in the half.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal

import numpy as np

from maskdial.corruption.one_span import one_run
from maskdial.corruption.render import Edit
from maskdial.corruption.text import Decisions
from maskdial.objective import Objective
from maskdial.recipes import Dial, recipe
from maskdial.sample import Rows
from maskdial.target.hidden_tokens import HiddenTokens
from maskdial.visibility.standing import standing

if TYPE_CHECKING:
    from jaxtyping import Int64, UInt8

    from maskdial.corruption.select import Offsets


@recipe(
    family="seq2seq",
    formula="one run of half the text hidden (80 % [MASK]) × encoder both ways, decoder causal at the run's places × the run",
    corruption="one run of 50 %: token by token 80 % [MASK], 10 % random, 10 % unchanged",
    target="the run, at its places in the text",
    source="Song et al. 2019, §3.2, §4.1",
    url="https://arxiv.org/abs/1905.02450",
    good_for="generating from an input: translation, summarising",
    known_models=("MASS",),
    modes={
        "mass": (
            {"start": "sides", "first": "previous"},
            "released code: a fifth of the runs begins the text, a fifth ends it; the answer first reads the token before the run",
        )
    },
)
def mass(
    rate: Annotated[float, Dial("share of the text that the run takes, at least one token", 0, 1)] = 0.5,
    start: Annotated[Literal["uniform", "sides"], Dial("where the run lies: anywhere, or a fifth at each end of the text")] = "uniform",
    mask: Annotated[float, Dial("share of the run read as [MASK]", 0, 1)] = 0.8,
    random: Annotated[float, Dial("share of the run read as a random token", 0, 1)] = 0.1,
    first: Annotated[Literal["mask", "previous"], Dial("what the answer reads first: [MASK], or the token before the run")] = "mask",
) -> Objective:
    """Masked sequence to sequence: half of a text from the other half."""
    if mask + random > 1:
        raise ValueError(f"mass: mask + random must not exceed 1 (got {mask:g} + {random:g})")
    side = 0.2 if start == "sides" else 0.0

    def counts(lengths: Int64[np.ndarray, " u"]) -> Int64[np.ndarray, " u"]:
        return np.minimum(np.maximum(1, np.rint(lengths * rate)), lengths).astype(np.int64)

    def select(rows: Rows, offsets: Offsets, d: Decisions) -> UInt8[np.ndarray, " n"]:
        return one_run(offsets, d.keys, counts(np.diff(offsets)), side, side)

    return Objective(
        name="mass", steps=(Edit(select, mask=mask, random=random),), visibility="prefix", layout="encoder-decoder",
        target=HiddenTokens(end=None, start="mask" if first == "mask" else "start", reads_itself=first == "previous"),
        head="bos", tail="eos", shape=lambda length: (length, int(counts(np.array([length]))[0])), sees_own="copied", places="noise",
        columns=lambda b: {"position": lambda: standing(b.out, b.source, b.units.offsets, b.d["hidden"])},
        scored_share=lambda length: rate,
    )  # fmt: skip
