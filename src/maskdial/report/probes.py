"""What each probe asks, in the words that the report and the cards share."""

from __future__ import annotations

from dataclasses import dataclass, replace

from maskdial.report.folder import Folder, Json
from maskdial.report.numbers import finite


@dataclass(frozen=True)
class Probe:
    """A question that every objective which can answer it was asked. `leads` says what being best at it means (it, they)."""

    name: str
    label: str
    asks: str
    leads: tuple[str, str]
    unit: str
    baseline: str = "baseline"


PROBES = (
    Probe("bits_per_byte", "Bits per byte", "How many bits the model needs for each byte of held-out text, given the text before it.",
          ("predicts unseen text best", "predict unseen text best"), "bits per byte", "token frequencies alone"),
    Probe("bits_per_byte_documents", "Bits per byte, whole documents", "The same over whole held-out documents, from their first token on.",
          ("predicts whole documents best", "predict whole documents best"), "bits per byte", "token frequencies alone"),
    Probe("cloze", "Cloze", "One token is hidden: the share guessed exactly right. An objective that can read both sides may.",
          ("guesses hidden tokens best", "guess hidden tokens best"), "right", "always the commonest token"),
    Probe("infill", "Infill", "Five tokens are missing: the share of gaps for which the true five rank first among ten candidates.",
          ("tells best what is missing", "tell best what is missing"), "right", "chance"),
    Probe("repair", "Repair", "Ten versions of a passage, nine of them damaged: the share for which the clean one ranks first.",
          ("tells clean text from damaged best", "tell clean text from damaged best"), "right", "chance"),
    Probe("topic", "Topic", "A linear classifier reads the frozen features: the share of documents put under the right label.",
          ("tells topics apart best", "tell topics apart best"), "right", "always the commonest label"),
    Probe("copying", "Copying", "How many nats a token cost more when a passage comes a second time; below zero, the repetition is used.",
          ("makes most of a repeated passage", "make most of a repeated passage"), "nats a token", "the repetition is not noticed"),
)  # fmt: skip
KNOWN = {probe.name: probe for probe in PROBES}


def probe(name: str) -> Probe:
    """A probe by name; one that this version does not know still gets a readable label."""
    words = name.replace("_", " ")
    plain = Probe(name, words[:1].upper() + words[1:], "", (f"is best at {words}", f"are best at {words}"), "")
    return KNOWN.get(name, plain)


def asked(folder: Folder) -> list[Probe]:
    """The probes in this comparison: known ones in their fixed order, then the rest by name."""
    names = {name for found in folder.objectives.values() for name in found.get("probes", {})}
    known = [p for p in PROBES if p.name in names]
    told = folder.results.get("questions", {})
    return known + [_told(name, told.get(name) or {}) for name in sorted(names - KNOWN.keys())]


def _told(name: str, question: Json) -> Probe:
    """A probe that this version does not know, as the comparison itself describes it."""
    asks = str(question.get("asks", ""))
    return replace(probe(name), asks=asks[:1].upper() + asks[1:] + ("." if asks else ""), unit=str(question.get("unit", "")))


def answers(folder: Folder, name: str) -> dict[str, Json]:
    """Who answered a probe, and what was measured."""
    found = {o: result.get("probes", {}).get(name) for o, result in folder.finished.items()}
    return {o: p for o, p in found.items() if p and "not_applicable" not in p and p.get("value") is not None}


def by_seed(folder: Folder, objective: str, name: str) -> list[tuple[int, float]]:
    """(seed, value) of a probe for each single seed."""
    found = folder.objectives[objective].get("by_seed", {})
    if isinstance(values := found.get(name), list):
        seeds = folder.objectives[objective].get("seeds") or range(len(values))
        return [(int(s), v) for s, v in zip(seeds, values, strict=False) if finite(v)]
    single = [(int(s), (f.get(name) or {}).get("value")) for s, f in found.items() if isinstance(f, dict) and str(s).isdigit()]
    return [(s, v) for s, v in single if finite(v)]


def better(folder: Folder, name: str) -> str:
    """`higher` or `lower`."""
    return next((str(p.get("better", "higher")) for p in answers(folder, name).values()), "higher")
