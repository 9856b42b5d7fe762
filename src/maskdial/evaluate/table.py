"""`results.json` (results/1), the per-item sample files and the sample views of a comparison."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from maskdial.evaluate.behaviour import SETTINGS, prompts
from maskdial.evaluate.items import Items
from maskdial.evaluate.machine import cores, cpu
from maskdial.evaluate.probes import ASKS
from maskdial.evaluate.results import significant, summary, write
from maskdial.evaluate.selection import Entry
from maskdial.evaluate.statistics import DRAWS, Outcome, differences
from maskdial.mixture import Mixture
from maskdial.objective import Objective
from maskdial.train.budget import Budget
from maskdial.train.folder import versions
from maskdial.vocab import Vocab

if TYPE_CHECKING:
    from maskdial.evaluate.compare import Trained

#: Parameters may differ by so much between objectives.
TOLERANCE = 0.02


def results(
    trained: Sequence[Trained], corpus: Any, items: Items, budget: Budget, seeds: int, created: str, command: str
) -> dict[str, Any]:
    """Everything that was measured, as plain values."""
    by_name: dict[str, list[Trained]] = {}
    for run in trained:
        by_name.setdefault(run.entry.name, []).append(run)
    found = {name: [r.findings for r in runs if r.findings is not None] for name, runs in by_name.items() if not _failed(runs)}
    outcomes = {
        p: {name: one for name, f in found.items() if all(isinstance(x.probes[p], Outcome) for x in f)
            and (one := [x.probes[p] for x in f])}
        for p in ASKS
    }  # fmt: skip
    made: dict[str, Any] = {
        "schema": "results/1", "run": hashlib.sha256(f"{command} {corpus.fingerprint} {created}".encode()).hexdigest()[:8],
        "created": created, "command": command, "versions": versions(),
        "machine": {"cpu": cpu(), "cores": cores(), "precision": next((r.precision for r in trained if r.precision), "")},
        "corpus": _corpus(corpus), "budget": {"kind": budget.kind, "text": budget.text, "value": budget.amount, "seeds": seeds},
        "questions": ASKS, "intervals": f"95 %, bootstrap over documents, {DRAWS:,} draws; real: after Holm over all differences",
        "objectives": {name: _objective(runs, corpus) for name, runs in by_name.items()},
        "differences": {p: [{k: significant(v) for k, v in d.items()} for d in ds] for p, ds in differences(outcomes).items()},  # type: ignore[arg-type]
        "behaviour": _behaviour(by_name, items),
    }  # fmt: skip
    sizes = [o["parameters"] for o in made["objectives"].values() if not o.get("failed")]
    if sizes and max(sizes) > (1 + TOLERANCE) * min(sizes):
        made["warnings"] = [f"parameters differ by more than {TOLERANCE:.0%}: {min(sizes):,} to {max(sizes):,}"]
    return made


def _failed(runs: Sequence[Trained]) -> str:
    """Why an objective has no results: its first failed seed."""
    return next((f"seed {r.seed}: {r.failed}" if len(runs) > 1 else r.failed for r in runs if r.failed), "")


def _corpus(corpus: Any) -> dict[str, Any]:
    held, train = corpus.held_out, corpus.train
    return {
        "name": corpus.name, "fingerprint": corpus.fingerprint, "documents": train.num_documents + held.num_documents,
        "train_tokens": train.num_tokens, "held_out_documents": held.num_documents, "held_out_tokens": held.num_tokens,
        "held_out_bytes": held.total_bytes, "tokenizer": {"name": corpus.tokenizer.name, "vocab_size": corpus.vocab.size},
    }  # fmt: skip


def _objective(runs: Sequence[Trained], corpus: Any) -> dict[str, Any]:
    """One objective's entry: what it is, what training took (the first seed's), what the probes found over all seeds."""
    entry, objective = runs[0].entry, runs[0].entry.objective()
    made: dict[str, Any] = {
        "recipe": entry.recipe, "options": dict(objective.options), "formula": objective.explain()["formula"],
        "layout": objective.layout, "seeds": [r.seed for r in runs], "run": f"runs/{runs[0].folder.name}",
    }  # fmt: skip
    if why := _failed(runs):
        return made | {"failed": why, "probes": {}, "by_seed": {}, "curve": []}
    done = runs[0].result
    assert done is not None
    made |= {
        "parameters": done.parameters, "text_tokens": done.text_tokens, "scored_tokens": done.scored_tokens,
        "positions": positions(objective, runs[0], corpus.vocab), "flops": done.flops, "seconds": round(done.seconds, 2),
        "steps": done.steps, "peak_memory": runs[0].memory,
    }  # fmt: skip
    found = [r.findings for r in runs if r.findings is not None]
    made["probes"] = {p: summary([f.probes[p] for f in found]) for p in ASKS}
    made["by_seed"] = {str(r.seed): {p: summary([f.probes[p]]) for p in ASKS} for r, f in zip(runs, found, strict=True)}
    return made | {"curve": runs[0].curve}


def positions(objective: Objective | Mixture, run: Trained, vocab: Vocab) -> int:
    """Positions that a run took up, source and answer: of a mixture each member's turns in its own room."""
    assert run.result is not None
    samples = run.result.steps * run.rows
    if not isinstance(objective, Mixture):
        room = objective.room(run.length, vocab=vocab)
        return samples * (room.source + room.answer)
    turns, rooms = objective.over(samples), objective.rooms(run.length, vocab=vocab)
    return sum(turns.count_before(name, samples) * (room.source + room.answer) for name, room in rooms.items())


