"""Judging what was read: text becomes a document or is left out, and either is counted.

Bytes are decoded a document at a time, so that one bad byte costs at most its own document. Control characters, NUL,
byte-order marks and U+2028 are text like any other.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from maskdial.data.document import Document, Tally
from maskdial.errors import UserError, nearest

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from maskdial.data.tokenizer import Tokenizer

Errors = Literal["replace", "drop", "error"]


@dataclass
class Reader:
    """How text is read; `tally` counts what became of it.

    `errors` is what happens to a document whose bytes are not UTF-8: `replace` each by U+FFFD, `drop` it, or stop with
    an `error`. `text_column` names the column of .jsonl, .csv and .parquet that holds the text; records without it may be
    supervised: a `prompt` and a `completion`, or `messages`, each with a `role` and a `content`. `tokenizer` reads files
    that hold token ids instead of text.
    """

    text_column: str = "text"
    errors: Errors = "replace"
    tally: Tally = field(default_factory=Tally)
    tokenizer: Tokenizer | None = None
    #: files in which a record was found that can be read: others in them are mistakes of their own
    sound: set[Path] = field(default_factory=set)

    def document(self, raw: bytes | str | None, where: str, source: str, label: Any = None, title: Any = None,
                 language: Any = None, ids: NDArray[np.int32] | None = None) -> Document | None:  # fmt: skip
        """A document from raw text, or None when it is left out (which is counted)."""
        if raw is None:
            self.tally.empty += 1
            return None
        text = self._decoded(raw, where)
        if text is None:
            return None
        if not text.strip():
            self.tally.empty += 1
            return None
        self.tally.documents += 1
        return Document(text, _name(label), source, _name(title), _name(language), ids=ids)

    def known(self, columns: Iterable[str]) -> bool:
        """Whether records with these columns can be read."""
        return self.text_column in columns or "messages" in columns or ("prompt" in columns and "completion" in columns)

    def supervised(self, record: dict[str, Any], where: str, source: str) -> Document | None:
        """A document from `messages`, or from `prompt` and `completion`; None when it is left out (which is counted)."""
        conversation = record.get("messages") is not None
        given = record["messages"] if conversation else [record.get("prompt"), record.get("completion")]
        fits = _message if conversation else lambda part: isinstance(part, str)
        if not isinstance(given, list) or not given or not all(map(fits, given)):
            wanted = "messages are a list of {role, content}" if conversation else "prompt and completion are two texts"
            self.malformed(where, wanted)
            return None
        decoded = self._decoded(json.dumps(given, ensure_ascii=False, default=str), where)
        if decoded is None:
            return None
        parts = json.loads(decoded)
        answers = [m.get("content") or "" for m in parts if m["role"] == "assistant"] if conversation else parts[1:]
        if not any(answer.strip() for answer in answers):
            self.tally.unanswered += 1
            return None
        self.tally.documents += 1
        named = (_name(record.get("label")), source, _name(record.get("title")), language_of(record))
        if not conversation:
            return Document("".join(parts), *named, prompt=len(parts[0]))
        text = "".join(f"{m['role']}: {m.get('content') or ''}\n" for m in parts)
        return Document(text, *named, messages=tuple(parts))

    def _decoded(self, raw: bytes | str, where: str) -> str | None:
        try:
            if isinstance(raw, bytes):
                return raw.decode("utf-8")
            raw.encode("utf-8")  # bytes that passed through a parser, and JSON's lone surrogates, are no text
            return raw
        except UnicodeError as error:
            if self.errors == "error":
                raise UserError(f"{where}: not valid UTF-8 ({error})", hint="read on with --errors replace or --errors drop",
                                code="data.encoding", where=where) from error  # fmt: skip
            if self.errors == "drop":
                self.tally.dropped += 1
                return None
            self.tally.replaced += 1
            return (raw if isinstance(raw, bytes) else _unescaped(raw)).decode("utf-8", "replace")

    def malformed(self, where: str, why: str) -> None:
        """Count a record that is not what its file promises; with errors='error', stop there."""
        if self.errors == "error":
            raise UserError(f"{where}: {why}", hint="skip such records with --errors replace", code="data.malformed", where=where)
        self.tally.malformed += 1

    def missing(self, found: Sequence[str], where: str) -> UserError:
        columns = ", ".join(found) or "none"
        ask = "name the one with the text: --text-column (or give prompt and completion, or messages)"
        return UserError(f"{where} has no column {self.text_column!r}; columns found: {columns}",
                         hint=f"{ask}; {nearest(self.text_column, found)}" if found else "",
                         code="data.column", where=where)  # fmt: skip


def _unescaped(text: str) -> bytes:
    """The bytes of a string that holds lone surrogates: escaped bytes become themselves again, others no valid UTF-8."""
    try:
        return text.encode("utf-8", "surrogateescape")
    except UnicodeError:
        return text.encode("utf-8", "surrogatepass")


def _name(value: Any) -> str | None:
    """A label or a title as text; what is no plain value is left out."""
    if isinstance(value, bool | int | float):
        return str(value)
    return value.encode("utf-8", "replace").decode("utf-8") if isinstance(value, str) and value else None


def language_of(record: dict[str, Any]) -> str | None:
    return _name(record.get("language") or record.get("lang"))


def _message(value: Any) -> bool:
    return isinstance(value, dict) and isinstance(value.get("role"), str) and isinstance(value.get("content"), str | None)
