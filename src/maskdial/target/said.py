"""The kernels of answers: where a last sentinel stands, how long an answer is, and what it says."""

from __future__ import annotations

import numpy as np

from maskdial.corruption.runs import FEW_AT_ONCE, U1, copy_on
from maskdial.rng import copy, inlined, kernel

#: whether one more sentinel ends the answer: iff the text ends kept, ever, never; or complement layout
AUTO, ALWAYS, NEVER, COMPLEMENT = range(4)


@inlined
def ends(text, stop, form):  # type: ignore[no-untyped-def]
    """Whether a last sentinel follows in a unit of `text` tokens whose last span stops at `stop` (0 without spans)."""
    return form == ALWAYS or (form != NEVER and stop < text)


@kernel
def sizes(texts, begin, count, start, length, form, size):  # type: ignore[no-untyped-def]
    """How many tokens say the hidden spans of each unit, an end of sequence behind them."""
    for u in range(len(texts)):
        first, n, covered, stop = np.uint64(begin[u]), np.uint64(count[u]), np.int64(0), np.int32(0)
        closes = form == COMPLEMENT and n > 0 and start[first] == 0
        for j in range(first, first + n):
            covered += length[j]
            stop = start[j] + length[j]
        size[u] = covered + count[u] - np.int64(closes) + np.int64(ends(texts[u], stop, form)) + 1


@kernel
def hidden_spans(values, offsets, begin, count, start, length, form, sentinels, last, end, lift, out, at):  # type: ignore[no-untyped-def]
    """What says the hidden spans of unit u, at `out[at[u]:]`. `last` is the mark of a last sentinel, less than 0 for the next one."""
    for u in range(len(at)):
        text, first, place, n, more = np.uint64(offsets[u]), np.uint64(begin[u]), np.uint64(at[u]), np.uint64(count[u]), lift[u]
        closes, stop = form == COMPLEMENT and n > 0 and start[first] == 0, np.int32(0)  # then spans come before their sentinels
        for k in range(n):
            if not closes:
                out[place] = sentinels[k] + more
                place += U1
            covered = np.uint64(length[first + k])
            copy_on(values, text + np.uint64(start[first + k]), covered, out, place, FEW_AT_ONCE)
            place += covered
            stop = start[first + k] + length[first + k]
            if closes and k + U1 < n:
                out[place] = sentinels[k] + more
                place += U1
        if ends(offsets[u + 1] - offsets[u], stop, form):
            out[place] = (sentinels[n - np.uint64(closes)] if last < 0 else last) + more
            place += U1
        out[place] = end + more


@kernel
def whole(values, offsets, head, end, out, at):  # type: ignore[no-untyped-def]
    """The text of unit u at `out[at[u]:]`: behind its head, where units have one, and before its end."""
    for u in range(len(at)):
        size, place = offsets[u + 1] - offsets[u], at[u]
        if len(head):
            out[place] = head[u]
            place += 1
        copy(values, offsets[u], size, out, place)
        out[place + size] = end[u]
