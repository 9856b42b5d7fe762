"""Supervised fine-tuning: a causal model that is asked for completions only (Touvron et al. 2023, *Llama 2*, §3.1).

The rows' `part` says which tokens are a prompt's (0) and which a completion's (1); where several rules say so, a token is
asked only if all do. The token that ends a turn belongs to the completion and is asked. Position i says token i + 1:

    text     Q : hi yo   </s>
    part     0 0 0  1    1
    read     Q : hi yo   </s>
    target   · · yo </s> ·

The prompt is read causally like the rest: this is no prefix LM, and the loss reaches the prompt's embeddings through what is
said after it. Examples joined in a row never say one another's first token. `mean="example"` weighs every example
alike, not every token.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal

import numpy as np

from maskdial.corruption.asked import Ask, within_documents
from maskdial.objective import Objective
from maskdial.recipes import Dial, recipe
from maskdial.sample import Column, Head, Rows
from maskdial.target.asked import FollowingAsked
from maskdial.vocab import Vocab

if TYPE_CHECKING:
    from jaxtyping import UInt8

    from maskdial.build import Build


@recipe(
    family="decoder",
    formula="nothing hidden × causal × next token of a completion",
    corruption="nothing; the prompt is given",
    target="the next token, where it belongs to a completion",
    source="Touvron et al. 2023 (Llama 2), §3.1; Ouyang et al. 2022, §3.5",
    url="https://arxiv.org/abs/2307.09288",
    good_for="following instructions, after pretraining",
    known_models=("Llama 2 Chat", "InstructGPT", "Zephyr"),
)
def sft(
    mean: Annotated[
        Literal["token", "example"], Dial("what the loss is a mean over: completions' tokens, or rows (documents when isolated)")
    ] = "token",
) -> Objective:
    """Completion-only causal language modelling."""

    def flags(rows: Rows, vocab: Vocab) -> UInt8[np.ndarray, " n"]:
        assert rows.part is not None
        return within_documents(rows, vocab) & (rows.part == 1)

    def weight(build: Build) -> Column:
        asked = build.d["asked"].copy()
        if not build.opened:  # nothing says a unit's first token
            asked[build.units.offsets[:-1][build.units.lengths > 0]] = 0
        upto = np.concatenate([[0], np.cumsum(asked)])
        count = upto[build.units.offsets[1:]] - upto[build.units.offsets[:-1]]
        share = asked / np.maximum(np.repeat(count, build.units.lengths), 1)
        return (share if build.opened else np.append(share[1:], 0.0)[: len(share)]).astype(np.float32)

    return Objective(
        name="sft", steps=(Ask(flags),), visibility="causal", target=FollowingAsked(), layout="decoder", head="open",
        needs=("part",), shape=lambda length: (length, 0),
        heads=(Head(divisor="weights"),) if mean == "example" else (Head(),),
        columns=(lambda build: {"weight:token": lambda: weight(build)}) if mean == "example" else None,
        scored_share=lambda length: 0.5,
    )  # fmt: skip
