"""Claims of mixtures: how often each member comes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from maskdial.conform.claim import Claim, Drawn
from maskdial.vocab import Vocab


def mixture(o: Mapping[str, Any], length: int, vocab: Vocab) -> Iterator[Claim]:
    """Every member's share of the samples, and the rooms that none of them outgrows."""
    for name, share in o["shares"].items():
        yield Claim(f"samples of {name}", "mean", lambda b, name=name: made_by(b) == name, share, within=2e-3,  # type: ignore[misc]
                    said=f"{share:.4g} of the samples, spread evenly")  # fmt: skip


def made_by(b: Drawn) -> Any:
    """The member of each row."""
    which, _ = b.objective.turns.at(b.rows.index)  # type: ignore[attr-defined]
    return np.array(list(b.objective.members))[which]  # type: ignore[attr-defined]


CLAIMS = {"unilm": mixture, "ul2": mixture, "ul2r": mixture}
