"""Features, as a DataLoader hands them to a collator, to samples: body tokens, their columns, and the key of their noise.

A feature is ids (a list, an array, a tensor) or a mapping with `input_ids`, from which what a tokenizer put around the text
is taken away, or with `tokens`, which are body tokens already.
"""

from __future__ import annotations

import hashlib
from collections import UserDict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from maskdial.interop.guest import Guest
from maskdial.rows import Rows, rows
from maskdial.sample import Column, Samples

if TYPE_CHECKING:
    from jaxtyping import Bool, Int64

INDEX = ("index", "idx")
#: what tells a prompt from a completion, or the first text from the second: our name, TRL's two, a tokenizer's
PART = ("part", "completion_mask", "assistant_masks", "token_type_ids")
COLUMNS = ("word", "sentence", "language", "segment")
LABEL = ("label", "next_sentence_label", "sentence_order_label")


class Feature(UserDict):  # type: ignore[type-arg]
    """A mapping that is no `dict`: `Trainer` takes from a `dict` every key that the model's forward does not name, the index too."""


@dataclass(frozen=True)
class Body:
    """One feature, read: its row's tokens and columns, the key of its noise (`epoch` None: the collator's), and how many samples
    an epoch has (0: unknown)."""

    tokens: Int64[np.ndarray, " n"]
    columns: dict[str, Column]
    index: int
    epoch: int | None
    label: int | None
    of: int = 0


class Reader:
    """Reads features for an objective with the vocabulary and the spellings of a guest's tokenizer."""

    def __init__(self, objective: Any, guest: Guest, seed: int) -> None:
        self.objective, self.guest, self.vocab, self.seed = objective, guest, guest.vocab, seed
        v = self.vocab
        kept = {v.bos, v.eos, v.eod, v.unk, None}
        #: ids that are never text; the frame's own are taken away at a text's two ends
        self.never = np.zeros(v.size, dtype=bool)
        self.never[sorted({v.cls, v.sep, v.pad} - kept)] = True  # type: ignore[type-var]
        self.mixed = hasattr(objective, "members")
        members = [member.objective for member in objective.members.values()] if self.mixed else [objective]
        #: tokens of the objective's own stand at a text's ends, in what is read or in an answer
        self.framed = any(m.target.answers or any(m.frame_roles(v)[:2]) for m in members)
        self.opens = any(m.head == "open" for m in members)
        #: a data set's own `label` is a pair's only where the objective needs one
        self.labels = LABEL if "label" in objective.needs else ()

    def samples(self, features: Sequence[Any], epoch: int = 0) -> Samples:
        """The samples of these features, in their order; a feature's own epoch goes before `epoch`."""
        bodies = [self.read(feature) for feature in features]
        epochs = np.array([epoch if b.epoch is None else b.epoch for b in bodies], dtype=np.int64)
        if self.mixed:  # whose turn it is follows from the sample's number, which must go on from epoch to epoch
            bodies = [replace(b, index=b.index + e * b.of) for b, e in zip(bodies, epochs.tolist(), strict=True)]
        parts = []
        for e in np.unique(epochs).tolist():
            at = np.flatnonzero(epochs == e)
            parts.append((at, self.build(self.rows([bodies[i] for i in at]), e)))
        return parts[0][1] if len(parts) == 1 else merged(parts)

    def build(self, made: Rows, epoch: int) -> Samples:
        """The objective's samples; what its vocabulary lacks is said in the guest's words."""
        try:
            return self.objective(made, self.vocab, seed=self.seed, epoch=epoch)
        except ValueError as error:
            if not (self.guest.how and lacks_token(error)):
                raise
            raise ValueError(f"{error}. {self.guest.how}") from None

    def rows(self, bodies: Sequence[Body]) -> Rows:
        """Rows of read features; columns that some have and others lack are 0 there, `word` and `sentence` are read off the tokens."""
        columns: dict[str, list[ArrayLike]] = {}
        for name in ("part", *COLUMNS):
            fill = self.guest.starts(name)
            if fill is None and not any(name in b.columns for b in bodies):
                continue
            if name == "segment" and not all(name in b.columns for b in bodies):
                raise ValueError("some features of this batch have a `segment` column and others have none")
            columns[name] = [b.columns[name] if name in b.columns else np.zeros(len(b.tokens), dtype=np.uint8) if fill is None
                             else fill(b.tokens) for b in bodies]  # fmt: skip
        labels = [b.label for b in bodies]
        return rows([b.tokens for b in bodies], index=np.array([b.index for b in bodies], dtype=np.uint64), **columns,
                    packing="isolated" if "segment" in columns else "joined",
                    label=None if None in labels else np.array(labels, dtype=np.int32))  # fmt: skip

    def read(self, feature: Any) -> Body:
        """One feature. `ValueError` for one without ids, with columns of other lengths, or with ids that the tokenizer lacks."""
        fields = feature if isinstance(feature, Mapping) else {"input_ids": feature}
        name = "tokens" if "tokens" in fields else "input_ids"
        if name not in fields:
            raise ValueError(f"a feature needs `input_ids` (or `tokens`, body ids); this one has {sorted(map(str, fields)) or 'nothing'}")
        ids = _array(fields[name], name)
        if ids.size and not 0 <= int(ids.min()) <= int(ids.max()) < self.vocab.size:
            raise ValueError(f"ids lie in 0 … {self.vocab.size - 1:,} with this tokenizer; found {ids.min()} … {ids.max()}")
        columns = _columns(fields, ids)
        if name == "input_ids":
            keep = self.body(ids, fields, "segment" in columns)
            ids, columns = ids[keep], {key: column[keep] for key, column in columns.items()}
        index, epoch, label = (next((int(fields[k]) for k in keys if fields.get(k) is not None), None)
                               for keys in (INDEX, ("epoch",), self.labels))  # fmt: skip
        if index is not None and index < 0:
            raise ValueError(f"an index is a sample's number, from 0 up, not {index}")
        return Body(ids, columns, digest(ids) if index is None else index, epoch, label, int(fields.get("of") or 0))

    def body(self, ids: Int64[np.ndarray, " n"], fields: Mapping[str, Any], isolated: bool) -> Bool[np.ndarray, " n"]:
        """Which ids are text: not padding, not [CLS] or [SEP], and not what the objective puts around a text itself.

        An objective that frames nothing (gpt) keeps the tokenizer's begin and end tokens: there they are text to be learnt.
        """
        keep = ~self.never[ids]
        if fields.get("attention_mask") is not None:
            keep &= _array(fields["attention_mask"], "attention_mask", len(ids)) != 0
        v, opened = self.vocab, self.opens and isolated and self.vocab.bos is not None
        if self.framed and fields.get("special_tokens_mask") is not None:
            keep &= _array(fields["special_tokens_mask"], "special_tokens_mask", len(ids)) == 0
        if self.framed or opened:
            keep &= (ids != v.bos) | (v.bos in (v.eos, v.eod))
            _trim(keep, ids == v.bos)
        if self.framed:
            _trim(keep[::-1], (ids == v.eos)[::-1])
        return keep


