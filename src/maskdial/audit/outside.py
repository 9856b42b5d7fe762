"""Anybody's batches, read from outside: what a model would be given, as rows.

Hugging Face's keywords (`input_ids`, `labels`, `attention_mask` in 2, 3 or 4 dimensions, `position_ids`, `decoder_input_ids`), a
pair (x, y), or one of maskdial's own batches. Whether labels stand in place, are shifted by the model, or were shifted
already, is read off the labels themselves.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from maskdial.audit.row import Form, Row
from maskdial.errors import UserError
from maskdial.sample import SILENT, sight

if TYPE_CHECKING:
    from jaxtyping import Bool, Int64

    from maskdial.vocab import Vocab

Labels = Literal["auto", "shifted", "in_place"]
#: from this share on, labels are taken to be the row itself, or the row one place on
NEARLY = 0.9


@dataclass
class Raw:
    """One row as it came: labels where they were given, None without any. `pair`: it was a pair (x, y), whose y is no model's to
    shift; `own`: one of maskdial's batches."""

    fields: dict[str, NDArray[Any]]
    pair: bool = False
    own: bool = False

    @property
    def read(self) -> Int64[np.ndarray, " s"]:
        return self.fields["input_ids"].astype(np.int64)

    @property
    def labels(self) -> Int64[np.ndarray, " t"] | None:
        return self.fields["labels"].astype(np.int64) if "labels" in self.fields else None

    @property
    def two(self) -> bool:
        labels = self.labels
        return "decoder_input_ids" in self.fields or (labels is not None and len(labels) != len(self.read))


def raws(batch: Any) -> list[Raw]:
    """The rows of a batch, or the one row of a feature. `UserError` for what is neither."""
    pair = isinstance(batch, tuple | list) and len(batch) == 2 and all(hasattr(half, "shape") for half in batch)
    given = {"input_ids": batch[0], "labels": batch[1]} if pair else batch
    if not isinstance(given, Mapping) and not hasattr(given, "keys"):
        raise UserError(f"a batch is a mapping of a model's keywords or a pair (x, y), not {type(batch).__name__}", code="audit.batch",
                        hint="give batches with input_ids and labels, or (collator, features)")  # fmt: skip
    own = "read" in given or "source_read" in given
    arrays = {name: _array(value) for name, value in _own(given).items()} if own else _arrays(given)
    if "input_ids" not in arrays:
        raise UserError(f"a batch needs input_ids; this one has {', '.join(sorted(map(str, given.keys()))) or 'nothing'}",
                        hint="turn text into ids with a tokenizer, or audit the file that holds it", code="audit.batch")  # fmt: skip
    if arrays["input_ids"].ndim == 1:
        arrays = {name: value[None] for name, value in arrays.items()}
    ids = arrays["input_ids"]
    if ids.ndim != 2 or (ids.size and ids.dtype.kind not in "iub"):
        raise UserError(f"input_ids are whole numbers, row by row, not {ids.dtype} of shape {ids.shape}", code="audit.batch",
                        hint="give rows of token ids")  # fmt: skip
    whole = {name: _whole(name, value, len(ids)) for name, value in arrays.items() if 1 < value.ndim < 3 + 2 * (name == "attention_mask")}
    return [Raw({name: value[r] for name, value in whole.items()}, pair, own) for r in range(len(ids))]


def _whole(name: str, value: NDArray[Any], count: int) -> NDArray[Any]:
    """A row of its own for each of `count` rows; attention masks as truth (or document numbers), [B, S] or [B, S, S]."""
    if len(value) not in (1, count):
        raise UserError(f"{name} has {len(value)} rows and input_ids {count}", code="audit.batch", hint="give one to each row")
    if name == "attention_mask":
        value = value[:, 0] if value.ndim == 4 else value  # one for all heads
        value = value[:, 0] if value.ndim == 3 and value.shape[1] == 1 else value  # one for all positions
        if value.dtype.kind == "f":  # truth, or numbers to add
            added = value.min(initial=0) < 0 or (value.ndim == 3 and value.max(initial=0) <= 0)
            value = value > -1 if added else value > 0
    return np.broadcast_to(value, (count, *value.shape[1:]))


