"""What is to be made, decided once: the split, the tokenizer and the pieces of text that each shard holds.

A plan depends on the inputs and options alone, so that any number of processes and machines make the same shards from it.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from maskdial.data.split import Split
from maskdial.data.storage import FORMAT, canonical, wrong
from maskdial.data.survey import Piece

PLAN, BITS = "plan.json", "plan.bits"


def sha256(value: Any) -> str:
    return hashlib.sha256(canonical(value)).hexdigest()


@dataclass
class Plan:
    """`head` is what the manifest takes over. `bits` records the file in `home` that marks the duplicates to leave out."""

    home: Path
    head: dict[str, Any]
    also: tuple[str, ...]
    split: Split
    units: list[list[Piece]]
    bits: dict[str, Any] | None

    @property
    def dtype(self) -> str:
        return str(self.head["dtype"])

    def share(self, number: int, of: int) -> range:
        """The shards that machine `number` of `of` makes: neighbours, so that it reads few files."""
        return range(number * len(self.units) // of, (number + 1) * len(self.units) // of)

    def documents(self, units: Sequence[int]) -> int:
        return sum(piece.documents for unit in units for piece in self.units[unit])

    def left_out(self, piece: Piece) -> NDArray[np.bool_]:
        """For each document of a piece whether it is left out."""
        if self.bits is None:
            return np.zeros(piece.documents, dtype=bool)
        first, skipped = piece.at // 8, piece.at % 8
        packed = np.fromfile(self.home / BITS, np.uint8, -(-(skipped + piece.documents) // 8), offset=first)
        return np.unpackbits(packed, bitorder="little")[skipped : skipped + piece.documents].astype(bool)

    @cached_property
    def made_from(self) -> dict[str, str]:
        """What each shard remembers, so that it never lands among others: digests, from the most telling on."""
        return {"text": sha256(self.head["sources"]), "options": sha256(self.head["options"]),
                "tokenizer": self.head["tokenizer"]["sha256"], "plan": sha256(self.to_json())}  # fmt: skip

    def to_json(self) -> dict[str, Any]:
        return {**self.head, "also": list(self.also), "split": asdict(self.split),
                "units": [[list(p) for p in unit] for unit in self.units], "bits": self.bits}  # fmt: skip

    @classmethod
    def read(cls, folder: Path) -> Plan | None:
        """The plan in a folder; None when there is none of this format, or its files are not as it says."""
        try:
            found = json.loads((folder / PLAN).read_text(encoding="utf-8"))
            also, split, units, bits = (found.pop(name) for name in ("also", "split", "units", "bits"))
            if found["format"] != FORMAT:
                return None
            files = found["tokenizer"]["files"] | ({} if bits is None else {BITS: bits})
            if any(wrong(folder / name, record) for name, record in files.items()):
                return None
            return cls(folder, found, tuple(also), Split(**split), [[Piece(*p) for p in unit] for unit in units], bits)
        except (OSError, ValueError, KeyError, TypeError):
            return None
