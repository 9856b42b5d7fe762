"""What a page may ask: read strictly, so that nothing but plain values of known names and bounded size goes any further."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from functools import cache
from math import isfinite
from typing import Any

from maskdial.errors import UserError, nearest
from maskdial.mixture import Mixture
from maskdial.recipes import Recipe, find, recipes

Json = dict[str, Any]
CHARACTERS, TOKENS = 4000, 512
#: a seed that a browser's numbers hold exactly
SEEDS = 2**53 - 1
#: values in `hide` and `force`, nested lists counted together
VALUES = 4 * TOKENS
VISIBILITIES = ("causal", "bidirectional", "prefix")
#: dials of every recipe, beside its own
COMMON = ("compat", "frame", "member", "part", "label", "see")
TOKENIZERS = ("words", "bytes")


class RequestError(UserError):
    """A request that can't be answered: `where` names the field, `low` and `high` its range, `cut` how much of a text fits."""

    def __init__(
        self, message: str, where: str, code: str, *, hint: str = "", low: Any = None, high: Any = None, cut: int | None = None
    ) -> None:
        super().__init__(message, hint=hint, code=code, where=where)
        self.low, self.high, self.cut = low, high, cut


@dataclass(frozen=True)
class Request:
    """One sample that is asked for; `second` is the (objective, options) that it is compared with."""

    objective: str
    text: str
    options: Mapping[str, Any] = field(default_factory=dict)
    tokenizer: str = "words"
    seed: int = 0
    hide: tuple[int, ...] | None = None
    force: Mapping[str, Any] = field(default_factory=dict)
    second: tuple[str, Mapping[str, Any]] | None = None

    @property
    def other(self) -> Request:
        """The right-hand side of a comparison: the same text, tokenizer and seed."""
        assert self.second is not None
        return Request(self.second[0], self.text, self.second[1], self.tokenizer, self.seed)

    def plain(self) -> Json:
        """As JSON, every field there."""
        second = None if self.second is None else {"objective": self.second[0], "options": dict(self.second[1])}
        return {"objective": self.objective, "options": dict(self.options), "text": self.text, "second": second,
                "tokenizer": self.tokenizer, "seed": self.seed, "hide": None if self.hide is None else list(self.hide),
                "force": dict(self.force)}  # fmt: skip


def canonical(value: Any) -> str:
    """Canonical JSON: sorted keys, no spaces, numbers as JavaScript writes them. Equal requests have equal keys in either language."""
    if isinstance(value, Mapping):
        pairs = sorted(value.items(), key=lambda pair: pair[0].encode("utf-16-be", "surrogatepass"))
        return "{" + ",".join(f"{json.dumps(k, ensure_ascii=False)}:{canonical(v)}" for k, v in pairs) + "}"
    if isinstance(value, list | tuple):
        return "[" + ",".join(canonical(v) for v in value) + "]"
    if isinstance(value, float):
        return str(int(value)) if value.is_integer() and abs(value) < 1e21 else _number(value)
    return json.dumps(value, ensure_ascii=False)


def _number(value: float) -> str:
    text = repr(value)
    if "e" not in text or abs(value) >= 1e21:
        return text
    if abs(value) >= 1e-6:
        return format(Decimal(text), "f")
    digits, exponent = text.split("e")
    return f"{digits}e{int(exponent)}"


def load(body: bytes) -> Any:
    """JSON of a request's body; `RequestError` for anything else, for NaN and infinities too."""

    def refuse(word: str) -> Any:
        raise ValueError(f"{word} is no JSON number")

    try:
        return json.loads(body, parse_constant=refuse)
    except (ValueError, RecursionError) as error:
        raise RequestError(f"the request is no JSON: {error}", "", "request.json") from None


def read(value: Any, tokenizers: Iterable[str] = TOKENIZERS) -> Request:
    """A request from plain JSON; `RequestError` says which field is wrong and what it may hold."""
    fields = {"objective", "text", "options", "tokenizer", "seed", "hide", "force", "second"}
    if not isinstance(value, dict):
        raise RequestError("a request is a JSON object", "", "request.json")
    if unknown := sorted(set(value) - fields):
        raise RequestError(f"a request has no field {unknown[0]!r}", unknown[0], "request.field", hint=nearest(unknown[0], fields))
    name = _objective(value.get("objective"), "objective")
    tokenizer = value.get("tokenizer", "words")
    if tokenizer not in tuple(tokenizers):
        raise RequestError(f"there is no tokenizer {_short(tokenizer)}", "tokenizer", "tokenizer.unknown",
                           hint=nearest(str(tokenizer)[:40], tokenizers))  # fmt: skip
    return Request(
        name, _text(value.get("text")), _options(name, value.get("options"), "options"), tokenizer, _seed(value.get("seed", 0)),
        _hide(value.get("hide")), _force(value.get("force")), _second(value.get("second")),
    )  # fmt: skip


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 40 else text[:39] + "…"


def _objective(name: Any, where: str) -> str:
    if not isinstance(name, str) or name not in names():
        raise RequestError(f"there is no objective {_short(name)}", where, "objective.unknown", hint=nearest(str(name)[:40], names()))
    return name


@cache
def names() -> tuple[str, ...]:
    """The recipes that may be asked for."""
    return tuple(recipes())


