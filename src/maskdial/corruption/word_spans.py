"""SpanBERT's selection: spans of whole words of geometric length until the budget is met to the token."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from maskdial.corruption.words import limits, size_drawn
from maskdial.rng import LENGTHS, SELECT, U32, below, draw, kernel, site

if TYPE_CHECKING:
    from jaxtyping import Int64

    from maskdial.corruption.select import Hidden, Keys, Offsets
    from maskdial.corruption.words import Flags


@kernel
def _word_spans(offsets, keys, counts, starts, upto, hidden):  # type: ignore[no-untyped-def]
    for u in range(len(keys)):
        word, part = starts[offsets[u] : offsets[u + 1]], hidden[offsets[u] : offsets[u + 1]]
        part[:] = 0
        places, sizes, left = site(keys[u], SELECT), site(keys[u], LENGTHS), counts[u]
        c = np.int64(-1)
        while left > 0:
            c += 1
            i = np.int64(below(draw(places, np.uint64(c)), len(part)))
            if part[i]:
                continue
            words = size_drawn(draw(sizes, np.uint64(c)) >> U32, upto)
            while not word[i]:
                i -= 1
            while left > 0 and i < len(part):
                words -= np.int64(word[i])
                if words < 0:
                    break
                left -= np.int64(part[i] == 0)
                part[i] = 1
                i += 1


def geometric(p: float, longest: int) -> tuple[float, ...]:
    """Weights of 1 … `longest` under p (1 - p)^(n - 1), cut off (not clamped) there."""
    return tuple((1 - p) ** n for n in range(longest))


def word_spans(offsets: Offsets, keys: Keys, counts: Int64[np.ndarray, " u"], starts: Flags, weights: tuple[float, ...]) -> Hidden:
    """Exactly `counts[u]` tokens of unit u (at most its length): spans of n words with weight `weights[n-1]`.

    An anchor is a uniform token; one that is hidden already is drawn again, and its length with it. The span begins at the
    anchor's word and ends after its words, at the end of the unit or when the budget is met, in the middle of a word too; it
    may run into hidden tokens. `starts` is 1 where a word starts, a unit's first token included.
    """
    hidden = np.empty(offsets[-1], dtype=np.uint8)
    _word_spans(offsets, keys, counts, starts, limits(weights), hidden)
    return hidden
