"""Objectives through pickle, for workers that are spawned and not forked.

A recipe's objective holds functions that were made inside it, which pickle refuses. What is pickled is the recipe's name and
options; fields that were changed since go with them, as they are.
"""

from __future__ import annotations

import copyreg
from collections.abc import Mapping
from dataclasses import fields, is_dataclass, replace
from functools import partial
from types import FunctionType
from typing import Any

import numpy as np

from maskdial.objective import Objective
from maskdial.recipes import objective, recipes


def register(made: Any) -> None:
    """Teach pickle (in this process) how this objective travels: an `Objective`, or a mixture of some."""
    copyreg.pickle(Objective, _reduce)
    copyreg.pickle(type(made), _reduce)


def _reduce(made: Any) -> Any:
    options = dict(made.options)
    compat = options.pop("compat", None)
    if made.about is None or made.name not in recipes():
        return made.__reduce_ex__(2)
    again = objective(made.name, compat=compat, **options)
    changed = {f.name: getattr(made, f.name) for f in fields(made) if not same(getattr(made, f.name), getattr(again, f.name))}
    return _again, (made.name, compat, options, changed)


def _again(name: str, compat: str | None, options: dict[str, Any], changed: dict[str, Any]) -> Any:
    return replace(objective(name, compat=compat, **options), **changed)


def same(a: Any, b: Any) -> bool:
    """Whether two values do the same: functions by their code and what they close over, everything else by its parts."""
    if a is b:
        return True
    if type(a) is not type(b):
        return False
    if isinstance(a, FunctionType):
        parts = (a.__code__, a.__defaults__, a.__kwdefaults__), (b.__code__, b.__defaults__, b.__kwdefaults__)
        cells = ([cell.cell_contents for cell in f.__closure__ or ()] for f in (a, b))
        return parts[0] == parts[1] and same(*cells)
    if isinstance(a, partial):
        return same([a.func, a.args, a.keywords], [b.func, b.args, b.keywords])
    if isinstance(a, np.ndarray):
        return bool(np.array_equal(a, b))
    if isinstance(a, Mapping):
        return a.keys() == b.keys() and all(same(a[k], b[k]) for k in a)
    if isinstance(a, list | tuple):
        return len(a) == len(b) and all(same(x, y) for x, y in zip(a, b, strict=True))
    if is_dataclass(a) or hasattr(a, "__dict__"):
        return same(vars(a), vars(b))
    return bool(a == b)
