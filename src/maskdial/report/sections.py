"""The tables of the report as plain data: at a glance, was it fair, pairwise differences, behaviour, limits, reproduce."""

from __future__ import annotations

import json
from statistics import fmean, median, pstdev
from typing import Any

from maskdial.report.claims import cited
from maskdial.report.folder import Folder, Json
from maskdial.report.numbers import NONE, duration, finite, half_width, interval, listed, measured, short, size, stated, three
from maskdial.report.probes import answers, asked, better
from maskdial.report.verdict import between, past_baseline, ranked, starred

#: how far from the middle (parameters) or from the budget a run may be and still be called fair
PARAMETERS, COUNTS, TIME = 0.02, 0.02, 0.10
#: what a budget of each kind fixes
SAME = {"time": "the same time", "tokens": "the same amount of text", "flops": "the same number of FLOPs", "steps": "as many steps"}
FIXED = {"time": "seconds", "tokens": "text_tokens", "flops": "flops", "steps": "steps"}


# --- 1 at a glance ---------------------------------------------------------------------------------------------------


def glance(folder: Folder) -> Json:
    """The heat table: columns are probes, rows objectives; neighbouring cells that share a reason are one cell."""
    columns = [_column(folder, p.name) | {"name": p.name, "label": p.label} for p in asked(folder)]
    rows = [{"name": name, "failed": found.get("failed"), "formula": found.get("formula", ""), "cells": _cells(folder, name, columns)}
            for name, found in folder.objectives.items()]  # fmt: skip
    reasons = list(dict.fromkeys(cell["reason"] for row in rows if not row["failed"] for cell in row["cells"] if "reason" in cell))
    for row in rows:
        for cell in row["cells"]:
            if "reason" in cell and not row["failed"]:
                cell["note"] = reasons.index(cell["reason"]) + 1
    bounded = any(cell.get("bound") for row in rows for cell in row["cells"])
    return {"columns": columns, "rows": rows, "reasons": reasons, "bounded": bounded}


def _column(folder: Folder, probe: str) -> Json:
    found = answers(folder, probe)
    items = sorted({int(f["n"]) for f in found.values() if finite(f.get("n"))})
    baselines = sorted({measured(f["baseline"]) for f in found.values() if finite(f.get("baseline"))})
    return {
        "better": better(folder, probe), "asked": f"{items[0]:,}" + (f" to {items[-1]:,}" if len(items) > 1 else "") if items else "",
        "baseline": baselines[0] if len(baselines) == 1 else f"{baselines[0]} to {baselines[-1]}" if baselines else "",
    }  # fmt: skip


def _cells(folder: Folder, name: str, columns: list[Json]) -> list[Json]:
    cells: list[Json] = []
    for column in columns:
        probe = column["name"]
        found = folder.objectives[name].get("probes", {}).get(probe)
        if found and "not_applicable" not in found and finite(found.get("value")):
            cells.append(_value(folder, name, probe, found))
            continue
        why = str(found["not_applicable"]) if found and "not_applicable" in found else "it was not measured"
        if cells and cells[-1].get("reason") == why:
            cells[-1]["span"] += 1
        else:
            cells.append({"probe": probe, "reason": why, "span": 1})
    return cells


def _value(folder: Folder, name: str, probe: str, found: Json) -> Json:
    value = float(found["value"])
    return {
        "probe": probe, "text": stated(found), "half": half_width(found.get("low"), found.get("high"), value), "sort": value,
        "range": interval(found.get("low"), found.get("high"), value), "tint": _tint(folder, probe, value),
        "star": name in starred(folder, probe), "bound": bool(found.get("bound")),
        "state": _state(found),
    }  # fmt: skip


def _state(found: Json) -> str:
    """What must stand in a cell that is not past its baseline."""
    past = past_baseline(found)
    if past is False:
        return "no difference found from the baseline"
    return "worse than the baseline" if past is None and finite(found.get("low")) and finite(found.get("baseline")) else ""


def _tint(folder: Folder, probe: str, value: float) -> int:
    """0 to 28 % of the tint colour, from the value's place among the column's values in standard deviations, better is darker."""
    values = [float(f["value"]) for f in answers(folder, probe).values() if finite(f["value"])]
    spread = pstdev(values)
    if len(values) < 2 or not spread:
        return 10
    z = (value - fmean(values)) / spread * (-1 if better(folder, probe) == "lower" else 1)
    return round(28 * (min(max(z, -1.6), 1.6) + 1.6) / 3.2)