def _array(value: Any) -> NDArray[Any]:
    """An array of whatever holds it; a torch tensor of any type and device."""
    if hasattr(value, "detach"):
        value = value.detach().cpu()
        value = value.float() if value.dtype.is_floating_point else value
    try:
        return np.asarray(value)
    except ValueError:
        raise UserError("the rows of a batch have different lengths", code="audit.batch",
                        hint="pad them with a collator, or give them one by one") from None  # fmt: skip


def _arrays(given: Any) -> dict[str, NDArray[Any]]:
    known = ("input_ids", "labels", "attention_mask", "position_ids", "decoder_input_ids", "decoder_attention_mask", "shift_labels")
    return {name: _array(given[name]) for name in known if name in given and given[name] is not None}


def _own(batch: Any) -> dict[str, Any]:
    """One of maskdial's batches under a model's names."""
    two = "source_read" in batch
    before = "source_" if two else ""
    target = next(name for name in batch if name.startswith("target:"))
    made = {"input_ids": batch[before + "read"], "labels": batch[target], "segment": batch[before + "segment"]}
    if two:
        return made | {"decoder_input_ids": batch["answer_read"]}
    private = {"private": batch["private"]} if "private" in batch else {}
    return made | {"order": batch["order"], "position_ids": batch["position"]} | private


def form_of(given: Sequence[Raw], vocab: Vocab | None, labels: Labels) -> tuple[Form, bool, bool]:
    """(form, whether the model shifts labels itself, whether they came shifted although it does)."""
    if any(raw.two for raw in given):
        return "answer", False, False
    same = following = asked = masked = 0
    for raw in given:
        if (target := raw.labels) is None:
            continue
        read, at = raw.read, target != SILENT
        asked += int(at.sum())
        same += int((read == target)[at].sum())
        following += int(((read[1:] == target[:-1]) & at[:-1]).sum())
        masked += 0 if vocab is None or vocab.mask is None else int((read[at] == vocab.mask).sum())
    own = bool(given) and (given[0].pair or given[0].own or labels == "in_place")
    if not asked:
        return "next", not own, False
    last = sum(raw.labels is not None and raw.labels[-1] != SILENT for raw in given)
    copied, ahead = same / asked, following / max(1, asked - last)
    if labels == "shifted" or (not own and copied >= max(NEARLY, ahead) and not masked):
        return "next", True, labels == "shifted" and ahead >= NEARLY > copied
    if ahead >= NEARLY and not masked:
        return "next", False, not own and not any("shift_labels" in raw.fields for raw in given)
    return ("in place" if own or _in_place(given) else "answer"), False, False


def _in_place(given: Sequence[Raw]) -> bool:
    """Whether most of what is asked stands there itself, or behind one and the same id: else source and answer happen to be as long."""
    asked = [(np.zeros(0, dtype=np.int64),) * 2]
    for raw in given:
        if (labels := raw.labels) is not None:
            flags = raw.fields.get("attention_mask")
            at = (labels != SILENT) & (True if flags is None or flags.ndim > 1 else flags.astype(bool))
            asked.append((raw.read[at], labels[at]))
    read, target = (np.concatenate([pair[i] for pair in asked]) for i in (0, 1))
    hidden = read[read != target]
    commonest = np.unique(hidden, return_counts=True)[1].max(initial=0)
    return bool(2 * (len(read) - len(hidden) + commonest) >= len(read))


