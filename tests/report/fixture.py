"""Makes a compare folder as `maskdial compare` writes one, with plausible numbers and no training."""

from __future__ import annotations

import json
import math
import random
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np

from maskdial.sample import sight

Json = dict[str, Any]
TEXT = "Thank you for inviting me to your party last week ."
FORMULAS = {
    "gpt": ("nothing hidden × causal × next token", "decoder"),
    "bert": ("15 % hidden as [MASK] 80/10/10 × both ways × hidden tokens, in place", "encoder"),
    "prefix-lm": ("nothing hidden × prefix × next token after the prefix", "decoder"),
    "t5": ("15 % hidden in spans of mean 3 × encoder both ways, decoder causal × sentinels and spans", "encoder-decoder"),
    "bart": ("30 % hidden in spans, sentences shuffled × encoder both ways, decoder causal × the whole text", "encoder-decoder"),
}
CYCLE = tuple(FORMULAS)
NO_CHAIN = (
    "it predicts hidden tokens independently of one another, so the probabilities of a text's tokens do not multiply to a "
    "probability of the text"
)
NOTHING_HIDDEN = "its training text never hides anything, so it cannot be asked for what is missing"
NO_START = "it has no probability of a text from its first token on"
#: probe → (better, baseline, half interval, items, one value or reason for each recipe of CYCLE)
PROBES: dict[str, tuple[str, float, float, int, tuple[float | str, ...]]] = {
    "bits_per_byte": ("lower", 3.087, 0.041, 160, (2.014, NO_CHAIN, 2.097, 3.052, 2.611)),
    "bits_per_byte_documents": ("lower", 3.121, 0.036, 412, (2.052, NO_CHAIN, NO_START, NO_START, NO_START)),
    "cloze": ("higher", 0.0512, 0.031, 800, (0.2712, 0.3513, 0.2588, 0.0831, 0.3387)),
    "infill": ("higher", 0.1, 0.052, 200, (0.4181, 0.5542, 0.4009, 0.1395, 0.5622)),
    "repair": ("higher", 0.1, 0.061, 120, (0.5125, 0.4301, 0.4987, 0.2233, 0.6481)),
    "topic": ("higher", 0.213, 0.036, 300, (0.6425, 0.671, 0.6381, 0.5219, 0.6083)),
    "copying": ("lower", 0.0, 0.055, 120, (-0.412, -0.631, -0.337, 0.012, -0.208)),
}
NOTES = {
    ("cloze", "gpt"): "reads the left side only: what follows the gap cannot be shown to it",
    ("cloze", "prefix-lm"): "reads the left side only: what follows the gap cannot be shown to it",
    ("cloze", "t5"): "one sentinel; the first body token behind it is the guess",
    ("bits_per_byte", "t5"): "out of distribution: the context is the source and one sentinel stands for all that follows",
}


def make(folder: Path, names: list[str] | None = None, seeds: int = 1, failed: str | None = None, points: int = 60) -> Path:
    """Writes the folder and returns it; `failed` names an objective that broke off."""
    folder.mkdir(parents=True, exist_ok=True)
    chosen = names or list(CYCLE)
    recipes = {name: (name if name in FORMULAS else CYCLE[i % len(CYCLE)]) for i, name in enumerate(chosen)}
    objectives = {name: _objective(name, recipe, i, seeds, points) for i, (name, recipe) in enumerate(recipes.items())}
    if failed:
        objectives[failed] |= {"failed": "failed at step 412: the loss was not finite", "probes": {}, "by_seed": {}}
        objectives[failed]["curve"] = objectives[failed]["curve"][:20]
    results = {
        "schema": "results/1", "run": "8c1f04d2", "created": "2026-11-21T05:00:00Z",
        "command": f"maskdial compare -o {','.join(chosen)} --data pydocs --budget 60s --seeds {seeds} --out compare-8c1f",
        "versions": {"maskdial": "0.1.0", "python": "3.11.2", "torch": "2.13.0"},
        "machine": {"cpu": "Intel(R) Xeon(R) Processor", "cores": 2, "precision": "bf16"},
        "corpus": {"name": "pydocs", "fingerprint": "b3f0c1d29a6e4f75", "documents": 4391, "train_tokens": 553_812,
                   "held_out_documents": 219, "held_out_tokens": 29_114, "held_out_bytes": 95_207,
                   "tokenizer": {"name": "bpe-2048", "vocab_size": 2183}},
        "budget": {"kind": "time", "text": "60s", "value": 60, "seeds": seeds},
        "objectives": objectives, "differences": _differences(objectives), "behaviour": _behaviour(recipes, failed),
    }  # fmt: skip
    _write(folder / "results.json", results)
    _write(folder / "views.json", [view(recipe) | {"objective": name} for name, recipe in recipes.items()])
    (folder / "events.jsonl").write_text('{"event": "started"}\n{"event": "finished"}\n', encoding="utf-8")
    for name in chosen:
        lines = [json.dumps({"probe": "cloze", "document": i, "truth": " the", "guess": " a"}) for i in range(12)]
        (folder / f"samples_{name}.jsonl").write_text("\n".join(lines) + "\n", encoding="utf-8")
    return folder


