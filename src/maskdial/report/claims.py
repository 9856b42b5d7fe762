"""What the literature says of an objective: one file of `texts/` each, read by name; sources are shared.

To write a card for another objective, put `NAME.toml` there. Without one the card says what the recipe says of itself.
"""

from __future__ import annotations

import tomllib
from functools import cache
from pathlib import Path
from typing import Any

Json = dict[str, Any]
TEXTS = Path(__file__).parent / "texts"


@cache
def sources() -> dict[str, Json]:
    """Every paper that may be cited, by key: cite, title, url."""
    found: dict[str, Json] = tomllib.loads((TEXTS / "sources.toml").read_text(encoding="utf-8"))
    return found


@cache
def texts(recipe: str) -> Json | None:
    """The card text of a recipe, or None when nobody has written one."""
    path = TEXTS / f"{recipe}.toml"
    if recipe == "sources" or path.parent != TEXTS or not path.is_file():
        return None
    return tomllib.loads(path.read_text(encoding="utf-8"))


def cited(key: str, where: str = "") -> Json:
    """A source as a card carries it."""
    return {**sources()[key], "where": where} if where else dict(sources()[key])
