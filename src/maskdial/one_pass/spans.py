"""Random spans behind their sentinels, and the answer that says them (T5)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from maskdial.corruption.render import Replace
from maskdial.corruption.runs import FEW_AT_ONCE, SPARE, U0, U1, copy_on
from maskdial.corruption.spans import RandomSpans, between, compositions, rolled, span_counts
from maskdial.corruption.text import SAID_END
from maskdial.one_pass.frame import frame, to_fill
from maskdial.rng import ROLL, ZERO, copy, inlined, kernel, site
from maskdial.sample import SILENT, SPECIAL
from maskdial.target.rewritten import HiddenSpans
from maskdial.target.said import COMPLEMENT, ends

if TYPE_CHECKING:
    from maskdial.build import Build
    from maskdial.one_pass import Made


@inlined
def _turned(kept, covered, n, size, key, start, length):  # type: ignore[no-untyped-def]
    """Rotate the runs of one unit, in place: `kept` and `covered` are last places again, `kept[0]` is -1 if the text begins hidden.
    Returns how many spans there are."""
    between(kept, covered, n, start, length, 0)
    n, before = rolled(start, length, n, size, key), np.int32(0)
    for j in range(n):
        kept[j], covered[j] = start[j] - before - 1, before + length[j] - 1
        before += length[j]
    return n


@kernel
def _spans(tokens, first, offsets, keys, member, law, float32, form, sentinels, head, tail, opening, end, silent, source, total, out):  # type: ignore[no-untyped-def]
    units, longest, room, most = len(keys), 0, 0, 0
    hidden, count = np.empty(units, dtype=np.int64), np.empty(units, dtype=np.int64)
    for u in range(units):
        size, row = offsets[u + 1] - offsets[u], member[u] if len(member) else 0
        hidden[u], count[u] = span_counts(size, law[0, row], law[1, row], float32)
        spans = count[u] + np.int64(law[2, row])  # a rolled span may wrap and become two
        longest, most, room = max(longest, size), max(most, spans), room + size + 2 * spans + 4
    block, place, out[0] = np.empty((2, room), dtype=np.int32), U0, 0
    if most >= len(sentinels):
        return block[:, :0]
    read, said = block[0], block[1]
    start, length = np.empty(most + 1, dtype=np.int32), np.empty(most + 1, dtype=np.int32)
    chosen = np.empty(longest + SPARE, dtype=np.uint8)
    covered, kept = np.empty(longest + SPARE, dtype=np.int32), np.empty(longest + SPARE, dtype=np.int32)
    for u in range(units):
        begin, size, n = place, offsets[u + 1] - offsets[u], count[u]
        if n:
            compositions(keys[u], size, hidden[u], n, chosen, kept, covered)
            if law[2, member[u] if len(member) else 0]:
                n = _turned(kept, covered, n, size, site(keys[u], ROLL), start, length)
        if len(head):
            read[place] = head[u]
            place += U1
        middle = answer = place + np.uint64(size - hidden[u] + n + np.int64(len(tail) > 0))
        closes = form == COMPLEMENT and n > 0 and kept[0] < 0  # then spans come before their sentinels
        at, shown, asked = np.uint64(first[u]), np.int32(-1), np.int32(-1)  # the last kept and the last hidden token so far, among its like
        for j in range(np.uint64(n)):
            runs = np.uint64(kept[j] - shown), np.uint64(covered[j] - asked)
            shown, asked, sentinel = kept[j], covered[j], sentinels[j]
            copy_on(tokens, at, runs[0], read, place)
            at, place = at + runs[0], place + runs[0] + U1
            read[place - U1] = sentinel
            if not closes:
                said[answer] = sentinel
                answer += U1
            copy_on(tokens, at, runs[1], said, answer, FEW_AT_ONCE)
            at, answer = at + runs[1], answer + runs[1]
            if closes and j + U1 < np.uint64(n):
                said[answer] = sentinel
                answer += U1
        rest = np.uint64(first[u] + size) - at
        copy_on(tokens, at, rest, read, place)
        if len(tail):
            read[middle - U1] = tail[u]
        if ends(1, np.int64(rest == 0), form):  # as of a text of one token, kept iff something is left
            said[answer] = sentinels[n - np.int64(closes)]
            answer += U1
        said[answer] = end[u]
        answer += U1
        said[begin:middle] = silent
        read[middle] = opening[u]
        copy(said, middle, answer - middle - U1, read, middle + U1)
        source[u], total[u], out[u + 1] = middle - begin, answer - begin, answer
        place = answer
    return block[:, :place]


def replaced_spans(b: Build) -> Made | None:
    """Random spans by sentinels, of which there are surely enough."""
    step, target = b.o.steps[0], b.o.target
    if type(step) is not Replace or step.by != "sentinel" or step.random or type(step.select) is not RandomSpans:
        return None
    if len(b.o.steps) > 1 or not isinstance(target, HiddenSpans) or not b.d.undrawn("spans") or b.vocab.get("eos") is None:
        return None
    ink, filled, member = b.ink(False), to_fill(b), b.d.get("member")
    law = ZERO if member is None else member, step.select.law, step.select.float32
    end, tokens, first = ink.each("eos", SAID_END, SPECIAL), *b.rows.lying
    made = _spans(tokens, first, b.units.offsets, b.d.keys, *law, target.form, b.vocab.sentinel_ids, *frame(b, ink), end, SILENT, *filled)
    return (made[0], made[1], *filled) if made.size or not len(b.units) else None
