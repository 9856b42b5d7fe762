"""The charts that matplotlib draws: training curves, a plot for each probe, the trade-off scatter."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from maskdial.report.folder import Folder, Json, slug
from maskdial.report.numbers import NONE, duration, finite, interval, listed, measured, short, stated, three
from maskdial.report.probes import Probe, answers, better, by_seed
from maskdial.report.svg import DATA, INK, MUTED, PAPER, SECOND, canvas, themed
from maskdial.report.verdict import ranked, starred

if TYPE_CHECKING:
    from matplotlib.axes import Axes


@dataclass(frozen=True)
class Chart:
    """An inline SVG and the table that holds the same numbers: (header, rows), every cell already in words."""

    name: str
    svg: str
    header: tuple[str, ...]
    rows: list[tuple[str, ...]]


#: what a curve may be drawn against: key in a curve's points, words for the axis, words for the switch
ACROSS = (
    ("text_tokens", "tokens of text read", "text read"),
    ("scored_tokens", "tokens scored", "tokens scored"),
    ("flops", "floating-point operations", "FLOPs"),
    ("seconds", "seconds of training", "time"),
)
#: at most this many points a curve: enough for the shape, and the table below stays readable
POINTS = 40


def thinned(curve: list[Json]) -> list[Json]:
    """Evenly spaced points of a curve, first and last kept, as well as (up to as many) those with a held-out loss."""
    sound = [point for point in curve if finite(point.get("loss")) or finite(point.get("held_out"))]
    if len(sound) <= POINTS:
        return sound
    last = len(sound) - 1
    chosen = {round(i * last / (POINTS - 1)) for i in range(POINTS)}
    held = [i for i, point in enumerate(sound) if finite(point.get("held_out"))]
    if len(held) <= POINTS:
        chosen.update(held)
    return [sound[i] for i in sorted(chosen)]


def reach(folder: Folder, key: str) -> float:
    """The common end of the x axis: panels share it, so that budgets can be compared where heights can't."""
    found = [p[key] for o in folder.objectives.values() for p in o.get("curve", []) if finite(p.get(key))]
    return max(found, default=0.0)


def curve(name: str, result: Json, key: str, words: str, end: float) -> Chart | None:
    """One objective's training and held-out loss against one measure of effort; None when nothing was recorded."""
    points = thinned(result.get("curve", []))
    lines = [(p[key], p["loss"]) for p in points if finite(p.get(key)) and finite(p.get("loss"))]
    held = [(p[key], p["held_out"]) for p in points if finite(p.get(key)) and finite(p.get("held_out"))]
    if not lines and not held:
        return None
    with canvas(300, 176, 40, 14, 10, 36) as (figure, axes):
        _line(axes, points, key)
        if held:
            axes.plot(
                *zip(*held, strict=True), color=DATA, linewidth=0, marker="o", markersize=4.5, markeredgecolor=PAPER, markeredgewidth=0.8
            )
        axes.set_xlim(0, end * 1.02 or 1)
        axes.margins(y=0.12)
        axes.set_xlabel(words)
        axes.xaxis.set_major_locator(_ticks(4))
        axes.yaxis.set_major_locator(_ticks(5))
        axes.xaxis.set_major_formatter(lambda value, _: _round(value))
        title = f"{name}: loss against {words}"
        return Chart(f"curve-{slug(name)}-{key}", themed(figure, f"curve-{slug(name)}-{key}", title, _told(lines or held, held)), (), [])


def _line(axes: Axes, points: list[Json], key: str) -> None:
    """The training loss: one line a seed where the points say which seed they belong to."""
    for seed in sorted({int(p.get("seed", 0)) for p in points}):
        own = [(p[key], p["loss"]) for p in points if int(p.get("seed", 0)) == seed and finite(p.get(key)) and finite(p.get("loss"))]
        if own:
            axes.plot(*zip(*own, strict=True), color=SECOND, linewidth=1.6)


def _told(line: list[tuple[float, float]], held: list[tuple[float, float]]) -> str:
    values = [y for _, y in line]
    said = f"Starts at {three(values[0])}, ends at {three(values[-1])}, lowest {three(min(values))}."
    return said + (f" On held-out text it ends at {three(held[-1][1])}." if held else "")