# --- 2 was it fair? --------------------------------------------------------------------------------------------------


def fairness(folder: Folder) -> Json:
    """What each objective was given, and whether that was the same."""
    kind = folder.results.get("budget", {}).get("kind", "")
    measures: list[tuple[str, str, Any]] = [
        ("parameters", "Parameters", short), ("text_tokens", "Text tokens read", short), ("scored_tokens", "Tokens scored", short),
        ("flops", "FLOPs", short), ("steps", "Steps", short), ("seconds", "Time", duration), ("peak_memory", "Peak memory", size),
    ]  # fmt: skip
    largest = {key: max([o[key] for o in folder.objectives.values() if finite(o.get(key))], default=0) for key, _, _ in measures}
    rows = []
    for name, found in folder.objectives.items():
        cells = [
            {"text": told(found.get(key)), "bar": round(100 * found[key] / largest[key]) if finite(found.get(key)) and largest[key] else 0,
             **_fair(folder, found, key)}
            for key, _, told in measures
        ]  # fmt: skip
        rows.append({"name": name, "failed": found.get("failed"), "cells": cells})
    return {"columns": [(label, key == FIXED.get(kind)) for key, label, _ in measures], "rows": rows, "said": _budget_said(folder, kind),
            "warnings": [str(w) for w in folder.results.get("warnings", [])]}  # fmt: skip


def _fair(folder: Folder, found: Json, key: str) -> Json:
    """✓ or ⚠ with its words, for the two columns that are meant to be equal: parameters and what the budget fixes."""
    budget = folder.results.get("budget", {})
    value = found.get(key)
    if found.get("failed") or not finite(value):
        return {}
    if key == "parameters":
        wanted: float = median(o["parameters"] for o in folder.finished.values() if finite(o.get("parameters")))
        allowed, other = PARAMETERS, "the median"
    elif key == FIXED.get(budget.get("kind")) and finite(budget.get("value")):
        wanted, allowed, other = budget["value"], TIME if key == "seconds" else COUNTS, "the budget"
    else:
        return {}
    if not wanted:
        return {}
    off = float(value) / wanted - 1
    if abs(off) <= allowed + 1e-9:
        return {"fair": True, "words": f"within {allowed:.0%} of {other}".replace("%", " %")}
    return {"fair": False, "words": f"{abs(100 * off):.3g} % {'more' if off > 0 else 'less'} than {other}"}


def _budget_said(folder: Folder, kind: str) -> str:
    budget = folder.results.get("budget", {})
    same = SAME.get(kind, "the same budget")
    said = f"Every objective had {same}: {budget.get('text', 'as given')}, for each of {folder.seeds} seeds." if folder.seeds > 1 else (
        f"Every objective had {same}: {budget.get('text', 'as given')}.")  # fmt: skip
    spreads = []
    for key, words in (("text_tokens", "text read"), ("scored_tokens", "tokens scored"), ("flops", "FLOPs"), ("seconds", "time")):
        values = {n: o[key] for n, o in folder.finished.items() if finite(o.get(key)) and o[key] > 0}
        if key != FIXED.get(kind) and len(values) > 1 and max(values.values()) / min(values.values()) >= 1.1:
            least, most = min(values, key=lambda n: values[n]), max(values, key=lambda n: values[n])
            spreads.append(f"{words} (least {least}, most {most}: {three(values[most] / values[least])}×)")
    return said + (f" So these differ: {', '.join(spreads)}." if spreads else "")


# --- 5 pairwise ------------------------------------------------------------------------------------------------------


def pairwise(folder: Folder, probe: str) -> Json | None:
    """The triangle of differences, row minus column."""
    order = ranked(folder, probe)
    if len(order) < 2:
        return None
    rows = [(a, [_pair(folder, probe, a, b) for b in order[:i]]) for i, a in enumerate(order) if i]
    return {"columns": order[:-1], "rows": rows}


def _pair(folder: Folder, probe: str, a: str, b: str) -> Json:
    found = between(folder, probe, a, b)
    if found is None:
        return {"text": NONE, "range": "not measured", "real": False}
    sign = "+" if found.difference > 0 else ""
    return {"text": sign + measured(found.difference), "range": interval(found.low, found.high, found.difference), "real": found.real}


