"""How many tokens a masked language model chooses, and which: the counting of BERT, of Hugging Face and of fairseq."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from maskdial.corruption.render import Edit, by_coins, mask_or_random_or_same
from maskdial.corruption.runs import marked
from maskdial.corruption.select import exact, stochastic_count, whole_words
from maskdial.corruption.text import Decisions, offsets_of
from maskdial.corruption.together import EditTogether
from maskdial.corruption.words import first_parts, runs_of_words, word_starts
from maskdial.rng import copy, kernel
from maskdial.sample import Rows

if TYPE_CHECKING:
    from jaxtyping import Int64

    from maskdial.corruption.select import Hidden, Offsets


@kernel
def _parted(chosen, wide, offsets, starts, hidden, frame):  # type: ignore[no-untyped-def]
    """Flags of tokens, and of the two of its frame, from flags of the tokens, or of the words, of a unit in its frame."""
    for u in range(len(frame)):
        frame[u, 0], frame[u, 1] = chosen[wide[u]], chosen[wide[u + 1] - 1]
        first, word = np.uint64(offsets[u]), np.uint64(wide[u])
        if len(starts):
            for i in range(first, np.uint64(offsets[u + 1])):
                word += np.uint64(starts[i])
                hidden[i] = chosen[word]
        else:
            copy(chosen, wide[u] + 1, offsets[u + 1] - offsets[u], hidden, first)


@kernel
def _counts(offsets, rate, more, most, out):  # type: ignore[no-untyped-def]
    for u in range(len(out)):
        wanted = np.int64(np.rint((offsets[u + 1] - offsets[u] + more) * rate))
        out[u] = min(max(wanted, np.int64(rate > 0)), most)


def counts_of(offsets: Offsets, rate: float, more: int = 0, most: int | None = None) -> Int64[np.ndarray, " u"]:
    """BERT's count of each unit's tokens and `more`: rounded, halves to even, at least 1 and at most `most`; nothing at rate 0."""
    out = np.empty(len(offsets) - 1, dtype=np.int64)
    _counts(offsets, float(rate), more, 2**62 if most is None else most, out)
    return out


def shares(recipe: str, mask: float, random: float) -> None:
    """`ValueError` when more than all of the chosen tokens would be replaced."""
    if mask + random > 1:
        raise ValueError(f"{recipe}: mask + random must not exceed 1 (got {mask:g} + {random:g})")


@dataclass(frozen=True)
class Choosing:
    """A selection for `Edit`.

    `count`: a coin a token or a word ("bernoulli"); max(1, round(L · rate)) of L tokens with `framed` special ones, which are
    never chosen ("exact", at most `most`); floor(n · rate + U) of the n tokens or words and the two tokens of the frame
    ("fairseq"; the frame's are the decision "frame"). `runs` weighs runs of 1, 2, … whole words; `pairs` keeps words and runs
    within their part.
    """

    recipe: str
    rate: float
    count: str = "bernoulli"
    mask: float = 0.8
    random: float = 0.1
    whole_word: bool = False
    runs: tuple[float, ...] = (1.0,)
    framed: int = 2
    most: int | None = None
    pairs: bool = False

    def __post_init__(self) -> None:
        shares(self.recipe, self.mask, self.random)
        if len(self.runs) > 1 and not (self.whole_word and self.count == "exact"):
            raise ValueError(f"{self.recipe}: runs of words (ngram > 1) need whole_word=True and count='exact'")

    def __call__(self, rows: Rows, offsets: Offsets, d: Decisions) -> Hidden:
        if self.count == "fairseq":
            return self.with_frame(rows, offsets, d)
        counts = counts_of(offsets, self.rate, self.framed, self.most) if self.count == "exact" else None
        if self.coins:
            return by_coins(offsets, d.keys, self.rate, self.mask, self.random)
        if counts is not None and not self.whole_word:
            return exact(offsets, d.keys, counts)
        fence = first_parts(rows, offsets) if self.pairs else None
        starts = word_starts(rows, offsets, self.recipe, fence)
        if counts is None or len(self.runs) == 1:
            return whole_words(offsets, d.keys, starts, self.rate, counts)
        return runs_of_words(offsets, d.keys, counts, starts, fence, self.runs)

    def with_frame(self, rows: Rows, offsets: Offsets, d: Decisions) -> Hidden:
        """fairseq: every token (or word) and both tokens of the frame are alike; the count is rounded by chance."""
        starts = word_starts(rows, offsets, self.recipe) if self.whole_word else np.zeros(0, dtype=np.uint8)
        things = (marked(starts, offsets) if self.whole_word else offsets[1:] - offsets[:-1]) + 2  # one more on each side of a unit
        wide = offsets_of(things)
        chosen = exact(wide, d.keys, stochastic_count(things, d.keys, self.rate))
        hidden, frame = np.empty(offsets[-1], dtype=np.uint8), np.empty((len(things), 2), dtype=np.uint8)
        _parted(chosen, wide, offsets, starts, hidden, frame)
        mask_or_random_or_same(frame.reshape(-1), 2 * np.arange(len(offsets)), ~d.keys, self.mask, self.random)
        d.values["frame"] = frame
        return hidden

    @property
    def coins(self) -> bool:
        """Whether each token has a coin of its own, which then decides too what becomes of it."""
        return self.count == "bernoulli" and not self.whole_word

    def step(self, pool: str) -> Edit:
        """The step that hides what is chosen; fairseq decides once a word what becomes of it."""
        if self.whole_word and self.count == "fairseq":
            return EditTogether(self, self.mask, self.random, pool=pool, starts=lambda rows, at: word_starts(rows, at, self.recipe))
        return Edit(self, self.mask, self.random, pool=pool, decided=self.coins)
