"""GLM's blank infilling in one stack (Du et al. 2022, *GLM: General Language Model Pretraining with Autoregressive Blank
Infilling*, §2).

Spans leave one [MASK] each. Behind the text come the spans in random order, each read behind a start token and said up to an
end token. The text is read both ways, an answer sees the text and what was said before. With tokens 2 and 4-5 hidden, the
second said first ([S] start, [E] end):

    text        x1 x2 x3 x4 x5 x6
    read        x1 x2 [MASK] x4 [MASK] [S] x5 x6  [S] x3
    order       0  0  0      0  0      1   2  3   4   5
    target      ·  ·  ·      ·  ·      x5  x6 [E] x3  [E]
    position    0  1  2      3  4      4   4  4   2   2
    position 2  0  0  0      0  0      1   2  3   1   2

A blank's tokens stand where its [MASK] stands and count along the blank, so that its length stays unknown. `task="token"`: lengths
are Poisson of mean 3 without 0 until 15 % are covered, at least a token apart. `task="sentence"`: whole sentences until 15 % are
covered. `task="document"`: one long span, half of the time the end. A blank lies within one document of a row
(a document-level one is the end of a row that holds several). A text too short for its blanks is not asked at all. The
released models name three kinds of [MASK] and mix the tasks .5, .3, .2: `md.mixture` mixes, and one [MASK] serves all three.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated, Literal

from maskdial.corruption.blanks import Blank, Turns, budget_of, long_blanks, most_blanks, sentence_blanks, token_blanks
from maskdial.corruption.text import Decisions, Spans
from maskdial.objective import Objective
from maskdial.recipes import Dial, recipe
from maskdial.sample import Column, Rows
from maskdial.target.blanks import SaidBlanks, places
from maskdial.visibility.streams import lazily

if TYPE_CHECKING:
    import numpy as np
    from jaxtyping import Int64

    from maskdial.build import Build


@recipe(
    family="decoder",
    formula="15 % hidden in Poisson spans, one [MASK] each × text both ways, spans causal × the spans in random order",
    corruption="15 % in spans of mean length 3.2, each one [MASK]",
    target="each span and its end, the spans in random order",
    source="Du et al. 2022, §2.1-2.3",
    url="https://arxiv.org/abs/2103.10360",
    good_for="understanding, filling gaps and continuing text with one stack",
    known_models=("GLM", "GLM-130B", "ChatGLM"),
)
def glm(
    task: Annotated[Literal["token", "sentence", "document"], Dial("short spans, whole sentences, or one long span")] = "token",
    rate: Annotated[float, Dial("share of tokens hidden at least, of a document (task token or sentence)", 0, 1)] = 0.15,
    least: Annotated[
        float, Dial("share of a row that the long span covers at least (task document; the 10B model's script: 0.25)", 0, 1)
    ] = 0.5,
) -> Objective:
    """Autoregressive blank infilling."""

    def select(rows: Rows, lengths: Int64[np.ndarray, " u"], d: Decisions) -> Spans:
        if task == "token":
            return token_blanks(d.keys, d["documents"], lengths, rate)
        if task == "sentence":
            return sentence_blanks(rows, d.keys, d["documents"], rate)
        return long_blanks(d.keys, d["documents"], lengths, least)

    def shape(length: int) -> tuple[int, int]:
        if task == "document":
            return length + 2 * int(length > 2), 0
        return length + 2 * (most_blanks(length, rate) if task == "token" else int(budget_of(length, rate))), 0

    def columns(build: Build) -> dict[str, Column | Callable[[], Column]]:
        spans, turns = build.d["spans"], build.d["turns"]
        return lazily(["position", "position2"],
                      lambda: places(build.begin, build.middle, build.front, spans, turns, int(build.out[-1])))  # fmt: skip

    return Objective(
        name="glm", steps=(Blank(select, by="mask"), Turns()), visibility="prefix", target=SaidBlanks(), layout="decoder",
        head="cls", needs=("sentence",) if task == "sentence" else (), shape=shape, exact=task == "document",
        columns=columns, places="noise",
        scored_share=lambda length: (rate if task != "document" else (1 + least) / 2),
    )  # fmt: skip
