"""What can be audited, as `Evidence`: a path, features, a collator, loaders, batches, or a table of samples."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import partial
from itertools import chain, islice
from pathlib import Path
from typing import Any

import numpy as np

from maskdial.audit.inside import form_of as form_of_samples
from maskdial.audit.inside import rows_of
from maskdial.audit.outside import Labels, Raw, form_of, raws, restored, row
from maskdial.audit.row import Evidence, Form
from maskdial.errors import UserError
from maskdial.interop.features import INDEX, PART, Reader
from maskdial.interop.guest import Guest, guest
from maskdial.sample import Samples

#: features that a collator is given at a time
BATCH = 8


class Source:
    """How much is read of whatever is audited, and under what names."""

    def __init__(self, objective: Any, tokenizer: Any, vocab: Any, epochs: int, rows: int, seed: int, labels: Labels) -> None:
        if rows < 1 or epochs < 1:
            raise ValueError(f"an audit reads 1 row and 1 epoch or more, not {rows} and {epochs}")
        if labels not in ("auto", "shifted", "in_place"):
            raise ValueError(f"labels is 'auto', 'shifted' or 'in_place', not {labels!r}")
        self.objective, self.epochs, self.rows, self.seed, self.labels = objective, epochs, rows, seed, labels
        #: (form, whether labels are shifted for a model) of a collator of ours
        self.made: tuple[Form, bool] | None = None
        self.guest = guest(tokenizer) if tokenizer is not None else None if vocab is None else Guest(vocab)

    def read(self, source: Any) -> Evidence:
        """Whatever it is."""
        if isinstance(source, Samples):
            return self.samples(source)
        if isinstance(source, tuple) and len(source) == 2 and callable(source[0]):
            return self.collated(*source)
        if isinstance(source, Mapping) and ("input_ids" in source or "read" in source):
            return self.read([source])
        if isinstance(source, Mapping):
            raise UserError(f"this is a mapping of {', '.join(map(str, source))}", code="audit.source",
                            hint="audit one split (dataset['train']), or a list of batches")  # fmt: skip
        if callable(source) and not hasattr(source, "__iter__") and not hasattr(source, "__getitem__"):
            return self.loaders(source)
        first, items = _peeked(source)
        return self.featured(source, items) if _is_feature(first) else self.batches(source, items)

    # --- recipes --------------------------------------------------------------------------------------------------------------

    def samples(self, table: Samples) -> Evidence:
        made = rows_of(table, self.objective)
        for one in made:
            one.body = restored(one, self._vocab())
        name = f"{len(made)} samples of {table.objective or 'no name'}"
        return Evidence(name, [made], form_of_samples(table), self._vocab(), self.objective, ours=True, made=True, seed=self.seed)

    def featured(self, source: Any, items: Iterable[Any]) -> Evidence:
        """Features without labels under a recipe."""
        if self.guest is None:
            raise UserError("which ids are special is not known", hint="give tokenizer= or vocab=", code="audit.tokenizer")
        refused: list[tuple[int, str]] = []
        features = _taken(items, self.rows, refused)
        parted = isinstance(features[0], Mapping) and any(features[0].get(name) is not None for name in PART[:-1])
        objective = self.objective or getattr(source, "objective", None) or _recipe("sft" if parted else "gpt")
        reader = Reader(objective, self.guest, self.seed)
        bodies = _taken((reader.read(_numbered(feature, n)) for n, feature in enumerate(features)), self.rows, refused)
        if not bodies:
            raise _empty(refused)
        made = of_recipe(f"{len(bodies)} features", reader.rows(bodies), objective, self.guest.vocab, self.epochs, self.seed)
        made.features, made.refused = [f for f in features[: len(bodies)] if isinstance(f, Mapping)], refused
        return made

    # --- from outside -----------------------------------------------------------------------------------------------------------

    def collated(self, collator: Callable[..., Any], features: Iterable[Any]) -> Evidence:
        """A collator over features, each epoch anew."""
        if isinstance(features, Mapping):
            raise UserError(f"features are rows, and this is a mapping of {', '.join(map(str, features))}", code="audit.source",
                            hint="give a list of features, or a dataset of them")  # fmt: skip
        before, passes, refused = getattr(collator, "epoch", 0), [], list[tuple[int, str]]()
        held, ours = _taken(_items(features), self.rows, refused), hasattr(collator, "reader") and hasattr(collator, "set_epoch")
        self._learn(collator, held)
        for epoch in range(self.epochs):
            if ours:
                collator.set_epoch(epoch)  # type: ignore[attr-defined]
                given = [_numbered(feature, n) for n, feature in enumerate(held)]
            else:  # collators may change what they are given
                given = [dict(f) if isinstance(f, Mapping) else f for f in held]
            batches = map(collator, (given[first : first + BATCH] for first in range(0, len(given), BATCH)))
            passes.append(self._pass(batches, refused))
        if ours:
            collator.set_epoch(before)  # type: ignore[attr-defined]
        name = f"{len(held)} features through {type(collator).__name__}"
        return self._outside(name, passes, refused=refused, features=[f for f in held if isinstance(f, Mapping)])

    def loaders(self, make: Callable[..., Any]) -> Evidence:
        """A function that returns a new loader for each epoch, and for each rank if it takes `rank`."""
        takes = inspect.signature(make).parameters
        if wants := [p.name for p in takes.values() if p.default is p.empty and p.kind < p.VAR_KEYWORD and p.kind != p.VAR_POSITIONAL
                     and p.name not in ("epoch", "rank")]:  # fmt: skip
            raise UserError(f"the function wants {', '.join(wants)}", hint="a function that returns a loader takes nothing, or `epoch`, "
                            "`rank` or both by these names", code="audit.source")  # fmt: skip
        refused: list[tuple[int, str]] = []

        def read(epoch: int, rank: int) -> list[Raw]:
            loader = make(**{name: value for name, value in (("epoch", epoch), ("rank", rank)) if name in takes})
            self._learn(getattr(loader, "collate_fn", None), getattr(loader, "dataset", ()))
            return self._pass(iter(_items(loader)), refused)

        passes = [read(epoch, 0) for epoch in range(self.epochs)]
        return self._outside("loaders", passes, [read(0, 1)] if "rank" in takes else [], refused)

    def batches(self, source: Any, items: Iterator[Any]) -> Evidence:
        """Batches; what can be read again (a DataLoader, a dataset) is read once an epoch."""
        self._learn(getattr(source, "collate_fn", None), getattr(source, "dataset", ()))
        refused: list[tuple[int, str]] = []
        passes = [self._pass(items, refused)]
        if not isinstance(source, list | tuple) and items is not source and iter(_items(source)) is not source:
            passes += [self._pass(iter(_items(source)), refused) for _ in range(self.epochs - 1)]
        return self._outside(type(source).__name__, passes, refused=refused)

    def _pass(self, items: Iterator[Any], refused: list[tuple[int, str]]) -> list[Raw]:
        found: list[Raw] = []
        while len(found) < self.rows:
            before = len(refused)
            if not (batch := _taken(items, 1, refused)) or len(refused) > before:
                refused[before:] = [(len(found), why) for _, why in refused[before:]]
                break
            found += raws(batch[0])
        return found[: self.rows]

    def _learn(self, collator: Any, features: Any) -> None:
        """What a collator knows of its tokenizer and, if it is ours, of its objective and of where its labels stand."""
        reader, tokenizer = getattr(collator, "reader", None), getattr(collator, "tokenizer", None)
        if isinstance(reader, Reader) and hasattr(collator, "edge"):
            self.guest, self.objective = self.guest or reader.guest, self.objective or reader.objective
            layout = collator.edge.layout or reader.objective.layout
            two = layout == "encoder-decoder"
            if not (some := _taken(_items(features), BATCH, [])):
                return
            own = form_of_samples(reader.samples(some))
            self.made = "answer" if two else "next" if own == "answer" else own, not two and collator.edge.shifts(layout)
        elif self.guest is None and tokenizer is not None:
            self.guest = guest(tokenizer)

    def _outside(self, name: str, passes: list[list[Raw]], ranks: Sequence[list[Raw]] = (), refused: Sequence[tuple[int, str]] = (),
                 features: Sequence[Mapping[str, Any]] = ()) -> Evidence:  # fmt: skip
        if not any(passes) and not refused:
            raise _empty(refused)
        vocab = self._vocab()
        form, shifts, shifted = (*self.made, False) if self.made else form_of(passes[0], vocab, self.labels)
        made = [[row(raw, n, form, shifts, vocab) for n, raw in enumerate(found)] for found in (*passes, *ranks)]
        for one in made[0]:
            one.text = _text(one.body, vocab)
        labels = any(raw.labels is not None for raw in passes[0])
        return Evidence(name, made[: len(passes)], form, vocab, self.objective, labels=labels, shifted=shifted, made=self.made is not None,
                        seed=self.seed, ranks=made[len(passes) :], features=features, refused=list(dict.fromkeys(refused)))  # fmt: skip

    def _vocab(self) -> Any:
        return None if self.guest is None else self.guest.vocab


def of_recipe(name: str, rows: Any, objective: Any, vocab: Any, epochs: int, seed: int) -> Evidence:
    """A recipe's own samples of these rows, epoch by epoch."""
    bodies = [rows.tokens[a:b].astype(int) for a, b in zip(rows.offsets[:-1], rows.offsets[1:], strict=True)]
    tables = [objective(rows, vocab, seed=seed, epoch=epoch, provenance=True) for epoch in range(epochs)]
    passes = [rows_of(table, objective, bodies) for table in tables]
    for one, body in zip(passes[0], bodies, strict=True):
        one.text = _text(body, vocab)
    return Evidence(name, passes, form_of_samples(tables[0]), vocab, objective, ours=True, made=True, seed=seed)


