"""Numbers as the report prints them: three significant digits, and never more precision than the interval bears."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, TypeGuard

NONE = "–"


def finite(value: object) -> TypeGuard[float]:
    """Whether a value is a number that can be printed and drawn (a run that blew up leaves NaN behind)."""
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def decimals(value: float, digits: int = 3) -> int:
    """How many decimals show `digits` significant digits of a value."""
    if value == 0 or not math.isfinite(value):
        return 0
    shown = float(f"{value:.{digits - 1}e}")  # 9.999 becomes 10.0 before it is measured
    return max(0, digits - 1 - math.floor(math.log10(abs(shown))))


def three(value: object) -> str:
    """`0.341`, `2.01`, `17.2`, `1,230`."""
    if not finite(value):
        return NONE
    number = float(value)
    if number == int(number) and abs(number) < 1000:
        return str(int(number))
    rounded = float(f"{number:.2e}")
    return f"{rounded:,.{min(decimals(number), 6)}f}".replace("-", "−")


def measured(value: object, like: float | None = None) -> str:
    """A measured quantity: `three`, but whole numbers keep their decimals, so that a column of them lines up."""
    if not finite(value):
        return NONE
    number = float(value)
    if number == 0:
        return "0"
    places = min(decimals(number if like is None else like), 4)
    return f"{number:,.{places}f}".replace("-", "−")


def stated(found: Mapping[str, Any]) -> str:
    """A probe's value; one that is but a bound says so: `≤ 3.78`."""
    sign = ("≤ " if found.get("better") == "lower" else "≥ ") if found.get("bound") else ""
    return sign + measured(found.get("value"))


def half_width(low: object, high: object, value: float) -> str:
    """`±0.012`, with as many decimals as the value it stands beside."""
    if not (finite(low) and finite(high)):
        return ""
    half = (float(high) - float(low)) / 2
    text = f"{half:.{min(decimals(value), 4) if value else 3}f}"
    return "±" + (text if float(text) else measured(half))


def interval(low: object, high: object, value: float) -> str:
    """`0.329 to 0.353`."""
    return f"{measured(low, value)} to {measured(high, value)}" if finite(low) and finite(high) else ""


def short(value: object) -> str:
    """A large count with its unit: `1.05 M`, `32.8 k`, `1.20 T`."""
    if not finite(value):
        return NONE
    number = float(value)
    for size, unit in ((1e18, "E"), (1e15, "P"), (1e12, "T"), (1e9, "G"), (1e6, "M"), (1e4, "k")):
        if abs(number) >= size * 0.9995:
            scaled = number / (1e3 if unit == "k" else size)
            return f"{scaled:,.{decimals(scaled) if abs(scaled) < 1000 else 0}f} {unit}"
    return f"{number:,.0f}" if number == int(number) else three(number)


def duration(seconds: object) -> str:
    """`58.2 s`, `3 min 20 s`, `2 h 05 min`."""
    if not finite(seconds):
        return NONE
    number = float(seconds)
    if number < 120:
        return f"{measured(number)} s" if number >= 1 else f"{three(number)} s"
    if number < 7200:
        return "{} min {:02d} s".format(*divmod(round(number), 60))
    return "{} h {:02d} min".format(*divmod(round(number / 60), 60))


def size(count: object) -> str:
    """Bytes: `412 MB`, `1.2 kB`."""
    if not finite(count):
        return NONE
    number = float(count)
    for unit in ("B", "kB", "MB", "GB"):
        if number < 1000 or unit == "GB":
            break
        number /= 1000
    return f"{number:.0f} {unit}" if unit == "B" or number >= 100 else f"{three(number)} {unit}"


def ordinal(place: int) -> str:
    """`1st`, `2nd`, `3rd`, `4th`, `11th`."""
    ending = "th" if place % 100 in (11, 12, 13) else {1: "st", 2: "nd", 3: "rd"}.get(place % 10, "th")
    return f"{place}{ending}"


def listed(names: list[str], last: str = "and") -> str:
    """`gpt`, `gpt and t5`, `gpt, t5 and bart`."""
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} {last} {names[-1]}" if names else ""