def _write(path: Path, value: Any) -> None:
    path.write_text(json.dumps(value, indent=1, ensure_ascii=False), encoding="utf-8")


def _objective(name: str, recipe: str, number: int, seeds: int, points: int) -> Json:
    formula, layout = FORMULAS[recipe]
    tokens = {"gpt": 2_310_000, "bert": 2_050_000, "prefix-lm": 2_280_000, "t5": 2_640_000, "bart": 1_190_000}[recipe] - 10_000 * number
    share = {"gpt": 1.0, "bert": 0.15, "prefix-lm": 0.5, "t5": 0.2, "bart": 1.0}[recipe]
    draw = random.Random(f"{name} {number}")
    probes, by_seed = _probes(recipe, 0.004 * (number // len(CYCLE)), seeds, draw)
    steps = tokens // 1024
    positions = tokens * (1 + 0.2 * (recipe == "t5") + (recipe == "bart"))
    return {
        "recipe": recipe, "options": {}, "formula": formula, "layout": layout,
        "parameters": 1_050_112 + (4_096 if layout != "decoder" else 0),
        "text_tokens": tokens, "scored_tokens": int(tokens * share), "positions": int(positions),
        "flops": 6.3e6 * positions, "seconds": 59.2 + 0.3 * number, "steps": steps, "seeds": list(range(seeds)),
        "peak_memory": 412_000_000 + 9_000_000 * number, "run": f"runs/{name}", "probes": probes, "by_seed": by_seed,
        "curve": _curve(recipe, tokens, share, steps, points, draw),
    }  # fmt: skip


def _probes(recipe: str, worse: float, seeds: int, draw: random.Random) -> tuple[Json, Json]:
    probes: Json = {}
    by_seed: Json = {}
    for probe, (better, baseline, half, items, values) in PROBES.items():
        value = values[CYCLE.index(recipe)]
        if isinstance(value, str):
            probes[probe] = {"not_applicable": value}
            continue
        value += worse * (1 if better == "lower" else -1)
        probes[probe] = {
            "value": value,
            "low": value - half,
            "high": value + 1.1 * half,
            "baseline": baseline,
            "better": better,
            "n": items,
        }
        if (probe, recipe) in NOTES:
            probes[probe]["note"] = NOTES[probe, recipe]
        for seed in range(seeds):
            by_seed.setdefault(str(seed), {})[probe] = {"value": value + draw.gauss(0, half / 3)}
    return probes, by_seed


def _curve(recipe: str, tokens: int, share: float, steps: int, points: int, draw: random.Random) -> list[Json]:
    start, end = {"gpt": (7.7, 3.75), "bert": (7.7, 3.35), "prefix-lm": (7.7, 3.9), "t5": (7.8, 4.1), "bart": (7.7, 1.6)}[recipe]
    made = []
    for i in range(points):
        done = (i + 1) / points
        loss = end + (start - end) * math.exp(-5 * done) + draw.gauss(0, 0.06)
        point = {"step": int(steps * done), "text_tokens": int(tokens * done), "scored_tokens": int(tokens * share * done),
                 "flops": 6.3e6 * tokens * done, "seconds": 60 * done, "loss": loss}  # fmt: skip
        made.append(point | ({"held_out": loss + 0.1} if i % 10 == 9 else {}))
    return made


def _differences(objectives: Json) -> Json:
    made: Json = {}
    for probe, (_, _, half, _, _) in PROBES.items():
        able = {n: o["probes"][probe]["value"] for n, o in objectives.items() if "value" in o["probes"].get(probe, {})}
        for a, b in combinations(able, 2):
            gap = able[a] - able[b]
            made.setdefault(probe, []).append(
                {"a": a, "b": b, "difference": gap, "low": gap - half, "high": gap + half, "real": abs(gap) > 1.3 * half}
            )
    return made


ANSWERS: dict[str, tuple[str, str, tuple[str | None, ...]]] = {
    "continue": ("Return a new list containing", " the items of the iterable in reverse order.",
                 (" the elements of the sequence.\n\nIf the argument is a string", None, " the items in the list of the given object",
                  " the", " the values of the list")),
    "fill": ("If the file ____ not exist, an error is raised.", " does", (" is", " does", " is", " of", " does")),
    "repair": ("If file the does not exist, an error raised.", "If the file does not exist, an error is raised.",
               (None, "If the the does not exist, an error is.", None, None, "If the file does not exist, an error is raised.")),
}  # fmt: skip


def _behaviour(recipes: dict[str, str], failed: str | None) -> Json:
    why = {"continue": NO_CHAIN, "fill": "", "repair": "it was not trained to put text back in order"}
    prompts = []
    for i in range(4):
        for task, (text, truth, said) in ANSWERS.items():
            given = {}
            for name, recipe in recipes.items():
                answer = said[CYCLE.index(recipe)]
                given[name] = {"not_applicable": why[task]} if answer is None else {"text": answer}
            given.pop(failed or "", None)
            prompts.append({"id": f"{task}-{i + 1}", "task": task, "text": text, "truth": truth, "answers": given})
    settings = {"continue": "24 tokens, drawn among the 40 likeliest at temperature 0.8, seed 0", "fill": "greedy", "repair": "greedy"}
    rate = {"better": "lower", "n": 100, "baseline": 0.95}
    found = {name: 0.8 + 0.01 * i for i, name in enumerate(recipes)}
    errors = {name: {"infill": {"value": value, "low": value - 0.03, "high": value + 0.03, **rate}} for name, value in found.items()}
    return {"settings": settings, "prompts": prompts, "errors": errors}


# --- sample views, by hand -------------------------------------------------------------------------------------------


def view(recipe: str, text: str = TEXT) -> Json:
    """A `sample-view/1` document of one of the five recipes over a text split at blanks."""
    words = text.split()
    n, causal = len(words), list(range(len(words)))
    if recipe == "gpt":
        return _view(recipe, text, [_stream("source", words, [*words[1:], None])], causal)
    if recipe == "prefix-lm":
        return _view(recipe, text, [_stream("source", words, [*[None] * 4, *words[5:], None])], [0] * 5 + list(range(1, n - 4)))
    if recipe == "bert":
        read, kinds = list(words), ["kept"] * n
        for i, (word, kind) in {2: ("[MASK]", "mask"), 5: ("your", "same"), 8: ("corpus", "random")}.items():
            read[i], kinds[i] = word, kind
        return _view(
            recipe,
            text,
            [_stream("source", read, [w if k != "kept" else None for w, k in zip(words, kinds, strict=True)], kinds)],
            [0] * n,
        )
    if recipe == "t5":
        source = [*words[:2], "<extra_id_0>", *words[4:8], "<extra_id_1>", *words[9:]]
        said = ["<extra_id_0>", *words[2:4], "<extra_id_1>", words[8], "<extra_id_2>", "</s>"]
        kinds = ["sentinel" if w.startswith("<extra") else "kept" for w in source]
    else:
        source, said = ["week", ".", "Thank", "you", "[MASK]", "me", "to", "[MASK]", "last"], [*words, "</s>"]
        kinds = ["moved"] * 2 + ["mask" if w == "[MASK]" else "kept" for w in source[2:]]
    answer = ["<s>", *said[:-1]]
    told = ["special", *["sentinel" if w.startswith("<extra") else "kept" for w in answer[1:]]]
    streams = [_stream("source", source, [None] * len(source), kinds), _stream("answer", answer, said, told)]
    return _view(recipe, text, streams, [0] * len(source) + list(range(1, len(answer) + 1)))


def _stream(name: str, read: list[str], said: list[str | None], kinds: list[str] | None = None) -> Json:
    tokens = [
        {"id": i, "t": word, "kind": kind, "src": None}
        for i, (word, kind) in enumerate(zip(read, kinds or ["kept"] * len(read), strict=True))
    ]
    targets = [None if word is None else {"id": i, "t": word} for i, word in enumerate(said)]
    label = {"source": "Source", "answer": "Answer"}[name]
    return {"id": name, "label": label, "tokens": tokens, "heads": ["token"], "targets": [targets],
            "loss": [[0.0 if word is None else 1.0 for word in said]], "pad_from": len(read)}  # fmt: skip


def _view(recipe: str, text: str, streams: list[Json], order: list[int]) -> Json:
    seen = sight(np.array(order, dtype=np.int32), np.zeros(len(order), dtype=np.int32))
    where, at = {}, 0
    for stream in streams:
        where[stream["id"]] = slice(at, at + len(stream["tokens"]))
        at += len(stream["tokens"])
    panels = [("source", "source")] + ([("answer", "answer"), ("answer", "source")] if len(streams) > 1 else [])
    attn = [
        {"id": f"{q}.{'self' if q == k else k}", "q": q, "k": k, "rows": [_runs(row) for row in seen[where[q], where[k]]]}
        for q, k in panels
    ]
    scored = np.array([w > 0 for stream in streams for w in stream["loss"][0]])
    stats = {"tokens": len(text.split()), "read": at, "scored": int(scored.sum()), "leaks": int(recipe == "bert"), "corrupted": 0,
             "mean_context_scored": round(float(seen.sum(axis=1)[scored].mean()), 3)}  # fmt: skip
    return {
        "schema": "sample-view/1", "objective": recipe, "params": {}, "seed": 0, "tokenizer": {"name": "words", "hash": ""}, "text": text,
        "streams": streams, "attn": attn, "stages": [], "stats": stats, "warnings": [],
        "code": {"cli": f"maskdial show '{text}' -o {recipe}"},
    }  # fmt: skip


def _runs(row: Any) -> list[list[int]]:
    edges = np.flatnonzero(np.diff(np.concatenate([[0], row.astype(int), [0]])))
    return [[int(a), int(b)] for a, b in edges.reshape(-1, 2)]
