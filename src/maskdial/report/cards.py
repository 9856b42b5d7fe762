"""The evidence card of one objective: five required fields, then four more, and every claim says where it comes from.

A claim is *measured* (with its place in results.json and, for probes, its 95 % interval) or *literature* (with its source).
`card` builds plain data; `maskdial.report.card_text` and the card template only print it.
"""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

from maskdial.errors import UserError, nearest
from maskdial.report.claims import cited, texts
from maskdial.report.folder import Folder, Json
from maskdial.report.measured import behaviour, cost, shortfalls
from maskdial.report.verdict import place

SCHEMA = "card/1"
#: the fields in their fixed order; the first five are required of every card
FIELDS = {
    "objective": "Objective", "training_sample": "Training sample", "architecture_fit": "Architecture fit",
    "behaviour_effect": "Behaviour effect", "limitation": "Limitation", "cost": "Cost", "common_mistake": "Common mistake",
    "in_an_interview": "In an interview", "evidence": "Evidence",
}  # fmt: skip
REQUIRED = tuple(FIELDS)[:5]


def card(name: str, folder: Folder | None = None) -> Json:
    """The card of an objective, from a comparison when one is given and from the literature alone otherwise."""
    result = _result(name, folder)
    recipe = str(result.get("recipe", name)) if result else name
    written, known = texts(recipe), bool(result and result.get("formula"))
    described = {} if written and known else _described(recipe, required=not result)
    fields: dict[str, list[Json]] = {field: [] for field in FIELDS}
    for claim in written["claims"] if written else []:
        fields[claim["field"]].append(
            {"text": claim["text"], "tag": "literature", "source": cited(claim["source"], claim.get("where", ""))}
        )
    if not written:
        _from_description(fields, described)
    if folder and result:
        _measure(fields, name, folder)
    _evidence(fields, name, folder, recipe)
    return {
        "schema": SCHEMA, "objective": name, "recipe": recipe, "title": written["title"] if written else name,
        "formula": (result or {}).get("formula") or described.get("formula") or "",
        "dials": written["dials"] if written else _dials(described),
        "example": written.get("example", []) if written else [],
        "measured": bool(folder and result), "run": folder.run if folder else None, "seeds": folder.seeds if folder else None,
        "note": _note(folder, result),
        "fields": [{"id": field, "label": label, "claims": fields[field]} for field, label in FIELDS.items()],
    }  # fmt: skip


def _note(folder: Folder | None, result: Json | None) -> str:
    if not folder:
        return "No run was given: everything on this card comes from the literature."
    if result and result.get("failed"):
        return f"This run did not finish ({result['failed']}), so nothing of it was measured."
    return "One seed: differences between runs are not measured." if folder.seeds == 1 else ""


def _result(name: str, folder: Folder | None) -> Json | None:
    if folder is None:
        return None
    if name not in folder.objectives:
        raise UserError(f"{folder.path} has no objective {name!r}", hint=nearest(name, folder.objectives), code="card.objective")
    return folder.objectives[name]


def _described(recipe: str, required: bool) -> Json:
    """What the recipe says of itself; nothing for a recipe that this installation does not have but a run does."""
    from maskdial.recipes import objective, recipes

    if recipe not in recipes():
        if required:
            raise UserError(f"there is no objective {recipe!r}", hint=nearest(recipe, recipes()), code="card.objective")
        return {}
    return objective(recipe).explain()


def _dials(described: Json) -> Json:
    see = {"bidirectional": "both sides", "causal": "the left only", "prefix": "both ways in the prefix, the left after it",
           "backward": "the right only", "source-first": "the source, and both ways in the answer", "mixed": "as the member says",
           "two-stream": "what comes earlier in a drawn order", "blocks": "the blocks before, and both ways in its own"}  # fmt: skip
    told = {"hide": described.get("corruption", ""), "see": see.get(described.get("visibility", ""), described.get("visibility", "")),
            "score": described.get("target", "")}  # fmt: skip
    return {dial: words for dial, words in told.items() if words}