def row(raw: Raw, number: int, form: Form, shifts: bool, vocab: Vocab | None) -> Row:
    """A row as the checks want it: each target at the position that must say it."""
    read, labels = raw.read, raw.labels
    target = np.full(len(read), SILENT) if labels is None else labels.copy()
    if shifts and form in ("next", "elsewhere"):
        target = np.append(target[1:], SILENT)
    flags = raw.fields.get("attention_mask")
    attends, segment = (flags.astype(bool) if flags is not None and flags.ndim == 1 else None), raw.fields.get("segment")
    if attends is not None and flags is not None and flags.max(initial=0) > 1:  # a mask that numbers a row's documents
        segment = flags.astype(np.int64) - 1
    made = Row(
        number, read, _real(raw, read, attends, vocab), target, form,
        sight=partial(_sight, raw) if "order" in raw.fields or (flags is not None and flags.shape == (len(read), len(read))) else None,
        answer=raw.fields["decoder_input_ids"].astype(np.int64) if "decoder_input_ids" in raw.fields else None,
        attends=attends, position=raw.fields["position_ids"].astype(np.int64) if "position_ids" in raw.fields else None,
        segment=None if segment is None else segment.astype(np.int64),
    )  # fmt: skip
    made.body = restored(made, vocab)
    return made


def _sight(raw: Raw) -> Bool[np.ndarray, "s s"]:
    """Who sees whom, by an order or by a mask with a row for each position."""
    if "order" in raw.fields:
        return sight(raw.fields["order"], raw.fields["segment"], raw.fields.get("private"))
    return raw.fields["attention_mask"].astype(bool)


def _real(
    raw: Raw, read: Int64[np.ndarray, " s"], attends: Bool[np.ndarray, " s"] | None, vocab: Vocab | None
) -> Bool[np.ndarray, " s"]:
    """Which positions are no padding: as the mask says, else all but the padding ids at both ends (where they also end or begin
    texts, one stays behind the text, and one before it if it is alone)."""
    if "segment" in raw.fields:
        return np.asarray(raw.fields["segment"] >= 0)
    if attends is not None:
        return attends
    real = np.ones(len(read), dtype=bool)
    if "attention_mask" in raw.fields:  # a position that neither sees nor is seen
        seen = _sight(raw)
        real = np.asarray(seen.any(axis=0) | seen.any(axis=1))
    if vocab is None or vocab.pad is None:
        return real
    pads = edges(read == vocab.pad)
    if vocab.pad in (vocab.eos, vocab.eod, vocab.bos, vocab.cls) and pads.any():
        text = np.flatnonzero(~pads)
        first, last = (int(text[0]), int(text[-1])) if len(text) else (0, -1)
        pads[last + 1 : last + 2] = False
        pads[:first] = first > 1
    return np.asarray(real & ~pads)


def edges(pads: Bool[np.ndarray, " s"]) -> Bool[np.ndarray, " s"]:
    """The runs of True at both ends."""
    return np.asarray(np.logical_and.accumulate(pads) | np.logical_and.accumulate(pads[::-1])[::-1])


def text_tokens(one: Row, vocab: Vocab | None) -> int:
    """How many ordinary tokens a row reads."""
    return one.tokens if vocab is None else int((one.real & ~np.isin(one.read, list(vocab.special))).sum())


def restored(one: Row, vocab: Vocab | None) -> Int64[np.ndarray, " n"]:
    """The text behind a row, as far as its labels tell: hidden tokens put back, special ones left out."""
    if one.form == "in place":
        ids = np.where(one.scored, one.target, one.read)[one.real]
    elif one.form == "next":
        ids = one.read[one.real]
    else:
        ids = _merged(one, vocab)
    ids = ids[ids >= 0]
    return ids if vocab is None else ids[~np.isin(ids, list(vocab.special))]


def _merged(one: Row, vocab: Vocab | None) -> Int64[np.ndarray, " n"]:
    """Each sentinel of the source replaced by what the answer says of it; without sentinels, the answer."""
    said, sentinels = one.target[one.scored], () if vocab is None else vocab.sentinels
    marks = np.isin(said, sentinels)
    if not marks.any():
        return said
    pieces = {int(piece[0]): piece[1:] for piece in np.split(said, np.flatnonzero(marks)) if len(piece)}
    found = [pieces.get(int(id), np.array([id])) if id in sentinels else np.array([id]) for id in one.read[one.real].tolist()]
    return np.concatenate([*found, np.zeros(0, dtype=np.int64)])