def curve_table(result: Json) -> tuple[tuple[str, ...], list[tuple[str, ...]]]:
    """The numbers behind an objective's curve, drawn against any of the four."""
    points = thinned(result.get("curve", []))
    rows: list[tuple[str, ...]] = [
        (str(p.get("step", NONE)), *(short(p.get(key)) for key in ("text_tokens", "scored_tokens", "flops")), duration(p.get("seconds")),
         three(p.get("loss")), three(p.get("held_out")))
        for p in points
    ]  # fmt: skip
    header = ("step", "text tokens", "scored tokens", "FLOPs", "time", "training loss", "held-out loss")
    if held_out(result):
        return header, rows
    return header[:-1], [row[:-1] for row in rows]


def held_out(result: Json) -> bool:
    """Whether a curve has held-out losses."""
    return any(finite(p.get("held_out")) for p in result.get("curve", []))


def _round(value: float) -> str:
    """A round number for an axis: `0`, `500k`, `1.5M`."""
    return "0" if value == 0 else re.sub(r"(\.\d*?)0+(?=[kMGTPE]|$)", lambda m: m.group(1).rstrip("."), short(value).replace(" ", ""))


def _ticks(count: int) -> Any:
    from matplotlib.ticker import MaxNLocator

    return MaxNLocator(count, steps=[1, 2, 2.5, 5, 10])


def dots(folder: Folder, asked: Probe) -> Chart | None:
    """A probe: value and 95 % interval of every objective that could answer, best at the top, with the baseline."""
    found, order = answers(folder, asked.name), ranked(folder, asked.name)
    if not order:
        return None
    best, names = starred(folder, asked.name), [_clip(name) for name in order]
    left, height = 14 + 6.7 * max(len(name) for name in names), 62 + 25 * len(order)
    arrow = "lower is better" if better(folder, asked.name) == "lower" else "higher is better"
    with canvas(370, height, left, 62, 18, 44) as (figure, axes):
        for row, name in enumerate(order):
            _dot(axes, row, found[name], name in best, [value for _, value in by_seed(folder, name, asked.name)])
        _baseline(axes, [f["baseline"] for f in found.values() if finite(f.get("baseline"))])
        axes.set_ylim(len(order) - 0.4, -0.6)
        axes.set_yticks(range(len(order)), names, color=INK)
        axes.tick_params(axis="y", length=0)
        axes.grid(False, axis="y")
        axes.margins(x=0.06)
        axes.xaxis.set_major_locator(_ticks(5))
        axes.set_xlabel(f"{asked.label.lower()} ({arrow})" if len(asked.label) < 24 else arrow)
        chart = f"probe-{slug(asked.name)}"
        return Chart(
            chart, themed(figure, chart, f"{asked.label}, {arrow}", _listed(found, order, best)), *_dot_table(found, order, best)
        )


def _dot(axes: Axes, row: int, found: Json, best: bool, seeds: list[float]) -> None:
    value = found["value"]
    if finite(found.get("low")) and finite(found.get("high")):
        axes.plot([found["low"], found["high"]], [row, row], color=SECOND, linewidth=4, solid_capstyle="round")
    if len(seeds) > 1:
        axes.plot(seeds, [row + 0.28] * len(seeds), linewidth=0, marker="|", markersize=6, color=MUTED, markeredgewidth=1)
    axes.plot([value], [row], marker="o", markersize=7, color=DATA, markeredgecolor=PAPER, markeredgewidth=1)
    label, at = f"{stated(found)}{' ★' if best else ''}", ("axes fraction", "data")
    axes.annotate(label, (1, row), (8, 0), xycoords=at, textcoords="offset points", va="center", color=INK, annotation_clip=False)


def _baseline(axes: Axes, values: list[float]) -> None:
    """One dashed line where all share a baseline; otherwise one for each different value, the first one named."""
    for i, value in enumerate(sorted(set(values))):
        axes.axvline(value, color=MUTED, linewidth=1, linestyle=(0, (4, 3)))
        if i == 0:
            low, high = axes.get_xlim()
            side = "right" if value > (low + high) / 2 else "left"
            axes.annotate(
                "baseline",
                (value, 1),
                (0, 3),
                xycoords=("data", "axes fraction"),
                textcoords="offset points",
                ha=side,
                fontsize=10,
                color=MUTED,
            )


def _clip(name: str, limit: int = 18) -> str:
    return name if len(name) <= limit else name[: limit - 1] + "…"


