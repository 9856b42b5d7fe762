"""One pass over the text before any of it is encoded: how much there is, in what state, and where to cut it.

Files are read by themselves, so that many processes can share them; what is remembered of each document goes to disk.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from maskdial.data.document import Tally
from maskdial.data.documents import Walk, exactly
from maskdial.data.files import File
from maskdial.data.languages import UNNAMED
from maskdial.data.split import ROW, Rows, Split, row_of
from maskdial.data.storage import LANGUAGE, PART
from maskdial.errors import UserError

#: Text of one shard, about, and the number of shards from which on they grow instead of becoming more.
UNIT, UNITS = 4 << 20, 1024
#: Documents between two words of progress.
OFTEN = 64
Said = Callable[[int], None]


class Piece(NamedTuple):
    """Records first … stop-1 of a file (None: to its end), in which there are `documents`, the first of all of them number `at`."""

    file: int
    first: int
    stop: int | None
    documents: int
    at: int


@dataclass
class Survey:
    """What one pass over the text found."""

    documents: int = 0
    text_bytes: int = 0
    split: Split = field(default_factory=Split)
    tally: Tally = field(default_factory=Tally)
    supervised: bool = False
    conversations: bool = False
    languages: set[str] = field(default_factory=set)

    @property
    def also(self) -> tuple[str, ...]:
        """What the corpus stores besides what every corpus does."""
        return (*([PART] if self.supervised else []), *([LANGUAGE] if self.languages - {UNNAMED} else []))


def look(file: File, walk: Walk, rows: Path, unit: int, said: Said) -> dict[str, Any]:
    """Read a file once and write a `ROW` for each document. Returns what there is, as plain values.

    `cuts`: for each piece of about `unit` bytes of text, its first record, its documents and its bytes.
    """
    walk.reader.tally = tally = Tally()
    found: dict[str, Any] = {"supervised": False, "conversations": False}
    languages, cuts, waiting = set(), [[0, 0, 0]], list[tuple[int, int, int]]()
    with rows.open("wb") as out:

        def write() -> None:
            out.write(np.array(waiting, dtype=ROW).tobytes())
            said(len(waiting))
            waiting.clear()

        for record, document in walk.documents(file):
            if cuts[-1][2] >= unit:
                cuts.append([record, 0, 0])
            row = row_of(document)
            waiting.append(row)
            cuts[-1][1] += 1
            cuts[-1][2] += row[2]
            found["supervised"] |= document.supervised
            found["conversations"] |= document.messages is not None
            languages.add(document.language or UNNAMED)
            if len(waiting) >= OFTEN:
                write()
        write()
    return found | {"cuts": cuts, "languages": sorted(languages), "tally": tally.to_json()}


def units(found: Sequence[dict[str, Any]], unit: int) -> list[list[Piece]]:
    """The pieces that make each shard: at least `unit` bytes of text, more when there would be too many shards."""
    total = sum(size for one in found for _, _, size in one["cuts"])
    enough = max(unit, -(-total // UNITS))
    made: list[list[Piece]] = [[]]
    at = filled = 0
    for n, one in enumerate(found):
        starts = [first for first, _, _ in one["cuts"]]
        for (first, documents, size), stop in zip(one["cuts"], [*starts[1:], None], strict=True):
            if filled >= enough:
                made.append([])
                filled = 0
            made[-1].append(Piece(n, first, stop, documents, at))
            at, filled = at + documents, filled + size
    return [pieces for pieces in made if pieces]


def sum_up(found: Sequence[dict[str, Any]], files: Sequence[Rows]) -> Survey:
    """What all files have together. `UserError` when no document is left."""
    survey = Survey(documents=sum(map(len, files)))
    for one in found:
        survey.tally.add(one["tally"])
        survey.supervised |= one["supervised"]
        survey.conversations |= one["conversations"]
        survey.languages |= set(one["languages"])
    if not survey.documents:
        counted = ", ".join(f"{n} {what}" for what, n in survey.tally.to_json().items() if n) or "none found"
        raise UserError(f"no document is left: {counted}", hint="give text that is not blank", code="data.empty")
    return survey


def pick(file: File, walk: Walk, marks: NDArray[np.bool_], out: Path, split: Split, said: Said) -> None:
    """Write the texts that a tokenizer is trained on: of the file's marked documents, what is not held out."""
    walk.reader.tally = Tally()
    with out.open("wb") as sample:
        for mark, document in zip(marks, exactly(len(marks), walk.documents(file), file), strict=True):
            if not mark:
                continue
            for piece in (piece for part, piece in split.parts(document) if part == "train"):
                data = piece.plain.encode()
                sample.write(len(data).to_bytes(8, "little") + data)
            said(1)


def picked(samples: Sequence[Path]) -> Iterator[str]:
    """The texts that `pick` wrote, one at a time."""
    for path in samples:
        with path.open("rb") as sample:
            while length := sample.read(8):
                yield sample.read(int.from_bytes(length, "little")).decode()