def _text(ids: Any, vocab: Any) -> str | None:
    return None if vocab is None or vocab.codec is None else str(vocab.codec.decode([int(id) for id in ids]))


def _recipe(name: str) -> Any:
    from maskdial.recipes import objective

    return objective(name)


def _items(source: Any) -> Iterable[Any]:
    """Whatever gives items, in order: an iterable, or a dataset with a length."""
    if hasattr(source, "__iter__"):
        return source
    if hasattr(source, "__getitem__") and hasattr(source, "__len__"):
        return map(source.__getitem__, range(len(source)))
    raise UserError(f"a {type(source).__name__} can't be audited", code="audit.source",
                    hint="give a path, batches, a DataLoader, (collator, features) or a function that returns a DataLoader")  # fmt: skip


def _taken(items: Iterable[Any], count: int, refused: list[tuple[int, str]]) -> list[Any]:
    """Up to `count` items. Where they stop with an error, `refused` is told after how many, and why."""
    made: list[Any] = []
    try:
        made.extend(islice(items, count))  # keeps what came before an error
    except Exception as error:  # anybody's data can raise anything
        said = str(error).strip().splitlines() or [""]  # a DataLoader's worker sends a traceback, whose last line is the error
        refused.append((len(made), f"{type(error).__name__}: {error}" if len(said) < 2 else said[-1]))
    return made


