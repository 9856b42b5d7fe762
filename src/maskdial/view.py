"""One sample for people: `md.sample` builds it from a text, `view` is `sample-view/1`, `picture` is the terminal's form."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from maskdial.corruption.text import Decisions, Spans
from maskdial.objective import Objective
from maskdial.recipes import objective as find_objective
from maskdial.sample import KINDS, SILENT, Rows, Sample
from maskdial.sample import rows as make_rows

#: kinds that mean "this is not simply the text's token"
CHANGED = ("mask", "random", "same", "sentinel", "replaced", "moved", "inserted")


def sample(
    text: str,
    objective: str | Objective,
    tokenizer: Any = "words",
    hide: Sequence[int] | None = None,
    force: Mapping[str, Any] | None = None,
    seed: int = 0,
    frame: bool | None = None,
    **options: Any,
) -> Sample:
    """One text under one objective.

    `hide` hides these tokens, all as [MASK] (or in spans: a run is a span); `force` sets any decision by name (`split`,
    `spans`, `sentences`, `rotate`, `hidden`). `tokenizer` is "words", "bytes", a path or a tokenizer. The looking tokenizers
    (words, bytes) show the bare text; `frame=True` adds the special tokens around it as training would, which a trained
    tokenizer does by default. Errors: `ValueError` for an unknown name, option or decision, or a position outside the text.
    """
    if isinstance(tokenizer, str) or not hasattr(tokenizer, "encode_columns"):
        from maskdial.data.tokenizer import load

        tokenizer = load(tokenizer, text=text)
    made = find_objective(objective, **options) if isinstance(objective, str) else objective
    if frame is not None or tokenizer.looking:
        made = made.replace(frame=bool(frame))
    ids, word, sentence, spans = tokenizer.encode_columns(text)
    if not len(ids):
        raise ValueError("the text is empty: there is nothing to hide and nothing to predict")
    rows = make_rows([ids], word=[word], sentence=[sentence])
    decisions = decide(made, rows, tokenizer.vocab, seed, hide, force)
    one = made.build(rows, tokenizer.vocab, decisions, provenance=True)[0]
    one.context = {"objective": made, "text": text, "tokenizer": tokenizer, "spans": spans, "seed": seed, "hide": hide, "force": force}
    return one


def decide(
    objective: Objective, rows: Rows, vocab: Any, seed: int, hide: Sequence[int] | None, force: Mapping[str, Any] | None
) -> Decisions:
    """The decisions for one row, some of them forced."""
    length = len(rows.tokens)
    forced = {name: coerce(name, value, rows) for name, value in (force or {}).items()}
    if hide is not None:
        if outside := [i for i in hide if not 0 <= i < length]:
            raise ValueError(f"can't hide token {outside[0]}: the text has {length} tokens, 0 … {length - 1}")
        hiding = [step for step in objective.steps if hasattr(step, "force")]
        if not hiding:
            raise ValueError(f"{objective.name} hides nothing, so it has nothing to --hide")
        drawn = objective.draw(rows, vocab, seed, force=forced)
        forced |= hiding[-1 if len(hiding) == 1 else 0].force(moved(drawn, list(hide)), length)
    decisions = objective.draw(rows, vocab, seed, force=forced)
    if hide is not None:
        decisions.values.pop("frame", None)
    return decisions


def moved(drawn: Decisions, hide: list[int]) -> list[int]:
    """Where these tokens stand after the sentences were shuffled."""
    blocks: Spans | None = drawn.get("sentences")
    if blocks is None:
        return hide
    order = [i for start, length in blocks.unit(0) for i in range(start, start + length)]
    return sorted(order.index(i) for i in hide)


def coerce(name: str, value: Any, rows: Rows) -> Any:
    """A decision of one row from plain values (or a command line's text)."""
    length = len(rows.tokens)
    if isinstance(value, str):
        try:
            value = json.loads(value)
        except json.JSONDecodeError:
            parts = [part for part in value.split(",") if part]
            value = [[int(n) for n in part.split(":")] if ":" in part else int(part) for part in parts]
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
    if name == "hidden":
        flags = np.zeros(length, dtype=np.uint8)
        flags[flat] = 1
        return flags
    number = int(flat[0])
    if not 0 <= number <= length:
        raise ValueError(f"{name}={number} lies outside the text (0 … {length})")
    return np.array([number], dtype=np.int64)


def view(one: Sample) -> dict[str, Any]:
    """The sample as `sample-view/1`: streams with tokens, targets and loss; sight as half-open intervals a row."""
    context, objective = one.context, one.context.get("objective")
    streams = parts(one)
    visible = one.visible()
    leaks, context_size = one.own_answer, visible.sum(axis=1)
    scored = np.zeros(len(one), dtype=bool)
    for target in one.targets.values():
        scored |= target != SILENT
    kinds = [KINDS[k] for k in one.kind]
    hidden_nothing = not scored.any()
    return {
        "schema": "sample-view/1",
        "objective": one.table.objective,
        "params": dict(objective.options) if objective else {},
        "seed": context.get("seed", 0),
        "tokenizer": {"name": context["tokenizer"].name, "hash": context["tokenizer"].sha256} if context else {},
        "text": context.get("text", ""),
        "streams": [stream_view(one, name, at) for name, at in streams],
        "attn": [
            {"id": f"{q}.{'self' if q == k else k}", "q": q, "k": k, "rows": [intervals(visible[i][key]) for i in np.flatnonzero(query)]}
            for q, query in streams for k, key in streams if q == k or q == "answer"
        ],
        "stages": stages(one, scored),
        "stats": {
            "tokens": int(one.table.body[one.row]),
            "read": len(one),
            "scored": sum(int((t != SILENT).sum()) for t in one.targets.values()),
            "leaks": int(leaks.sum()),
            "corrupted": sum(kind in CHANGED for kind in kinds),
            "mean_context_scored": round(float(context_size[scored].mean()), 3) if scored.any() else 0.0,
        },
        "warnings": ["no position is scored, so training on this sample would teach nothing"] if hidden_nothing else [],
        "code": code(one),
    }  # fmt: skip


def parts(one: Sample) -> list[tuple[str, NDArray[np.bool_]]]:
    """The streams as (id, which positions): one in an encoder or a decoder, two in an encoder–decoder."""
    if one.table.layout != "encoder-decoder":
        return [("source", np.ones(len(one), dtype=bool))]
    return [("source", one.stream == 0), ("answer", one.stream == 1)]


def stream_view(one: Sample, name: str, at: NDArray[np.bool_]) -> dict[str, Any]:
    """One stream: tokens with their place in the text and what happened to them, targets and loss by head."""
    where = np.flatnonzero(at)
    spans = one.context.get("spans")
    read, place, kind = one.read[at], one.place[at], one.kind[at]
    heads = [h.name for h in one.heads]
    targets = [one.column(f"target:{h}")[at] for h in heads]
    return {
        "id": name,
        "label": {"source": "Source" if one.table.layout == "encoder-decoder" else "Input", "answer": "Answer"}[name],
        "tokens": [
            {
                "id": int(read[i]), "t": spelled(one, read[i]), "kind": KINDS[kind[i]], "position": int(one.position[where[i]]),
                "src": [int(x) for x in spans[place[i]]] if spans is not None and 0 <= place[i] < len(spans) else None,
            }
            for i in range(len(where))
        ],
        "heads": heads,
        "targets": [[None if t == SILENT else {"id": int(t), "t": spelled(one, t)} for t in head] for head in targets],
        "loss": [[float(w) for w in one.column(f"weight:{h}")[at]] for h in heads],
        "pad_from": len(where),
    }  # fmt: skip


def spelled(one: Sample, id: int) -> str:
    """A token's spelling, or its id when the sample came without a tokenizer."""
    tokenizer = one.context.get("tokenizer")
    return str(tokenizer.token(int(id))) if tokenizer else str(int(id))


def intervals(row: NDArray[np.bool_]) -> list[list[int]]:
    """The True runs of a row as half-open intervals."""
    edges = np.flatnonzero(np.diff(np.concatenate([[0], row.astype(np.int8), [0]])))
    return [[int(a), int(b)] for a, b in edges.reshape(-1, 2)]


def stages(one: Sample, scored: NDArray[np.bool_]) -> list[dict[str, str]]:
    """The six steps from text to loss, each in a sentence."""
    kinds = [KINDS[k] for k in one.kind]
    body = int(one.table.body[one.row])
    count = {kind: kinds.count(kind) for kind in CHANGED if kinds.count(kind)}
    changed = ", ".join(f"{n} {kind}" for kind, n in count.items()) or "nothing is changed"
    about = getattr(one.context.get("objective"), "about", None)
    says = [
        ("text", "Text", "The text as it was given."),
        ("tokens", "Tokenise", f"{body} tokens."),
        ("choose", "Choose", f"Corruption: {about.corruption}." if about else "Which tokens are hidden."),
        ("corrupt", "Corrupt", f"In what is read: {changed}."),
        ("build", "Build", f"{len(one)} positions are read; targets: {about.target}." if about else f"{len(one)} positions are read."),
        ("score", "See and score", f"{int(scored.sum())} positions are scored; {one.leaks} of them can see their own answer."),
    ]
    return [{"id": id, "title": title, "say": say} for id, title, say in says]


def code(one: Sample) -> dict[str, str]:
    """How to get this sample again, on the command line and in Python."""
    c = one.context
    if not c:
        return {}
    name, options = one.table.objective, dict(c["objective"].options)
    hide, force = c["hide"], c["force"]
    quoted = "'" + c["text"].replace("'", "'\\''") + "'"
    cli = [f"maskdial show {quoted} -o {name}"] + [f"--set {k}={v}" for k, v in options.items()]
    cli += [f"--hide {','.join(map(str, hide))}"] if hide is not None else []
    cli += [f"--force '{k}={json.dumps(v) if not isinstance(v, str) else v}'" for k, v in (force or {}).items()]
    cli += [f"--tokenizer {c['tokenizer'].name}"] if c["tokenizer"].name != "words" else []
    cli += [f"--seed {c['seed']}"] if c["seed"] else []
    python = [repr(c["text"]), repr(name), f"tokenizer={c['tokenizer'].name!r}"] + [f"{k}={v!r}" for k, v in options.items()]
    python += [f"hide={list(hide)}"] if hide is not None else []
    python += [f"force={dict(force)!r}"] if force else []
    python += [f"seed={c['seed']}"] if c["seed"] else []
    return {"cli": " ".join(cli), "python": f"md.sample({', '.join(python)})"}


def picture(one: Sample, width: int = 100) -> str:
    """Aligned strips and who sees whom (`maskdial.picture`)."""
    from maskdial.picture import draw

    return draw(one, width)
