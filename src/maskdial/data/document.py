"""A document, and the count of what became of the text that was read."""

from __future__ import annotations

from dataclasses import asdict, dataclass


@dataclass(frozen=True, slots=True)
class Document:
    """One text of the corpus. `label` feeds labelled probes; `source` is the file or corpus it was read from."""

    text: str
    label: str | None = None
    source: str = ""
    title: str | None = None


@dataclass
class Tally:
    """What became of the input: in = documents + empty + malformed + dropped.

    `replaced` counts kept documents in which bytes that are not UTF-8 became U+FFFD; `dropped` those left out because of
    such bytes; `malformed` records that are not what their file type promises; `spelled` the places where text spells a
    special token and was encoded as plain text.
    """

    documents: int = 0
    empty: int = 0
    malformed: int = 0
    replaced: int = 0
    dropped: int = 0
    spelled: int = 0

    def to_json(self) -> dict[str, int]:
        return asdict(self)
