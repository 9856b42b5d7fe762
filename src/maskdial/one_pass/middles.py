"""Documents whose middles move to the end, and what each position says: what the next one reads (FIM)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from maskdial.corruption.middle import MORE, Middle, copied, end_of, put, unit_cut
from maskdial.corruption.runs import U0
from maskdial.rng import MIDDLE, copy, kernel, site
from maskdial.sample import SILENT

if TYPE_CHECKING:
    from maskdial.build import Build
    from maskdial.one_pass import Made


@kernel
def _moved(keys, tokens, offsets, eod, whole, rate, spm, other, new, silent, block, lengths, out):  # type: ignore[no-untyped-def]
    """Find, cut and write a unit while it is in the first cache, and what its positions say: what the next one reads."""
    piece, place, read, said = np.empty((1, 5), dtype=np.int32), np.int64(0), block[0], block[1]
    out[0] = 0
    for u in range(len(keys)):
        key, begin, first, upto, stop, p = site(keys[u], MIDDLE), place, offsets[u], offsets[u], offsets[u + 1], 0
        end = place + stop - first + MORE
        while first < stop or (whole and p == 0):
            last = end_of(tokens, first, stop, eod, whole)
            if unit_cut(key, p, last - first, rate, spm, other, piece, U0):
                place = copied(tokens, upto, first, read, place, end)
                place = put(tokens, first, last, piece, U0, new, U0, read, place, end)
                upto = last
            first, p = stop if whole else last + 1, p + 1
        place = min(copied(tokens, upto, stop, read, place, end), end)
        lengths[u], out[u + 1] = place - begin, place
        if place > begin:
            copy(read, begin + 1, place - begin - 1, said, begin)
            said[place - 1] = silent
    return place


def moved_middles(b: Build) -> Made | None:
    """Texts that nothing frames; no sentinel is missing."""
    step, (ids, missing) = b.o.steps[0], b.vocab.middle_ids
    if type(step) is not Middle or len(b.o.steps) > 1 or not b.bare or missing or not b.d.undrawn("cuts"):
        return None
    tokens, offsets, eod, units = b.rows.tokens, b.units.offsets, b.vocab.eod, len(b.units)
    block = np.empty((2, len(tokens) + MORE * units), dtype=np.int32)
    lengths, out = np.empty(units, dtype=np.int64), np.empty(units + 1, dtype=np.int64)
    size = _moved(b.d.keys, tokens, offsets, -1 if eod is None else eod, step.whole, *step.chances, ids, SILENT, block, lengths, out)
    return block[0, :size], block[1, :size], lengths, lengths, out
