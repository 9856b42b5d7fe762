"""Where sentences start in tokens that stand without their text."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from jaxtyping import Int32, UInt8

from maskdial.data.segmentation import holders, sentence_starts


def starts(ids: Int32[np.ndarray, " n"], decode: Callable[[list[int]], str]) -> UInt8[np.ndarray, " n"]:
    """1 where a token starts a sentence of what the tokens spell; the first always does."""
    tokens = ids.tolist()
    ends = [len(decode(tokens[: i + 1])) for i in range(len(tokens))]
    spans = np.array([[0, *ends[:-1]], ends], dtype=np.int32).T
    found = holders(sentence_starts(decode(tokens)), spans)
    found[:1] = 1
    return found
