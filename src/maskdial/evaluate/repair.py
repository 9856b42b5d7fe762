"""Damaged text: which of ten versions is the clean one?

Nine versions damage the same stretch in the middle of a passage: words swapped, dropped, replaced, or phrases exchanged. The
clean one and the nine differ nowhere else. Objectives that are shown a gap (t5, bart, glm, …) read the passage with the stretch hidden,
which is damage of their own kind, and rate what they would write there; the others rate the text itself.

Versions differ in length and in how common their words are, so a bare likelihood would reward dropping a rare word, and a mean
per token as well. Every scored token is therefore held against its own unigram probability: a version's score is the sum of
log p(token | context) - log p(token), what the model knows beyond word frequency. A dropped word gains nothing, a wrong one loses,
and a model that knows frequencies only is at chance. What is scored is the stretch and some or all of the text after it, where a
damage shows too.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float64

from maskdial.evaluate.abilities import NOTHING_HIDDEN, left_only, unusual
from maskdial.evaluate.facts import Run
from maskdial.evaluate.infill import TIE, pseudo_likelihood
from maskdial.evaluate.items import Items, Passage, uniform
from maskdial.evaluate.likelihood import Found, record
from maskdial.evaluate.phrasing import Phrasing
from maskdial.evaluate.scoring import Scorer, rows_of_scored
from maskdial.evaluate.statistics import Outcome, not_applicable
from maskdial.sample import SILENT, Samples

LENGTH = 48
STRETCH = 12
VERSIONS = 10
ITEMS = 120
#: The damages of versions 1 … 9.
DAMAGES = ("swapped", "swapped", "swapped", "dropped", "dropped", "replaced", "replaced", "moved", "moved")
#: In place, every fourth token is hidden at a time, about as many as in training.
STRIDE = 4
#: Tokens after the stretch (in place: on each side of it) that are scored too.
AFTER = 4

Ids = np.ndarray[Any, np.dtype[np.int32]]


@dataclass(frozen=True)
class Versions:
    """One passage: its text before and after the stretch, and ten stretches, the clean one first."""

    passage: Passage
    left: Ids
    right: Ids
    stretches: tuple[Ids, ...]

    def text(self, k: int) -> Ids:
        return np.concatenate([self.left, self.stretches[k], self.right])

    def run(self, k: int) -> Run:
        return len(self.left), len(self.left) + len(self.stretches[k])


def repair(scorer: Scorer, phrasing: Phrasing, items: Items) -> Found:
    """Share of passages whose clean version ranks first among ten; chance .10 (ties share the point)."""
    if phrasing.rewrites and not phrasing.shows:
        return not_applicable(NOTHING_HIDDEN)
    cases = damaged(items)
    if not cases:
        return not_applicable("held-out text has no passages with words enough to damage")
    scores = score(scorer, phrasing, items, cases)
    ties = scores >= scores.max(1, keepdims=True) - TIE
    points = np.where(ties[:, 0], 1.0 / ties.sum(1), 0.0)
    records = [
        record(items, c.passage, right=round(float(x), 3), chosen="clean" if k == 0 else DAMAGES[k - 1], version=items.text(c.text(k)))
        for c, x, k in zip(cases, points, scores.argmax(1).tolist(), strict=True)
    ]
    return Outcome.of([c.passage.group for c in cases], points, None, 1 / VERSIONS, proportion=True, note=_note(phrasing),
                      records=records)  # fmt: skip


def damaged(items: Items) -> list[Versions]:
    """The passages with their ten versions; those whose stretch has too few words to differ nine times are left out."""
    passages = items.passages(LENGTH, ITEMS)
    made = []
    for n, passage in enumerate(passages):
        size = min(STRETCH, len(passage) // 4)
        a = (len(passage) - size) // 2
        stretch = passage.ids[a : a + size]
        other = passages[(n + 1) % len(passages)].ids
        found = versions(stretch, other, items, n)
        if found is not None:
            made.append(Versions(passage, passage.ids[:a], passage.ids[a + size :], tuple(found)))
    return made


def versions(stretch: Ids, other: Ids, items: Items, n: int) -> list[Ids] | None:
    """The clean stretch and nine damaged ones, all different; None when that cannot be had."""
    made = [stretch]
    noise = uniform(400, f"damage {n}", 1 << 30).tolist()
    for kind in DAMAGES:
        for _ in range(12):
            if not noise:
                return None
            one = damage(kind, stretch, other, items.word_start, int(noise.pop()), int(noise.pop()))
            if one is not None and not any(np.array_equal(one, m) for m in made):
                made.append(one)
                break
        else:
            return None
    return made


def damage(kind: str, ids: Ids, other: Ids, word_start: np.ndarray, u: int, v: int) -> Ids | None:
    """One damaged version by two numbers that choose where, or None where it cannot be done.

    swapped: two neighbouring words; dropped: one word; replaced: a word's tokens by as many of another passage; moved: two
    neighbouring phrases of two or more words exchanged.
    """
    begins = [0, *(i for i in range(1, len(ids)) if word_start[ids[i]])]
    words = [ids[a:b] for a, b in zip(begins, [*begins[1:], len(ids)], strict=True)]
    count = len(words)
    if count < 4:
        return None
    i = u % (count - 1)
    if kind == "swapped":
        words[i], words[i + 1] = words[i + 1], words[i]
    elif kind == "dropped":
        del words[u % count]
    elif kind == "replaced":
        k = u % count
        at = v % max(1, len(other) - len(words[k]))
        words[k] = other[at : at + len(words[k])]
    else:
        middle = 2 + u % (count - 3)
        words = words[middle:] + words[:middle]
    return np.concatenate(words).astype(np.int32)


def score(scorer: Scorer, phrasing: Phrasing, items: Items, cases: Sequence[Versions]) -> Float64[np.ndarray, "n v"]:
    """Nats gained over the unigram on the scored tokens, one row a case, one column a version."""
    texts = [c.text(k) for c in cases for k in range(VERSIONS)]
    runs = [c.run(k) for c in cases for k in range(VERSIONS)]
    if not phrasing.chain:
        asked = [(max(0, a - AFTER), min(b + AFTER, len(t))) for (a, b), t in zip(runs, texts, strict=True)]
        return pseudo_likelihood(scorer, phrasing, texts, asked, STRIDE, items.unigram).reshape(-1, VERSIONS)
    if phrasing.spans:
        asked = runs
    else:
        asked = [(a, min(b + (AFTER if phrasing.shows else len(t)), len(t))) for (a, b), t in zip(runs, texts, strict=True)]
    samples = phrasing.ask(texts, [[r] for r in runs], asked)
    return gain(scorer, items, samples).reshape(-1, VERSIONS)


def gain(scorer: Scorer, items: Items, samples: Samples) -> Float64[np.ndarray, " n"]:
    """Sum of log p(token | context) - log p(token), both among body tokens, over each sample's scored tokens, in nats."""
    plain = items.unigram[samples.target[samples.target != SILENT]]
    return np.bincount(rows_of_scored(samples), scorer.token_log_probs(samples, among_body=True) - plain, len(samples))


def _note(phrasing: Phrasing) -> str:
    if not phrasing.chain:
        how = "pseudo-likelihood of the stretch and four tokens on each side over the unigram's, every fourth hidden at a time"
        return how if phrasing.shows else f"{how}; {left_only(phrasing)}"
    if not phrasing.shows:
        return "likelihood of the stretch and all that follows it over the unigram's"
    by = "" if phrasing.mark == "nothing" else f" by {phrasing.mark}"
    what = "it and four tokens after it" if phrasing.rewrites else "the answer"
    return f"{unusual(phrasing, STRETCH)}reads the text with the stretch hidden{by}; likelihood of {what} over the unigram's"
