"""Where labels stand, and how rows begin and end."""

from __future__ import annotations

import numpy as np

from maskdial.audit.check import Found, check, fail, many, ok, skipped, unknown, warn
from maskdial.audit.row import Evidence, Row


@check("shifted labels", "Hugging Face's causal models shift labels themselves; shifted twice, they learn the token after the next.")
def shifted_labels(e: Evidence) -> Found:
    if not e.labels:
        return skipped("the batches have no labels")
    if e.shifted:
        return fail("labels are the tokens one place further on, and a model that shifts them would shift again",
                    [r.number for r in e.rows])  # fmt: skip
    if e.form != "next":
        said = {"in place": "labels stand in place", "answer": "labels are a decoder's answer"}
        return ok(said.get(e.form, "labels stand in slots of their own"))
    return ok("each target is the token that follows")


@check("end of sequence", "Where the end is not learnt, a model never stops writing; with pad = eos, collators drop it.")
def end_of_sequence(e: Evidence) -> Found:
    if e.form in ("in place", "elsewhere"):
        return skipped("a model that fills in does not write an end")
    if not e.ends:
        return unknown(e, "end-of-sequence token")
    if not any(r.scored.any() for r in e.rows):
        return skipped("nothing is scored")
    ends = list(e.ends)
    if e.form == "answer":
        endless = [r.number for r in e.rows if r.scored.any() and not np.isin(r.target, ends).any()]
        if not endless:
            return ok("every answer ends")
        if e.objective is not None:
            return ok(f"{many(len(endless), 'answer')} without an end of its own, as {e.name} writes them")
        return warn(f"no end-of-sequence token in {len(endless)} of {many(len(e.rows), 'answer')}", endless)
    asked = [r for r in e.rows if r.scored.any()]
    dropped = [r.number for r in asked if not _closes(r.target[r.scored], e.ends) and _end_follows(r, e.ends)]
    without = [r for r in asked if not np.isin(r.target[r.scored], ends).any()]
    if dropped and len(without) == len(asked):
        return fail(f"the end-of-sequence token at the end of {many(len(dropped), 'row')} is never scored", dropped)
    if dropped:
        return warn(f"in {len(dropped)} of {many(len(e.rows), 'row')} the end-of-sequence token is there and not scored", dropped)
    longest = max(r.tokens for r in e.rows)  # what is cut there is another check's
    open_ = [r.number for r in without if len(without) == len(asked) or r.tokens < longest]
    if open_ and e.supervised and not e.windows:
        return warn(f"no end-of-sequence token is asked for in {len(open_)} of {many(len(e.rows), 'row')}: such answers never stop", open_)
    return ok(f"in {len(asked) - len(without)} of {many(len(e.rows), 'row')} an end-of-sequence token is asked for")


def _end_follows(r: Row, ends: set[int]) -> bool:
    """Whether an end token stands behind the last token that is asked for."""
    asked = int(np.flatnonzero(r.scored)[-1])
    return bool((np.isin(r.read, list(ends)) & r.real)[asked + 1 :].any())


@check("truncated answers", "An answer that is cut where the row ends teaches to stop in the middle, or not to stop.")
def truncated_answers(e: Evidence) -> Found:
    if not e.ends:
        return unknown(e, "end-of-sequence token")
    if e.form == "answer" and not e.made:
        lengths = [int(r.scored.sum()) for r in e.rows]
        closed = [_closes(r.target[r.scored], e.ends) for r in e.rows]
        cut = [r.number for r, n, end in zip(e.rows, lengths, closed, strict=True) if n == max(lengths) and n and not end]
        if cut and any(closed):
            return warn(f"{many(len(cut), 'answer')} of the longest length without an end", cut)
        return ok("no answer is cut")
    if e.form != "next" or not e.supervised or e.windows:
        return skipped("only supervised rows have answers that can be cut")
    longest = max((r.tokens for r in e.rows), default=0)
    cut = [r.number for r in e.rows if r.tokens == longest and _asked_to_the_end(r) and not _closes(r.target[r.scored], e.ends)]
    if cut and len(e.rows) == len(cut):
        return skipped("no row ends in an end-of-sequence token, by which a cut is told")
    if cut:
        return warn(f"a scored span is cut at the end of {many(len(cut), 'row')} of the longest length ({longest})", cut)
    return ok("no row of the longest length ends inside an answer")


def _closes(ids: np.ndarray, ends: set[int]) -> bool:
    return bool(len(ids)) and int(ids[-1]) in ends


def _asked_to_the_end(r: Row) -> bool:
    last = np.flatnonzero(r.real)
    return len(last) > 1 and bool(r.scored[last[-2:]].any())


@check("start", "A doubled start token (the template writes one, the tokenizer adds one) is not what a model sees when it is used.")
def start(e: Evidence) -> Found:
    starts = e.ids("bos", "cls", "start")
    if not starts:
        return unknown(e, "start token")
    doubled = [r.number for r in e.rows for ids in [r.read[r.real][:2]] if len(ids) == 2 and ids[0] == ids[1] and int(ids[0]) in starts]
    if doubled:
        return fail(f"two start tokens at the beginning of {many(len(doubled), 'row')}", doubled)
    return ok("no row begins with two start tokens")
