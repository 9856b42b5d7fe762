"""Claims of the objectives that say what follows."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from maskdial.conform.claim import Claim, Drawn
from maskdial.conform.laws import half_even, uniform
from maskdial.sample import SILENT
from maskdial.vocab import Vocab


def gpt(o: Mapping[str, Any], length: int, vocab: Vocab) -> Iterator[Claim]:
    """Radford et al. 2018: every token from all before it."""
    yield Claim("position i says token i + 1", "always", _says_next, said=f"{length - 1} positions of {length}")
    yield Claim("position i sees 0 … i", "always", _causal, said="the order rises")


def _table(b: Drawn, column: str) -> Any:
    return b.samples.column(column).reshape(b.count, -1)


def _says_next(b: Drawn) -> Any:
    read, said = _table(b, "read"), _table(b, "target:token")
    return (said[:, :-1] == read[:, 1:]).all(axis=1) & (said[:, -1] == SILENT)


def _causal(b: Drawn) -> Any:
    return (np.diff(_table(b, "order"), axis=1) > 0).all(axis=1)


def prefix_lm(o: Mapping[str, Any], length: int, vocab: Vocab) -> Iterator[Claim]:
    """Raffel et al. 2020, released `random_prefix`."""
    if o["split"] == "uniform":
        yield Claim("where the asked part begins", "shape", lambda b: np.bincount(b.decisions["split"], minlength=length)[1:],
                    uniform(length - 1), said=f"uniform in 1 … {length - 1}", source="T5's prefix LM, density .5")  # fmt: skip
    else:
        split = min(max(half_even(length * float(o["split"])), 1), length - 1)
        yield Claim("where the asked part begins", "always", lambda b: b.decisions["split"] == split, said=f"at {split}")
    yield Claim("positions scored a row", "always", lambda b: b.asked() == length - b.decisions["split"], said="all after the split")
    yield Claim("the prefix is read both ways", "always", _prefix, said="columns of the prefix are open to every row")


def _prefix(b: Drawn) -> Any:
    order, split = _table(b, "order"), b.decisions["split"][:, None]
    place = np.arange(order.shape[1])[None, :]
    return (order == np.maximum(0, place - split + 1)).all(axis=1)


CLAIMS = {"gpt": gpt, "prefix-lm": prefix_lm}
