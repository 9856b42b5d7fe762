"""Claims of the row plans over pairs of texts."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from typing import Any

import numpy as np

from maskdial.conform.claim import Claim, Drawn
from maskdial.data.pairs import Pair, Plan, held

#: one sample in so many is planned: a plan is made row by row
EVERY = 16


@cache
def corpus(kind: str) -> Plan:
    """Forty documents of 1 to 12 sentences of 3 to 14 tokens."""
    g = np.random.default_rng(0)
    documents = [[np.arange(g.integers(3, 15)) for _ in range(g.integers(1, 13))] for _ in range(40)]
    return Plan([held(documents)], 48, kind)


def _pairs(b: Drawn, kind: str) -> list[Pair]:
    return corpus(kind).pairs(b.rows.index[::EVERY].astype(np.int64), seed=0)


def plan(kind: str) -> Iterator[Claim]:
    """The balance of labels, and what they mean."""
    if kind == "order":
        yield Claim("the two parts are exchanged", "share", lambda b: _labels(b, "order"), 0.5, source="Lan et al. 2020, §3.1")
        yield Claim("both parts are neighbours in one document", "always", lambda b: _follows(_pairs(b, "order")), said="always")
        return
    yield Claim("the second part is a random one, chunks of several sentences", "share", lambda b: _labels(b, kind), 0.5,
                said="a fair coin: 0.5 + 0.5 q over all, q the share of single sentences", source="create_pretraining_data.py")  # fmt: skip
    yield Claim("after a single sentence the second part is random", "always",
                lambda b: [p.label == 1 for p in _pairs(b, kind) if p.single], said="always")  # fmt: skip
    yield Claim("a second part that follows is the next sentence", "always",
                lambda b: _follows([p for p in _pairs(b, kind) if not p.label]), said="always")  # fmt: skip
    yield Claim("a random second part is of another document", "always", lambda b: _foreign([p for p in _pairs(b, kind) if p.label]),
                said="always", source="the release gives up after ten tries")  # fmt: skip


def _labels(b: Drawn, kind: str) -> tuple[int, int]:
    labels = [p.label for p in _pairs(b, kind) if not p.single]
    return sum(labels), len(labels)


def _follows(pairs: list[Pair]) -> list[Any]:
    return [p.parts[0].document == p.parts[1].document and p.parts[0].end == p.parts[1].first for p in pairs]


def _foreign(pairs: list[Pair]) -> list[Any]:
    return [p.parts[0].document != p.parts[1].document for p in pairs]
