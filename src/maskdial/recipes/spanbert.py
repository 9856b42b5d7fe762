"""SpanBERT (Joshi et al. 2020, §3.1, §3.2): spans of whole words, each token asked in place and from the span's two neighbours.

Spans of 1 to 10 words (geometric with p = 0.2, cut off at 10: mean 3.8) are hidden until ceil(0.15 · n) tokens are, to the token.
Spans that touch are one. A span becomes [MASK], random or stays as a whole. With tokens 2 and 3 hidden:

    text           transformer models learn   patterns from large text corpora
    read           transformer models [MASK]  [MASK]   from large text corpora
    target         ·           ·      learn   patterns ·    ·     ·    ·
    span_boundary  ·           ·      learn   patterns ·    ·     ·    ·
    left           0           0      1       1        0    0     0    0
    right          0           0      4       4        0    0     0    0
    offset         0           0      0       1        0    0     0    0

The head `span_boundary` says each token of a span from the final states of the tokens beside the span (`left`, `right`) and its
place in the span (`offset`). A span that touches an end of the text has no such neighbour and is asked in place only: the frame
is no boundary. Tokens beyond the first `max_pair` of a span are not asked either.

The released code draws random tokens from the corpus, that is in proportion to their frequency. `pool="row"` does the same without
the corpus: a random token is one of the tokens of the same text that are not hidden, each equally likely, so that on average it
follows the frequencies and it tells nothing about what is hidden. The released loss divides the boundary's sum by its count + 1, to
be safe when there is none; here a head that nothing asks costs nothing, and the divisor is the count.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated, Any, Literal

import numpy as np

from maskdial.corruption.choosing import shares
from maskdial.corruption.text import Decisions
from maskdial.corruption.together import EditTogether
from maskdial.corruption.word_spans import geometric, word_spans
from maskdial.corruption.words import word_starts
from maskdial.objective import Objective
from maskdial.recipes import Dial, recipe
from maskdial.sample import SILENT, Column, Head, Rows
from maskdial.target.boundary import Boundaries, boundaries
from maskdial.target.in_place import InPlace
from maskdial.visibility.streams import lazily

if TYPE_CHECKING:
    from maskdial.corruption.select import Hidden, Offsets


@recipe(
    family="encoder",
    formula="15 % hidden in spans of words (mean 3.8) × bidirectional × the hidden tokens, in place and from the span's neighbours",
    corruption="15 % of tokens in spans of 1 to 10 words: 80 % [MASK], 10 % random, 10 % unchanged, one choice a span",
    target="the hidden tokens, in place, and again from the two tokens beside their span",
    source="Joshi et al. 2020, §3.1, §3.2",
    url="https://arxiv.org/abs/1907.10529",
    good_for="representations of spans: answers, entities, coreference",
    known_models=("SpanBERT",),
    modes={
        "released": (
            {"max_pair": 15},
            "spans of at most 15 tokens have a boundary target (the released recipe; the flag's default is 20)",
        ),
        "flags": (
            {"geometric_p": 0.3, "scope": "token", "boundary": 0.0},
            "the released code's own defaults: mean span 3.0 words, one choice a token, no boundary loss",
        ),
    },
)
def spanbert(
    rate: Annotated[float, Dial("share of tokens hidden", 0, 1)] = 0.15,
    geometric_p: Annotated[float, Dial("a span ends after each of its words with this probability", 0.01, 1)] = 0.2,
    longest: Annotated[int, Dial("longest span, in words", 1, 100)] = 10,
    mask: Annotated[float, Dial("share of spans read as [MASK]", 0, 1)] = 0.8,
    random: Annotated[float, Dial("share of spans read as random tokens", 0, 1)] = 0.1,
    scope: Annotated[Literal["span", "token"], Dial("one choice of [MASK], random or unchanged for a span, or one a token")] = "span",
    pool: Annotated[Literal["row", "body"], Dial("random tokens: of the same text, or ordinary ids alike")] = "row",
    boundary: Annotated[float, Dial("coefficient of the span boundary loss; 0 leaves it out", 0)] = 1.0,
    max_pair: Annotated[int, Dial("how many tokens of a span its boundary is asked", 1)] = 20,
) -> Objective:
    """Hidden spans of words, in place and from the span's two neighbours."""
    shares("spanbert", mask, random)
    weights = geometric(geometric_p, longest)

    def select(rows: Rows, offsets: Offsets, d: Decisions) -> Hidden:
        counts = np.ceil(np.round(np.diff(offsets) * rate, 9)).astype(np.int64)
        return word_spans(offsets, d.keys, counts, word_starts(rows, offsets, "spanbert"), weights)

    def asked(b: Any, values: Column, silent: int) -> Boundaries:
        row = np.searchsorted(b.units.row, b.units.row)  # the first unit of each unit's row
        return boundaries(b.d["hidden"], values, b.units.offsets, b.begin + b.front, b.begin[row], int(b.out[-1]), max_pair, silent)

    def columns(b: Any) -> dict[str, Column | Callable[[], Column]]:
        return lazily(["target:span_boundary", "left", "right", "offset"], lambda: asked(b, b.text(False).values, SILENT))

    def answers(b: Any) -> dict[str, Column]:
        return {"answer:span_boundary": asked(b, b.text(True).values >> 4, -1).said}

    def each(rows: Rows, offsets: Offsets) -> Hidden:
        return np.ones(len(rows.tokens), dtype=np.uint8)

    return Objective(
        name="spanbert",
        steps=(EditTogether(select, mask, random, starts=each if scope == "token" else None, from_row=pool == "row"),),
        visibility="bidirectional", target=InPlace(), layout="encoder", head="cls", tail="sep",
        shape=lambda length: (length, 0),
        sees_own="kept",
        scored_share=lambda length: rate,
        heads=(Head(), Head("span_boundary", coefficient=boundary, form="boundary")) if boundary else (Head(),), needs=("word",),
        columns=columns if boundary else None, answers=answers if boundary else None,
    )  # fmt: skip
