"""Masked diffusion language modelling (Sahoo et al. 2024, §3; Nie et al. 2025, §2.1): a noise level a text, all masked tokens asked.

A level t is drawn for each text, uniform in [0.001, 1]; each token reads [MASK] with probability t by its own coin, none is
random or kept. A hidden token's loss weighs 1/t. Divided by all tokens of the text, the sum is on average a bound on
-log p(text), so that a model that fills blanks has a likelihood. With t = 0.5 and tokens 1, 2 and 4 hidden:

    text     the  cat     sat     on  the     mat
    read     the  [MASK]  [MASK]  on  [MASK]  mat
    target   ·    cat     sat     ·   the     ·
    weight   0    2       2       0   2       0

No frame is put around a text: the bound is the text's own. To generate, start from all [MASK] and fill while t falls to 0.
"""

from __future__ import annotations

from typing import Annotated, Any

from maskdial.corruption.level import Level, at_level, weights
from maskdial.corruption.render import Edit
from maskdial.objective import Objective
from maskdial.recipes import Dial, recipe
from maskdial.sample import Head
from maskdial.target.in_place import InPlace


@recipe(
    family="encoder",
    formula="a share t ~ U(0, 1] hidden, all [MASK] × bidirectional × the hidden tokens, weighed 1/t",
    corruption="a noise level t for each text; each token [MASK] with probability t",
    target="the hidden tokens, in place, weighed 1/t",
    source="Sahoo et al. 2024, §3; Nie et al. 2025, §2.1",
    url="https://arxiv.org/abs/2406.07524",
    good_for="generating in any order; a bound on the likelihood",
    known_models=("MDLM", "LLaDA"),
)
def dlm(
    least: Annotated[float, Dial("least noise level: the greatest weight is 1 over it", 1e-6, 1)] = 1e-3,
) -> Objective:
    """Every text at its own noise level."""

    def columns(b: Any) -> dict[str, Any]:
        return {"weight:token": lambda: weights(b.d, b.units.offsets, int(b.out[-1]), b.begin + b.front)}

    return Objective(
        name="dlm", steps=(Level(least), Edit(at_level)), visibility="bidirectional", target=InPlace(), layout="encoder",
        shape=lambda length: (length, 0),
        scored_share=lambda length: (1 + least) / 2,
        heads=(Head(divisor="tokens"),), columns=columns,
    )  # fmt: skip
