"""Who can look at what: answers in sight, documents that see each other, positions that see nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from maskdial.audit.check import Found, check, fail, many, ok, skipped, unknown, warn
from maskdial.audit.inside import PAIRS
from maskdial.audit.row import Evidence, Row

if TYPE_CHECKING:
    from jaxtyping import Bool, Int64

#: a decoder that reads what it must say, position by position, more often than this was given its own answers
COPIED = 0.9


@check("sight leak", "A position that can see its own answer copies it: the loss falls and nothing is learnt.")
def sight_leak(e: Evidence) -> Found:
    if not e.labels:
        return skipped("the batches have no labels")
    known = [r.leaks for r in e.rows if r.leaks is not None]
    if known:
        found, allowed = (sum(pair[i] for pair in known) for i in (0, 1))
        if found > allowed:
            rows = [r.number for r in e.rows if r.leaks is not None and r.leaks[0]]
            return fail(f"{found:,} scored positions can see their own answer; the recipe means {allowed:,}", rows)
        return ok(f"{found:,} scored positions can see their own answer, as the recipe means it" if found else
                  "no scored position can see its own answer")  # fmt: skip
    if sum(len(r.read) ** 2 for r in e.rows) > PAIRS and e.ours:
        return skipped(f"rows as long as these have over {PAIRS:,} pairs of positions to look at (give fewer rows)")
    if e.ours:
        return skipped("the samples were made without provenance, or by members that differ in what they declare")
    if e.form == "elsewhere":
        return skipped("answers stand elsewhere than they are asked for, and only provenance tells where")
    return {"next": _next, "answer": _answer, "in place": _in_place}[e.form](e)


def _next(e: Evidence) -> Found:
    leaks = {r.number: n for r in e.rows if r.sight is not None and (n := _ahead(r, r.sight()))}
    if leaks:
        return fail(f"{sum(leaks.values()):,} scored positions may look at the very token they must say", leaks)
    if all(r.sight is None for r in e.rows):
        if e.objective is not None and e.objective.visibility == "bidirectional":
            return fail(f"labels ask for the next token, and {e.name} looks both ways", [r.number for r in e.rows])
        return ok("no position sees what follows, in a model that looks left only (these batches leave that to the model)")
    return ok("no scored position can see its own answer")


def _ahead(r: Row, seen: Bool[np.ndarray, "s s"]) -> int:
    """Scored positions that see the next one, where their answer stands."""
    at = np.flatnonzero(r.scored[:-1] & (r.target[:-1] == r.read[1:]))
    return int(seen[at, at + 1].sum())


def _answer(e: Evidence) -> Found:
    given = [r for r in e.rows if r.answer is not None and r.scored.any()]
    if not given:
        return ok("a model that shifts its answer right reads none of it too early (these batches leave that to the model)")
    own = [r.number for r in given if r.answer is not None and (r.answer == r.target)[r.scored].mean() > COPIED and r.scored.sum() > 1]
    if own:
        return fail(f"in {many(len(own), 'row')} the decoder reads at each position what it must say there", own)
    return ok("the decoder reads nothing that it must say at the same position")


def _in_place(e: Evidence) -> Found:
    shown = sum(int((r.scored & (r.read == r.target)).sum()) for r in e.rows)
    asked = sum(int(r.scored.sum()) for r in e.rows)
    if not asked:
        return skipped("nothing is scored")
    say = f"{100 * shown / asked:.3g} % of what is asked stands there unchanged"
    return ok(f"{say} (tokens that were chosen and kept)") if shown <= asked / 2 else fail(f"{say}: it need only be copied",
        [r.number for r in e.rows if (r.scored & (r.read == r.target)).any()])  # fmt: skip


@check("documents apart", "Documents that share a row and see each other are learnt as one text.")
def documents_apart(e: Evidence) -> Found:
    packed = {r.number: parts for r in e.rows if len(np.unique(parts := _documents(r))) > 1}
    crossing = [r.number for r in e.rows if r.number in packed and r.sight is not None and _crosses(r.sight(), packed[r.number])]
    if crossing:
        return fail(f"in {many(len(crossing), 'row')} documents see each other", crossing)
    shown = [r.number for r in e.rows if r.number in packed and r.sight is None and r.segment is None and r.attends is not None]
    if shown:
        return fail(f"in {many(len(shown), 'row')} positions start again, and an attention mask of ones lets documents see each other "
                    "(models find documents in positions only where no mask is given)", shown)  # fmt: skip
    if packed:
        return ok(f"several documents in {many(len(packed), 'row')}, kept apart")
    if not e.ends:
        return unknown(e, "end-of-sequence token")
    if e.form != "next" and not e.windows:
        return skipped("nothing tells how many documents a row holds")
    inner = [r.number for r in e.rows if _inner_ends(r.body if e.windows else r.read[r.real], e.ends)]
    if not inner:
        return ok("no row goes on after an end-of-sequence token")
    if e.made:
        return ok(f"{many(len(inner), 'row')} with text after an end-of-sequence token, read as one text, as the recipe means it")
    if e.supervised:
        return skipped(f"text goes on after an end-of-sequence token in {many(len(inner), 'row')}: nothing tells turns of one "
                       "conversation from documents")  # fmt: skip
    return warn(f"text goes on after an end-of-sequence token in {many(len(inner), 'row')}, and nothing keeps apart what stands before "
                "it (right only where joined documents are meant)", inner)  # fmt: skip


def _documents(r: Row) -> np.ndarray:
    """The number of its document at each real position: segments where they are given, else positions that start again (and
    count by one otherwise: permuted or repeated positions tell no documents apart)."""
    if r.segment is not None:
        return r.segment[r.real] if len(r.segment) == len(r.real) else np.zeros(1)
    if r.position is None or r.form == "answer":
        return np.zeros(1)
    position = r.position[r.real]
    again = np.append(False, position[1:] == position[:1])
    return np.cumsum(again) if (again[1:] | (np.diff(position) == 1)).all() else np.zeros(1)


def _crosses(seen: Bool[np.ndarray, "s s"], documents: np.ndarray) -> bool:
    n = len(documents)
    return bool((seen[:n, :n] & (documents[:, None] != documents[None, :])).any())


def _inner_ends(ids: Int64[np.ndarray, " n"], ends: set[int]) -> bool:
    """Whether text goes on after an end token."""
    at = np.flatnonzero(np.isin(ids, list(ends)))
    return bool(len(at)) and bool((~np.isin(ids[at[0] :], list(ends))).sum() > 1)


@check("blind rows", "A position that may look at nothing, not even itself, gets no number (NaN) out of attention.")
def blind_rows(e: Evidence) -> Found:
    if e.ours:
        return ok("every position sees itself, by its order")
    if all(r.sight is None and r.attends is None for r in e.rows):
        return skipped("there is no attention mask to look at")
    blind = [r.number for r in e.rows if _blind(r)]
    if blind:
        return fail(f"in {many(len(blind), 'row')} a position may look at nothing", blind)
    return ok("every position sees something")


def _blind(r: Row) -> bool:
    if r.sight is not None:
        seen = r.sight()
        return bool((~seen.any(axis=1) & r.real[: len(seen)]).any())
    return bool(len(r.read)) and r.attends is not None and not r.attends.any()
