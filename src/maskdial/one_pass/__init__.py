"""The same samples as `Build` makes, drawn and written unit by unit while a unit is in the first cache: for a few common shapes.

Decisions that are drawn or given, provenance, and every other shape go the way of `Build`, which this room must equal to the bit
(docs/decisions/008).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from maskdial.one_pass.middles import moved_middles
from maskdial.one_pass.rests import cut_rests
from maskdial.one_pass.spans import replaced_spans
from maskdial.one_pass.texts import denoised_texts
from maskdial.target.next_read import NextRead
from maskdial.target.rest import Rest
from maskdial.target.rewritten import HiddenSpans, WholeText
from maskdial.target.with_language import WithLanguage

if TYPE_CHECKING:
    import numpy as np
    from jaxtyping import Int32, Int64

    from maskdial.build import Build
    from maskdial.corruption.step import Target
    Lengths = Int64[np.ndarray, " u"]
    #: what is read and what must be said; positions of each unit's source and of all of it; offsets of units
    Made = tuple[Int32[np.ndarray, " m"], Int32[np.ndarray, " m"], Lengths, Lengths, Lengths]

#: by target: makes the samples, or None where steps, frame or decisions are not such that it can
SHAPES: dict[type[Target], Callable[[Build], Made | None]] = {
    NextRead: moved_middles, HiddenSpans: replaced_spans, WholeText: denoised_texts, WithLanguage: denoised_texts, Rest: cut_rests,
}  # fmt: skip


def one_pass(b: Build) -> Made | None:
    """The samples of a build, or None where only `Build` itself can make them."""
    make = SHAPES.get(type(b.o.target))
    if make is None or not b.o.steps or b.opened or b.between is not None or "frame" in b.d.values:
        return None
    return make(b)
