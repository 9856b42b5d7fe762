"""Supervised text as tokens: which of them ask (part 0) and which answer (part 1).

What a person wrote and the frame around it are encoded apart, so that no message can spell a special token. Where asking
turns to answering the tokens are cut as they will be when the model is asked: if the text in one piece has a token across
that border, both sides are encoded on their own.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from itertools import groupby
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from maskdial.data.template import BREAK, CLOSE, OPEN, PLAIN, Messages, Template
from maskdial.data.tokenizer import Columns, Tokenizer
from maskdial.errors import UserError

_MARKS = re.compile(f"[{OPEN}{CLOSE}]")


class Parted(NamedTuple):
    """A supervised text: `columns` as `Tokenizer.encode_columns` gives them, and `part` uint8[N], 1 where a token answers.

    `ends`: the end-of-document token after it is the end of an answer. `merged`: a token would have joined asking and
    answering, so that they were encoded apart. Nothing answers when the tokenizer has no token for what was said.
    """

    text: str
    columns: Columns
    part: NDArray[np.uint8]
    ends: bool
    merged: bool


class _Run(NamedTuple):
    """Text of one part, or one special token (`id`)."""

    text: str
    part: int
    id: int | None = None


def halves(prompt: str, completion: str, tokenizer: Tokenizer, language: str | None = None) -> Parted:
    """A prompt and its completion."""
    return _encoded([_Run(prompt, 0), _Run(completion, 1)], tokenizer, language)


def parts(messages: Messages, tokenizer: Tokenizer, template: str | None = None, language: str | None = None) -> Parted:
    """A conversation of {role, content}: part 1 is what the assistant says, with the token that ends its turn.

    template: Jinja source (default: the tokenizer's own, else a plain one). That token is trained even where the template's
    marks leave it out, or a model would never learn to stop. `UserError` when the template can't render the conversation or
    none of it is found to be the assistant's; the marker that did not match is named.
    """
    source = template or tokenizer.template or PLAIN
    used = Template(source, tokenizer.spellings, tokenizer.spelt)
    runs = list(_runs(used.marked(messages), tokenizer))
    if not any(run.part for run in runs):
        asked = next((messages[:n] for n, m in enumerate(messages) if m.get("role") == "assistant"), messages)
        marker = "{% generation %}" if "endgeneration" in source else used.marker(asked)
        raise UserError(f"nothing of the conversation is the assistant's: the marker {marker!r} did not match", code="chat.silent",
                        hint="give turns of the role assistant, and a template that marks them (--template)")  # fmt: skip
    if len(runs) > 1 and runs[-2].part > runs[-1].part and runs[-2].id is None and not runs[-1].text.strip():
        runs[-1] = runs[-1]._replace(part=1)  # nothing closes this turn but the space after it and the end of the document
    return _encoded(runs, tokenizer, language)


def _runs(marked: str, tokenizer: Tokenizer) -> Iterator[_Run]:
    """A marked rendering in runs; a special token right after an answer that has not ended ends it."""
    part, last = 0, _Run("", 0)
    for piece in re.split(f"({_MARKS.pattern}|{tokenizer.spelt.pattern})", marked):
        if not piece:
            continue
        if piece in (OPEN, CLOSE):
            part = int(piece == OPEN)
            continue
        id = tokenizer.id_of(piece)
        ending = id is not None and last.part == 1 and last.id is None
        last = _Run(piece.replace(BREAK, ""), 1 if ending else part, id)
        yield last


def _encoded(runs: Sequence[_Run], tokenizer: Tokenizer, language: str | None) -> Parted:
    made: list[tuple[Columns, NDArray[np.uint8]]] = []
    merged, at, last = False, 0, None
    for special, group in groupby(runs, key=lambda run: run.id is not None):
        for pieces in ([run] for run in group) if special else [list(group)]:
            columns, part, apart = _special(pieces[0]) if special else _text(pieces, tokenizer, language)
            made.append((columns._replace(spans=columns.spans + np.int32(at)), part))
            merged, at, last = merged or apart, at + sum(len(p.text) for p in pieces), pieces[-1]
    columns = Columns(*(np.concatenate(c) for c in zip(*(c for c, _ in made), strict=True)))
    part = np.concatenate([p for _, p in made])
    ends = last is not None and last.part == 1 and last.id is None
    return Parted("".join(run.text for run in runs), columns, part, ends, merged)


def _special(run: _Run) -> tuple[Columns, NDArray[np.uint8], bool]:
    one = np.ones(1, dtype=np.uint8)
    assert run.id is not None
    return Columns(np.array([run.id], dtype=np.int32), one, one * 0, np.array([[0, len(run.text)]], dtype=np.int32)), one * run.part, False


def _text(runs: Sequence[_Run], tokenizer: Tokenizer, language: str | None) -> tuple[Columns, NDArray[np.uint8], bool]:
    """Neighbouring runs of text in one piece when their borders are token borders, else each on its own."""
    whole = "".join(run.text for run in runs)
    joint = _columns(whole, tokenizer, language)
    part, at = np.full(len(joint.ids), runs[-1].part, dtype=np.uint8), 0
    done = 0
    for run in runs[:-1]:
        at += len(run.text)
        alone = tokenizer.encode(whole[:at])
        if joint.ids[: len(alone)].tolist() != alone:
            break
        part[done : len(alone)] = run.part
        done = len(alone)
    else:
        return joint, part, False
    each, shifts = [_columns(run.text, tokenizer, language) for run in runs], np.cumsum([0, *(len(run.text) for run in runs)])
    each = [c._replace(spans=c.spans + np.int32(shift)) for c, shift in zip(each, shifts, strict=False)]
    part = np.concatenate([np.full(len(c.ids), run.part, dtype=np.uint8) for c, run in zip(each, runs, strict=True)])
    return Columns(*(np.concatenate(c) for c in zip(*each, strict=True))), part, True


def _columns(text: str, tokenizer: Tokenizer, language: str | None) -> Columns:
    columns = tokenizer.encode_columns(text, language=language)
    return columns if text.strip() else columns._replace(sentence=columns.sentence * 0)
