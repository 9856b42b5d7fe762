"""Where a run is, and what it reports."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from maskdial.train.events import Events
from maskdial.train.ranks import Ranks


@dataclass
class State:
    """Where a run is; stored as state.json. `samples` consumed is the whole position in the data and in its noise."""

    step: int = 0
    samples: int = 0
    tokens: int = 0
    scored: int = 0
    flops: float = 0.0
    seconds: float = 0.0
    optimizer_steps: int = 0
    #: since the last line of events.jsonl: Σ −log p and scored positions by head, text tokens, FLOPs, seconds
    since: dict[str, Any] = field(default_factory=lambda: {"loss": {}, "scored": {}, "tokens": 0, "flops": 0.0, "seconds": 0.0})
    #: the same of each member of a mixture (its first head): Σ −log p and scored positions
    members: dict[str, dict[str, float]] = field(default_factory=dict)
    last_loss: float | None = None
    #: losses of the last steps, to tell a spike by
    recent: list[float] = field(default_factory=list)


@dataclass(frozen=True)
class RunResult:
    """What a run did in all; `loss` is nats a scored position over the last log interval."""

    path: Path
    steps: int
    seconds: float
    text_tokens: int
    scored_tokens: int
    flops: float
    parameters: int
    loss: float | None
    resumed_from: int | None = None


class Unheard(Events):
    """The events of a rank that does not write."""

    def add(self, event: str, **fields: Any) -> None:
        return

    def flush(self) -> None:
        return

    def rewind(self, step: int) -> int:
        return 0


def events_of(path: Path, ranks: Ranks) -> Events:
    """events.jsonl, which rank 0 writes."""
    return Events(path) if ranks.first else Unheard(path)
