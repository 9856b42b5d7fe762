"""The same eight texts for every objective: continue, fill, repair. And how often greedy answers are wrong."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Int32

from maskdial.evaluate.abilities import TASKS, cannot, left_only, remark
from maskdial.evaluate.forms import Forms, asked_as, joined, noted
from maskdial.evaluate.generate import Decoding, continue_, fill, rewrite
from maskdial.evaluate.infill import gap
from maskdial.evaluate.items import Items, Passage, shuffled
from maskdial.evaluate.phrasing import Phrasing
from maskdial.evaluate.repair import damage
from maskdial.evaluate.scoring import Scorer
from maskdial.evaluate.statistics import Outcome, not_applicable

Ids = Int32[np.ndarray, " n"]

PROMPTS = 8
LENGTH = 64
REPAIR_LENGTH = 48
CONTINUE = 24
#: Gaps and damaged texts for the error rates.
GAPS = 100
REPAIRS = 30
BLANK = " ____ "


@dataclass(frozen=True)
class Prompt:
    """One task on one held-out text: what is shown, what stood there, and the tokens behind it."""

    id: str
    task: str
    text: str
    truth: str
    left: Ids
    right: Ids
    answer: Ids


def prompts(items: Items) -> list[Prompt]:
    """The first passage of eight held-out documents in the items' fixed order, each as three tasks."""
    made = []
    for n, passage in enumerate(items.passages(LENGTH, PROMPTS)):
        ids, half = passage.ids, len(passage) // 2
        left, right = ids[:half], ids[half:]
        made.append(Prompt(f"continue-{n + 1}", "continue", items.text(left), items.text(right), left, right[:0], right))
        a, b = gap(passage)
        made.append(Prompt(f"fill-{n + 1}", "fill", items.text(ids[:a]).rstrip() + BLANK + items.text(ids[b:]).lstrip(),
                           items.text(ids[a:b]), ids[:a], ids[b:], ids[a:b]))  # fmt: skip
        clean = ids[:REPAIR_LENGTH]
        bad = damaged(clean, _other(items, passage), items, n)
        made.append(Prompt(f"repair-{n + 1}", "repair", items.text(bad), items.text(clean), bad, bad[:0], clean))
    return made


def _other(items: Items, passage: Passage) -> Ids:
    """A passage of another document, to draw wrong words from."""
    found = items.passages(LENGTH, GAPS)
    return next((p.ids for p in found if p.document != passage.document), passage.ids)


def damaged(ids: Ids, other: Ids, items: Items, n: int) -> Ids:
    """A text damaged by a fixed rule: two neighbouring words swapped, one word replaced, one dropped, each in a third of it."""
    third = len(ids) // 3
    parts = [ids[:third], ids[third : 2 * third], ids[2 * third :]]
    for k, kind in enumerate(("swapped", "replaced", "dropped")):
        for u in shuffled(30, f"behaviour {n} {kind}").tolist():
            one = damage(kind, parts[k], other, items.word_start, u, 7 * u)
            if one is not None and not np.array_equal(one, parts[k]):
                parts[k] = one
                break
    return np.concatenate(parts).astype(np.int32)


def answers(scorer: Scorer, forms: Forms, items: Items, asked: Sequence[Prompt], seed: int = 0) -> dict[str, dict[str, Any]]:
    """What one model says to each prompt by id: `{"text", "note"?}` or `{"not_applicable"}`."""
    made: dict[str, dict[str, Any]] = {}
    for task in TASKS:
        mine, phrasing = [p for p in asked if p.task == task], forms.fit(task)
        if why := cannot(phrasing, task):
            made |= {p.id: not_applicable(why) for p in mine}
            continue
        if task == "continue":
            said = continue_(scorer, phrasing, [p.left for p in mine], Decoding(most=CONTINUE, temperature=0.8, top=40, seed=seed))
        elif task == "fill":
            said = fill(scorer, phrasing, [(p.left, p.right) for p in mine], [_room(phrasing, p) for p in mine], Decoding())
        else:
            said = rewrite(scorer, phrasing, [p.left for p in mine], Decoding(most=REPAIR_LENGTH + 8))
        note = joined(remark(phrasing, task), asked_as(phrasing))
        made |= {p.id: {"text": items.text(s)} | ({"note": note} if note else {}) for p, s in zip(mine, said, strict=True)}
    return made


