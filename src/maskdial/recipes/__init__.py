"""One short file a paper: a docstring with the paper and a worked example, and one function that returns an `Objective`.

To add one, put a file here whose function carries the file's name (with `_` for `-`) under `@recipe(...)`. Nothing else
needs to know: `md.recipes()`, the command line, the docs and the laws find it.
"""

from __future__ import annotations

import importlib
import inspect
import pkgutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import cache, cached_property
from typing import Annotated, Any, Literal, get_args, get_origin, get_type_hints

from maskdial.errors import nearest
from maskdial.mixture import Mixture
from maskdial.objective import Objective


@dataclass(frozen=True)
class Dial:
    """What an option means, its unit and its range (both ends allowed)."""

    what: str
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True)
class About:
    """What a recipe is: the facts that `list`, `show`, the docs and the cards print."""

    family: str
    formula: str
    corruption: str
    target: str
    source: str
    url: str
    good_for: str
    known_models: tuple[str, ...]
    #: compatibility modes: name → (options it sets, what differs)
    modes: Mapping[str, tuple[Mapping[str, Any], str]] = field(default_factory=dict)


@dataclass(frozen=True)
class Recipe:
    """A recipe function with its name, facts and options."""

    name: str
    make: Callable[..., Any]
    about: About

    @cached_property
    def options(self) -> dict[str, Option]:
        """The dials by name, in the order of the signature."""
        hints = get_type_hints(self.make, include_extras=True)
        return {n: Option.read(n, hints[n], p.default) for n, p in inspect.signature(self.make).parameters.items()}


@dataclass(frozen=True)
class Option:
    """One dial of a recipe: name, type or choices, default, meaning and range."""

    name: str
    types: tuple[Any, ...]
    default: Any
    dial: Dial

    @staticmethod
    def read(name: str, hint: Any, default: Any) -> Option:
        """From an annotated parameter."""
        kind, dial = get_args(hint) if get_origin(hint) is Annotated else (hint, Dial(""))
        parts = get_args(kind) if get_origin(kind) not in (None, Literal) else (kind,)
        flat: list[Any] = []
        for part in parts:
            flat.extend(get_args(part) if get_origin(part) is Literal else [part])
        return Option(name, tuple(flat), default, dial)

    @property
    def spelled(self) -> str:
        """The values it takes, in words."""
        if self.dial.low is not None or self.dial.high is not None:
            high = "" if self.dial.high is None else f" … {self.dial.high:g}"
            others = [repr(t) for t in self.types if isinstance(t, str)]
            return " or ".join([*others, f"{self.dial.low:g}{high}"])
        return " | ".join(t.__name__ if isinstance(t, type) else repr(t) for t in self.types if t is not type(None))

    def check(self, value: Any, recipe: str) -> Any:
        """The value in its type, from Python or from a command line's text, or a `ValueError` that says what is allowed."""
        for kind in self.types:
            if isinstance(kind, str) and value == kind:
                return value
            if kind is type(None) and value in (None, "none"):
                return None
            if kind is bool and (isinstance(value, bool) or str(value).lower() in ("true", "false")):
                return value if isinstance(value, bool) else value.lower() == "true"
            if kind in (int, float) and not isinstance(value, bool):
                try:
                    number = kind(value)
                except (TypeError, ValueError):
                    continue
                if number != number:
                    continue
                if (self.dial.low is not None and number < self.dial.low) or (
                    self.dial.high is not None and number > self.dial.high
                ):
                    break
                return number
        raise ValueError(f"{recipe}: {self.name}={value!r} is not allowed ({self.dial.what}: {self.spelled})")


def recipe(**about: Any) -> Callable[[Callable[..., Objective | Mixture]], Recipe]:
    """Make a recipe of a function; the keywords are those of `About`."""

    def wrap(make: Callable[..., Objective | Mixture]) -> Recipe:
        return Recipe(make.__name__.replace("_", "-"), make, About(**about))

    return wrap


def recipes() -> list[str]:
    """The names of all recipes."""
    return sorted(m.name.replace("_", "-") for m in pkgutil.iter_modules(__path__) if not m.name.startswith("_"))


@cache
def find(name: str) -> Recipe:
    """A recipe by name; `ValueError` with the nearest name when there is none."""
    if name not in recipes():
        raise ValueError(f"there is no objective {name!r}: {nearest(name, recipes())}")
    module = name.replace("-", "_")
    found: Recipe = getattr(importlib.import_module(f"maskdial.recipes.{module}"), module)
    return found


def objective(name: str, *, compat: str | None = None, **options: Any) -> Objective:
    """The objective of a recipe, e.g. `objective("t5", rate=0.3)`; `compat` sets a named compatibility mode's options."""
    made = find(name)
    known = made.options
    if compat is not None and compat not in made.about.modes:
        raise ValueError(f"{name} has no compatibility mode {compat!r}: {nearest(compat, made.about.modes) or 'it has none'}")
    settings = dict(made.about.modes[compat][0]) if compat else {}
    for key, value in options.items():
        if key not in known:
            raise ValueError(f"{name} has no option {key!r}: {nearest(key, known)}")
        settings[key] = known[key].check(value, name)
    given = dict(settings) | ({"compat": compat} if compat else {})
    return replace(made.make(**settings), about=made.about, options=given)
