"""What is to be prepared: the inputs by digest, and one pass over the text that decides what is held out.

Held out are whole documents, chosen by a keyed hash of their text: equal texts always fall on the same side, and adding
documents moves none from one side to the other.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from maskdial.data.document import Document, Tally
from maskdial.data.documents import Errors, Reader, read, read_file
from maskdial.data.files import File, expand
from maskdial.data.languages import UNNAMED
from maskdial.data.storage import LANGUAGE, PART
from maskdial.errors import UserError
from maskdial.progress import Mode, Progress

#: Text that a tokenizer is trained on, at most; of a larger corpus a sample by hash.
SAMPLE_BYTES = 128 << 20
_SPACE = 1 << 64


@dataclass(frozen=True)
class Inputs:
    """The sources of a corpus, found and named by digest. `records` go into the manifest."""

    sources: tuple[str, ...]
    files: tuple[tuple[str, tuple[File, ...]], ...]
    records: tuple[dict[str, Any], ...]

    @property
    def name(self) -> str:
        names = []
        for source in self.sources:
            last = source.rstrip("/").split("/")[-1] or source
            names.append(last.split(".")[0] or last)
        return "+".join(names)

    def documents(self, reader: Reader) -> Iterator[Document]:
        """Every document of every source, in order."""
        for source, files in self.files:
            if files:
                for file in files:
                    yield from read_file(file, reader)
            else:
                yield from read(source, reader)


def find(sources: Sequence[str]) -> Inputs:
    """Find the inputs. `UserError` (exit 2) for none, for one that is missing and for one that is empty."""
    if not sources:
        raise UserError("nothing to prepare", hint="give a file, a folder, a glob, pydocs or hf:NAME", code="data.missing")
    files: list[tuple[str, tuple[File, ...]]] = []
    records: list[dict[str, Any]] = []
    for source in sources:
        if source == "pydocs":
            from maskdial.data.embedded import fingerprint

            found: tuple[File, ...] = ()
            records.append({"name": source, "sha256": fingerprint()})
        elif source.startswith("hf:"):
            found = ()
            records.append({"name": source})
        else:
            found = tuple(expand(source))
            records += [{"name": f.name, "bytes": f.path.stat().st_size, "sha256": f.sha256()} for f in found]
        files.append((source, found))
    return Inputs(tuple(sources), tuple(files), tuple(records))


def text_hash(text: str) -> int:
    """A 64-bit number that decides a text's side."""
    key = b"maskdial.held-out/1"
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8, key=key).digest(), "little")


@dataclass
class Split:
    """Which documents are held out: those whose hash is below `threshold`, else the one text whose hash is `chosen` (when
    chance left none), else, when all texts are one, its last part."""

    threshold: int = 0
    chosen: int = -1
    tail: float = 0.0

    def side(self, number: int) -> str:
        """The part of a text by its hash, unless it is to be cut."""
        return "held_out" if number < self.threshold or number == self.chosen else "train"

    def parts(self, document: Document) -> list[tuple[str, Document]]:
        """(part, document), two of them when the document itself is cut."""
        if not self.tail or document.supervised:  # a conversation is not cut
            return [(self.side(text_hash(document.text)), document)]
        text = document.text
        cut = round(len(text) * (1 - self.tail))
        cut = next((i for i in range(cut, len(text)) if text[i].isspace()), cut)
        if not text[:cut].strip() or not text[cut:].strip():
            return [("train", document)]
        halves = (("train", text[:cut]), ("held_out", text[cut:]))
        return [(part, replace(document, text=t)) for part, t in halves]


@dataclass
class Survey:
    """What one pass over the text found."""

    documents: int = 0
    text_bytes: int = 0
    split: Split = field(default_factory=Split)
    sample: list[str] = field(default_factory=list)
    tally: Tally = field(default_factory=Tally)
    supervised: bool = False
    conversations: bool = False
    languages: set[str] = field(default_factory=set)

    @property
    def also(self) -> tuple[str, ...]:
        """What the corpus stores besides what every corpus does."""
        return (*([PART] if self.supervised else []), *([LANGUAGE] if self.languages - {UNNAMED} else []))


class _Sample:
    """The texts with the largest hashes that fit a budget: the same set whatever order they come in."""

    def __init__(self, budget: int) -> None:
        self._budget, self._floor, self._bytes = budget, 0, 0
        self.kept: list[tuple[int, str]] = []

    def add(self, number: int, text: str) -> None:
        if number >= self._floor and self._budget:
            self.kept.append((number, text))
            self._bytes += len(text)
            while self._bytes > self._budget and len(self.kept) > 1:
                self._floor += (_SPACE - self._floor) // 8
                self.kept = [(n, t) for n, t in self.kept if n >= self._floor] or [max(self.kept)]
                self._bytes = sum(len(t) for _, t in self.kept)


class _Chance:
    """Watches the hashes go by and settles the split: something must end on both sides, which chance alone does not
    promise for a handful of texts."""

    def __init__(self, held_out: float) -> None:
        self._share, self._threshold = held_out, int(held_out * _SPACE)
        self._least, self._most = _SPACE, -1
        self._sizes: dict[int, int] = {}

    def add(self, number: int, size: int) -> None:
        self._least, self._most = min(self._least, number), max(self._most, number)
        if self._least >= self._threshold:  # none held out so far: remember what could be
            self._sizes[number] = size
        else:
            self._sizes.clear()

    def split(self, total: int) -> Split:
        if self._share <= 0:
            return Split()
        if self._least == self._most:
            return Split(tail=self._share)
        if self._least >= self._threshold:
            wanted = self._share * total
            return Split(chosen=min(self._sizes, key=lambda n: (abs(self._sizes[n] - wanted), n)))
        return Split(threshold=min(self._threshold, self._most))  # the largest hash stays in training


def survey(inputs: Inputs, held_out: float, text_column: str, errors: Errors, sample: bool, progress: Mode = "off") -> Survey:
    """Read everything once. `UserError` when no document is left."""
    reader, found, kept = Reader(text_column, errors), Survey(), _Sample(SAMPLE_BYTES if sample else 0)
    chance = _Chance(held_out)
    with Progress("read", None, "documents", progress) as shown:
        for document in inputs.documents(reader):
            number = text_hash(document.text)
            size = len(document.text.encode())
            chance.add(number, size)
            found.documents += 1
            found.text_bytes += size
            kept.add(number, document.plain)
            found.supervised |= document.supervised
            found.conversations |= document.messages is not None
            found.languages.add(document.language or UNNAMED)
            shown.update()
    found.tally = reader.tally
    if not found.documents:
        counted = ", ".join(f"{n} {what}" for what, n in reader.tally.to_json().items() if n) or "none found"
        raise UserError(f"no document is left: {counted}", hint="give text that is not blank", code="data.empty")
    found.split = chance.split(found.text_bytes)
    if found.split.tail:
        found.sample = [part.text for _, text in kept.kept for name, part in found.split.parts(Document(text)) if name == "train"]
    else:
        found.sample = [text for number, text in kept.kept if found.split.side(number) == "train"]
    return found