def _room(phrasing: Phrasing, prompt: Prompt) -> int:
    """Tokens a gap may take: its true length where a mark a token gives that away, else twice as many."""
    return len(prompt.answer) * (2 if phrasing.one_mark_a_run else 1)


#: What `answers` does, for the report.
SETTINGS: dict[str, Any] = {
    "continue": f"{CONTINUE} tokens, drawn among the 40 likeliest at temperature 0.8, seed 0",
    "fill": "greedy; models that read a [MASK] or a place for each missing token are told how many are missing",
    "repair": "greedy",
    "prompts": "one passage of each of eight held-out documents, picked by a fixed rule before training",
}


def error_rates(scorer: Scorer, forms: Forms, items: Items) -> dict[str, Outcome | dict[str, Any]]:
    """Greedy answers held against the truth: `infill` (share of five hidden tokens wrong) and `repair` (edits left a token)."""
    gaps, damages = forms.fit("fill"), forms.fit("repair")
    return {"infill": noted(infill_errors(scorer, gaps, items), gaps), "repair": noted(repair_errors(scorer, damages, items), damages)}


def infill_errors(scorer: Scorer, phrasing: Phrasing, items: Items) -> Outcome | dict[str, Any]:
    """Share of hidden tokens that a greedy filling gets wrong, token by token; baseline: always the commonest token.

    The length of the gap is known to all. Models that read the left side only write on.
    """
    if not phrasing.left:
        return not_applicable(str(cannot(phrasing, "fill")))
    passages = items.passages(LENGTH, GAPS)
    if not passages:
        return not_applicable("held-out text has no run of 16 tokens")
    gaps = [gap(p) for p in passages]
    cut = [(p.ids[:a], p.ids[b:]) for p, (a, b) in zip(passages, gaps, strict=True)]
    said = fill(scorer, phrasing, cut, [b - a for a, b in gaps], Decoding(), exact=True)
    truth = [p.ids[a:b] for p, (a, b) in zip(passages, gaps, strict=True)]
    wrong = [float((t != s).sum()) for t, s in zip(truth, said, strict=True)]
    plain = [float((t != items.commonest).sum()) for t in truth]
    note = "" if phrasing.shows else left_only(phrasing)
    return Outcome.of([p.group for p in passages], wrong, [float(len(t)) for t in truth], plain, better="lower", note=note)


def repair_errors(scorer: Scorer, phrasing: Phrasing, items: Items) -> Outcome | dict[str, Any]:
    """Edits (insert, delete, replace a token) still needed after a greedy rewriting of a damaged text, per token of the clean
    one; baseline: the damaged text left as it is."""
    if why := cannot(phrasing, "repair"):
        return not_applicable(why)
    passages = items.passages(LENGTH, REPAIRS)
    if not passages:
        return not_applicable("held-out text has no run of 16 tokens")
    clean = [p.ids[:REPAIR_LENGTH] for p in passages]
    bad = [damaged(c, _other(items, p), items, n) for n, (c, p) in enumerate(zip(clean, passages, strict=True))]
    said = rewrite(scorer, phrasing, bad, Decoding(most=REPAIR_LENGTH + 8))
    left = [float(edits(s, c)) for s, c in zip(said, clean, strict=True)]
    before = [float(edits(b, c)) for b, c in zip(bad, clean, strict=True)]
    note = "" if phrasing.rewrites else "in place: it can only exchange tokens, not move or restore them"
    return Outcome.of([p.group for p in passages], left, [float(len(c)) for c in clean], before, better="lower", note=note)


def edits(a: Ids, b: Ids) -> int:
    """Levenshtein distance in tokens."""
    last = np.arange(len(b) + 1)
    for i, x in enumerate(a):
        # insertions run along the row: a running minimum of (cost - column) does them all at once
        row = np.minimum(last[1:] + 1, last[:-1] + (b != x))
        row = np.concatenate([[i + 1], row])
        last = np.minimum.accumulate(row - np.arange(len(row))) + np.arange(len(row))
    return int(last[-1])
