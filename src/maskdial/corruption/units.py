"""Where units lie in the columns, what stands around their text, and provenance read back from numbers."""

from __future__ import annotations

import numpy as np

from maskdial.rng import copy, kernel
from maskdial.sample import KEPT, MOVED

FOUR = np.int32(4)
#: no token, where each unit may have one
NONE = np.empty(0, dtype=np.int32)


@kernel
def lay_out(text, cut, front, added, answer, answers, source, total, at, middle, out):  # type: ignore[no-untyped-def]
    """From the lengths of texts and answers: where each unit and its parts begin. A text that is cut past its end has one part, and
    no token stands between."""
    out[0] = 0
    for u in range(len(text)):
        whole = np.int64(len(cut) > 0 and cut[u] > text[u])
        source[u], at[u] = text[u] + added - whole, out[u] + front
        middle[u] = out[u] + source[u]
        total[u] = source[u] + answer[u] if answers else source[u]
        out[u + 1] = out[u] + total[u]


@kernel
def shift(said, begin, end, opening, read):  # type: ignore[no-untyped-def]
    """Each unit reads what it says, one place later, behind its opening token."""
    for u in range(len(begin)):
        if end[u] > begin[u]:
            read[begin[u]] = opening[u]
            copy(said, begin[u], end[u] - begin[u] - 1, read, begin[u] + 1)


@kernel
def following_read(read, begin, end, silent, said):  # type: ignore[no-untyped-def]
    """Each position says what the next one of its unit reads."""
    for u in range(len(begin)):
        if end[u] > begin[u]:
            copy(read, begin[u] + 1, end[u] - begin[u] - 1, said, begin[u])
            said[end[u] - 1] = silent


@kernel
def rim(read, said, begin, middle, end, silent, head, tail, answers, opening):  # type: ignore[no-untyped-def]
    """What stands around the text of every unit: a frame (`head` and `tail`, when they are there), silence before an answer, and
    what an answer reads behind its opening token (when it has one)."""
    for u in range(len(begin)):
        if answers:
            said[begin[u] : middle[u]] = silent
        if len(head):
            read[begin[u]], said[begin[u]] = head[u], silent
        if len(tail):
            read[middle[u] - 1], said[middle[u] - 1] = tail[u], silent
        if len(opening) and end[u] > middle[u]:
            read[middle[u]] = opening[u]
            copy(said, middle[u], end[u] - middle[u] - 1, read, middle[u] + 1)


@kernel
def ask_frame(read, said, at, hidden, side, shown, clean):  # type: ignore[no-untyped-def]
    """A hidden token of the frame is read as it is shown, and asked."""
    for u in range(len(at)):
        if hidden[u, side]:
            read[at[u]], said[at[u]] = shown[u], clean[u]


@kernel
def decode(read, said, out, body, place, kind):  # type: ignore[no-untyped-def]
    """From numbers, in place: `read` becomes origin and `said` answer."""
    for u in range(len(body)):
        length, first = np.int32(body[u]), np.uint64(out[u])
        for i in range(np.uint64(out[u + 1]) - first):
            number = read[first + i]
            origin = number >> FOUR
            stands_for = origin
            for _ in range(2):  # a token introduced in place of an introduced one stands for what that one stood for
                slot = np.int32(stands_for - length)
                stands_for = stands_for if slot < 0 else slot >> np.int32(2) if slot & np.int32(3) == 0 else np.int32(-1)
            read[first + i], place[first + i], kind[first + i] = origin, stands_for, number & np.int32(15)
            said[first + i] = max(said[first + i] >> FOUR, np.int32(-1))


@kernel
def mark_overtaken(origin, out, body, kind):  # type: ignore[no-untyped-def]
    """Tokens of the text that are read after a later one have moved."""
    for u in range(len(body)):
        latest = np.int64(0)
        for i in range(np.uint64(out[u]), np.uint64(out[u + 1])):
            here = np.int64(origin[i]) if origin[i] < body[u] else np.int64(0)
            if here < latest and kind[i] == KEPT:
                kind[i] = MOVED
            latest = max(latest, here)


@kernel
def put_between(read, said, at, end, token, silent):  # type: ignore[no-untyped-def]
    """A token that is not asked stands at `at[u]`, and everything from there to `end[u]` one place later; none past the end."""
    for u in range(len(at)):
        if at[u] >= end[u]:
            continue
        last = np.uint64(end[u] - 1)
        for column, new in ((read, token[u]), (said, silent)):
            for i in range(last - np.uint64(at[u])):  # from the right: a token is taken before its place is
                column[last - i] = column[last - i - np.uint64(1)]
            column[at[u]] = new
