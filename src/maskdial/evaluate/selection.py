"""Which objectives to compare, as written on a command line: `gpt,bert` or `bert:whole_word=true,name=wwm`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from re import fullmatch
from typing import Any

from maskdial.errors import UserError
from maskdial.mixture import Mixture
from maskdial.objective import Objective
from maskdial.recipes import find, objective

DEFAULT = ("gpt", "bert", "prefix-lm", "t5", "bart")


@dataclass(frozen=True)
class Entry:
    """One objective of a comparison: its name there, its recipe and options (values as given, texts allowed)."""

    name: str
    recipe: str
    options: Mapping[str, Any] = field(default_factory=dict)

    def objective(self) -> Objective | Mixture:
        """The objective; `ValueError` for an unknown recipe, option or value."""
        options = dict(self.options)
        return objective(self.recipe, compat=options.pop("compat", None), **options)


def parse(words: Sequence[str]) -> list[Entry]:
    """Entries from `-o` words. A word without `:` is a list of recipes; `recipe:key=value,…` is one with options, `name=` among
    them. Raises `UserError` for what cannot be read, an unknown recipe or option, and a name used twice."""
    found: list[Entry] = []
    for word in words:
        recipe, sign, rest = word.partition(":")
        if not sign:
            found += [Entry(name.strip(), name.strip()) for name in word.split(",") if name.strip()]
            continue
        options: dict[str, Any] = {}
        for pair in (p for p in rest.split(",") if p.strip()):
            key, equals, value = pair.partition("=")
            if not equals:
                raise UserError(f"-o {word!r}: {pair!r} should be key=value", code="compare.objective",
                                hint="e.g. -o 'bert:whole_word=true,name=wwm'")  # fmt: skip
            options[key.strip().replace("-", "_")] = value.strip()
        name = str(options.pop("name", recipe.strip()))
        found.append(Entry(name, recipe.strip(), options))
    return checked(found)


def entries(objectives: Sequence[str | tuple[str, Mapping[str, Any]] | Entry]) -> list[Entry]:
    """Entries from what `compare` is called with: words, (recipe, options) pairs or entries; an option `name` names it."""
    found: list[Entry] = []
    for one in objectives:
        if isinstance(one, Entry):
            found.append(one)
        elif isinstance(one, str):
            found += parse([one])
        else:
            options = dict(one[1])
            found.append(Entry(str(options.pop("name", one[0])), one[0], options))
    return checked(found)


def checked(found: list[Entry]) -> list[Entry]:
    """The same entries, or a `UserError`."""
    if not found:
        raise UserError("no objective to compare", hint="e.g. -o gpt,bert", code="compare.objective")
    for entry in found:
        if not fullmatch(r"[A-Za-z0-9][A-Za-z0-9._+-]*", entry.name):
            raise UserError(f"{entry.name!r} cannot name a folder", hint="letters, digits and . _ + - only", code="compare.name")
        if sum(other.name == entry.name for other in found) > 1:
            raise UserError(f"two objectives are called {entry.name!r}", code="compare.name",
                            hint=f"name them, e.g. -o '{entry.recipe}:…,name={entry.name}-2'")  # fmt: skip
        try:
            find(entry.recipe)
            entry.objective()
        except ValueError as error:
            raise UserError(str(error), code="compare.objective", where=entry.name) from error
    return found
