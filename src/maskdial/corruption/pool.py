"""Where random tokens come from."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Literal

import numpy as np

from maskdial.vocab import Vocab

if TYPE_CHECKING:
    from jaxtyping import Int32


Pool = Literal["body", "vocabulary", "dictionary"]


@cache
def _all_but(size: int, left_out: tuple[int | None, ...]) -> Int32[np.ndarray, " k"]:
    return np.setdiff1d(np.arange(size, dtype=np.int32), [id for id in left_out if id is not None]).astype(np.int32)


def pool_ids(vocab: Vocab, pool: str) -> Int32[np.ndarray, " k"]:
    """The ids of a pool: those that are not special ("body"), every one ("vocabulary", BERT's release), or every one but the
    begin, padding, end and unknown tokens ("dictionary", fairseq: [MASK] itself is among them)."""
    if pool == "body":
        return vocab.body
    return _all_but(vocab.size, (vocab.bos, vocab.pad, vocab.eos, vocab.unk) if pool == "dictionary" else ())
