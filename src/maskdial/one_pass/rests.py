"""The text up to a split, and the answer that says the rest (T5's prefix language model, UL2's S)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from maskdial.corruption.prefix import Prefix
from maskdial.corruption.text import SAID_END
from maskdial.one_pass.frame import frame, to_fill
from maskdial.rng import copy, kernel
from maskdial.sample import SILENT, SPECIAL

if TYPE_CHECKING:
    from maskdial.build import Build
    from maskdial.one_pass import Made


@kernel
def _rests(tokens, first, offsets, split, head, tail, opening, end, silent, source, total, out):  # type: ignore[no-untyped-def]
    block, place, out[0] = np.empty((2, offsets[-1] + 3 * len(split)), dtype=np.int32), 0, 0
    read, said = block[0], block[1]
    for u in range(len(split)):
        begin, middle = place, place + np.int64(len(head) > 0) + split[u] + np.int64(len(tail) > 0)
        if len(head):
            read[place] = head[u]
            place += 1
        copy(tokens, first[u], split[u], read, place)
        if len(tail):
            read[middle - 1] = tail[u]
        said[begin:middle], read[middle] = silent, opening[u]
        rest = offsets[u + 1] - offsets[u] - split[u]
        copy(tokens, first[u] + split[u], rest, said, middle)
        copy(tokens, first[u] + split[u], rest, read, middle + 1)
        place = middle + rest + 1
        said[place - 1] = end[u]
        source[u], total[u], out[u + 1] = middle - begin, place - begin, place
    return block[:, :place]


def cut_rests(b: Build) -> Made | None:
    """Texts of which only the beginning is read."""
    if len(b.o.steps) > 1 or type(b.o.steps[0]) is not Prefix or not b.d.undrawn("split"):
        return None
    ink, filled = b.ink(False), to_fill(b)
    end, tokens, first = ink.each("eos", SAID_END, SPECIAL), *b.rows.lying
    made = _rests(tokens, first, b.units.offsets, b.d["split"], *frame(b, ink), end, SILENT, *filled)
    return made[0], made[1], *filled
