"""A few samples of an objective over any ids: what it needs of a vocabulary, and what its samples ask of a model."""

from __future__ import annotations

from typing import Any

import numpy as np

from maskdial.rows import rows
from maskdial.sample import Samples
from maskdial.vocab import Vocab

#: rows and body tokens of a trial
COUNT, LENGTH = 4, 24


def trial(objective: Any, vocab: Vocab, length: int = LENGTH) -> dict[str, Samples]:
    """Samples by member ("" for an objective that is no mixture); `ValueError` when the vocabulary lacks a token they need."""
    starts, spoken = np.arange(length) % 4 == 0, sorted(vocab.languages.values()) or [0]
    text = np.random.default_rng(0).choice(vocab.body, (COUNT, length))
    made = rows(list(text), word=[starts] * COUNT, sentence=[starts] * COUNT, label=[0] * COUNT,
                part=[np.arange(length) >= length // 2] * COUNT, language=[np.full(length, spoken[0])] * COUNT)  # fmt: skip
    members = {name: objective.member(name, vocab) for name in objective.members} if hasattr(objective, "members") else {"": objective}
    return {name: one(made, vocab, seed=0) for name, one in members.items()}


def sight(samples: Samples) -> str:
    """How the only or the answer stream reads: "both ways", "left to right", "right to left", "a prefix both ways" or "otherwise"."""
    found = {_sight(sample.order[sample.stream == sample.stream[-1]] if samples.layout == "encoder-decoder" else sample.order)
             for sample in samples if len(sample.order)}  # fmt: skip
    if samples.has("private"):
        return "otherwise"
    found = {"a prefix both ways"} if found == {"a prefix both ways", "left to right"} else found
    return found.pop() if len(found) == 1 else "otherwise"


def _sight(order: Any) -> str:
    rise = np.diff(order)
    if not rise.any():
        return "both ways" if len(order) > 1 else "left to right"
    if (rise > 0).all():
        return "left to right"
    if (rise < 0).all():
        return "right to left"
    first = int(np.flatnonzero(rise)[0])
    return "a prefix both ways" if (rise[first:] > 0).all() else "otherwise"


def counted(samples: Samples) -> bool:
    """Whether positions rise by one within each stream."""
    streams = (sample.position[sample.stream == side] for sample in samples for side in (0, 1))
    return all((np.diff(position) == 1).all() for position in streams)
