"""What a file of each format holds: its records, found without being judged, and how each becomes a document.

Records are numbered from 0 in each file, in an order that never changes, so that two numbers name a piece of a file. Passing
over records is cheap: they are not parsed, and tables pass over whole groups of rows.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Iterator
from itertools import islice
from typing import Any

import numpy as np
from numpy.typing import NDArray

from maskdial.data.document import Document
from maskdial.data.files import File, opened
from maskdial.data.reader import Reader, language_of
from maskdial.errors import UserError

BLANK = b" \t\r\v\f\n"
#: Columns that are read besides the text's own.
BESIDE = ("label", "title", "language", "lang", "messages", "prompt", "completion")
#: Rows of a table that are turned into texts at once.
ROWS = 256

#: A record: its place as people count (line or row), and what stands there.
Record = tuple[int, Any]


def _paragraphs(file: File, reader: Reader) -> Iterator[Record]:
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
                yield first, b"".join(lines)
                lines = []
        if lines:
            yield first, b"".join(lines)


def _text(record: Record, file: File, reader: Reader) -> Document | None:
    return reader.document(record[1], f"{file.path}:{record[0]}", file.name)


def _lines(file: File, reader: Reader) -> Iterator[Record]:
    with opened(file) as stream:
        for number, line in enumerate(stream, 1):
            if (line := line.removeprefix(b"\xef\xbb\xbf") if number == 1 else line).strip(BLANK):
                yield number, line


def _json(record: Record, file: File, reader: Reader) -> Document | None:
    where = f"{file.path}:{record[0]}"
    try:
        # json reads text: bytes that are no UTF-8 travel through it as lone surrogates and are judged as text
        found = json.loads(record[1].decode("utf-8", "surrogateescape"))
    except (ValueError, RecursionError) as error:
        reader.malformed(where, f"no JSON ({error})")
        return None
    if not isinstance(found, dict):
        reader.malformed(where, "a line must be a JSON object")
        return None
    if not reader.known(found):
        if file.path not in reader.sound:
            raise reader.missing(list(found), where)
        reader.malformed(where, f"no column {reader.text_column!r}")
        return None
    reader.sound.add(file.path)
    return _record(found, reader, where, file.name)


def _record(record: dict[str, Any], reader: Reader, where: str, source: str) -> Document | None:
    if reader.text_column not in record:
        return reader.supervised(record, where, source)
    raw = record[reader.text_column]
    if raw is not None and not isinstance(raw, str | bytes):
        reader.malformed(where, f"column {reader.text_column!r} holds {type(raw).__name__}, not text")
        return None
    return reader.document(raw, where, source, record.get("label"), record.get("title"), language_of(record))


def _csv(file: File, reader: Reader) -> Iterator[Record]:
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
                yield table.line_num, record
        except csv.Error as error:
            raise UserError(f"{file.path}:{table.line_num}: no CSV ({error})", code="data.malformed",
                            where=f"{file.path}:{table.line_num}") from error  # fmt: skip
        finally:
            text.detach()


def _csv_row(record: Record, file: File, reader: Reader) -> Document | None:
    return _record(record[1], reader, f"{file.path}:{record[0]}", file.name)


def _parquet(file: File, reader: Reader, start: int = 0) -> Iterator[Record]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    with opened(file) as stream:
        packed = file.path.suffix.lower() != ".parquet"
        try:
            table = pq.ParquetFile(io.BytesIO(stream.read()) if packed else stream)
            columns = _columns(table.schema_arrow.names, file, reader)
            ends = np.cumsum([table.metadata.row_group(g).num_rows for g in range(table.num_row_groups)])
            group = int(np.searchsorted(ends, start, side="right"))
            row = int(ends[group - 1]) if group else 0
            batches = table.iter_batches(batch_size=ROWS, columns=columns, row_groups=[*range(group, len(ends))])
            yield from _rows(batches, columns, row, start)
        except (pa.ArrowException, OSError) as error:
            raise _no_table(file, "Parquet", error) from error


def _arrow(file: File, reader: Reader, start: int = 0) -> Iterator[Record]:
    """Arrow files of either kind: the stream that Hugging Face's datasets are stored as, and the one with a footer."""
    import pyarrow as pa

    with opened(file) as stream:
        try:
            if stream.peek(6)[:6] == b"ARROW1":
                table = pa.ipc.open_file(pa.BufferReader(stream.read()))
                batches: Iterator[Any] = (table.get_batch(n) for n in range(table.num_record_batches))
            else:
                batches = iter(table := pa.ipc.open_stream(stream))
            yield from _rows(batches, _columns(table.schema.names, file, reader), 0, start)
        except (pa.ArrowException, OSError) as error:
            raise _no_table(file, "Arrow", error) from error


def _no_table(file: File, name: str, error: Exception) -> UserError:
    return UserError(f"{file.path} is no {name} file, or is damaged: {error}", hint="fetch or write it again", code="data.damaged",
                     where=str(file.path))  # fmt: skip