def _empty(refused: Sequence[tuple[int, str]]) -> UserError:
    return UserError("there is nothing to audit: no row came" + "".join(f" ({why})" for _, why in refused[:1]), code="audit.empty",
                     hint="give data with at least one row")  # fmt: skip


def _peeked(source: Any) -> tuple[Any, Iterator[Any]]:
    """The first item, and all items. `UserError` when there is none."""
    items, refused = iter(_items(source)), list[tuple[int, str]]()
    if not (first := _taken(items, 1, refused)):
        raise _empty(refused)
    return first[0], chain(first, items)


def _is_feature(item: Any) -> bool:
    """One text's ids without labels: what a collator is given, not what a model is."""
    if not isinstance(item, Mapping):
        return isinstance(item, list) and all(isinstance(id, int) for id in item)
    ids = item.get("tokens", item.get("input_ids"))
    return "labels" not in item and ids is not None and np.ndim(ids[0] if len(ids) else 0) == 0


def _numbered(feature: Any, number: int) -> Any:
    """The feature with its place as its index, as `md.hf.Indexed` gives it."""
    if not isinstance(feature, Mapping):
        return {"input_ids": feature, "index": number}
    return feature if any(feature.get(name) is not None for name in INDEX) else {**feature, "index": number}


def of_path(source: str | Path, reader: Source, tokenizer: Any, progress: Any) -> Evidence:
    """A file or folder of text, a prepared corpus, a saved dataset, `hf:NAME`, or a run."""
    from maskdial.audit.paths import corpus_of, dataset_of, of_corpus, run_of

    if tokenizer is not None and not isinstance(tokenizer, str | Path):
        raise UserError("a path is read by a tokenizer on disk", hint="give tokenizer= its folder or file", code="audit.tokenizer")
    path = Path(source).expanduser()
    if (dataset := dataset_of(path)) is not None:
        reader.guest = None if tokenizer is None else guest(tokenizer)
        found = reader.read(dataset)
        found.source = str(source)
        return found
    of = partial(of_corpus, name=str(source), rows=reader.rows, epochs=reader.epochs)
    if (path / "config.json").is_file() and (path / "tokenizer").is_dir():
        return run_of(path, of)
    return of(corpus_of(str(source), tokenizer, progress), objective=reader.objective, seed=reader.seed)
