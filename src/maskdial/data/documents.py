"""Documents from files, from the embedded corpus and from the Hugging Face hub, whatever state the text is in.

Bytes are decoded a document at a time, so that one bad byte costs at most its own document. Control characters, NUL,
byte-order marks and U+2028 are text like any other.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from maskdial.data.document import Document, Tally
from maskdial.data.files import File, expand, opened
from maskdial.errors import UserError, nearest

Errors = Literal["replace", "drop", "error"]
BLANK = b" \t\r\v\f\n"
#: Columns that are read besides the text's own.
BESIDE = ("label", "title", "language", "lang", "messages", "prompt", "completion")


@dataclass
class Reader:
    """How text is read; `tally` counts what became of it.

    `errors` is what happens to a document whose bytes are not UTF-8: `replace` each by U+FFFD, `drop` it, or stop with
    an `error`. `text_column` names the column of .jsonl, .csv and .parquet that holds the text; records without it may be
    supervised: a `prompt` and a `completion`, or `messages`, each with a `role` and a `content`.
    """

    text_column: str = "text"
    errors: Errors = "replace"
    tally: Tally = field(default_factory=Tally)

    def document(self, raw: bytes | str | None, where: str, source: str, label: Any = None, title: Any = None,
                 language: Any = None) -> Document | None:  # fmt: skip
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
        return Document(text, _name(label), source, _name(title), _name(language))

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
        named = (_name(record.get("label")), source, _name(record.get("title")), _language(record))
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


def _language(record: dict[str, Any]) -> str | None:
    return _name(record.get("language") or record.get("lang"))


def _message(value: Any) -> bool:
    return isinstance(value, dict) and isinstance(value.get("role"), str) and isinstance(value.get("content"), str | None)


def _text(file: File, reader: Reader) -> Iterator[Document | None]:
    """Paragraph files: a blank line ends a document. Line ends inside a document stay as they are."""
    with opened(file) as stream:
        if stream.peek(2)[:2] in (b"\xff\xfe", b"\xfe\xff"):
            raise UserError(f"{file.path} is UTF-16 text", hint="convert it: iconv -f UTF-16 -t UTF-8", code="data.encoding",
                            where=str(file.path))  # fmt: skip
        lines: list[bytes] = []
        first = 1
        for number, line in enumerate(stream, 1):
            if line.strip(BLANK):
                first = first if lines else number
                lines.append(line)
            elif lines:
                yield reader.document(b"".join(lines), f"{file.path}:{first}", file.name)
                lines = []
        if lines:
            yield reader.document(b"".join(lines), f"{file.path}:{first}", file.name)


def _jsonl(file: File, reader: Reader) -> Iterator[Document | None]:
    with opened(file) as stream:
        seen = False
        for number, line in enumerate(stream, 1):
            if not (line := line.removeprefix(b"\xef\xbb\xbf") if number == 1 else line).strip(BLANK):
                continue
            where = f"{file.path}:{number}"
            try:
                # json reads text: bytes that are no UTF-8 travel through it as lone surrogates and are judged as text
                record = json.loads(line.decode("utf-8", "surrogateescape"))
            except (ValueError, RecursionError) as error:
                reader.malformed(where, f"no JSON ({error})")
                continue
            if not isinstance(record, dict):
                reader.malformed(where, "a line must be a JSON object")
                continue
            if not reader.known(record):
                if not seen:
                    raise reader.missing(list(record), where)
                reader.malformed(where, f"no column {reader.text_column!r}")
                continue
            seen = True
            yield _record(record, reader, where, file.name)


def _record(record: dict[str, Any], reader: Reader, where: str, source: str) -> Document | None:
    if reader.text_column not in record:
        return reader.supervised(record, where, source)
    raw = record[reader.text_column]
    if raw is not None and not isinstance(raw, str | bytes):
        reader.malformed(where, f"column {reader.text_column!r} holds {type(raw).__name__}, not text")
        return None
    return reader.document(raw, where, source, record.get("label"), record.get("title"), _language(record))


def _csv(file: File, reader: Reader) -> Iterator[Document | None]:
    csv.field_size_limit(2**31 - 1)
    with opened(file) as stream:
        text = io.TextIOWrapper(stream, "utf-8", "surrogateescape", newline="")
        table = csv.DictReader(text)
        try:
            columns = [c.removeprefix("\ufeff") for c in table.fieldnames or []]
            table.fieldnames = columns
            if not reader.known(columns):
                raise reader.missing(columns, str(file.path))
            for record in table:
                yield _record(record, reader, f"{file.path}:{table.line_num}", file.name)
        except csv.Error as error:
            raise UserError(f"{file.path}:{table.line_num}: no CSV ({error})", code="data.malformed",
                            where=f"{file.path}:{table.line_num}") from error  # fmt: skip
        finally:
            text.detach()


def _parquet(file: File, reader: Reader) -> Iterator[Document | None]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    with opened(file) as stream:
        packed = file.path.suffix.lower() != ".parquet"
        try:
            table = pq.ParquetFile(io.BytesIO(stream.read()) if packed else stream)
        except pa.ArrowException as error:
            raise UserError(f"{file.path} is no Parquet file: {error}", code="data.damaged", where=str(file.path)) from error
        if not reader.known(table.schema_arrow.names):
            raise reader.missing(table.schema_arrow.names, str(file.path))
        columns = [c for c in dict.fromkeys((reader.text_column, *BESIDE)) if c in table.schema_arrow.names]
        row = 0
        for batch in table.iter_batches(batch_size=256, columns=columns):
            values = {name: _cells(batch.column(name)) for name in columns}
            for i in range(batch.num_rows):
                yield _record({n: v[i] for n, v in values.items()}, reader, f"{file.path} row {row + i}", file.name)
            row += batch.num_rows


def _cells(column: Any) -> list[Any]:
    """A column's values; text comes as bytes, because Parquet does not check that it is UTF-8."""
    import pyarrow as pa

    if pa.types.is_dictionary(column.type):
        column = column.dictionary_decode()
    if pa.types.is_string(column.type) or pa.types.is_large_string(column.type):
        column = column.cast(pa.large_binary())
    return [v.decode("utf-8", "surrogateescape") if isinstance(v, bytes) else v for v in column.to_pylist()]


