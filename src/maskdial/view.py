"""One sample for people: `md.sample` builds it from a text, `view` is `sample-view/1`, `picture` is the terminal's form."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from shlex import quote
from typing import Any

import numpy as np
from numpy.typing import NDArray

from maskdial.corruption.text import Decisions, Spans
from maskdial.looking import ROWS, coerce, member_of, one_row, tokenizer_for
from maskdial.mixture import Mixture
from maskdial.objective import Objective
from maskdial.recipes import objective as find_objective
from maskdial.rng import REPLACE, below_each, keys
from maskdial.sample import KINDS, SILENT, Head, Rows, Sample
from maskdial.target.discriminated import discriminate

#: kinds that mean "this is not simply the text's token"
CHANGED = ("mask", "random", "same", "sentinel", "replaced", "moved", "inserted")


def sample(
    text: str,
    objective: str | Objective | Mixture,
    tokenizer: Any = "words",
    hide: Sequence[int] | None = None,
    force: Mapping[str, Any] | None = None,
    seed: int = 0,
    frame: bool | None = None,
    **options: Any,
) -> Sample:
    """One text under one objective.

    `hide` hides these tokens, all as [MASK] (or in spans: a run is a span); `force` sets any decision by name (`split`,
    `spans`, `sentences`, `rotate`, `hidden`, …), the `label` of a pair, the `part` at which a completion begins or the `member`
    of a mixture. A recipe over pairs takes the text's own rest, or a built-in second text. `tokenizer` is "words", "bytes", a
    path or a tokenizer. The looking tokenizers (words, bytes) show the bare text; `frame=True` adds the special tokens around it
    as training would, which a trained tokenizer does by default. Errors: `ValueError` for an unknown name, option or decision, or
    a position outside the text.
    """
    asked = find_objective(objective, **options) if isinstance(objective, str) else objective
    load = tokenizer if isinstance(tokenizer, str) else None
    given = {name: value for name, value in (force or {}).items() if name in ROWS}
    own = {name: value for name, value in (force or {}).items() if name not in ROWS}
    made, member = member_of(asked, None, given, seed)
    tokenizer = tokenizer_for(tokenizer, text, made)
    made, member = member_of(asked, tokenizer.vocab, given, seed)
    if frame is not None or tokenizer.looking:
        made = made.replace(frame=bool(frame))
    rows, shown, spans = one_row(made, text, tokenizer, given)
    decisions = decide(made, rows, tokenizer.vocab, seed, hide, own)
    one = made.build(rows, tokenizer.vocab, decisions, provenance=True)[0]
    one.table.objective = asked.name
    made = replace(made, about=asked.about, options=asked.options)
    one.context = {"objective": made, "text": shown, "given": text, "tokenizer": tokenizer, "spans": spans, "seed": seed, "hide": hide,
                   "force": force, "member": member, "asked": asked, "frame": frame, "load": load or tokenizer.name}  # fmt: skip
    if any(head.form == "drawn" for head in one.heads):
        one.context["second"] = second_view(one, rows, seed)
    return one


def second_view(one: Sample, rows: Rows, seed: int) -> Sample:
    """What ELECTRA's discriminator reads if the generator drew from the text's own tokens (their unigram), with the same seed."""
    asked = int((one.target != SILENT).sum())
    chosen = below_each(keys(seed, "discriminate", 0, np.arange(asked, dtype=np.uint64)), REPLACE, 0, len(rows.tokens))
    made = discriminate(one.table, rows.tokens[chosen])[0]
    made.context = {**one.context, "note": "the discriminator, if the generator drew from the text's own tokens"}
    return made


def decide(
    objective: Objective, rows: Rows, vocab: Any, seed: int, hide: Sequence[int] | None, force: Mapping[str, Any] | None
) -> Decisions:
    """The decisions for one row, some of them forced."""
    forced = {name: coerce(name, value, rows) for name, value in (force or {}).items()}
    if hide is None:
        return objective.draw(rows, vocab, seed, force=forced)
    if outside := [i for i in hide if not 0 <= i < len(rows.tokens)]:
        raise ValueError(f"can't hide token {outside[0]}: the text has {len(rows.tokens)} tokens, 0 … {len(rows.tokens) - 1}")
    hiding = [step for step in objective.steps if step.hides]
    if not hiding:
        raise ValueError(f"{objective.name} hides nothing, so it has nothing to --hide")
    text, numbers = objective.prepared(rows, vocab)
    places = list(hide) if numbers is None else np.flatnonzero(np.isin(numbers >> 4, hide)).tolist()
    runs = moved(objective.draw(rows, vocab, seed, force=forced), places)
    held: dict[str, Any] = {}
    for step in hiding:
        held |= step.hold(text, np.diff(text.offsets), [runs_of(runs) if step is hiding[-1] else []])
    known = {name for step in objective.steps for name in step.decisions}
    decisions = objective.draw(rows, vocab, seed, force=forced | {name: value for name, value in held.items() if name in known})
    decisions.values.update(held)
    decisions.values.pop("frame", None)
    return decisions


def runs_of(tokens: list[int]) -> list[tuple[int, int]]:
    """The runs (start, end) of token numbers."""
    made: list[tuple[int, int]] = []
    for i in sorted(set(tokens)):
        made.append((made.pop()[0] if made and made[-1][1] == i else i, i + 1))
    return made


def moved(drawn: Decisions, hide: list[int]) -> list[int]:
    """Where these tokens stand after the sentences were shuffled."""
    blocks: Spans | None = drawn.get("sentences")
    if blocks is None:
        return hide
    order = [i for start, length in blocks.unit(0) for i in range(start, start + length)]
    return sorted(order.index(i) for i in hide)


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
    second = context.get("second")
    return {
        "schema": "sample-view/1",
        "objective": one.table.objective,
        **({"note": context["note"]} if "note" in context else {}),
        **({"second": view(second)} if second is not None else {}),
        "params": dict(objective.options) if objective else {},
        "seed": context.get("seed", 0),
        "tokenizer": {"name": context["tokenizer"].name, "hash": context["tokenizer"].sha256} if context else {},
        **({"member": context["member"]} if context.get("member") else {}),
        "text": context.get("text", ""),
        "streams": [stream_view(one, name, at) for name, at in streams],
        "attn": [
            {"id": f"{q}.{'self' if q == k else k}", "q": q, "k": k, "rows": intervals_of(visible[query][:, key])}
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
    spans = one.context.get("spans")
    spans = [] if spans is None else spans.tolist()
    read, place, kind, position = (one.column(name)[at].tolist() for name in ("read", "place", "kind", "position"))
    heads = [h.name for h in one.heads]
    targets = [(h, one.column(f"target:{h.name}")[at]) for h in one.heads]
    return {
        "id": name,
        "label": {"source": "Source" if one.table.layout == "encoder-decoder" else "Input", "answer": "Answer"}[name],
        "tokens": [
            {
                "id": read[i], "t": spelled(one, read[i]), "kind": KINDS[kind[i]], "position": position[i],
                "src": spans[place[i]] if 0 <= place[i] < len(spans) else None,
            }
            for i in range(len(read))
        ],
        "heads": heads,
        "targets": [[None if t == SILENT else {"id": t, "t": said(one, h, t)} for t in target.tolist()] for h, target in targets],
        "loss": [one.column(f"weight:{h}")[at].tolist() for h in heads],
        "pad_from": len(read),
    }  # fmt: skip


def spelled(one: Sample, id: int) -> str:
    """A token's spelling, or its id when the sample came without a tokenizer."""
    tokenizer = one.context.get("tokenizer")
    return str(tokenizer.token(int(id))) if tokenizer else str(int(id))


