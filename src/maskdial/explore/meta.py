"""What there is to choose from: every recipe with its dials, read from the recipes themselves, and the texts to look at."""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import cache
from typing import Any

from maskdial import __version__
from maskdial.explore.request import CHARACTERS, TOKENIZERS, TOKENS, Json, members, names
from maskdial.explore.texts import EXAMPLES, FIRST
from maskdial.mixture import Mixture
from maskdial.recipes import Option, Recipe, find
from maskdial.report.cards import card
from maskdial.report.folder import Folder

#: under which dial an option stands; whatever is not named here is among the others
ROLES = {
    "hide": ("rate", "mean_length", "mask", "random", "whole_word", "ngram", "favor", "most", "count", "infill", "poisson_lambda",
             "permute", "delete", "rotate", "spans", "block", "low", "high", "least", "spm", "unit", "level", "start", "strategy", "score",
             "geometric_p", "longest", "scope", "roll", "style", "runs", "task", "k", "pool", "across", "replacement", "length",
             "weights", "pairs"),
    "see": ("split", "reset_attention", "window"),
    "score": ("layout", "final_sentinel", "depth", "module", "factor", "divisor", "coefficient", "boundary", "max_pair",
              "s_split", "next_sentence", "first"),
}  # fmt: skip
#: a card's fields by the names that the page gives them
CARD = {"objective": "objective", "fit": "architecture_fit", "effect": "behaviour_effect", "limitation": "limitation"}


def meta(folder: Folder | None = None, run: str | None = None) -> Json:
    """`meta/1`. `folder` is a comparison, whose cards tell what was measured; `run` names a trained tokenizer."""
    tokenizers = (*TOKENIZERS, *(["run"] if run else []))
    return {
        "schema": "meta/1", "version": __version__, "recipes": [described(name, folder) for name in names()],
        "examples": list(EXAMPLES), "tokenizers": [{"name": name, "available": True, "hint": ""} for name in tokenizers],
        "limits": {"characters": CHARACTERS, "tokens": TOKENS}, "defaults": FIRST, "features": {"run": run is not None, "data": False},
    }  # fmt: skip


def described(name: str, folder: Folder | None = None) -> Json:
    """One recipe for the page."""
    recipe, made = find(name), _made(name)
    about = recipe.about
    found = card(name, folder if folder is not None and name in folder.objectives else None)
    return {
        "name": name, "family": about.family, "paper": about.source, "url": about.url, "title": found["title"], "formula": about.formula,
        "layout": made.layout, "see": made.visibility, "dials": [dial(option) for option in recipe.options.values()] + common(recipe),
        "modes": [{"name": mode, "sets": dict(sets), "differs": differs} for mode, (sets, differs) in about.modes.items()],
        "card": _card(found),
    }  # fmt: skip


@cache
def _made(name: str) -> Any:
    return find(name).make()


def dial(option: Option) -> Json:
    """An option as a control: `kind` range (a slider where both ends are known), int, choice, switch or text."""
    words = [kind for kind in option.types if isinstance(kind, str)]
    numbers = [kind for kind in option.types if kind in (int, float)]
    choices: list[Any] = [None] if type(None) in option.types and not numbers else []
    choices += words + ([True, False] if bool in option.types else [])
    if numbers:
        kind = "range" if float in numbers else "int"
    else:
        kind = "switch" if choices == [True, False] else "choice" if choices else "text"
    low, high = option.dial.low, option.dial.high
    return {"name": option.name, "role": role(option.name), "kind": kind, "low": low, "high": high, "step": _step(low, high, kind),
            "choices": choices if kind != "switch" else [], "default": option.default,
            "unit": unit(option.dial.what) if numbers else "", "help": option.dial.what}  # fmt: skip


def role(name: str) -> str:
    """HIDE, SEE or SCORE: which of the three an option turns."""
    return next((role for role, known in ROLES.items() if name in known), "other")


def unit(what: str) -> str:
    """The unit in which an option is counted, read off what it means."""
    if re.match(r"(share|probability)\b|.*\bwith this probability", what) or "share of" in what:
        return "share"
    found = re.search(r"\bin (tokens|words)\b|\b(tokens|words|positions)\b", what)
    return next((word for word in found.groups() if word), "") if found else ""


def _step(low: float | None, high: float | None, kind: str) -> float | None:
    """How far a slider moves at a time: finer for shares."""
    if kind != "range":
        return 1 if kind == "int" else None
    return 0.01 if low is not None and high is not None and high - low <= 1 else 0.1


def common(recipe: Recipe) -> list[Json]:
    """The dials that every recipe has, where they make a difference."""
    made, plain = _made(recipe.name), {"low": None, "high": None, "step": None, "unit": "", "default": None}
    found: list[Json] = [{"name": "frame", "role": "other", "kind": "choice", "choices": [None, True, False],
                          "label": "special tokens around",
                          "help": "as training adds them; – leaves them out for the tokenizers words and bytes"}]  # fmt: skip
    if isinstance(made, Mixture):
        found.append({"name": "member", "role": "hide", "kind": "choice", "choices": [None, *members(recipe.name)],
                      "help": "which member makes the sample; – takes turns with the seed"})  # fmt: skip
    if made.pairs:
        found.append({"name": "label", "role": "hide", "kind": "choice", "choices": [None, 0, 1],
                      "help": "0: the texts as they follow each other; 1: the second one is random, or the two are exchanged"})  # fmt: skip
    elif "part" in made.needs:
        found.append({"name": "part", "role": "score", "kind": "int", "choices": [], "label": "completion from", "low": 0, "high": TOKENS,
                      "help": "the token at which the completion begins; –: the second sentence, or the middle"})  # fmt: skip
    if modes := recipe.about.modes:
        found.append({"name": "compat", "role": "other", "kind": "choice", "choices": [None, *modes], "label": "as released",
                      "help": " · ".join(f"{name}: {differs}" for name, (_, differs) in modes.items())})  # fmt: skip
    return [plain | one for one in found]


def _card(found: Json) -> Json:
    fields = {field["id"]: field["claims"] for field in found["fields"]}
    return {name: [_claim(claim) for claim in fields[id]] for name, id in CARD.items()} | {"evidence": list(_sources(fields["evidence"]))}


def _claim(claim: Json) -> Json:
    if claim["tag"] == "literature":
        return {"text": claim["text"], "tag": "literature", "source": claim["source"]}
    return {"text": claim["text"], "tag": "measured", "source": {"cite": f"measured: {claim['path']}"}}


def _sources(claims: Iterable[Json]) -> Iterable[Json]:
    for claim in claims:
        source = claim.get("source", {"cite": f"measured: {claim.get('path', '')}"})
        yield {"text": claim["text"], "tag": claim["tag"], "cite": source["cite"], "url": source.get("url", "")}