def _listed(found: dict[str, Json], order: list[str], best: list[str]) -> str:
    said = [
        f"{name} {stated(found[name])} ({interval(found[name].get('low'), found[name].get('high'), found[name]['value'])})"
        for name in order
    ]
    baselines = sorted({three(f.get("baseline")) for f in found.values() if finite(f.get("baseline"))})
    top = f" Best or tied with it: {listed(best)}." if best else ""
    return f"Best first: {', '.join(said)}.{top}" + (f" Baseline: {', '.join(baselines)}." if baselines else "")


def _dot_table(found: dict[str, Json], order: list[str], best: list[str]) -> tuple[tuple[str, ...], list[tuple[str, ...]]]:
    rows: list[tuple[str, ...]] = [
        (name + (" ★" if name in best else ""), stated(f), interval(f.get("low"), f.get("high"), f["value"]) or NONE,
         measured(f.get("baseline")), short(f.get("n")))
        for name, f in ((name, found[name]) for name in order)
    ]  # fmt: skip
    return ("objective", "value", "95 % interval", "baseline", "items"), rows


def tradeoff(folder: Folder) -> Chart | None:
    """What an objective asks against what it shows: scored tokens a token of text, and how much a scored position sees."""
    points = [(name, *where) for name, view in folder.views.items() if name in folder.objectives and (where := place(view))]
    if not points:
        return None
    points.sort(key=lambda p: (p[1], p[2], p[0]))
    width, height = max(max(p[1] for p in points), 1.0) * 1.12, max(p[2] for p in points) * 1.18
    tall = 270 + 10 * max(0, len(points) - 8)  # room for the names
    with canvas(400, tall, 50, 20, 16, 44) as (figure, axes):
        axes.plot([p[1] for p in points], [p[2] for p in points], linewidth=0, marker="o", markersize=8, color=DATA)
        axes.set_xlim(0, width)
        axes.set_ylim(0, height)
        for label, x, y, dx, dy in _labels(points, 330 / width, (tall - 60) / height):
            axes.annotate(label, (x, y), (dx, dy), textcoords="offset points", ha="left" if dx > 0 else "right", va="center", color=INK)
        axes.set_xlabel("tokens scored for each token of text")
        axes.set_ylabel("positions in sight of a scored one, for each token")
        title = "How much is asked, and how much may be seen"
        said = "; ".join(f"{name}: {three(x)} scored for each token of text, each seeing {three(y)}" for name, x, y in points)
        svg = themed(figure, "tradeoff", title, said + ".")
    rows: list[tuple[str, ...]] = [(name, three(x), three(y)) for name, x, y in points]
    return Chart("tradeoff", svg, ("objective", "scored for each token of text", "positions in sight for each token, mean"), rows)


def _labels(points: list[tuple[str, float, float]], across: float, up: float) -> list[tuple[str, float, float, float, float]]:
    """(label, x, y, dx, dy): one label for points that coincide, each beside its point where no other label or point is.

    `across` and `up` are pixels for a unit of either axis; a point whose label finds no free place is named in the table alone.
    """
    together: dict[tuple[float, float], list[str]] = {}
    for name, x, y in points:
        together.setdefault((x, y), []).append(name)
    taken = [(x * across - 5, y * up - 5, x * across + 5, y * up + 5) for x, y in together]
    made: list[tuple[str, float, float, float, float]] = []
    for (x, y), names in together.items():
        label = _clip(names[0]) + (f" +{len(names) - 1}" if len(names) > 1 else "")
        size = 6.4 * len(label)
        for dx, dy in ((dx, dy) for dy in (0, 12, -12) for dx in (8, -8)):
            left, middle = x * across + (dx if dx > 0 else dx - size), y * up + dy
            box = (left, middle - 6, left + size, middle + 6)
            if left > 0 and box[2] < 335 and box[1] > 0 and not any(_overlap(box, other) for other in taken):
                taken.append(box)
                made.append((label, x, y, dx, dy))
                break
    return made


def _overlap(a: tuple[float, float, float, float], b: tuple[float, float, float, float]) -> bool:
    return a[0] < b[2] and b[0] < a[2] and a[1] < b[3] and b[1] < a[3]


def place(view: Json) -> tuple[float, float] | None:
    """A view's point in the trade-off, both for each token of its text: scored positions, and what each of them sees (mean)."""
    stats = view.get("stats", {})
    tokens = stats.get("tokens")
    seen = stats.get("mean_context_scored")
    return (stats.get("scored", 0) / tokens, seen / tokens) if finite(tokens) and tokens and finite(seen) else None
