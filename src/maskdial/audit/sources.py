"""What can be audited, as `Evidence`: a path, features, a collator, loaders, batches, or a table of samples."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import partial
from itertools import chain, islice
from pathlib import Path
from typing import Any

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
        if first is None:
            raise UserError("there is nothing to audit: no row came", code="audit.empty")
        return self.featured(source, items) if _is_feature(first) else self.batches(source, items)

    # --- recipes --------------------------------------------------------------------------------------------------------------

    def samples(self, table: Samples) -> Evidence:
        made = rows_of(table, self.objective)
        name = f"{len(made)} samples of {table.objective or 'no name'}"
        return Evidence(name, [made], form_of_samples(table), self._vocab(), self.objective, ours=True, made=True, seed=self.seed)

    def featured(self, source: Any, items: Iterable[Any]) -> Evidence:
        """Features without labels under a recipe."""
        features = list(islice(items, self.rows))
        if self.guest is None:
            raise UserError("which ids are special is not known", hint="give tokenizer= or vocab=", code="audit.tokenizer")
        parted = isinstance(features[0], Mapping) and any(features[0].get(name) is not None for name in PART[:-1])
        objective = self.objective or getattr(source, "objective", None) or _recipe("sft" if parted else "gpt")
        reader = Reader(objective, self.guest, self.seed)
        bodies = [reader.read(_numbered(feature, n)) for n, feature in enumerate(features)]
        rows = reader.rows(bodies)
        return of_recipe(f"{len(features)} features", rows, objective, self.guest.vocab, self.epochs, self.seed,
                         [f for f in features if isinstance(f, Mapping)])  # fmt: skip

    # --- from outside -----------------------------------------------------------------------------------------------------------

    def collated(self, collator: Callable[..., Any], features: Iterable[Any]) -> Evidence:
        """A collator over features, each epoch anew."""
        held, ours = list(islice(_items(features), self.rows)), hasattr(collator, "reader") and hasattr(collator, "set_epoch")
        self._learn(collator, held)
        before, passes, refused = getattr(collator, "epoch", 0), [], list[tuple[int, str]]()
        for epoch in range(self.epochs):
            if ours:
                collator.set_epoch(epoch)  # type: ignore[attr-defined]
                given = [_numbered(feature, n) for n, feature in enumerate(held)]
            else:  # collators may change what they are given
                given = [dict(f) if isinstance(f, Mapping) else f for f in held]
            found: list[Raw] = []
            for first in range(0, len(given), BATCH):
                try:
                    found += raws(collator(given[first : first + BATCH]))
                except UserError:
                    raise
                except Exception as error:
                    refused += [(first, f"{type(error).__name__}: {error}")] if epoch == 0 else []
            passes.append(found)
        if ours:
            collator.set_epoch(before)  # type: ignore[attr-defined]
        name = f"{len(held)} features through {type(collator).__name__}"
        return self._outside(name, passes, refused=refused, features=[f for f in held if isinstance(f, Mapping)])

    def loaders(self, make: Callable[..., Any]) -> Evidence:
        """A function that returns a new loader for each epoch, and for each rank if it takes `rank`."""
        takes = inspect.signature(make).parameters
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
            try:
                batch = next(items, None)
            except Exception as error:
                refused.append((len(found), f"{type(error).__name__}: {error}"))
                break
            if batch is None:
                break
            found += raws(batch)
        return found[: self.rows]

    def _learn(self, collator: Any, features: Any) -> None:
        """What a collator knows of its tokenizer and, if it is ours, of its objective and of where its labels stand."""
        reader, tokenizer = getattr(collator, "reader", None), getattr(collator, "tokenizer", None)
        if isinstance(reader, Reader) and hasattr(collator, "edge"):
            self.guest, self.objective = self.guest or reader.guest, self.objective or reader.objective
            layout = collator.edge.layout or reader.objective.layout
            two = layout == "encoder-decoder"
            own = form_of_samples(reader.samples([features[n] for n in range(min(BATCH, len(features)))]))
            self.made = "answer" if two else "next" if own == "answer" else own, not two and collator.edge.shifts(layout)
        elif self.guest is None and tokenizer is not None:
            self.guest = guest(tokenizer)

    def _outside(self, name: str, passes: list[list[Raw]], ranks: Sequence[list[Raw]] = (), refused: Sequence[tuple[int, str]] = (),
                 features: Sequence[Mapping[str, Any]] = ()) -> Evidence:  # fmt: skip
        vocab = self._vocab()
        form, shifts, shifted = (*self.made, False) if self.made else form_of(passes[0], vocab, self.labels)
        made = [[row(raw, n, form, shifts, vocab) for n, raw in enumerate(found)] for found in (*passes, *ranks)]
        for one in made[0]:
            one.text = _text(restored(one, vocab), vocab)
        labels = any(raw.labels is not None for raw in passes[0])
        return Evidence(name, made[: len(passes)], form, vocab, self.objective, labels=labels, shifted=shifted, made=self.made is not None,
                        seed=self.seed, ranks=made[len(passes) :], features=features, refused=list(dict.fromkeys(refused)))  # fmt: skip

    def _vocab(self) -> Any:
        return None if self.guest is None else self.guest.vocab


def of_recipe(
    name: str, rows: Any, objective: Any, vocab: Any, epochs: int, seed: int, features: Sequence[Mapping[str, Any]] = ()
) -> Evidence:
    """A recipe's own samples of these rows, epoch by epoch."""
    bodies = [rows.tokens[a:b].astype(int) for a, b in zip(rows.offsets[:-1], rows.offsets[1:], strict=True)]
    tables = [objective(rows, vocab, seed=seed, epoch=epoch, provenance=True) for epoch in range(epochs)]
    passes = [rows_of(table, objective, bodies) for table in tables]
    for one, body in zip(passes[0], bodies, strict=True):
        one.text = _text(body, vocab)
    return Evidence(name, passes, form_of_samples(tables[0]), vocab, objective, ours=True, made=True, seed=seed, features=features)


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


def _peeked(source: Any) -> tuple[Any, Iterator[Any]]:
    """The first item (None: there is none), and all items."""
    items = iter(_items(source))
    first = next(items, None)
    return first, items if first is None else chain([first], items)


def _is_feature(item: Any) -> bool:
    """One text's ids without labels: what a collator is given, not what a model is."""
    if not isinstance(item, Mapping):
        return isinstance(item, list) and all(isinstance(id, int) for id in item)
    ids = item.get("tokens", item.get("input_ids"))
    return "labels" not in item and ids is not None and not hasattr(ids[0] if len(ids) else 0, "__len__") and getattr(ids, "ndim", 1) == 1


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