def _text(text: Any) -> str:
    if not isinstance(text, str):
        raise RequestError("the text is missing", "text", "text.missing")
    if len(text) > CHARACTERS:
        raise RequestError(f"{len(text):,} characters; the explorer takes {CHARACTERS:,} at most", "text", "text.long",
                           hint=f"shorten it by {len(text) - CHARACTERS:,}", low=1, high=CHARACTERS, cut=CHARACTERS)  # fmt: skip
    half = next((i for i, c in enumerate(text) if "\ud800" <= c <= "\udfff"), None)
    if half is not None:
        raise RequestError(f"character {half} is half of a character (a lone surrogate), which no text holds", "text", "text.surrogate",
                           hint="delete it, or paste the text anew")  # fmt: skip
    if not text.strip():
        raise RequestError("the text is empty: nothing to hide and nothing to predict", "text", "text.empty", hint="take an example")
    return text


def _seed(seed: Any) -> int:
    if isinstance(seed, bool) or not isinstance(seed, int) or not 0 <= seed <= SEEDS:
        raise RequestError(f"a seed is a whole number from 0 to {SEEDS}, not {_short(seed)}", "seed", "seed.range", low=0, high=SEEDS)
    return seed


def _hide(hide: Any) -> tuple[int, ...] | None:
    if hide is None:
        return None
    if not isinstance(hide, list) or len(hide) > TOKENS or any(isinstance(i, bool) or not isinstance(i, int) for i in hide):
        raise RequestError(f"`hide` is a list of token numbers, {TOKENS} at most", "hide", "hide.form", low=0, high=TOKENS - 1)
    return tuple(hide)


def _force(force: Any) -> Json:
    if force is None:
        return {}
    if not isinstance(force, dict) or _size(force) > VALUES:
        raise RequestError(f"`force` is an object of decisions by name, {VALUES:,} values at most", "force", "force.form")
    return force


def _size(value: Any) -> int:
    """How many plain values a nested one holds; too many for any other thing than numbers, words and lists of them."""
    if isinstance(value, dict):
        return sum(_size(v) + 1 for v in value.values())
    if isinstance(value, list):
        return 1 + sum(_size(v) for v in value)
    small = isinstance(value, int) and abs(value) < 2**31
    return 1 if small or isinstance(value, float) or (isinstance(value, str) and len(value) < 64) else VALUES + 1


def _second(second: Any) -> tuple[str, Json] | None:
    if second is None:
        return None
    if not isinstance(second, dict) or set(second) - {"objective", "options"}:
        raise RequestError("`second` is null or an objective with options", "second", "second.form")
    name = _objective(second.get("objective"), "second.objective")
    return name, _options(name, second.get("options"), "second.options")


def _options(name: str, options: Any, where: str) -> Json:
    """A recipe's options in their types, and the dials that every recipe has."""
    if options is None:
        return {}
    if not isinstance(options, dict):
        raise RequestError("`options` is an object of dials by name", where, "options.form")
    recipe = find(name)
    known = recipe.options
    made: Json = {}
    for key, value in options.items():
        if key in COMMON:
            if value is not None:
                made[key] = _common(recipe, key, value, f"{where}.{key}")
        elif key not in known:
            raise RequestError(f"{name} has no dial {_short(key)}", f"{where}.{key[:40]}", "options.unknown",
                               hint=nearest(key[:40], [*known, *COMMON]))  # fmt: skip
        else:
            made[key] = _own(recipe, key, value, f"{where}.{key}")
    return made


def _own(recipe: Recipe, key: str, value: Any, where: str) -> Any:
    option = recipe.options[key]
    try:
        found = option.check(value, recipe.name)
        if isinstance(found, int | float) and not (isfinite(found) and abs(found) < 2**31):
            raise ValueError(f"{recipe.name}: {key}={_short(value)} is not allowed ({option.dial.what}: {option.spelled})")
    except (ValueError, OverflowError) as error:
        raise RequestError(str(error), where, "options.range", hint=option.spelled, low=option.dial.low, high=option.dial.high) from None
    return found


@cache
def members(name: str) -> tuple[str, ...]:
    """The names of a mixture's members; none for other recipes."""
    made = find(name).make()
    return tuple(made.members) if isinstance(made, Mixture) else ()


def _common(recipe: Recipe, key: str, value: Any, where: str) -> Any:
    """`compat`, `frame`, `member`, `part`, `label` and `see`."""
    if key == "see":
        return _see(value, where)
    if key in ("part", "label"):
        high = 1 if key == "label" else TOKENS
        if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= high:
            raise RequestError(f"{key} is a number from 0 to {high}, not {_short(value)}", where, "options.range", low=0, high=high)
        return value
    known: dict[str, list[Any]] = {"compat": [*recipe.about.modes], "frame": [True, False], "member": [*members(recipe.name)]}
    allowed = known[key]
    if not isinstance(value, str | bool) or value not in allowed:
        raise RequestError(f"{recipe.name}: {key}={_short(value)} is not allowed", where, "options.range",
                           hint=f"known: {', '.join(map(str, allowed)) or 'none'}")  # fmt: skip
    return value


def _see(value: Any, where: str) -> Json:
    """`{"visibility"[, "split"]}`."""
    visibility = value.get("visibility") if isinstance(value, dict) else None
    if visibility not in VISIBILITIES or set(value) - {"visibility", "split"}:
        raise RequestError(f"SEE is one of {', '.join(VISIBILITIES)}", where, "options.range",
                           hint='such as {"visibility": "prefix", "split": 5}')  # fmt: skip
    split = value.get("split")
    if split is None or visibility != "prefix":
        return {"visibility": visibility}
    if isinstance(split, bool) or not isinstance(split, int) or not 0 <= split <= 2 * TOKENS:
        raise RequestError(f"a prefix has 0 to {2 * TOKENS} positions, not {_short(split)}", where, "options.range", low=0, high=2 * TOKENS)
    return {"visibility": visibility, "split": split}
