"""What one trained model showed, on disk and as a part of `results.json`."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from maskdial.evaluate.behaviour import answers, error_rates, prompts
from maskdial.evaluate.items import Items
from maskdial.evaluate.likelihood import Found
from maskdial.evaluate.probes import PROBES, forms_of, put
from maskdial.evaluate.scoring import Scorer
from maskdial.evaluate.statistics import Outcome, interval, pooled
from maskdial.mixture import Mixture
from maskdial.objective import Objective
from maskdial.progress import Mode, Progress
from maskdial.sample import Layout

#: Raised when a probe's meaning changes, so that older findings are not reused.
VERSION = 2


@dataclass(frozen=True)
class Findings:
    """One model's probes, its answers to the prompts by prompt id, and its error rates."""

    probes: dict[str, Found]
    answers: dict[str, dict[str, Any]]
    errors: dict[str, Found]

    def save(self, path: Path, key: str) -> None:
        """Write them; `key` names the run and settings they belong to."""
        value = {"version": VERSION, "key": key, "probes": {n: pack(f) for n, f in self.probes.items()}, "answers": self.answers,
                 "errors": {n: pack(f) for n, f in self.errors.items()}}  # fmt: skip
        write(path, json.dumps(value, ensure_ascii=False))

    @classmethod
    def load(cls, path: Path, key: str) -> Findings | None:
        """What `save` wrote, or None when it is absent, cut short or belongs to something else."""
        try:
            value = json.loads(path.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return None
        if not isinstance(value, dict) or (value.get("version"), value.get("key")) != (VERSION, key):
            return None
        probes, errors = ({n: unpack(f) for n, f in value[part].items()} for part in ("probes", "errors"))
        return cls(probes, value["answers"], errors)


def evaluate(
    model: Any, objective: Objective | Mixture, items: Items, layout: Layout | None = None, label: str = "model", progress: Mode = "off"
) -> Findings:
    """Every probe, prompt and error rate of one model."""
    forms = forms_of(objective, items, layout)
    scorer = Scorer(model, forms.layout, items.vocab.body)
    probes: dict[str, Found] = {}
    with Progress(f"ask {label}", len(PROBES) + 2, "questions", progress) as bar:
        for name in PROBES:
            probes[name] = put(name, scorer, forms, items)
            bar.update(1, probe=name)
        said = answers(scorer, forms, items, prompts(items))
        bar.update(1, probe="prompts")
        wrong = error_rates(scorer, forms, items)
        bar.update(1, probe="error rates")
    return Findings(probes, said, wrong)


def pack(found: Found) -> dict[str, Any]:
    """An outcome as plain values."""
    if not isinstance(found, Outcome):
        return found
    arrays = {n: getattr(found, n).tolist() for n in ("document", "top", "bottom", "reference")}
    plain = {n: getattr(found, n) for n in ("better", "note", "proportion", "bound")}
    return arrays | plain | {"records": list(found.records)}


def unpack(value: Mapping[str, Any]) -> Found:
    """What `pack` packed."""
    return Outcome.of(**value) if "top" in value else dict(value)


def summary(found: Sequence[Found]) -> dict[str, Any]:
    """One probe over its seeds as `results.json` holds it: the pooled value with its interval, or why there is none."""
    outcomes = [f for f in found if isinstance(f, Outcome)]
    if not outcomes:
        return dict(found[0])  # type: ignore[arg-type]
    made = outcomes[0].to_json()
    if len(outcomes) > 1:
        low, high = interval(outcomes)
        baseline = sum(o.reference.sum() for o in outcomes) / sum(o.bottom.sum() for o in outcomes)
        made |= {"value": pooled(outcomes), "low": low, "high": high, "baseline": float(baseline)}
    return {k: significant(v) for k, v in made.items()}


def significant(value: Any) -> Any:
    """Floats to seven significant digits, so that two builds print alike."""
    return float(f"{value:.7g}") if isinstance(value, float) else value


def write(path: Path, text: str) -> None:
    """A whole file or none."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(path.name + ".part")
    part.write_text(text, encoding="utf-8", newline="\n")
    os.replace(part, path)
