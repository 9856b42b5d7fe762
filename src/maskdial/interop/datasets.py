"""Hugging Face `datasets`: what is on the hub as files to read, and a corpus as a folder that `load_from_disk` opens."""

from __future__ import annotations

from functools import partial
from itertools import islice
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from maskdial.errors import UserError

if TYPE_CHECKING:
    from maskdial.data.corpus import Corpus, Part

#: Documents that are written at once.
ROWS = 256


def _library(what: str) -> Any:
    try:
        import datasets
    except ImportError as error:
        raise UserError(f"{what} needs the datasets library", hint="pip install 'maskdial[hf]'", code="data.extra", where=what) from error
    return datasets


def arrow_files(source: str) -> list[tuple[Path, str]]:
    """(path, name) of the Arrow files of `hf:NAME` or `hf:NAME@SPLIT` (default: train), fetched into the library's own cache.

    Nothing from the hub is run as code. `UserError` when the library is missing or can't load the dataset.
    """
    library = _library(source)
    path, _, split = source.removeprefix("hf:").partition("@")
    try:
        table = library.load_dataset(path, split=split or "train", keep_in_memory=False)
    except Exception as error:  # the library raises a dozen unrelated kinds
        raise UserError(f"{source} can't be loaded: {error}", hint="give hf:NAME or hf:NAME@SPLIT", code="data.missing",
                        where=source) from error  # fmt: skip
    paths = [Path(file["filename"]) for file in table.cache_files]
    if sum(_rows(p) for p in paths) != len(table):
        raise UserError(f"{source} is a part of a split", hint="give a whole split, hf:NAME@SPLIT", code="data.split", where=source)
    return [(p, source if len(paths) == 1 else f"{source}/{n:05d}") for n, p in enumerate(paths)]


def _rows(path: Path) -> int:
    import pyarrow as pa

    with pa.memory_map(str(path)) as file:
        return sum(batch.num_rows for batch in pa.ipc.open_stream(file))


def export(corpus: Corpus, folder: Path) -> list[Path]:
    """Write a corpus as a `DatasetDict` with the splits `train` and `validation`, a row a document.

    Columns: `text`, `input_ids` (body tokens), `label`, `title`, `language`, and in supervised corpora `completion_mask` (1
    where a token answers). Returns the folders written. `UserError` when the library is missing.
    """
    library = _library("export to datasets")
    features = {"text": library.Value("string"), "input_ids": library.Sequence(library.Value("int32"))}
    features |= {name: library.Value("string") for name in ("label", "title", "language")}
    if corpus.train.supervised:
        features["completion_mask"] = library.Sequence(library.Value("uint8"))
    parts = {name: part for name, part in (("train", corpus.train), ("validation", corpus.held_out)) if part.num_documents}
    with TemporaryDirectory(dir=folder) as aside:
        made = {name: _table(library, part, library.Features(features), Path(aside) / name) for name, part in parts.items()}
        library.DatasetDict(made).save_to_disk(str(folder))
    return [folder / name for name in made]


def _table(library: Any, part: Part, features: Any, aside: Path) -> Any:
    """A part as a dataset whose rows lie in the file `aside`."""
    import pyarrow as pa

    schema = features.arrow_schema
    with pa.OSFile(str(aside), "wb") as sink, pa.ipc.new_stream(sink, schema) as writer:
        rows = map(partial(_row, part), range(part.num_documents))
        while some := [*islice(rows, ROWS)]:
            writer.write_batch(pa.RecordBatch.from_pylist(some, schema=schema))
    return library.Dataset.from_file(str(aside))


def _row(part: Part, i: int) -> dict[str, Any]:
    answers = part.answers(i)
    return {"text": part.text(i), "input_ids": part.document(i), "label": part.label(i), "title": part.title(i),
            "language": part.language(i), "completion_mask": None if answers is None else answers[:-1]}  # fmt: skip
