"""A document, and the count of what became of the text that was read."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class Document:
    """One text of the corpus. `label` feeds labelled probes; `source` is the file or corpus it was read from.

    `language` is what the record calls it. A supervised record has `prompt`, the number of characters of the text that only
    ask, or `messages`, the conversation that the text is a plain form of. `ids` are the body tokens it was read from, where
    it was token ids.
    """

    text: str
    label: str | None = None
    source: str = ""
    title: str | None = None
    language: str | None = None
    prompt: int | None = None
    messages: tuple[Mapping[str, Any], ...] | None = None
    ids: NDArray[np.int32] | None = field(default=None, compare=False, repr=False)

    @property
    def supervised(self) -> bool:
        return self.prompt is not None or self.messages is not None

    @property
    def plain(self) -> str:
        """The text to train a tokenizer on: a prompt and its completion on lines of their own."""
        return f"{self.text[: self.prompt]}\n{self.text[self.prompt :]}" if self.prompt else self.text


@dataclass
class Tally:
    """What became of the input: in = documents + empty + malformed + dropped + unanswered.

    `replaced` counts kept documents in which bytes that are not UTF-8 became U+FFFD; `dropped` those left out because of
    such bytes; `malformed` records that are not what their file type promises; `spelled` the places where text spells a
    special token and was encoded as plain text; `unanswered` the supervised records without a completion. Of the
    documents, `long` were left out because their prompt alone takes the length that was given, and `silent` because the
    tokenizer has no token for the completion; `merged` had a token that would have joined prompt and completion, which were
    therefore encoded apart; `changed` were read as token ids and have others now. `duplicates` have the same content as a
    document before them, and are left out only if that was asked for.
    """

    documents: int = 0
    empty: int = 0
    malformed: int = 0
    replaced: int = 0
    dropped: int = 0
    spelled: int = 0
    unanswered: int = 0
    long: int = 0
    silent: int = 0
    merged: int = 0
    changed: int = 0
    duplicates: int = 0

    #: what only the shard that encodes a document can count
    ENCODED: ClassVar[tuple[str, ...]] = ("spelled", "long", "silent", "merged", "changed")

    def add(self, counts: Mapping[str, int]) -> None:
        """Count what others counted."""
        for name, count in counts.items():
            setattr(self, name, getattr(self, name) + count)

    def to_json(self) -> dict[str, int]:
        return asdict(self)
