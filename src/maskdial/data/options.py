"""What decides a corpus besides its text."""

from __future__ import annotations

import hashlib
from dataclasses import asdict, dataclass
from typing import Any, Literal

from maskdial.data.inputs import Inputs
from maskdial.data.reader import Errors
from maskdial.data.storage import FORMAT, canonical
from maskdial.data.template import digest as digest_of
from maskdial.data.template import find_template
from maskdial.data.tokenizer import load
from maskdial.errors import UserError

Duplicates = Literal["report", "drop", "keep"]


@dataclass(frozen=True)
class Options:
    """What decides a corpus besides its text. `tokenizer` is `words`, `bytes`, a path, or None for BPE trained on the text.

    `vocab_size` None: a power of two, about one id for each 1,000 bytes of text (512 … 32,768). `template` is the chat
    template for conversations: a Jinja file, a tokenizer's folder or `plain` (None: the tokenizer's own, else plain).
    `max_length`: supervised records whose prompt alone takes so many tokens are left out. `duplicates`: documents with the
    same content as one before them are counted (`report`), left out as well (`drop`), or not looked for (`keep`).
    """

    tokenizer: str | None = None
    vocab_size: int | None = None
    held_out: float = 0.05
    text_column: str = "text"
    errors: Errors = "replace"
    grow: tuple[str, ...] = ()
    template: str | None = None
    max_length: int | None = None
    duplicates: Duplicates = "report"

    def __post_init__(self) -> None:
        if not 0 <= self.held_out < 1:
            raise UserError(f"held_out is a share from 0 to below 1, not {self.held_out}", code="prepare.option")
        if self.errors not in ("replace", "drop", "error"):
            raise UserError(f"errors is replace, drop or error, not {self.errors!r}", code="prepare.option")
        if self.duplicates not in ("report", "drop", "keep"):
            raise UserError(f"duplicates is report, drop or keep, not {self.duplicates!r}", code="prepare.option")
        if self.max_length is not None and self.max_length < 2:
            raise UserError(f"max_length is 2 tokens or more, not {self.max_length}", code="prepare.option")
        if self.tokenizer is not None and self.vocab_size is not None:
            raise UserError("a vocabulary size is for a tokenizer trained on the text; one was given",
                            hint="leave out --vocab-size or --tokenizer", code="prepare.option")  # fmt: skip


def describe(inputs: Inputs, options: Options) -> dict[str, Any]:
    """The inputs and options as the manifest records them; a tokenizer counts by its content, not by its path."""
    settings: dict[str, Any] = asdict(options) | {"grow": list(options.grow)}
    if options.tokenizer not in (None, "words", "bytes"):
        given = load(str(options.tokenizer))
        settings["tokenizer"] = f"sha256:{given.sha256}"
    if options.template is not None:
        settings["template"] = digest_of(find_template(options.template))
    return {"options": settings, "sources": list(inputs.records)}


def digest(described: dict[str, Any]) -> str:
    return hashlib.sha256(canonical({"format": FORMAT, **described})).hexdigest()


def default_vocab_size(text_bytes: int) -> int:
    """The power of two nearest to one id for each 1,000 bytes of text, from 512 to 32,768."""
    return min((1 << k for k in range(9, 16)), key=lambda size: abs(size - text_bytes / 1000))
