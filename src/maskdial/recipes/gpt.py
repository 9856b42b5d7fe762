"""GPT: next-token prediction (Radford et al. 2018, *Improving Language Understanding by Generative Pre-Training*, §3.1).

Nothing is hidden in the text; the order hides what comes later. Position i reads token i and says token i + 1.

    text     transformer models learn patterns from large text corpora
    read     transformer models learn    patterns from  large text    corpora
    order    0           1      2        3        4     5     6       7
    target   models      learn  patterns from     large text  corpora ·

Documents joined in a row are framed by nothing but the end-of-document token between them, as in the released GPT-2; an
isolated document is opened by a begin token when the vocabulary has one, so that its first token is asked too.

By default a row is read to its end, where nothing is left to say: of T tokens T - 1 are asked. `compat="megatron"` gives a row one
token more than it reads, which is the first that the next window reads: all T positions are asked, and every token of the stream
but its first once an epoch. Three switches, all off in the classic set-up, act on joined rows. With the documents `a b` and `c`, each
ended by 0:

    stream     a b 0 c 0
    shared     a b 0 c       what is read
    says       b 0 c 0
    eod off    b 0 · 0       eod_loss=false: nothing is asked where an end token is read
    positions  0 1 2 0       reset_position=true; with reset_attention=true c sees itself alone
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated, Literal

import numpy as np

from maskdial.corruption.asked import Ask, within_documents
from maskdial.corruption.suffix import Keep
from maskdial.objective import Objective
from maskdial.recipes import Dial, recipe
from maskdial.sample import Column, Rows
from maskdial.target.asked import FollowingAsked
from maskdial.target.following import Following
from maskdial.visibility.documents import restarts
from maskdial.visibility.streams import lazily
from maskdial.vocab import Vocab

if TYPE_CHECKING:
    from jaxtyping import UInt8

    from maskdial.build import Build


@recipe(
    family="decoder",
    formula="nothing hidden × causal × next token",
    corruption="nothing",
    target="the next token, everywhere",
    source="Radford et al. 2018, §3.1; Radford et al. 2019",
    url="https://cdn.openai.com/research-covers/language-unsupervised/language_understanding_paper.pdf",
    good_for="continuing text; likelihoods; in-context learning",
    known_models=("GPT", "GPT-2", "GPT-3", "Llama"),
    modes={
        "megatron": (
            {"window": "shared"},
            "a row has one token more than it reads, so that every position is asked (Megatron-LM's classic set-up, with its three "
            "end-of-document switches off)",
        )
    },
)
def gpt(
    window: Annotated[Literal["own", "shared"], Dial("read a row to its end, or leave its last token to be said only")] = "own",
    eod_loss: Annotated[bool, Dial("ask for the token after an end of document, the next document's first")] = True,
    reset_position: Annotated[bool, Dial("positions restart after an end of document in a joined row")] = False,
    reset_attention: Annotated[bool, Dial("no sight across an end of document in a joined row")] = False,
) -> Objective:
    """Causal language modelling: every token from all before it."""
    shared, plain = window == "shared", window == "own" and eod_loss

    def flags(rows: Rows, vocab: Vocab) -> UInt8[np.ndarray, " n"]:
        return np.ones(len(rows.tokens), dtype=np.uint8) if eod_loss else within_documents(rows, vocab)

    def columns(build: Build) -> dict[str, Column | Callable[[], Column]]:
        made = lazily(["position", "segment"], lambda: restarts(build.rows.tokens, build.units.offsets, build.vocab.eod, build.out))
        wanted = {"position": reset_position, "segment": reset_attention}
        joined = build.rows.packing == "joined"  # both begin anew in isolated rows anyway
        return {name: column for name, column in made.items() if joined and wanted[name]}

    def read(length: int) -> int:
        return length - 1 if shared and length > 1 else length

    return Objective(
        name="gpt", steps=(Keep() if plain else Ask(flags, shared),), visibility="causal",
        target=Following() if plain else FollowingAsked(), layout="decoder", head="open",
        shape=lambda length: (read(length), 0), overlap=int(shared),
        columns=columns if reset_position or reset_attention else None,
        scored_share=lambda length: (length - 1) / read(length),
    )  # fmt: skip