def _behaviour(by_name: dict[str, list[Trained]], items: Items) -> dict[str, Any]:
    """The prompts with every first seed's answers, and the error rates over all seeds."""
    found = {name: [r.findings for r in runs if r.findings] for name, runs in by_name.items() if not _failed(runs)}
    made = []
    for p in prompts(items):
        answers = {name: f[0].answers[p.id] for name, f in found.items() if p.id in f[0].answers}
        made.append({"id": p.id, "task": p.task, "text": p.text, "truth": p.truth, "answers": answers})
    errors = {name: {task: summary([x.errors[task] for x in f]) for task in f[0].errors} for name, f in found.items()}
    return {"settings": SETTINGS, "prompts": made, "errors": errors}


def samples(folder: Path, trained: Sequence[Trained]) -> None:
    """`samples_<name>.jsonl`: one line an item of a probe (all seeds), as it was asked and answered."""
    lines: dict[str, list[str]] = {}
    for run in trained:
        part = lines.setdefault(run.entry.name, [])
        for probe, outcome in (run.findings.probes if run.findings else {}).items():
            if isinstance(outcome, Outcome):
                part += [json.dumps({"probe": probe, "seed": run.seed, "item": n, **r}, ensure_ascii=False)
                         for n, r in enumerate(outcome.records)]  # fmt: skip
    for name, part in lines.items():
        write(folder / f"samples_{name}.jsonl", "".join(line + "\n" for line in part))


def views(chosen: Sequence[Entry], corpus: Any, items: Items) -> list[dict[str, Any]]:
    """The same held-out text under each objective, as `sample-view/1` with the objective's name in the comparison."""
    from maskdial.view import sample, view

    made = []
    for entry in chosen:
        try:
            seen = view(sample(one_text(items), entry.objective(), tokenizer=corpus.tokenizer))
        except ValueError:  # the vocabulary lacks a token that this objective needs; its entry says so
            continue
        made.append(seen | {"name": entry.name})
    return made


def one_text(items: Items) -> str:
    """The beginning of a held-out document: whole sentences, some 25 tokens of them."""
    best = next((p for p in items.passages(32, 1)), None)
    if best is None:
        return "The cat sat on the mat because it was warm."
    ids = items.documents[best.document][:28]
    text = items.text(ids).strip()
    stop = text.rfind(". ")
    return text[: stop + 1] if stop > len(text) // 2 else text.rsplit(" ", 1)[0]
