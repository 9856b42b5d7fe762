"""Several corpora as one, by weight: which of them sample n comes from is a function of n alone.

As in a mixture of objectives (`maskdial.mixture.schedule`), the corpora take turns in cycles of at most 10,000 samples that hold
their shares, each corpus numbers its own samples 0, 1, 2, … and shuffles its own windows, epoch after epoch. Sample n keeps the
number n, which keys its noise: no number comes twice, so the whole is one epoch.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np

from maskdial.errors import UserError
from maskdial.mixture.schedule import Phase, Turns, apportion, normal
from maskdial.mixture.table import take
from maskdial.sample import Rows


class MixedCorpus:
    """The interface of `maskdial.data.Corpus` that training asks, over corpora of one tokenizer. Weights count samples.

    `UserError` when tokenizers differ or a weight is too small.
    """

    def __init__(self, corpora: Sequence[Any], weights: Sequence[float]) -> None:
        first = corpora[0]
        for other in corpora[1:]:
            if getattr(other.tokenizer, "sha256", None) != getattr(first.tokenizer, "sha256", None):
                raise UserError(f"{other.name} and {first.name} have different tokenizers, so one model can't read both",
                                hint=f"prepare one with the other's: maskdial prepare … --tokenizer {first.folder / 'tokenizer'}",
                                code="data.tokenizer", where="data")  # fmt: skip
        self.corpora, self.tokenizer, self.vocab = list(corpora), first.tokenizer, first.vocab
        try:
            turns = apportion(weights).tolist()
        except ValueError as error:
            raise UserError(str(error), code="data.weight", where="data") from None
        self.turns = Turns([Phase(None, tuple(weights))], None, "corpora")
        self.name = " + ".join(f"{share:.3g} {c.name}" for c, share in zip(corpora, normal(weights), strict=True))
        told = json.dumps([[c.fingerprint, n] for c, n in zip(corpora, turns, strict=True)])
        self.fingerprint = hashlib.sha256(told.encode()).hexdigest()

    def epoch_of(self, n: int, length: int, part: str = "train", **plan: Any) -> int:
        """0: every sample of the whole run has a number, and so a noise, of its own."""
        return 0

    def rows(self, length: int, first: int, count: int, **settings: Any) -> Rows:
        """Samples first … first + count − 1 in their order, each a row of its own corpus."""
        numbers = np.arange(first, first + count, dtype=np.uint64)
        who, own = self.turns.at(numbers)
        here = [np.flatnonzero(who == i) for i in range(len(self.corpora))]
        made = [corpus.rows(length, int(own[at[0]]), len(at), **settings) for corpus, at in zip(self.corpora, here, strict=True) if len(at)]
        return take(concatenated(made), np.argsort(np.concatenate(here), kind="stable"), numbers)


def concatenated(tables: Sequence[Rows]) -> Rows:
    """Tables of rows one below the other. A column that one of them lacks is dropped, but text without parts answers throughout."""
    sizes = np.cumsum([0, *(table.offsets[-1] for table in tables)])
    columns: dict[str, Any] = {f.name: [getattr(table, f.name) for table in tables] for f in fields(Rows) if f.name != "packing"}
    columns["offsets"] = [np.zeros(1, np.int64), *(table.offsets[1:] + size for table, size in zip(tables, sizes, strict=False))]
    if any(part is not None for part in columns["part"]):
        columns["part"] = [np.ones(len(t.tokens), np.uint8) if t.part is None else t.part for t in tables]
    made: dict[str, Any] = {name: None if any(v is None for v in values) else np.concatenate(values) for name, values in columns.items()}
    return Rows(**made, packing=tables[0].packing)


def open_data(sources: Sequence[str], tokenizer: str | None = None, grow: Sequence[str] = ()) -> Any:
    """The corpus of `--data`: one source, or several with weights (`corpus/`, `notes.txt:0.3`; 1 where none is given).

    A source is what `maskdial.data.open_or_prepare` takes. Raw text is prepared with `tokenizer`, if given (the special tokens of the
    roles `grow` are added to it), and text after the first source with the first one's. `UserError` for what can't be opened, a weight
    that is none, tokenizers that differ.
    """
    from maskdial.data import open_or_prepare
    from maskdial.data.storage import MANIFEST

    named, corpora = [weighed(source) for source in sources], list[Any]()
    for source, _ in named:
        known = str(corpora[0].folder / "tokenizer") if corpora else tokenizer
        shared: dict[str, Any] = {} if known is None or (Path(source) / MANIFEST).is_file() else {"tokenizer": known, "grow": grow}
        corpora.append(open_or_prepare(source, **shared))
    return corpora[0] if len(corpora) == 1 else MixedCorpus(corpora, [weight for _, weight in named])


def weighed(source: str) -> tuple[str, float]:
    """Source and weight of `SOURCE[:WEIGHT]`; a colon followed by anything but a number belongs to the source."""
    path, colon, last = source.rpartition(":")
    try:
        weight = float(last) if colon and not Path(source).exists() else None
    except ValueError:
        weight = None
    if weight is None:
        return source, 1.0
    if not 0 < weight < float("inf"):
        raise UserError(f"--data {source!r}: a weight is a number above 0", code="data.weight", where="data")
    return path, weight