def _columns(names: list[str], file: File, reader: Reader) -> list[str]:
    """The columns to read. `UserError` when none of them has text."""
    if not reader.known(names):
        raise reader.missing(names, str(file.path))
    return [c for c in dict.fromkeys((reader.text_column, *BESIDE)) if c in names]


def _rows(batches: Iterator[Any], columns: list[str], row: int, start: int) -> Iterator[Record]:
    """Rows from `start` on of record batches, the first of which begins with `row`."""
    for batch in batches:
        for first in range(max(0, start - row), batch.num_rows, ROWS):
            some = batch.slice(first, ROWS)
            values = {name: _cells(some.column(name)) for name in columns}
            yield from ((row + first + i, {n: v[i] for n, v in values.items()}) for i in range(some.num_rows))
        row += batch.num_rows


def _cells(column: Any) -> list[Any]:
    """A column's values; text comes as bytes, because tables do not check that it is UTF-8."""
    import pyarrow as pa

    if pa.types.is_dictionary(column.type):
        column = column.dictionary_decode()
    if pa.types.is_string(column.type) or pa.types.is_large_string(column.type):
        column = column.cast(pa.large_binary())
    return [v.decode("utf-8", "surrogateescape") if isinstance(v, bytes) else v for v in column.to_pylist()]


def _row(record: Record, file: File, reader: Reader) -> Document | None:
    return _record(record[1], reader, f"{file.path} row {record[0]}", file.name)


def _ids(file: File, reader: Reader) -> Iterator[Record]:
    """Token ids, uint16 and little-endian without a header (nanoGPT): one end-of-document id ends each document."""
    tokenizer = reader.tokenizer
    if tokenizer is None:
        raise UserError(f"{file.path} holds token ids, not text", hint="give the tokenizer that made them: --tokenizer PATH",
                        code="data.tokenizer", where=str(file.path))  # fmt: skip
    vocab = tokenizer.vocab
    end = vocab.eod if vocab.eod is not None else vocab.eos
    at, number, open_parts = 0, 0, list[NDArray[np.uint16]]()
    with opened(file) as stream:
        while block := stream.read(1 << 21):
            if len(block) % 2:
                raise UserError(f"{file.path} has an odd number of bytes, so it does not hold uint16 ids", code="data.damaged",
                                where=str(file.path))  # fmt: skip
            ids = np.frombuffer(block, "<u2")
            if (beyond := np.flatnonzero(ids >= vocab.size)).size:
                raise UserError(f"{file.path}: token {at + int(beyond[0]):,} is id {int(ids[beyond[0]]):,}, but the tokenizer "
                                f"has {vocab.size:,}", hint="give the tokenizer that made the file", code="data.tokenizer",
                                where=str(file.path))  # fmt: skip
            *whole, rest = np.split(ids, np.flatnonzero(ids == (-1 if end is None else end)) + 1)
            for piece in whole:
                yield number, np.concatenate([*open_parts, piece[:-1]])
                number, open_parts = number + 1, []
            open_parts.append(rest)
            at += len(ids)
    if sum(map(len, open_parts)):
        yield number, np.concatenate(open_parts)


def _spelt(record: Record, file: File, reader: Reader) -> Document | None:
    """The text that ids spell; they are kept beside it, to count where it is encoded otherwise."""
    assert reader.tokenizer is not None
    text = reader.tokenizer.decode(record[1].tolist())
    return reader.document(text, f"{file.path} document {record[0]}", file.name, ids=record[1].astype(np.int32))


def _pydocs(file: File, reader: Reader) -> Iterator[Record]:
    from maskdial.data.embedded import pydocs

    yield from enumerate(pydocs())


def _embedded(record: Record, file: File, reader: Reader) -> Document:
    reader.tally.documents += 1
    document: Document = record[1]
    return document


#: How each format is read: finding its records, and judging one.
FORMATS: dict[str, tuple[Callable[..., Iterator[Record]], Callable[[Record, File, Reader], Document | None]]] = {
    ".txt": (_paragraphs, _text), ".md": (_paragraphs, _text), ".jsonl": (_lines, _json), ".csv": (_csv, _csv_row),
    ".parquet": (_parquet, _row), ".arrow": (_arrow, _row), ".bin": (_ids, _spelt), "pydocs": (_pydocs, _embedded),
}  # fmt: skip
TABLES = (".parquet", ".arrow")


def records(file: File, reader: Reader, start: int = 0) -> Iterator[Record]:
    """A file's records from number `start` on."""
    find = FORMATS[file.format][0]
    return find(file, reader, start) if file.format in TABLES else islice(find(file, reader), start, None)


def judge(record: Record, file: File, reader: Reader) -> Document | None:
    """A record's document; None when it is left out, which the reader has counted."""
    return FORMATS[file.format][1](record, file, reader)
