"""All probes of one trained model."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from maskdial.evaluate.cloze import cloze
from maskdial.evaluate.forms import Forms, noted
from maskdial.evaluate.infill import infill
from maskdial.evaluate.items import Items
from maskdial.evaluate.likelihood import Found, bits_per_byte, bits_per_byte_documents, copying
from maskdial.evaluate.phrasing import Phrasing
from maskdial.evaluate.repair import repair
from maskdial.evaluate.scoring import Scorer
from maskdial.evaluate.topic import topic
from maskdial.mixture import Mixture
from maskdial.objective import Objective
from maskdial.sample import Layout

Probe = Callable[[Scorer, Phrasing, Items], Found]

#: By name, in the order of a report.
PROBES: dict[str, Probe] = {
    "bits_per_byte": bits_per_byte, "bits_per_byte_documents": bits_per_byte_documents, "cloze": cloze, "infill": infill,
    "repair": repair, "topic": topic, "copying": copying,
}  # fmt: skip

#: What each wants of a mixture's member (`Forms.fit`).
WANTED = {
    "bits_per_byte": "continue", "bits_per_byte_documents": "whole", "cloze": "fill", "infill": "fill", "repair": "fill", "topic": "fill",
    "copying": "continue",
}  # fmt: skip

#: What each probe asks and in which unit its value is, for reports.
ASKS: dict[str, dict[str, str]] = {
    "bits_per_byte": {"asks": "how many bits a byte of held-out text costs, given the 64 tokens before it", "unit": "bits per byte"},
    "bits_per_byte_documents": {"asks": "how many bits a byte of whole held-out documents costs", "unit": "bits per byte"},
    "cloze": {"asks": "one hidden token: how often the first guess is right", "unit": "share right"},
    "infill": {"asks": "five hidden tokens: how often the true ones rank first among ten", "unit": "share right"},
    "repair": {"asks": "a passage damaged in nine ways: how often the clean one ranks first", "unit": "share right"},
    "topic": {"asks": "frozen features: how often a linear probe names a document's label", "unit": "share right"},
    "copying": {"asks": "a passage read once before: how much cheaper a token of its second copy is", "unit": "nats per token"},
}


def put(name: str, scorer: Scorer, forms: Forms, items: Items) -> Found:
    """One probe, in the form that fits it best."""
    phrasing = forms.fit(WANTED[name])
    return noted(PROBES[name](scorer, phrasing, items), phrasing)


def forms_of(objective: Objective | Mixture, items: Items, layout: Layout | None = None) -> Forms:
    """The forms in which an objective is asked about a corpus."""
    return Forms(objective, items.vocab, layout, items.text, items.language)


def probe(
    model: Any, objective: Objective | Mixture, items: Items, layout: Layout | None = None, names: list[str] | None = None
) -> dict[str, Found]:
    """What each probe finds: an `Outcome`, or `{"not_applicable": why}`. `layout` is the trained model's."""
    forms = forms_of(objective, items, layout)
    scorer = Scorer(model, forms.layout, items.vocab.body)
    return {name: put(name, scorer, forms, items) for name in names or PROBES}
