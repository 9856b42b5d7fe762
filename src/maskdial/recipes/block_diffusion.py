"""Block diffusion (Arriola et al. 2025, *Block Diffusion: Interpolating Between Autoregressive and Diffusion Language Models*, §3-4).

A text is made block after block, each block from noise. In training a block is seen twice: clean, for the blocks after it, and
noisy, where each token reads [MASK] with the block's own probability t and is asked, weighing 1 / t. The noisy block sees itself
and the clean blocks before it; nobody else looks at it. Blocks of two with t = .5, .8 and .25, tokens 1 to 4 hidden:

    text      a b c d e f
    read      a b c d e f a [MASK] [MASK] [MASK] [MASK] f
    position  0 1 2 3 4 5 0 1      2      3      4      5
    order     2 2 4 4 6 6 1 1      3      3      5      5
    target    · · · · · · · b      c      d      e      ·
    weight    0 0 0 0 0 0 0 2      1.25   1.25   4      0

The weighted sum over the text's tokens bounds its negative log-likelihood from above when t is uniform in 0 … 1; `low` and `high`
clip it, as the paper does to lower the variance. A block of one token is nearly a causal model, one of the whole row a
masked diffusion model.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated

from maskdial.corruption.block_levels import Levels, by_level, weights
from maskdial.corruption.marked import Mark
from maskdial.corruption.text import Decisions
from maskdial.objective import Objective
from maskdial.recipes import Dial, recipe
from maskdial.sample import Column, Head, Rows
from maskdial.target.slots import NoisyCopy
from maskdial.visibility.streams import blocks, lazily

if TYPE_CHECKING:
    import numpy as np
    from jaxtyping import UInt8

    from maskdial.build import Build
    from maskdial.corruption.select import Offsets


@recipe(
    family="decoder",
    formula="blocks hidden at a level of their own × noisy block, clean ones before it × hidden tokens, weighing 1 / level",
    corruption="in a second copy, each token of a block as [MASK] with the block's probability t, uniform in 0 … 1",
    target="the hidden tokens, in the noisy copy, weighing 1 / t",
    source="Arriola et al. 2025, §3-4",
    url="https://arxiv.org/abs/2503.09573",
    good_for="likelihoods and text of any length, several tokens at once",
    known_models=("BD3-LM",),
)
def block_diffusion(
    block: Annotated[int, Dial("tokens of a block", 1, 65536)] = 4,
    low: Annotated[float, Dial("least noise level", 0.001, 1)] = 0.001,
    high: Annotated[float, Dial("greatest noise level", 0.001, 1)] = 1.0,
) -> Objective:
    """Diffusion within blocks, autoregression between them."""
    if low > high:
        raise ValueError(f"block-diffusion: low must not exceed high (got {low:g} and {high:g})")

    def select(rows: Rows, offsets: Offsets, d: Decisions) -> UInt8[np.ndarray, " n"]:
        return by_level(offsets, d.keys, d["levels"], block)

    def columns(build: Build) -> dict[str, Column | Callable[[], Column]]:
        d, total = build.d, int(build.out[-1])
        weight = lazily(["weight:token"], lambda: [
            weights(build.units.offsets, d["hidden"], d["levels"], block, build.middle, total)])  # fmt: skip
        return weight | lazily(["position", "order", "private"], lambda: blocks(build.out, build.middle, block))

    return Objective(
        name="block-diffusion", steps=(Levels(block, low, high), Mark(select)), visibility="blocks", target=NoisyCopy(), layout="decoder",
        heads=(Head(divisor="tokens"),), shape=lambda length: (2 * length, 0), columns=columns, streams=False,
        scored_share=lambda length: (low + high) / 2,
    )  # fmt: skip
