"""What a person gives, as what an objective wants: a text as rows with the columns it needs, decisions from plain values."""

from __future__ import annotations

import json
from collections.abc import Mapping
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from maskdial.corruption.middle import Cuts
from maskdial.corruption.text import Spans
from maskdial.data.second import SECOND, Shown, pair_of
from maskdial.data.tokenizer import load
from maskdial.mixture import Mixture
from maskdial.objective import Objective
from maskdial.sample import Rows
from maskdial.sample import rows as make_rows

#: decisions that are a list of numbers, and those that are fractions
LISTS = {"permutation": np.int32, "turns": np.int32, "ranks": np.int32, "times": np.int32, "levels": np.float64, "t": np.float64}
#: what can be set besides the objective's own decisions
ROWS = ("label", "part", "member")


def tokenizer_for(tokenizer: Any, text: str, objective: Objective) -> Any:
    """A tokenizer by name or path, or as given; one for looking knows what the objective adds to the text."""
    if isinstance(tokenizer, str) or not hasattr(tokenizer, "encode_columns"):
        tokenizer = load(tokenizer, text=[text, SECOND] if objective.pairs else text)
    if tokenizer.looking and objective.tail == "language" and not tokenizer.vocab.languages:
        tokenizer.speak(["en"], add=True)
    return tokenizer


def one_row(objective: Objective, text: str, tokenizer: Any, given: Mapping[str, Any]) -> Shown:
    """The text as one row. `given` may set `label` (1: the second part does not follow, or the parts are exchanged) and `part`
    (the token at which the completion begins; by default the second sentence, or the middle)."""
    if objective.pairs:
        return pair_of(text, tokenizer, objective.pairs, _number(given, "label", 0, 1) if "label" in given else None)
    ids, word, sentence, spans = tokenizer.encode_columns(text)
    if not len(ids):
        raise ValueError("the text is empty: there is nothing to hide and nothing to predict")
    columns: dict[str, Any] = {}
    if "part" in objective.needs:
        starts = np.flatnonzero(sentence[1:]) + 1
        cut = _number(given, "part", 0, len(ids)) if "part" in given else int(starts[0]) if len(starts) else len(ids) // 2
        columns["part"] = [(np.arange(len(ids)) >= cut).astype(np.uint8)]
    if tokenizer.vocab.languages:
        columns["language"] = [np.full(len(ids), next(iter(tokenizer.vocab.languages.values())))]
    return Shown(make_rows([ids], word=[word], sentence=[sentence], **columns), text, spans)


def member_of(objective: Objective | Mixture, vocab: Any, given: Mapping[str, Any], seed: int) -> tuple[Objective, str | None]:
    """The objective that makes the sample: itself, or a mixture's member (by name, else the one whose turn sample `seed` is)."""
    if not isinstance(objective, Mixture):
        return objective, None
    name = str(given.get("member", objective.member_of(seed)))
    return objective.member(name, vocab), name


def _number(given: Mapping[str, Any], name: str, low: int, high: int) -> int:
    try:
        number = int(given[name])
    except (TypeError, ValueError):
        number = low - 1
    if not low <= number <= high:
        raise ValueError(f"{name} is a number from {low} to {high}, not {given[name]!r}")
    return number


def coerce(name: str, value: Any, rows: Rows) -> Any:
    """A decision of one row from plain values (or a command line's text)."""
    length = len(rows.tokens)
    if isinstance(value, str):
        try:
            value = json.loads(value)
        except json.JSONDecodeError:
            value = [[_plain(n) for n in part.split(":")] if ":" in part else _plain(part) for part in value.split(",") if part]
    if name in LISTS:
        return listed(name, np.asarray(value).reshape(-1), length)
    flat = np.asarray(value).reshape(-1)
    if name == "spans":
        pairs = [tuple(pair) for pair in value] if np.ndim(value) == 2 else [tuple(flat[i : i + 2]) for i in range(0, len(flat), 2)]
        if any(start < 0 or size < 0 or start + size > length for start, size in pairs):
            raise ValueError(f"spans must lie within the text's {length} tokens")
        ordered = sorted(pairs)
        if any(a[0] + a[1] > b[0] for a, b in pairwise(ordered)):
            raise ValueError("spans must not overlap")
        return Spans.of([ordered])
    if name == "sentences":
        starts = [i for i in range(length) if i == 0 or (rows.sentence is not None and rows.sentence[i])]
        if sorted(flat.tolist()) != list(range(len(starts))):
            raise ValueError(f"sentences must be an order of 0 … {len(starts) - 1}")
        ends = [*starts[1:], length]
        return Spans.of([[(starts[i], ends[i] - starts[i]) for i in flat.tolist()]])
    if name == "cuts":
        first, second, form = [*flat.tolist(), 1][:3] if len(flat) >= 2 else (-1, -1, 1)
        if not 0 <= first <= second <= length or form not in range(4):
            raise ValueError(f"cuts are two places 0 ≤ a ≤ b ≤ {length} and a form: 0 as it is, 1 suffix second, 2 or 3 suffix first")
        return Cuts.of([[(0, length, int(form), int(first), int(second))]])
    if name == "hidden":
        if any(not 0 <= i < length for i in flat.tolist()):
            raise ValueError(f"hidden tokens must be numbers from 0 to {length - 1}")
        flags = np.zeros(length, dtype=np.uint8)
        flags[flat.astype(np.int64)] = 1
        return flags
    number = int(flat[0]) if len(flat) else -1
    if not 0 <= number <= length:
        raise ValueError(f"{name}={number} lies outside the text (0 … {length})")
    return np.array([number], dtype=np.int64)


def _plain(text: str) -> float:
    try:
        return int(text)
    except ValueError:
        return float(text)


def listed(name: str, flat: NDArray[Any], length: int) -> NDArray[Any]:
    """A decision that is a list of numbers, checked: an order, or noise levels."""
    values: NDArray[Any] = flat.astype(LISTS[name])
    if name in ("t", "levels"):
        if not len(values) or not ((values > 0) & (values <= 1)).all():
            raise ValueError(f"{name} is a share above 0 and up to 1 (one a text, or one a block)")
    elif name != "times" and sorted(values.tolist()) != list(range(len(values))):
        raise ValueError(f"{name} must be an order of 0 … {len(values) - 1}")
    if name == "permutation" and len(values) != length:
        raise ValueError(f"permutation must name each of the text's {length} tokens once")
    return values