def said(one: Sample, head: Head, target: int) -> str:
    """What a head must say: a token's spelling, or the number of a class."""
    return spelled(one, target) if head.kind == "token" else str(int(target))


def intervals(row: NDArray[np.bool_]) -> list[list[int]]:
    """The True runs of a row as half-open intervals."""
    return intervals_of(row[None])[0]


def intervals_of(rows: NDArray[np.bool_]) -> list[list[list[int]]]:
    """The True runs of each row as half-open intervals."""
    row, edge = np.nonzero(np.diff(rows.astype(np.int8), axis=1, prepend=0, append=0))
    made: list[list[list[int]]] = [[] for _ in rows]
    for i, low, high in zip(row[::2].tolist(), edge[::2].tolist(), edge[1::2].tolist(), strict=True):
        made[i].append([low, high])
    return made


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
    name, options, see, load = one.table.objective, dict(c["objective"].options), turned(c["asked"]), c["load"]
    hide, force, frame = c["hide"], c["force"], c["frame"]
    quoted = "'" + c["given"].replace("'", "'\\''") + "'"
    cli = [f"-o {name}"] + [f"--set {k}={'none' if v is None else v}" for k, v in options.items()]
    cli += [f"--visibility {see}"] if see else []
    cli += [f"--hide {','.join(map(str, hide))}"] if hide is not None else []
    cli += [f"--force {quote(f'{k}={json.dumps(v) if not isinstance(v, str) else v}')}" for k, v in (force or {}).items()]
    cli += ["--frame" if frame else "--bare"] if frame is not None else []
    cli += [f"--tokenizer {quote(load)}"] if load != "words" else []
    cli += [f"--seed {c['seed']}"] if c["seed"] else []
    cli = [*cli, "--", quoted] if quoted.startswith("'-") else [quoted, *cli]
    settings = [f"{k}={v!r}" for k, v in options.items()]
    asked = f"md.objective({', '.join([repr(name), *settings])}).replace(visibility={see!r})" if see else repr(name)
    python = [repr(c["given"]), asked, f"tokenizer={load!r}", *([] if see else settings)]
    python += [f"hide={list(hide)}"] if hide is not None else []
    python += [f"force={dict(force)!r}"] if force else []
    python += [f"frame={frame}"] if frame is not None else []
    python += [f"seed={c['seed']}"] if c["seed"] else []
    return {"cli": " ".join(["maskdial show", *cli]), "python": f"md.sample({', '.join(python)})"}


def turned(asked: Objective | Mixture) -> str | None:
    """Where a recipe's SEE dial was turned to; None where it stands as the recipe has it."""
    try:
        own = find_objective(asked.name, **asked.options)
    except ValueError:  # no recipe's name: somebody's own objective
        return None
    return None if own.visibility == asked.visibility else asked.visibility


def picture(one: Sample, width: int = 100) -> str:
    """Aligned strips and who sees whom (`maskdial.picture`)."""
    from maskdial.picture import draw

    return draw(one, width)
