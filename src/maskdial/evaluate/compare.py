"""Objectives side by side: the same text, tokenizer, size and budget; the same questions afterwards.

    entries → train each (a seed a run) → findings of each → differences → results.json, samples, views → report

Everything lies in one folder. A run or its findings that are already there are used again, so an interrupted comparison goes on
where it stopped; a folder that holds another comparison is refused. One objective that fails does not stop the others.
"""

from __future__ import annotations

import hashlib
import json
import shlex
import shutil
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from maskdial.errors import UserError
from maskdial.evaluate.items import Items
from maskdial.evaluate.machine import Peak
from maskdial.evaluate.results import Findings, evaluate, write
from maskdial.evaluate.selection import DEFAULT, Entry, entries
from maskdial.mixture import Mixture
from maskdial.objective import Objective
from maskdial.progress import Mode
from maskdial.train import Interrupted, RunResult, TrainConfig, load, train
from maskdial.train.budget import Budget

STATE, FINDINGS = "compare.json", "findings.json"
#: Seconds that the questions to one model of about 1 M parameters take, for the banner's estimate.
QUESTIONS = 20
#: Points of a loss curve at most.
CURVE = 200


@dataclass
class Trained:
    """One run of one objective: its folder, what training reports, what it showed; or why it failed."""

    entry: Entry
    seed: int
    folder: Path
    objective: Objective | Mixture | None = None
    result: RunResult | None = None
    findings: Findings | None = None
    curve: list[dict[str, Any]] = field(default_factory=list)
    #: bytes at most while training, None where the machine does not say
    memory: int | None = None
    precision: str = ""
    #: rows a step, and positions a row may take
    rows: int = 0
    length: int = 0
    failed: str = ""


def compare(
    objectives: Sequence[str | tuple[str, Mapping[str, Any]] | Entry] = DEFAULT,
    data: Any = "pydocs",
    budget: str = "60s",
    seeds: int = 1,
    out: str | Path | None = None,
    overwrite: bool = False,
    command: str = "",
    progress: Mode = "auto",
    **training: Any,
) -> dict[str, Any]:
    """Train, question and report objectives; returns what `results.json` holds.

    objectives: recipe names, `recipe:key=value` words or (recipe, options) pairs. data: what `open_or_prepare` takes, or a
    corpus. budget: `60s`, `200ktok`, `2Mtok` or `1e14flop` a run. seeds: runs an objective, seeds 0, 1, … out: a folder (default
    named after data and budget). `training` sets further keys of every run's config.

    Raises `UserError` for arguments that make no sense (exit 2) and for a folder that holds something else (exit 4). An objective
    whose training or questions fail is in the result under `failed`, and the others go on.
    """
    from maskdial.data.shards import open_or_prepare
    from maskdial.evaluate.table import results, samples, views
    from maskdial.report import build
    from maskdial.train.budget import budget as read_budget

    chosen, asked = entries(objectives), read_budget(budget)
    if seeds < 1:
        raise UserError(f"seeds must be at least 1, not {seeds}", code="compare.seeds")
    config = TrainConfig(budget=asked.text).with_overrides(training)
    corpus = open_or_prepare(data, progress=progress) if isinstance(data, str | Path) else data
    settings = {
        "objectives": {e.name: {"recipe": e.recipe, "options": dict(e.options)} for e in chosen}, "budget": asked.text,
        "seeds": seeds, "corpus": corpus.fingerprint, "training": dict(training),
    }  # fmt: skip
    folder = Path(out) if out is not None else Path(f"compare-{corpus.name}-{asked.text}")
    created = claim(folder, settings, overwrite)
    say(banner(chosen, asked, seeds, folder), progress)
    items = Items(corpus)
    runs = [Trained(e, seed, folder / "runs" / run_name(e, seed)) for e in chosen for seed in range(seeds)]
    trained = [one(r, config, corpus, items, progress) for r in runs]
    made = results(trained, corpus, items, asked, seeds, created, command or spelled(chosen, data, asked.text, seeds, training))
    write(folder / "results.json", json.dumps(made, ensure_ascii=False, indent=1, allow_nan=False) + "\n")
    samples(folder, trained)
    write(folder / "views.json", json.dumps(views(chosen, corpus, items), ensure_ascii=False) + "\n")
    build(folder)
    say(f"report: {folder / 'report.html'}", progress)
    return made


def say(text: str, progress: Mode) -> None:
    """A line for the person who waits."""
    if progress != "off":
        print(text, file=sys.stderr, flush=True)