def notes(folder: Folder, probe: str) -> tuple[list[tuple[str, str]], list[tuple[str, str]]]:
    """(names, words): how objectives were asked where that needs saying; and who was not asked, and why."""
    asked_so: dict[str, list[str]] = {}
    silent: dict[str, list[str]] = {}
    for name, result in folder.finished.items():
        found = result.get("probes", {}).get(probe) or {}
        if found.get("note"):
            asked_so.setdefault(str(found["note"]), []).append(name)
        if "not_applicable" in found:
            silent.setdefault(str(found["not_applicable"]), []).append(name)
    said, unsaid = ([(listed(names), words) for words, names in one.items()] for one in (asked_so, silent))
    return said, unsaid


# --- 8 limits --------------------------------------------------------------------------------------------------------


def limits(folder: Folder) -> list[Json]:
    """What these numbers do not show; each statement is measured here or comes from the literature."""
    corpus, found = folder.results.get("corpus", {}), folder.finished.values()
    sizes = [o["parameters"] for o in found if finite(o.get("parameters"))]
    texts = [o["text_tokens"] for o in found if finite(o.get("text_tokens"))]
    here: list[tuple[str, str]] = []
    if sizes and texts:
        many = f"{short(min(sizes))} parameters and {short(min(texts))} to {short(max(texts))} tokens read"
        here.append(("Scale", f"Small models, briefly trained: {many}. The numbers compare objectives at this scale only."))
    held = f"{short(corpus.get('held_out_tokens'))} tokens in {short(corpus.get('held_out_documents'))} documents"
    here.append(("Corpus", f"One corpus, {corpus.get('name', 'without a name')}, and one held-out part of it: {held}."))
    tokenizer = corpus.get("tokenizer", {})
    vocabulary = f", with a vocabulary of {tokenizer['vocab_size']:,}" if finite(tokenizer.get("vocab_size")) else ""
    here.append(("Tokenizer", f"One tokenizer, {tokenizer.get('name', 'unnamed')}{vocabulary}."))
    seeds = "One seed, so a difference here may be one between two runs and not between two objectives."
    here.append(
        ("Seeds", seeds if folder.seeds == 1 else f"{folder.seeds} seeds an objective; the intervals cover seeds and test documents.")
    )
    here += [("Failed", f"{name}: {o['failed']}.") for name, o in folder.objectives.items() if o.get("failed")]
    said = [{"about": about, "text": text, "tag": "measured here"} for about, text in here]
    return said + [{"about": a, "text": t, "tag": "reported in the literature", "source": cited(key)} for a, t, key in LITERATURE]


LITERATURE = (
    ("Scale", "Loss falls as a power of size, text and compute: every absolute number here would change with more of any.", "kaplan"),
    ("Scale", "What does well in one region of compute need not in another, and pretraining loss alone does not settle quality after "
     "fine-tuning.", "efficiently"),
    ("Use", "Which pairing of architecture and objective is best depends on what follows: after pretraining alone causal decoders led; "
     "after multitask fine-tuning, models that see their input both ways and learned from hidden tokens did.", "wang"),
    ("Seeds", "A conclusion about one checkpoint need not hold for the procedure that made it; pretraining again with other seeds shows "
     "by how much.", "multiberts"),
)  # fmt: skip


# --- 9 reproduce -----------------------------------------------------------------------------------------------------


def reproduce(folder: Folder) -> Json:
    """The command, the settings as they were resolved, and the hashes of what this page was made from."""
    results = folder.results
    kept = ("recipe", "options", "seeds")
    objectives = {name: {key: found[key] for key in kept if key in found} for name, found in folder.objectives.items()}
    config = {"budget": results.get("budget"), "objectives": objectives} | {k: results.get(k) for k in ("corpus", "versions", "machine")}
    return {
        "command": results.get("command", ""), "again": f"maskdial report {folder.path.name}",
        "config": json.dumps(config, indent=2, ensure_ascii=False, sort_keys=False),
        "files": [(f.name, size(f.size), f"{f.records:,}" if f.records is not None else "", f.sha256) for f in folder.files],
        "fingerprint": results.get("corpus", {}).get("fingerprint", ""),
    }  # fmt: skip
