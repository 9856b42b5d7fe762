"""Values with intervals, and which differences are real.

A probe yields one ratio: the sum of its items' numerators over the sum of their denominators (right answers over
questions, bits over bytes). Items of one document are not independent, so the bootstrap draws whole *documents* with
replacement (Efron & Tibshirani 1993, ch. 6 and 13, percentile intervals). Differences are paired: one draw of documents serves
both sides. Many differences are tested at once, so "real" is said after Holm's correction (Holm 1979).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from math import sqrt
from typing import Any

import numpy as np
from jaxtyping import Float64, Int64
from numpy.typing import ArrayLike, NDArray

#: Draws of the bootstrap. The smallest p a draw can show is 2 / (DRAWS + 1), which must stay below .05 over the number of
#: differences a comparison tests.
DRAWS = 10_000
#: Draws at a time, so that many documents don't take much memory.
PART = 1_000
SEED = 20_180


@dataclass(frozen=True)
class Outcome:
    """What a probe found, item by item. All arrays have one entry an item, in an order shared by every objective.

    `top / bottom` summed over items is the value and `reference / bottom` the baseline on the same items; `document` says
    which items belong together. `better` is "higher" or "lower". `proportion` marks shares of right answers, whose interval
    does not collapse when all items agree; `bound` values that may be better than they could be measured. `records` are the
    per-item details written beside the report.
    """

    document: Int64[np.ndarray, " n"]
    top: Float64[np.ndarray, " n"]
    bottom: Float64[np.ndarray, " n"]
    reference: Float64[np.ndarray, " n"]
    better: str = "higher"
    note: str = ""
    proportion: bool = False
    bound: bool = False
    records: Sequence[Mapping[str, Any]] = field(default=())

    @classmethod
    def of(cls, document: ArrayLike, top: ArrayLike, bottom: ArrayLike | None = None, reference: ArrayLike = 0.0, **more: Any) -> Outcome:
        """An outcome from plain lists; `bottom` defaults to 1 an item, a scalar `reference` is the baseline itself."""
        tops = np.asarray(top, dtype=np.float64)
        bottoms = np.ones_like(tops) if bottom is None else np.asarray(bottom, dtype=np.float64)
        references = np.asarray(reference, dtype=np.float64)
        if references.ndim == 0:
            references = bottoms * references
        return cls(np.asarray(document, dtype=np.int64), tops, bottoms, references, **more)

    def __len__(self) -> int:
        return len(self.top)

    @property
    def value(self) -> float:
        return float(self.top.sum() / self.bottom.sum())

    @property
    def baseline(self) -> float:
        return float(self.reference.sum() / self.bottom.sum())

    def to_json(self) -> dict[str, Any]:
        """`{value, low, high, baseline, better, n, bound?, note?}` with the 95 % interval over documents."""
        low, high = interval([self])
        made: dict[str, Any] = {"value": self.value, "low": low, "high": high, "baseline": self.baseline, "better": self.better,
                                "n": len(self)}  # fmt: skip
        return made | ({"bound": True} if self.bound else {}) | ({"note": self.note} if self.note else {})


def not_applicable(why: str) -> dict[str, Any]:
    """What stands in a value's place when an objective cannot be asked."""
    return {"not_applicable": why}


