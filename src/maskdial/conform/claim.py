"""What a recipe claims and how far chance may carry a measurement: five standard errors, or one chance in a million.

A claim measures one batch at a time and adds up; its tolerance comes from the law, never from what was measured.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from math import erfc, exp, lgamma, log, sqrt
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from maskdial.corruption.text import Decisions, Spans
from maskdial.objective import Objective
from maskdial.sample import SILENT, Rows, Samples
from maskdial.vocab import Vocab

if TYPE_CHECKING:
    from jaxtyping import Float64

#: standard errors, and the least likely chi-square
Z, LEAST = 5.0, 1e-6


@dataclass(frozen=True)
class Drawn:
    """One batch: rows of equal length, what was decided about them and the samples. Arrays below are a row a sample."""

    objective: Objective
    rows: Rows
    vocab: Vocab
    decisions: Decisions

    @cached_property
    def samples(self) -> Samples:
        """The samples without provenance."""
        return self.objective.build(self.rows, self.vocab, self.decisions)

    @property
    def count(self) -> int:
        return len(self.rows)

    @property
    def length(self) -> int:
        """Body tokens a row."""
        return len(self.rows.tokens) // max(1, self.count)

    def flags(self, name: str = "hidden") -> NDArray[Any]:
        """A decision with one value a token, as [rows, length]."""
        return np.asarray(self.decisions[name]).reshape(self.count, -1)

    @property
    def spans(self) -> Spans:
        found: Spans = self.decisions["spans"]
        return found

    @cached_property
    def sizes(self) -> NDArray[np.int64]:
        """Positions a sample."""
        return np.diff(self.samples.offsets)

    def asked(self, head: str | None = None) -> NDArray[np.int64]:
        """Scored positions a sample."""
        target = self.samples.target if head is None else self.samples.column(f"target:{head}")
        upto = np.concatenate([[0], np.cumsum(target != SILENT)])
        return upto[self.samples.offsets[1:]] - upto[self.samples.offsets[:-1]]


@dataclass(frozen=True)
class Claim:
    """`law` is a probability ("share": `measure` gives hits and trials), a mean with its `deviation` ("mean": values), the
    probabilities of cells ("shape": counts), or nothing ("always": a bool a case). `said` puts the law in words, `source` is
    who says so. `within` is the tolerance of a mean that is itself a measured one (a reference re-run); `length` is the rows'
    length where the claim is about one."""

    name: str
    kind: Literal["share", "mean", "shape", "always"]
    measure: Callable[[Drawn], Any]
    law: Any = None
    deviation: float = 0.0
    said: str = ""
    source: str = ""
    within: float | None = None
    length: int | None = None


@dataclass
class Tally:
    """A claim's measurements so far and, by `verdict`, what they say."""

    claim: Claim
    trials: float = 0.0
    total: Any = 0.0

    def add(self, drawn: Drawn) -> None:
        """Measure one batch."""
        found = self.claim.measure(drawn)
        if self.claim.kind == "share":
            self.total, self.trials = self.total + float(found[0]), self.trials + float(found[1])
        elif self.claim.kind == "shape":
            self.total = self.total + np.asarray(found, dtype=np.float64)
            self.trials = float(np.sum(self.total))
        else:
            found = np.asarray(found, dtype=np.float64).reshape(-1)
            self.total, self.trials = self.total + float(found.sum()), self.trials + len(found)

    def verdict(self) -> dict[str, Any]:
        """The claim as plain values: expected, found, how far it may be off, and whether it holds. No trial is no proof."""
        c, n = self.claim, self.trials
        made: dict[str, Any] = {"claim": c.name, "law": c.said or _spelled(c.law), "source": c.source, "trials": int(n)}
        if n == 0:
            return made | {"found": "never occurred", "tolerance": "", "holds": False}
        mean = self.total / n
        if c.kind == "always":
            return made | {"found": f"{int(self.total):,} of {int(n):,}", "tolerance": "none", "holds": self.total == n}
        if c.kind == "shape":
            statistic, cells = chi_square(self.total, np.asarray(c.law, dtype=np.float64))
            p = chi_square_tail(statistic, cells - 1)
            found = f"χ² {statistic:.1f} over {cells} cells, p = {p:.2g}"
            return made | {"found": found, "tolerance": f"p ≥ {LEAST:g}", "holds": p >= LEAST}
        deviation = sqrt(c.law * (1 - c.law)) if c.kind == "share" else c.deviation
        allowed = c.within or Z * deviation / sqrt(n) + (0.5 / n if c.kind == "share" else 1e-9)
        return made | {"found": f"{mean:.6g}", "tolerance": f"± {allowed:.2g}", "holds": bool(abs(mean - c.law) <= allowed)}


def _spelled(law: Any) -> str:
    if law is None:
        return "always"
    if isinstance(law, int | float):
        return f"{law:.6g}"
    shares = [f"{p:.3g}" for p in np.asarray(law).tolist()]
    return ", ".join(shares[:6]) + (", …" if len(shares) > 6 else "")


def chi_square(observed: Float64[np.ndarray, " k"], law: Float64[np.ndarray, " k"]) -> tuple[float, int]:
    """(statistic, cells) of counts against shares; cells of the tail are pooled until five are expected in each. A count in a
    cell of probability 0 makes it infinite."""
    expected = observed.sum() * law / law.sum()
    if observed[law == 0].any():
        return float("inf"), len(law)
    order = np.argsort(-expected)
    seen, wanted = observed[order], expected[order]
    keep = max(1, int((wanted >= 5).sum()))
    rest = (seen[keep:].sum(), wanted[keep:].sum())
    seen, wanted = seen[:keep].copy(), wanted[:keep].copy()
    if rest[1] >= 5:
        seen, wanted = np.append(seen, rest[0]), np.append(wanted, rest[1])
    else:
        seen[-1], wanted[-1] = seen[-1] + rest[0], wanted[-1] + rest[1]
    return float(((seen - wanted) ** 2 / wanted).sum()), len(seen)


def chi_square_tail(x: float, freedom: int) -> float:
    """P(χ² with `freedom` degrees ≥ x): the regularised upper incomplete gamma function, by its finite recurrence."""
    if freedom < 1:
        return 0.0  # one cell proves nothing
    if x == float("inf"):
        return 0.0
    half = x / 2
    # Q(a + 1, h) = Q(a, h) + h^a e^-h / Γ(a + 1), from Q(1/2, h) = erfc √h or Q(1, h) = e^-h
    a, total = (0.5, erfc(sqrt(half))) if freedom % 2 else (1.0, exp(-half))
    while a < freedom / 2 - 0.25:
        total += exp(a * log(half) - half - lgamma(a + 1)) if half > 0 else 0.0
        a += 1
    return min(1.0, total)


def verdicts(tallies: Sequence[Tally]) -> list[dict[str, Any]]:
    """Every claim's verdict."""
    return [tally.verdict() for tally in tallies]
