"""The behaviour section as plain data: the same prompts, every objective's answer, and how often answers are wrong."""

from __future__ import annotations

import re

from maskdial.report.folder import Folder, Json
from maskdial.report.numbers import NONE, finite, interval, listed, measured

ERRORS = {
    "infill": ("fill", "Share of the missing tokens that a greedy answer gets wrong"),
    "repair": ("repair", "Edits still needed for each token of the clean text after a greedy answer"),
}
TASKS = {"continue": "Continue", "fill": "Fill the gap", "repair": "Repair"}


def behaviour(folder: Folder) -> list[Json]:
    """The same prompts, every objective's answer, by task; `settings` says how each task was decoded."""
    found = folder.results.get("behaviour") or {}
    settings = found.get("settings") or ""
    tasks = []
    for task in dict.fromkeys(str(p.get("task", "")) for p in found.get("prompts", [])):
        prompts = [_prompt(folder, p) for p in found["prompts"] if str(p.get("task", "")) == task]
        silent = [one for one in prompts[0]["silent"] if all(one in p["silent"] for p in prompts)]
        for prompt in prompts:  # a reason that holds for all prompts of a task is said once
            prompt["silent"] = [one for one in prompt["silent"] if one not in silent]
        notes = _hoisted(prompts)
        decoding = settings.get(task, "") if isinstance(settings, dict) else settings
        errors = [_errors(folder, name, words) for name, (of, words) in ERRORS.items() if of == task]
        tasks.append({
            "task": TASKS.get(task, task.capitalize()), "decoding": str(decoding), "prompts": prompts, "silent": silent, "notes": notes,
            "errors": [one for one in errors if one["rows"]],
        })  # fmt: skip
    return tasks


def _hoisted(prompts: list[Json]) -> list[tuple[str, str]]:
    """Takes out of the answers every note that stands under all of an objective's answers, to say it once: (names, words)."""
    notes: dict[str, dict[str, int]] = {}
    for prompt in prompts:
        for name, _, note in prompt["said"]:
            notes.setdefault(note, {}).setdefault(name, 0)
            notes[note][name] += 1
    everywhere = {(name, note) for note, names in notes.items() if note for name, count in names.items() if count == len(prompts)}
    for prompt in prompts:
        prompt["said"] = [(name, text, "" if (name, note) in everywhere else note) for name, text, note in prompt["said"]]
    return [(listed([n for n in names if (n, note) in everywhere]), note) for note, names in notes.items()
            if any((n, note) in everywhere for n in names)]  # fmt: skip


def folded(text: str) -> str:
    """An answer without the space around it, and with runs of blank lines counted instead of shown."""
    return re.sub(r"\n(?:[ \t]*\n){2,}", lambda m: f"\n⏎ × {m.group().count(chr(10))}\n", text.strip())


def _errors(folder: Folder, name: str, words: str) -> Json:
    """How often greedy answers are wrong, as a small table; lower is better."""
    rows = []
    for objective, errors in ((folder.results.get("behaviour") or {}).get("errors") or {}).items():
        found = errors.get(name) or {}
        if objective in folder.finished and finite(found.get("value")):
            value = found["value"]
            bounds = interval(found.get("low"), found.get("high"), value) or NONE
            rows.append((value, (objective, measured(value), bounds, measured(found.get("baseline")), str(found.get("note", "")))))
    header, ordered = ("objective", "value", "95 % interval", "baseline", "how"), [row for _, row in sorted(rows)]
    kept = 5 if any(row[4] for row in ordered) else 4
    return {"words": f"{words} (lower is better)", "header": header[:kept], "rows": [row[:kept] for row in ordered]}


def _prompt(folder: Folder, prompt: Json) -> Json:
    said: list[tuple[str, str, str]] = []
    silent: dict[str, list[str]] = {}
    for name in folder.finished:
        answer = prompt.get("answers", {}).get(name) or {"not_applicable": "it was not asked"}
        if "not_applicable" in answer:
            silent.setdefault(str(answer["not_applicable"]), []).append(name)
        else:
            said.append((name, folded(str(answer.get("text", ""))), str(answer.get("note", ""))))
    return {"text": str(prompt.get("text", "")), "truth": folded(str(prompt.get("truth") or "")), "said": said,
            "silent": [(listed(names), why) for why, names in silent.items()]}  # fmt: skip
