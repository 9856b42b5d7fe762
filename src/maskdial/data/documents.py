"""Documents from files, from the embedded corpus and from the Hugging Face hub, whatever state the text is in."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from pathlib import Path

from maskdial.data.document import Document
from maskdial.data.files import File, expand
from maskdial.data.formats import TABLES, Record, judge, records
from maskdial.data.reader import Reader
from maskdial.errors import UserError

PYDOCS = File(Path("pydocs"), "pydocs", "pydocs")


def files_of(source: str) -> list[File]:
    """The files of a path, of `pydocs` (one, which is none on disk) or of `hf:NAME`. `UserError` as in `expand`."""
    if source == "pydocs":
        return [PYDOCS]
    if source.startswith("hf:"):
        from maskdial.interop.datasets import arrow_files

        return [File(path, name, ".arrow") for path, name in arrow_files(source)]
    return expand(source)


class Walk:
    """Reads pieces of files. A piece that begins where the last one ended is read on; passing over records is cheap."""

    def __init__(self, reader: Reader) -> None:
        self.reader = reader
        self._file: File | None = None
        self._open: Iterator[Record] = iter(())
        self._at = 0

    def documents(self, file: File, first: int = 0, stop: int | None = None) -> Iterator[tuple[int, Document]]:
        """(record number, document) of the records first … stop-1 of a file that are documents, in order."""
        self._go(file, first)
        while stop is None or self._at < stop:
            record = next(self._open, None)
            if record is None:
                return
            self._at += 1
            document = judge(record, file, self.reader)
            if document is not None:
                yield self._at - 1, document

    def _go(self, file: File, first: int) -> None:
        """Stand before record `first` of a file."""
        on = self._file == file and self._at <= first
        if on and file.format not in TABLES:
            self._open = islice(self._open, first - self._at, None) if first > self._at else self._open
        elif not on or self._at < first:
            self._open = records(file, self.reader, first)
        self._file, self._at = file, first


def exactly(count: int, found: Iterator[tuple[int, Document]], file: File) -> Iterator[Document]:
    """The documents of a walk, which must be as many as were counted before. `UserError` when the file has changed since."""
    n = 0
    for n, (_, document) in enumerate(found, 1):
        if n > count:
            break
        yield document
    if n != count:
        raise UserError(f"{file.path} changed while it was being prepared", hint="prepare it again once nothing writes to it",
                        code="data.changed", where=str(file.path), exit=1)  # fmt: skip


def read(source: str, reader: Reader | None = None) -> Iterator[Document]:
    """The documents of a file, folder, glob, `pydocs` or `hf:NAME`, in a fixed order; `reader` counts what became of them.

    `UserError` (exit 2) for a path that is missing or empty and for a file without the text column.
    """
    walk = Walk(reader or Reader())
    for file in files_of(source):
        yield from (document for _, document in walk.documents(file))