def lacks_token(error: ValueError) -> bool:
    """Whether an objective complains of its vocabulary."""
    return "this vocabulary" in str(error)


def _trim(keep: NDArray[np.bool_], edge: NDArray[np.bool_]) -> None:
    """Take away, in place, the run of `edge` tokens that what is kept begins with."""
    if not edge.any():
        return
    kept = np.flatnonzero(keep)
    inner = np.flatnonzero(~edge[kept])
    keep[kept[: inner[0] if len(inner) else len(kept)]] = False


def _array(values: Any, name: str, length: int | None = None) -> NDArray[np.int64]:
    """One number a token, whatever holds them."""
    found = np.asarray(values)
    if found.ndim == 2 and len(found) == 1:  # a tokenizer's return_tensors="pt" of one text
        found = found[0]
    if found.ndim != 1 or (found.size and found.dtype.kind not in "iub"):
        raise ValueError(f"`{name}` must be a list of whole numbers, one a token; it is {found.dtype} of shape {found.shape}")
    if length is not None and len(found) != length:
        raise ValueError(f"`{name}` must have one value a token: {length}, not {len(found)}")
    return found.astype(np.int64)


def _columns(fields: Mapping[str, Any], ids: NDArray[np.int64]) -> dict[str, Column]:
    """Our columns under whatever name they come."""
    made: dict[str, Column] = {}
    for name in COLUMNS:
        if fields.get(name) is not None:
            made[name] = _array(fields[name], name, len(ids))
    if "word" not in made and fields.get("word_ids") is not None:
        number = _array([-1 if w is None else w for w in fields["word_ids"]], "word_ids", len(ids))
        made["word"] = (np.diff(number, prepend=-2) != 0) | (number < 0)
    for name in PART:
        if fields.get(name) is not None:
            part = _array(fields[name], name, len(ids))
            if name != "token_type_ids" or part.any():  # a tokenizer gives zeros to a single text
                made["part"] = part
            break
    return made


def digest(tokens: NDArray[np.int64]) -> int:
    """64 bits of a text's tokens, for a feature without an index: the same text has the same noise in an epoch."""
    made = hashlib.blake2b(tokens.astype("<i4").tobytes(), digest_size=8, person=b"maskdial/index")
    return int.from_bytes(made.digest(), "little")


def merged(parts: Sequence[tuple[NDArray[np.int64], Samples]]) -> Samples:
    """One table of samples whose rows belong at the places given, of one objective (a batch over the border of two epochs)."""
    first = parts[0][1]
    at = np.concatenate([place for place, _ in parts])
    back = np.argsort(at)
    lengths = np.concatenate([np.diff(part.offsets) for _, part in parts])
    starts = np.cumsum(lengths) - lengths
    offsets = np.concatenate([[0], np.cumsum(lengths[back])]).astype(np.int64)
    source = np.repeat(starts[back] - offsets[:-1], lengths[back]) + np.arange(offsets[-1])

    def column(name: str) -> Column:
        return np.concatenate([part.column(name) for _, part in parts])[source]

    asked = [f"{kind}:{h.name}" for h in first.heads for kind in ("target", "weight")]
    names = ["read", "position", "segment", "stream", "order", *first.extras, *asked]
    made: dict[str, Column | Callable[[], Column]] = {name: partial(column, name) for name in names}
    index, body = (np.concatenate([getattr(part, name) for _, part in parts])[back] for name in ("index", "body"))
    return Samples(offsets, index, made, first.heads, first.layout, first.objective, body, first.pad, first.start, first.placed)