def _hub(name: str, reader: Reader) -> Iterator[Document | None]:
    """`hf:NAME` or `hf:NAME@SPLIT` through the optional `datasets`; never runs code from the hub."""
    try:
        from datasets import load_dataset
    except ImportError as error:
        raise UserError(f"hf:{name} needs the datasets library", hint="pip install 'maskdial[hf]'", code="data.extra",
                        where=f"hf:{name}") from error  # fmt: skip
    path, _, split = name.partition("@")
    try:
        table = load_dataset(path, split=split or "train", streaming=True)
    except Exception as error:  # the library raises a dozen unrelated kinds
        raise UserError(f"hf:{name} can't be loaded: {error}", hint="give hf:NAME or hf:NAME@SPLIT", code="data.missing",
                        where=f"hf:{name}") from error  # fmt: skip
    for number, record in enumerate(table):
        if number == 0 and not reader.known(record):
            raise reader.missing(list(record), f"hf:{name}")
        yield _record(dict(record), reader, f"hf:{name} row {number}", f"hf:{name}")


READERS = {".txt": _text, ".md": _text, ".jsonl": _jsonl, ".csv": _csv, ".parquet": _parquet}


def read_file(file: File, reader: Reader) -> Iterator[Document]:
    """A file's documents in order."""
    return (d for d in READERS[file.format](file, reader) if d is not None)


def read(source: str, reader: Reader | None = None) -> Iterator[Document]:
    """The documents of a file, folder, glob, `pydocs` or `hf:NAME`, in a fixed order; `reader` counts what became of them.

    `UserError` (exit 2) for a path that is missing or empty and for a file without the text column.
    """
    reader = reader or Reader()
    if source == "pydocs":
        from maskdial.data.embedded import pydocs

        for document in pydocs():
            reader.tally.documents += 1
            yield document
    elif source.startswith("hf:"):
        yield from (d for d in _hub(source.removeprefix("hf:"), reader) if d is not None)
    else:
        for file in expand(source):
            yield from read_file(file, reader)
