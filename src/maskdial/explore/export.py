"""One file that works from disk: the module, and the answers for every recipe at a few positions of its dials."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from pathlib import Path

from maskdial.explore.answers import Answers
from maskdial.explore.meta import meta
from maskdial.explore.module import module
from maskdial.explore.page import exported
from maskdial.explore.request import Json, canonical
from maskdial.explore.texts import EXAMPLES, FIRST
from maskdial.report.folder import write

#: where SEE is turned to, for the first text also to prefixes of a quarter, a half and three quarters
SEE: tuple[Json, ...] = ({"visibility": "causal"}, {"visibility": "bidirectional"})
#: where the dial of a share is turned to
SHARES = (0.0, 0.15, 0.3, 0.5)
#: where a dial of a mean length is turned to
LENGTHS = (1, 2, 5)


def export(path: Path, only: Collection[str] | None = None) -> Path:
    """Writes the page with all recipes or `only` these; returns its path. About 7 MB, and 20 seconds."""
    answers, known = Answers(), meta()
    known["recipes"] = [recipe for recipe in known["recipes"] if only is None or recipe["name"] in only]
    made: dict[str, Json] = {}
    for request in requests(known["recipes"]):
        answer = answers(request)
        if answer["ok"]:
            made[canonical(answer["extra"]["request"])] = answer
    write(path, exported(known, answers(FIRST), made, module()))
    return path


def requests(recipes: list[Json]) -> Iterator[Json]:
    """What an exported page can show: every position on the first text; as published and with SEE turned on the others."""
    yield FIRST
    for recipe in recipes:
        name = recipe["name"]
        for example in EXAMPLES:
            first = example is EXAMPLES[0]
            for options in positions(recipe) if first else ({}, *({"see": see} for see in SEE)):
                yield FIRST | {"objective": name, "text": example["text"], "options": options}
            for seed in (1, 2) if first else ():
                yield FIRST | {"objective": name, "text": example["text"], "options": {}, "seed": seed}


def positions(recipe: Json) -> Iterator[Json]:
    """One dial at a time: as published, SEE turned, the first share and the first length moved, each choice taken."""
    yield {}
    for see in SEE:
        yield {"see": see}
    size = len(EXAMPLES[0]["text"].split())
    for split in (size // 4, size // 2, 3 * size // 4):
        yield {"see": {"visibility": "prefix", "split": split}}
    dials = [dial for dial in recipe["dials"] if dial["role"] in ("hide", "score")]
    moved = [next((d for d in dials if d["kind"] == "range" and d["unit"] == unit), None) for unit in ("share", "tokens")]
    for dial, stops in zip(moved, (SHARES, LENGTHS), strict=True):
        for stop in stops if dial else ():
            if dial and stop != dial["default"] and (dial["low"] or 0) <= stop:
                yield {dial["name"]: stop}
    for dial in dials:
        for choice in dial["choices"] if dial["kind"] == "choice" else [not dial["default"]] if dial["kind"] == "switch" else ():
            if choice is not None and choice != dial["default"]:
                yield {dial["name"]: choice}
