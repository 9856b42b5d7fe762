"""Sentences shuffled, Poisson spans behind one [MASK] each, and the answer that says the clean text (BART)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from maskdial.corruption.poisson import PoissonSpans, drawn_lengths, poisson_least, poisson_limits, share_of
from maskdial.corruption.rearrange import ShuffleSentences, shuffled
from maskdial.corruption.render import Replace
from maskdial.corruption.runs import SPARE, U0, U1, copy_on, longest_of, places
from maskdial.corruption.spans import choose
from maskdial.one_pass.frame import frame, to_fill
from maskdial.rng import CUT, PERMUTE, copy, kernel, site
from maskdial.sample import SILENT
from maskdial.target.rewritten import WholeText

if TYPE_CHECKING:
    from maskdial.build import Build
    from maskdial.one_pass import Made


#: no flag a token: sentences stay where they are
NO_FLAGS = np.empty(0, dtype=np.uint8)


@kernel
def _texts(tokens, offsets, keys, starts, rate, limits, least, mask, head, tail, opening, announced, end, silent, source, total, out):  # type: ignore[no-untyped-def]
    """The answer of unit u reads `opening[u]` first and says `announced[u]` first, where there are such."""
    units, longest = len(keys), longest_of(offsets)
    block, place, out[0] = np.empty((2, 2 * len(tokens) + 4 * units), dtype=np.int32), U0, 0
    read, said = block[0], block[1]
    text, runs = np.empty(longest + SPARE, dtype=np.int32), np.empty((3, longest + SPARE + 1), dtype=np.int32)
    border, start, length = runs[0], runs[1], runs[2]
    wide = 2 * longest + 8
    lengths, chosen, slots = np.empty(wide, dtype=np.int32), np.empty(wide, dtype=np.uint8), np.empty(wide + SPARE, dtype=np.int32)
    for u in range(units):
        begin, first, size, key = place, np.uint64(offsets[u]), offsets[u + 1] - offsets[u], keys[u]
        blocks, upto = 1, U0
        start[0], length[0] = 0, size
        if len(starts):
            blocks = shuffled(starts[offsets[u] : offsets[u + 1]], site(key, PERMUTE), border, start, length)
        for j in range(np.uint64(blocks)):
            copy_on(tokens, first + np.uint64(start[j]), length[j], text, upto)
            upto += np.uint64(length[j])
        budget, n = share_of(size, rate), 0
        if budget > 0:
            n = drawn_lengths(key, budget, limits, least, lengths[: 2 * budget + 8])
            choose(site(key, CUT), size - budget + n, n, chosen)
            places(chosen[: size - budget + n], np.uint8(1), True, slots)
        if len(head):
            read[place] = head[u]
            place += U1
        at, shown = U0, np.int32(0)
        for j in range(np.uint64(n)):
            kept, shown = np.uint64(slots[j] - np.int32(j) - shown), slots[j] - np.int32(j)
            copy_on(text, at, kept, read, place)
            at, place = at + kept + np.uint64(lengths[j]), place + kept + U1
            read[place - U1] = mask
        copy_on(text, at, np.uint64(size) - at, read, place)
        place += np.uint64(size) - at
        if len(tail):
            read[place] = tail[u]
            place += U1
        middle = place
        said[begin:middle], read[middle] = silent, opening[u]
        if len(announced):
            said[place] = read[place + U1] = announced[u]
            place += U1
        copy(tokens, first, size, said, place)
        copy(tokens, first, size, read, place + U1)
        place += np.uint64(size)
        said[place] = end[u]
        place += U1
        source[u], total[u], out[u + 1] = middle - begin, place - begin, place
    return block[:, :place]


def denoised_texts(b: Build) -> Made | None:
    """Poisson spans by [MASK], in sentences that may be shuffled."""
    (*before, step), target, mask = b.o.writing or b.o.steps, b.o.target, b.vocab.get("mask")
    if type(step) is not Replace or step.by != "mask" or step.random or type(step.select) is not PoissonSpans or mask is None:
        return None
    if len(before) > 1 or not all(type(one) is ShuffleSentences for one in before) or not isinstance(target, WholeText):
        return None
    if not all(b.d.undrawn(name) for one in (*before, step) for name in one.decisions):
        return None
    ink, filled, starts = b.ink(False), to_fill(b), b.rows.sentence if before else NO_FLAGS
    law = step.select.rate, poisson_limits(step.select.mean), poisson_least(step.select.mean)
    made = _texts(b.rows.tokens, b.units.offsets, b.d.keys, starts, *law, mask, *frame(b, ink),
                  target.head(ink, b.o.frame), target.ending(b.d, ink), SILENT, *filled)  # fmt: skip
    return made[0], made[1], *filled