@lru_cache(maxsize=32)
def _weights(documents: int) -> NDArray[np.uint8]:
    """[DRAWS, documents]: how often each document is drawn; the same for every probe with as many documents."""
    rng = np.random.default_rng(SEED)
    share = np.full(documents, 1 / documents)
    return np.concatenate([rng.multinomial(documents, share, size=PART).astype(np.uint8) for _ in range(DRAWS // PART)])


@lru_cache(maxsize=32)
def _seed_weights(seeds: int) -> NDArray[np.float32]:
    rng = np.random.default_rng(SEED + 1)
    return rng.multinomial(seeds, np.full(seeds, 1 / seeds), size=DRAWS).astype(np.float32)


def resample(outcomes: Sequence[Outcome]) -> Float64[np.ndarray, " draws"]:
    """The value's bootstrap draws. Several outcomes are the same items under several seeds; seeds are drawn as well."""
    names, where = np.unique(outcomes[0].document, return_inverse=True)
    sums = [np.bincount(where, column, len(names)) for o in outcomes for column in (o.top, o.bottom)]
    weights, columns = _weights(len(names)), np.stack(sums, axis=1)
    drawn = np.concatenate([weights[a : a + PART].astype(np.float64) @ columns for a in range(0, DRAWS, PART)])
    tops, bottoms = list(drawn[:, 0::2].T), list(drawn[:, 1::2].T)
    if len(outcomes) == 1:
        return tops[0] / bottoms[0]
    seeds = _seed_weights(len(outcomes)).T
    return (seeds * np.stack(tops)).sum(0) / (seeds * np.stack(bottoms)).sum(0)


def interval(outcomes: Sequence[Outcome]) -> tuple[float, float]:
    """The 95 % percentile interval of the value; Wilson's over documents when all items of a proportion agree.

    (All right or all wrong leaves the bootstrap nothing to vary and it would claim certainty.)
    """
    first = outcomes[0]
    value = pooled(outcomes)
    if first.proportion and value in (0.0, 1.0):
        return wilson(value, len(np.unique(first.document)))
    low, high = np.quantile(resample(outcomes), [0.025, 0.975])
    return float(low), float(high)


def pooled(outcomes: Sequence[Outcome]) -> float:
    """The value over all seeds."""
    return float(sum(o.top.sum() for o in outcomes) / sum(o.bottom.sum() for o in outcomes))


def wilson(share: float, n: int, z: float = 1.959964) -> tuple[float, float]:
    """Wilson's 95 % score interval of a share among n."""
    middle = (share + z * z / (2 * n)) / (1 + z * z / n)
    half = z / (1 + z * z / n) * sqrt(share * (1 - share) / n + z * z / (4 * n * n))
    return max(0.0, middle - half), min(1.0, middle + half)


def holm(p: Sequence[float], level: float = 0.05) -> list[bool]:
    """Which hypotheses Holm's step-down procedure rejects at a family-wise error of `level`."""
    order = np.argsort(p, kind="stable")
    made = [False] * len(p)
    for rank, i in enumerate(order):
        if p[i] > level / (len(p) - rank):
            break
        made[i] = True
    return made


def _difference(a: Sequence[Outcome], b: Sequence[Outcome]) -> tuple[dict[str, Any], float]:
    draws = resample(a) - resample(b)
    low, high = np.quantile(draws, [0.025, 0.975])
    below, above = int((draws <= 0).sum()), int((draws >= 0).sum())
    p = min(1.0, 2 * (min(below, above) + 1) / (len(draws) + 1))
    return {"difference": pooled(a) - pooled(b), "low": float(low), "high": float(high)}, p


def differences(found: Mapping[str, Mapping[str, Sequence[Outcome]]]) -> dict[str, list[dict[str, Any]]]:
    """All pairwise differences of `found[probe][objective]` (one outcome a seed), each `{a, b, difference, low, high, p, real}`.

    The family of Holm's correction is every difference of the comparison. Only pairs that answered the same items compare. No
    difference is real that puts a bound behind another value: the bound's own value may be better than both.
    """
    made: dict[str, list[dict[str, Any]]] = {}
    flat: list[tuple[dict[str, Any], float, bool]] = []
    for probe, by_name in found.items():
        names = list(by_name)
        pairs = [(a, b) for i, a in enumerate(names) for b in names[i + 1 :] if _same_items(by_name[a], by_name[b])]
        for a, b in pairs:
            values, p = _difference(by_name[a], by_name[b])
            entry = {"a": a, "b": b, **values, "p": p}
            made.setdefault(probe, []).append(entry)
            flat.append((entry, p, _told(values["difference"], by_name[a][0], by_name[b][0])))
    for (entry, _, told), real in zip(flat, holm([p for _, p, _ in flat]), strict=True):
        entry["real"] = bool(real) and told
    return made


def _told(difference: float, a: Outcome, b: Outcome) -> bool:
    """Whether the worse of two values is more than a bound."""
    worse = a if (difference > 0) == (a.better == "lower") else b
    return not worse.bound


def _same_items(a: Sequence[Outcome], b: Sequence[Outcome]) -> bool:
    return bool(a) and bool(b) and np.array_equal(a[0].document, b[0].document)
