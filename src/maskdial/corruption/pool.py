"""Where random tokens come from."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import numpy as np

from maskdial.vocab import Vocab

if TYPE_CHECKING:
    from jaxtyping import Int32


Pool = Literal["body", "vocabulary", "dictionary"]


def pool_ids(vocab: Vocab, pool: str) -> Int32[np.ndarray, " k"]:
    """The ids of a pool: those that are not special ("body"), every one ("vocabulary", BERT's release), or every one but the
    begin, padding, end and unknown tokens ("dictionary", fairseq: [MASK] itself is among them)."""
    if pool == "body":
        return vocab.body
    every = np.arange(vocab.size, dtype=np.int32)
    if pool == "vocabulary":
        return every
    return np.setdiff1d(every, [id for id in (vocab.bos, vocab.pad, vocab.eos, vocab.unk) if id is not None]).astype(np.int32)
