"""How long to train: time, raw text tokens, FLOPs or steps, always turned into a fixed number of steps.

A time budget is measured once, on the run's own steps while the rate is still level, and the number is stored: from then on the
run, resumed or not, does that many steps.
"""

from __future__ import annotations

import math
import re
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from maskdial.errors import UserError

UNITS: dict[str, tuple[Literal["time", "tokens", "flops", "steps"], float]] = {
    "s": ("time", 1), "sec": ("time", 1), "m": ("time", 60), "min": ("time", 60), "h": ("time", 3600),
    "tok": ("tokens", 1), "ktok": ("tokens", 1e3), "mtok": ("tokens", 1e6), "gtok": ("tokens", 1e9),
    "flop": ("flops", 1), "flops": ("flops", 1), "step": ("steps", 1), "steps": ("steps", 1),
}  # fmt: skip

#: A time budget is frozen after this share of the time; earlier, after so many steps, where the rate falls from early on.
CALIBRATION_SHARE, CALIBRATION_STEPS = 0.4, 20


@dataclass(frozen=True)
class Budget:
    """An amount of one kind: seconds, raw text tokens, FLOPs or steps."""

    kind: Literal["time", "tokens", "flops", "steps"]
    amount: float
    text: str

    def steps(self, tokens_a_step: float, flops_a_step: float) -> int | None:
        """Steps that fill the budget (at least one; the last one may overshoot); None for time, which must be measured."""
        if self.kind == "time":
            return None
        a_step = {"tokens": tokens_a_step, "flops": flops_a_step, "steps": 1}[self.kind]
        return max(1, math.ceil(self.amount / a_step))

    def due(self, measured: int, seconds: float, cooldown: float = 0.5) -> bool:
        """Whether a time budget must be frozen now: the rate begins to fall `cooldown` before the end and needs to know it."""
        share = min(CALIBRATION_SHARE, 0.8 * (1 - cooldown))
        return measured >= 2 and (seconds >= share * self.amount if share > 0.05 else measured >= CALIBRATION_STEPS)

    def freeze(self, step: int, seconds: float, durations: Sequence[float]) -> int:
        """Steps in all, from the time spent and the mean duration of recent steps (the very first warms up)."""
        usual = statistics.fmean(durations[1:] or durations)
        return step + max(0, round((self.amount - seconds) / usual))


def budget(text: str) -> Budget:
    """`60s`, `5min`, `200ktok`, `2Mtok`, `1e14flop`, `1000steps` → `Budget`; anything else is a `UserError`."""
    found = re.fullmatch(r"\s*([0-9][0-9_,]*\.?[0-9]*(?:e\+?[0-9]+)?)\s*([a-z]+)\s*", text.lower())
    if not found or found[2] not in UNITS:
        raise UserError(
            f"{text!r} is not a budget", hint="write 60s, 5min, 200ktok, 2Mtok, 1e14flop or 1000steps", code="config.budget", where="budget"
        )
    kind, unit = UNITS[found[2]]
    amount = float(found[1].replace(",", "").replace("_", "")) * unit
    if not amount > 0:
        raise UserError(f"a budget must be more than nothing: {text!r}", code="config.budget", where="budget")
    return Budget(kind, amount, text.strip())


def parse_budget(text: str) -> tuple[str, float]:
    """(kind, amount) of a budget: time in seconds, tokens of raw text, flops or steps; `UserError` when it can't be read."""
    made = budget(text)
    return made.kind, made.amount
