"""The same numbers for other tools: `results.csv` in long form and plain Vega-Lite specifications of the charts."""

from __future__ import annotations

import csv
import io
import json
from typing import Any

from maskdial.report.charts import ACROSS, place
from maskdial.report.folder import Folder, Json, slug
from maskdial.report.numbers import finite
from maskdial.report.probes import answers, asked, better, by_seed
from maskdial.report.verdict import differences, ranked

COLUMNS = ("run", "kind", "objective", "name", "seed", "value", "low", "high", "baseline", "better", "n", "note")
COSTS = ("parameters", "text_tokens", "scored_tokens", "positions", "flops", "seconds", "steps", "peak_memory")


def long_csv(folder: Folder) -> str:
    """One row a number: costs, probes, probes by seed, differences (`a - b`), and what was not applicable or failed."""
    out = io.StringIO()
    writer = csv.DictWriter(out, COLUMNS, lineterminator="\n", restval="")
    writer.writeheader()
    for name, result in folder.objectives.items():
        for row in [*_costs(result), *_probes(folder, name)]:
            writer.writerow({"run": folder.run, "objective": name} | row)
    for probe in asked(folder):
        for d in differences(folder, probe.name):
            note = "excludes zero after Holm correction" if d.real else "does not exclude zero after Holm correction"
            row = {
                "kind": "difference",
                "objective": f"{d.a} - {d.b}",
                "name": probe.name,
                "value": d.difference,
                "low": d.low,
                "high": d.high,
            }
            writer.writerow({"run": folder.run, "note": note} | row)
    return out.getvalue()


def _costs(result: Json) -> list[Json]:
    failed: list[Json] = [{"kind": "failed", "note": result["failed"]}] if result.get("failed") else []
    return failed + [{"kind": "cost", "name": key, "value": result[key]} for key in COSTS if finite(result.get(key))]


def _probes(folder: Folder, name: str) -> list[Json]:
    rows: list[Json] = []
    result = folder.objectives[name]
    for probe in asked(folder):
        found = result.get("probes", {}).get(probe.name)
        if not found:
            continue
        if "not_applicable" in found:
            rows.append({"kind": "probe", "name": probe.name, "note": f"not applicable: {found['not_applicable']}"})
            continue
        kept = {key: found.get(key, "") for key in ("value", "low", "high", "baseline", "better", "n", "note")}
        rows.append({"kind": "probe", "name": probe.name} | kept)
        rows += [{"kind": "probe by seed", "name": probe.name, "seed": s, "value": v} for s, v in by_seed(folder, name, probe.name)]
    return rows


def specs(folder: Folder) -> dict[str, str]:
    """File name → Vega-Lite specification, with its data inside."""
    made: dict[str, Json] = {"curves": _curves(folder), "tradeoff": _tradeoff(folder)}
    made |= {f"probe-{slug(p.name)}": _probe(folder, p.name, p.label) for p in asked(folder) if answers(folder, p.name)}
    return {f"{name}.vl.json": json.dumps(spec, indent=1, ensure_ascii=False) + "\n" for name, spec in made.items()}


def _spec(title: str, values: list[Json], **rest: Any) -> Json:
    return {"$schema": "https://vega.github.io/schema/vega-lite/v5.json", "title": title, "data": {"values": values}, **rest}


def _curves(folder: Folder) -> Json:
    values: list[Json] = [
        {"objective": name, **{key: value for key, value in point.items() if finite(value)}}
        for name, result in folder.objectives.items() for point in result.get("curve", [])
    ]  # fmt: skip
    return _spec(
        "Training loss; heights do not compare between objectives", values, mark="line", width=220, height=140, columns=3,
        encoding={
            "facet": {"field": "objective", "type": "nominal", "columns": 3},
            "x": {"field": ACROSS[0][0], "type": "quantitative", "title": ACROSS[0][1]},
            "y": {"field": "loss", "type": "quantitative", "scale": {"zero": False}},
        },
        resolve={"scale": {"y": "independent"}},
    )  # fmt: skip


def _tradeoff(folder: Folder) -> Json:
    places = [(name, place(view)) for name, view in folder.views.items() if name in folder.objectives]
    values = [{"objective": name, "scored": where[0], "in_sight": where[1]} for name, where in places if where]
    encoding = {
        "x": {"field": "scored", "type": "quantitative", "title": "tokens scored for each token of text"},
        "y": {"field": "in_sight", "type": "quantitative", "title": "positions in sight of a scored one, for each token of text"},
    }
    layer = [{"mark": {"type": "point", "filled": True, "size": 80}},
             {"mark": {"type": "text", "align": "left", "dx": 8}, "encoding": {"text": {"field": "objective"}}}]  # fmt: skip
    return _spec("How much is asked, and how much may be seen", values, encoding=encoding, layer=layer)


def _probe(folder: Folder, name: str, label: str) -> Json:
    found, order = answers(folder, name), ranked(folder, name)
    values = [{"objective": o, **{key: found[o].get(key) for key in ("value", "low", "high", "baseline", "n")}} for o in order]
    y = {"field": "objective", "type": "nominal", "sort": order}
    x = {"field": "value", "type": "quantitative", "scale": {"zero": False}, "title": f"{label} ({better(folder, name)} is better)"}
    layer: list[Json] = [
        {"mark": {"type": "rule", "strokeWidth": 3}, "encoding": {"y": y, "x": {**x, "field": "low"}, "x2": {"field": "high"}}},
        {"mark": {"type": "point", "filled": True, "size": 70}, "encoding": {"y": y, "x": x}},
        {"mark": {"type": "tick", "strokeDash": [4, 3]}, "encoding": {"y": y, "x": {**x, "field": "baseline"}}},
    ]
    return _spec(label, values, layer=layer)
