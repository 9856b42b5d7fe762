"""Probes that want a likelihood: bits per byte of a continuation and of whole documents, and the use of repeated text."""

from __future__ import annotations

from math import log
from typing import Any

import numpy as np

from maskdial.evaluate.abilities import NOTHING_HIDDEN, can_continue, context_note
from maskdial.evaluate.bound import NOTE, bound
from maskdial.evaluate.facts import Run
from maskdial.evaluate.items import Items, Passage
from maskdial.evaluate.phrasing import Phrasing
from maskdial.evaluate.scoring import Scorer, rows_of_scored
from maskdial.evaluate.statistics import Outcome, not_applicable

Found = Outcome | dict[str, Any]

#: Tokens given and tokens asked.
CONTEXT = CONTINUATION = 64
CONTINUATIONS = 160
#: Windows of whole documents: tokens a window, half of them context; at most so many held-out tokens.
WINDOW = 128
DOCUMENT_TOKENS = 24_000
#: Tokens of a repeated passage, and how many passages.
COPIED = 32
COPIES = 120
#: A model that reads masks in place is asked every fourth token at a time.
STRIDE = 4


def bits_per_byte(scorer: Scorer, phrasing: Phrasing, items: Items) -> Found:
    """Bits per UTF-8 byte of the same continuations given the same contexts (64 and 64 tokens, or what the text allows).

    Baseline: the unigram of the train tokens on the same continuations. For objectives that hide tokens at a noise level and weigh
    them by it, an upper bound.
    """
    bounded = phrasing.bounds and not phrasing.chain
    if not bounded and (why := can_continue(phrasing)):
        return not_applicable(why)
    passages = items.passages(CONTEXT + CONTINUATION, CONTINUATIONS, CONTEXT)
    if not passages:
        return not_applicable("held-out text has no run of 16 tokens")
    cuts = [len(p) // 2 for p in passages]
    asked: list[Run] = [(cut, len(p)) for cut, p in zip(cuts, passages, strict=True)]
    texts = [p.ids for p in passages]
    nats = -bound(scorer, phrasing, texts, asked) if bounded else scorer.log_likelihood(phrasing.ask(texts, [[a] for a in asked], asked))[0]
    note = NOTE if bounded else context_note(phrasing, cuts[0])
    size = [items.bytes(p.ids, cut) for p, cut in zip(passages, cuts, strict=True)]
    unigram = [-items.unigram[p.ids[cut:]].sum() / log(2) for p, cut in zip(passages, cuts, strict=True)]
    records = [record(items, p, bits=float(-n / log(2)), bytes=b) for p, n, b in zip(passages, nats, size, strict=True)]
    return Outcome.of([p.group for p in passages], -nats / log(2), size, unigram, better="lower", note=note, bound=bounded,
                      records=records)  # fmt: skip


def bits_per_byte_documents(scorer: Scorer, phrasing: Phrasing, items: Items) -> Found:
    """Bits per byte of whole held-out documents, for models that read plain text from left to right.

    Windows of 128 tokens overlap by half, so that every token but a document's first 64 has at least 64 before it. The
    end-of-document token stands in front, as between documents in training, so that the first token is asked too.
    """
    if not phrasing.reads_on:
        return not_applicable("it has no probability of a text from its first token on")
    end = items.vocab.eod
    texts: list[Any] = []
    asked: list[Run] = []
    group: list[int] = []
    size: list[int] = []
    unigram: list[float] = []
    total = 0
    for i, ids in enumerate(items.documents):
        if total >= DOCUMENT_TOKENS:
            break
        opened = np.concatenate([[end], ids]).astype(np.int32) if end is not None else ids
        first = int(end is not None)
        for run in windows(len(opened), first):
            texts.append(opened[run[0] : run[2]])
            asked.append((run[1] - run[0], run[2] - run[0]))
            group.append(i if items.by_document else len(group))
            size.append(items.bytes(opened[: run[2]], run[1]) if first == 0 else items.bytes(ids[: run[2] - 1], run[1] - 1))
            unigram.append(-items.unigram[opened[run[1] : run[2]]].sum() / log(2))
            total += run[2] - run[1]
    if not texts:
        return not_applicable("held-out text is empty")
    samples = phrasing.ask(texts, [()] * len(texts), asked)
    nats, _ = scorer.log_likelihood(samples)
    return Outcome.of(group, -nats / log(2), size, unigram, better="lower", note=f"{total:,} tokens of whole documents")


def windows(length: int, first: int) -> list[tuple[int, int, int]]:
    """(window begins, first token asked, window ends) so that tokens `first` … length-1 are each asked once."""
    made = []
    asked = max(first, 1)
    while asked < length:
        begin = max(0, asked - WINDOW // 2) if asked > first else 0
        end = min(length, begin + WINDOW)
        made.append((begin, asked, end))
        asked = end
    return made


def copying(scorer: Scorer, phrasing: Phrasing, items: Items) -> Found:
    """Nats a token by which a passage gets easier when it has been read just before: loss on the second copy minus the loss
    on the first, both asked after as much text (in-context learning's simplest sign; 0 = the copy is not noticed).

    The first copy follows another passage, the second one follows the first, so both sides have equal context and equal
    tokens.
    """
    if phrasing.rewrites and not phrasing.shows:
        return not_applicable(NOTHING_HIDDEN)
    passages = items.passages(COPIED, COPIES)
    if len(passages) < 2:
        return not_applicable("held-out text has too few passages")
    other = [passages[_unrelated(passages, i)] for i in range(len(passages))]
    first = _passage_loss(scorer, phrasing, other, passages)
    second = _passage_loss(scorer, phrasing, passages, passages)
    note = context_note(phrasing, COPIED)
    if not phrasing.chain:
        note = "every fourth token of the second copy hidden at a time" + ("; both sides are read" if phrasing.shows else "")
    length = [float(len(p)) for p in passages]
    records = [record(items, p, first=float(a), second=float(b)) for p, a, b in zip(passages, first, second, strict=True)]
    return Outcome.of([p.group for p in passages], second - first, length, 0.0, better="lower", note=note, records=records)


def _unrelated(passages: list[Passage], i: int) -> int:
    """The next passage of another document, or simply the next one."""
    count = len(passages)
    later = ((i + k) % count for k in range(1, count))
    return next((j for j in later if passages[j].document != passages[i].document), (i + 1) % count)


def _passage_loss(scorer: Scorer, phrasing: Phrasing, before: list[Passage], passages: list[Passage]) -> Any:
    """Summed loss (nats) of each passage behind another one."""
    texts = [np.concatenate([b.ids, p.ids]) for b, p in zip(before, passages, strict=True)]
    if phrasing.chain:
        asked: list[Run] = [(len(b), len(t)) for b, t in zip(before, texts, strict=True)]
        return -scorer.log_likelihood(phrasing.ask(texts, [[run] for run in asked], asked))[0]
    total = np.zeros(len(texts))
    for turn in range(STRIDE):
        hidden = [[(i, i + 1) for i in range(len(b) + turn, len(t), STRIDE)] for b, t in zip(before, texts, strict=True)]
        samples = phrasing.ask(texts, hidden, [(len(b), len(t)) for b, t in zip(before, texts, strict=True)])
        total -= np.bincount(rows_of_scored(samples), scorer.token_log_probs(samples), len(samples))
    return total


def record(items: Items, passage: Passage, **values: Any) -> dict[str, Any]:
    """What the sample file says about one item."""
    return {"document": passage.document, "start": passage.start, "text": items.text(passage.ids), **values}