def _from_description(fields: dict[str, list[Json]], described: Json) -> None:
    """The required fields of an objective that has no written card, from its own description and that one's paper."""
    missing = "Nothing has been written about this yet."
    source = {"cite": described.get("source", "the recipe's own description"), "title": "", "url": described.get("url", "")}
    models, layout = described.get("known_models", []), described.get("layout")
    share = described.get("scored_share")
    said = {
        "objective": described.get("formula"),
        "training_sample": f"Read: {described['corruption']}. Asked: {described['target']}." if described.get("corruption") else None,
        "architecture_fit": f"Made for the {layout} layout" + (f" ({', '.join(models)})." if models else ".") if layout else None,
        "behaviour_effect": f"Good for {described['good_for']}." if described.get("good_for") else None,
        "limitation": None,
        "cost": f"{100 * share:.3g} % of a text of 512 tokens is scored." if isinstance(share, float) else None,
    }
    for field, text in said.items():
        fields[field].append({"text": text or missing, "tag": "literature", "source": source})


def _measure(fields: dict[str, list[Json]], name: str, folder: Folder) -> None:
    """Adds what this run measured, before what the literature says."""
    if folder.objectives[name].get("failed"):
        failed = {"text": f"Did not finish: {folder.objectives[name]['failed']}.", "tag": "measured", "path": _path(name, "failed")}
        fields["limitation"].insert(0, failed)
        return
    sample = _sample(name, folder)
    for field, claims in (("training_sample", sample), ("behaviour_effect", behaviour(name, folder)),
                          ("limitation", shortfalls(name, folder)), ("cost", cost(name, folder))):  # fmt: skip
        fields[field] = [*claims, *fields[field]]


def _sample(name: str, folder: Folder) -> list[Json]:
    view = folder.views.get(name)
    if not view:
        return []
    from maskdial.report.strips import read_out

    return [{"text": read_out(view), "tag": "measured", "path": "views.json#" + quote(name)}]


def _evidence(fields: dict[str, list[Json]], name: str, folder: Folder | None, recipe: str) -> None:
    if folder:
        again = f"maskdial card {name} --run {folder.path.name}"
        text = f"{_path(name)} of run {folder.run or 'without a name'}; the same card: {again}"
        fields["evidence"].append({"text": text, "tag": "measured", "path": _path(name)})
    seen: dict[str, Any] = {}
    for claims in fields.values():
        for claim in claims:
            if claim["tag"] == "literature":
                seen.setdefault(claim["source"]["cite"], claim["source"])
    for source in seen.values():
        bare = {key: value for key, value in source.items() if key != "where"}
        fields["evidence"].append({"text": source["title"] or "The paper this recipe follows.", "tag": "literature", "source": bare})


def _path(*keys: str) -> str:
    return place("objectives", *keys)


def check(made: Json) -> Json:
    """Returns the card if it keeps the rules; `ValueError` says which one it breaks."""
    if made.get("schema") != SCHEMA:
        raise ValueError(f"schema is {made.get('schema')!r}, not {SCHEMA!r}")
    if [field["id"] for field in made["fields"]] != list(FIELDS):
        raise ValueError(f"fields must be {', '.join(FIELDS)}, in this order")
    for field in made["fields"]:
        if field["id"] in REQUIRED and not field["claims"]:
            raise ValueError(f"field {field['id']!r} is required and empty")
        for claim in field["claims"]:
            _check_claim(field["id"], claim)
    return made


def _check_claim(field: str, claim: Json) -> None:
    if claim.get("tag") == "measured" and "#" not in claim.get("path", ""):
        raise ValueError(f"a measured claim in {field!r} has no place in a result file")
    if claim.get("tag") == "literature" and not claim.get("source", {}).get("cite"):
        raise ValueError(f"a literature claim in {field!r} has no source")
    if claim.get("tag") not in ("measured", "literature"):
        raise ValueError(f"a claim in {field!r} is neither measured nor literature")