def one(run: Trained, config: TrainConfig, corpus: Any, items: Items, progress: Mode) -> Trained:
    """Train and question one run, or take up what is already there. Only an interruption stops the others."""
    label = run.folder.name
    try:
        objective = run.entry.objective()
        peak = Peak()
        run.result = train(config.model_copy(update={"seed": run.seed}), objective, corpus, run.folder, progress=progress)
        loaded = load(run.folder)
        run.precision = str(loaded.config["precision"])
        run.memory, run.curve = peak.read(run.folder), curve(loaded.events())
        run.objective, run.rows, run.length = objective, config.rows, config.length
        path, key = run.folder / FINDINGS, f"{run.result.steps} steps, {digest(loaded.config)}"
        run.findings = Findings.load(path, key)
        if run.findings is None:
            run.findings = evaluate(loaded.model, objective, items, label=label, progress=progress)
            run.findings.save(path, key)
        else:
            say(f"{label}: already asked", progress)
    except Interrupted:
        raise
    except Exception as error:  # whatever it is, the other objectives can still be compared
        plain = str(error) if isinstance(error, ValueError) else f"{type(error).__name__}: {error}"
        run.failed = getattr(error, "message", "") or plain
        say(f"{label} failed: {run.failed}", progress)
    return run


def digest(config: Mapping[str, Any]) -> str:
    """A short name of a run's settings."""
    return hashlib.sha256(json.dumps(config, sort_keys=True).encode()).hexdigest()[:12]


def curve(events: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """At most 200 points of a run's loss, from its events; each is the mean loss since the point before."""
    steps = [e for e in events if e["event"] == "step"]
    size = -(-len(steps) // CURVE) or 1
    made = []
    for i in range(0, len(steps), size):
        part = steps[i : i + size]
        heads = list(part[0]["loss_sum"])[:1]
        total = sum(e["loss_sum"].get(h, 0.0) for e in part for h in heads)
        count = sum(e["loss_count"].get(h, 0) for e in part for h in heads)
        last = part[-1]
        made.append({"step": last["step"], "text_tokens": last["tokens"], "scored_tokens": last["scored"], "flops": last["flops"],
                     "seconds": last["seconds"], "loss": round(total / count, 5) if count else None})  # fmt: skip
    return made


def claim(folder: Path, settings: Mapping[str, Any], overwrite: bool) -> str:
    """Take a folder for this comparison; returns when it was first begun.

    The same settings go on where they stopped. Anything else in the folder is refused (exit 4), or removed with `overwrite`,
    which deletes nothing but what a comparison writes.
    """
    state = folder / STATE
    if folder.exists() and not folder.is_dir():
        raise UserError(f"{folder} is not a folder", exit=4, code="compare.folder")
    if folder.is_dir() and any(folder.iterdir()) and not state.is_file():
        raise UserError(f"{folder} holds something that is no comparison", exit=4, code="compare.folder", hint="name another --out")
    if state.is_file() and not overwrite:
        try:
            held = json.loads(state.read_text(encoding="utf-8"))
        except ValueError:
            held = {}
        wanted, old = json.loads(json.dumps(settings)), held.get("settings", {})
        if old == wanted:
            return str(held["created"])
        changed = ", ".join(k for k in wanted if old.get(k) != wanted[k])
        raise UserError(f"{folder} holds a comparison with other settings ({changed})", exit=4, code="compare.folder",
                        hint="name another --out, or start anew there with --overwrite")  # fmt: skip
    clear(folder)
    created = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
    write(state, json.dumps({"schema": "compare/1", "created": created, "settings": settings}, indent=1) + "\n")
    return created


def clear(folder: Path) -> None:
    """Remove what a comparison writes, and nothing else."""
    for name in ("runs", "cards", "charts"):
        shutil.rmtree(folder / name, ignore_errors=True)
    files = [folder / n for n in ("results.json", "results.csv", "views.json", "report.html", STATE)]
    for path in files + list(folder.glob("samples_*.jsonl")):
        path.unlink(missing_ok=True)


def banner(chosen: Sequence[Entry], budget: Budget, seeds: int, folder: Path) -> str:
    """What is going to happen and about how long it takes."""
    each = f"{budget.text} of text each" if budget.kind == "tokens" else f"{budget.text} each"
    many = "one seed (differences between seeds are not measured)" if seeds == 1 else f"{seeds} seeds"
    minutes = (budget.amount + QUESTIONS) * len(chosen) * seeds / 60
    total = f", about {minutes:.0f} min in all" if budget.kind == "time" else ""
    return f"comparing {', '.join(e.name for e in chosen)}: {each}, {many}{total}; into {folder}"


def run_name(entry: Entry, seed: int) -> str:
    """The folder of one run under `runs/`."""
    return entry.name if seed == 0 else f"{entry.name}-seed{seed}"


def spelled(chosen: Sequence[Entry], data: Any, budget: str, seeds: int, training: Mapping[str, Any]) -> str:
    """The command that makes this comparison."""
    words = []
    for e in chosen:
        pairs = [f"{k}={v}" for k, v in e.options.items()] + ([f"name={e.name}"] if e.name != e.recipe else [])
        words.append("-o " + (shlex.quote(f"{e.recipe}:{','.join(pairs)}") if pairs else e.recipe))
    source = data if isinstance(data, str | Path) else getattr(data, "folder", "DATA")
    words += ["--data", shlex.quote(str(source)), "--budget", budget, "--seeds", str(seeds)]
    words += [shlex.quote(f"{key}={value if isinstance(value, str) else json.dumps(value)}") for key, value in training.items()]
    return " ".join(["maskdial compare", *words])
