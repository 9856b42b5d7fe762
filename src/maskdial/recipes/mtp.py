"""Multi-token prediction (Gloeckle et al. 2024, *Better & Faster Large Language Models via Multi-token Prediction*, §2).

Every position says the next token and `depth` further ones. With two further heads:

    read      a b c d e f
    token     b c d e f ·
    token+2   c d e f · ·
    token+3   d e f · · ·

`module="parallel"` (the default, four tokens in all): each head has a transformer block of its own over the same trunk and
counts fully. `module="sequential"` (DeepSeek-AI 2024, *DeepSeek-V3*, §2.2): module k goes on from the one before it and also reads
the embedding of the token k after position i, so it says token i + k + 1 from `h_i` and that token; heads count
`factor` / `depth`. No head looks out of its document, and what leaves it is not asked. With `depth=0` this is gpt.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated, Literal

from maskdial.corruption.suffix import Keep
from maskdial.objective import Objective
from maskdial.recipes import Dial, recipe
from maskdial.sample import SILENT, Column, Head
from maskdial.target.ahead import ahead
from maskdial.target.following import Following

if TYPE_CHECKING:
    from maskdial.build import Build


@recipe(
    family="decoder",
    formula="nothing hidden × causal × the next token and further ones",
    corruption="nothing",
    target="the next token and the ones after it, everywhere",
    source="Gloeckle et al. 2024, §2; DeepSeek-AI 2024, §2.2",
    url="https://arxiv.org/abs/2404.19737",
    good_for="continuing text; drafting several tokens at once",
    known_models=("DeepSeek-V3", "Meta's multi-token models"),
    modes={
        "deepseek-v3": (
            {"module": "sequential", "depth": 1, "factor": 0.3, "divisor": "T"},
            "one sequential module with factor 0.3, its loss divided by all T positions of the text (DeepSeek-V3's first 10T tokens)",
        ),
        "megatron": (
            {"module": "sequential", "depth": 1, "factor": 0.1},
            "one sequential module with factor 0.1, its loss divided by the positions that are asked (Megatron-LM)",
        ),
    },
)
def mtp(
    depth: Annotated[int, Dial("tokens asked beyond the next one", 0, 64)] = 3,
    module: Annotated[Literal["parallel", "sequential"], Dial("heads side by side over one trunk, or one after another")] = "parallel",
    factor: Annotated[float, Dial("weight of all sequential modules together; parallel heads count 1 each", 0, 100)] = 0.3,
    divisor: Annotated[
        Literal["scored", "T"], Dial("what a further head's loss is divided by: positions asked, or all of the text")
    ] = "scored",
) -> Objective:
    """Causal language modelling that says several tokens ahead."""
    sequential = module == "sequential"
    further = {
        1 + k: Head(f"token+{1 + k}", coefficient=factor / depth if sequential else 1.0, divisor="tokens" if divisor == "T" else "scored",
                    reach=k if sequential else 0, form="module")
        for k in range(1, depth + 1)
    }  # fmt: skip

    def say(build: Build, k: int, numbers: bool) -> Column:
        """What position i says of the token k after the one it reads; a begin token in front stands for none."""
        return ahead(build.text(numbers), k - int(build.opened), build.out, -1 if numbers else SILENT)

    def columns(build: Build) -> dict[str, Column | Callable[[], Column]]:
        return {f"target:{head.name}": lambda k=k: say(build, k, False) for k, head in further.items()}  # type: ignore[misc]

    return Objective(
        name="mtp", steps=(Keep(),), visibility="causal", target=Following(), layout="decoder", head="open",
        heads=(Head(), *further.values()), shape=lambda length: (length, 0), columns=columns,
        answers=lambda build: {f"answer:{head.name}": say(build, k, True) >> 4 for k, head in further.items()},
        scored_share=lambda length: (length - 1) / length,
    )  # fmt: skip
