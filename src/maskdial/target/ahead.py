"""Say the token that comes k after the one that is read: further questions at every position of a causal text."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from maskdial.rng import copy, kernel

if TYPE_CHECKING:
    from jaxtyping import Int32

    from maskdial.corruption.select import Offsets
    from maskdial.corruption.text import Text


@kernel
def _ahead(values, offsets, behind, silent, out_offsets, out):  # type: ignore[no-untyped-def]
    for u in range(len(offsets) - 1):
        said = max(offsets[u + 1] - offsets[u] - behind, 0)
        copy(values, offsets[u] + behind, said, out, out_offsets[u])
        out[out_offsets[u] + said : out_offsets[u + 1]] = silent


def ahead(text: Text, behind: int, out_offsets: Offsets, silent: int) -> Int32[np.ndarray, " m"]:
    """Position i of each unit says token i + `behind` of its text; the last `behind` positions say nothing."""
    out = np.empty(out_offsets[-1], dtype=np.int32)
    _ahead(text.values, text.offsets, behind, np.int32(silent), out_offsets, out)
    return out
