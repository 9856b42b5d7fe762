"""Samples as Hugging Face's models want them: `input_ids`, `attention_mask`, `labels` and the rest of a forward's keywords.

Our target stands at the position that must say it. Models of class …ForCausalLM compare the logits at i with the label at
i + 1, so a target moves one place to the right for them, and a row whose last position is asked grows by one position of
padding: nothing is lost. All others compare in place.

Suffixes: B rows, S positions of the only stream, A of the answer.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Literal, get_args

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from maskdial.batch import FILL, Batch
from maskdial.sample import SILENT, Head, Layout, Samples
from maskdial.visibility.attend import Visible

Arrays = dict[str, Any]
Labels = Literal["auto", "shifted", "in_place", "shift_labels"]

CHOICES = {
    "layout": (None, *get_args(Layout)), "labels": get_args(Labels), "decoder_inputs": ("model", "given"),
    "documents": ("mask", "positions"), "positions": ("auto", "given", "model"),
}  # fmt: skip
#: what BertForPreTraining and AlbertForPreTraining call their sentence heads
SENTENCE = {"next_sentence": "next_sentence_label", "sentence_order": "sentence_order_label"}
#: columns that only SpanBERT's head reads
BOUNDARY = ("left", "right", "offset")


@dataclass(frozen=True)
class Edge:
    """How samples are spelt; the options of `Collator`."""

    layout: Layout | None = None
    labels: Labels = "auto"
    decoder_inputs: Literal["model", "given"] = "model"
    heads: tuple[str, ...] | None = None
    documents: Literal["mask", "positions"] = "mask"
    positions: Literal["auto", "given", "model"] = "auto"
    first_position: int = 0
    pad_to_multiple_of: int = 1
    dtype: torch.dtype = torch.float32

    def __post_init__(self) -> None:
        for name, known in CHOICES.items():
            if getattr(self, name) not in known:
                raise ValueError(f"{name}={getattr(self, name)!r} is none of {', '.join(map(repr, known))}")
        if self.pad_to_multiple_of < 1:
            raise ValueError(f"pad_to_multiple_of is 1 or more, not {self.pad_to_multiple_of}")

    def __call__(self, samples: Samples) -> Arrays:
        layout = self.layout or samples.layout
        arrays = self.two_streams(samples) if layout == "encoder-decoder" else self.one_stream(samples, layout)
        return {k: torch.from_numpy(_plain(v)) if isinstance(v, np.ndarray) else v for k, v in arrays.items()}

    def shifts(self, layout: Layout) -> bool:
        """Whether labels are moved for a model that moves them back."""
        return self.labels == "shifted" or (self.labels == "auto" and layout == "decoder")

    def one_stream(self, samples: Samples, layout: Layout) -> Arrays:
        b = samples.batch(layout)
        heads, shift = self.asked(samples), self.shifts(layout)
        over = shift and any((b[f"target:{h.name}"][:, -1:] != SILENT).any() for h in heads if h.name not in SENTENCE)
        b = self.widened(b, samples.pad, int(over))
        if self.labels == "auto" and layout == "decoder" and not _says_next(b, heads):
            raise ValueError(f"{samples.objective} asks some positions in place, not for what comes next, so it depends on the model where "
                             "its labels go: labels='shifted' for a class that shifts them inside (…ForCausalLM), labels='in_place' for "
                             "one that does not, labels='shift_labels' for one that takes that keyword")  # fmt: skip
        out: Arrays = {"input_ids": b["read"]} | self.sight(b, layout)
        if "part" in b:
            out["token_type_ids"] = b["part"]
        for name in samples.extras:
            if name not in ("private", "part") and (name not in BOUNDARY or any(h.form == "boundary" for h in heads)):
                out[name] = b[name]
        out |= self.answers(b, heads, shift)
        if self.labels == "shift_labels":
            out["shift_labels"] = out["labels"]
        return out

    def sight(self, b: Batch, layout: Layout) -> Arrays:
        """`attention_mask` [B, S] where the model's own sight is the samples', else 0 and the dtype's minimum [B, 1, S, S]."""
        plain = _plain_sight(b, layout)
        out: Arrays = {"attention_mask": b["segment"] >= 0}
        if not plain and self.documents == "positions":
            _only_documents(b)
            out = {"use_cache": False}  # a model that keeps a cache does not look for documents in the positions
        elif not plain:
            out["attention_mask"] = self.dense(b)
        if self.positions == "given" or (self.positions == "auto" and not _counted(b)) or "attention_mask" not in out:
            out["position_ids"] = b["position"] + self.first_position
        return out

    def dense(self, b: Batch, prefix: str = "") -> Tensor:
        """The order as numbers to add to the scores; a position that sees nothing (padding) sees itself, which no other reads."""
        order, segment = (torch.from_numpy(np.ascontiguousarray(b[prefix + name])) for name in ("order", "segment"))
        private = torch.from_numpy(b[f"{prefix}private"]) if f"{prefix}private" in b else None
        seen_BSS = Visible.of(order, segment, private).dense()
        seen_BSS = seen_BSS | (~seen_BSS.any(-1, keepdim=True) & torch.eye(order.shape[1], dtype=torch.bool))
        return torch.full(seen_BSS.shape, torch.finfo(self.dtype).min, dtype=self.dtype).masked_fill_(seen_BSS, 0)[:, None]

    def two_streams(self, samples: Samples) -> Arrays:
        b = self.widened(samples.batch("encoder-decoder"), samples.pad, 0)
        if self.labels not in ("auto", "in_place"):
            raise ValueError("an encoder–decoder's labels stand in place: leave `labels` alone")
        _encoder_decoder_sight(b, samples.objective)
        out: Arrays = {"input_ids": b["source_read"], "attention_mask": b["source_segment"] >= 0}
        out |= self.answers(b, self.asked(samples), False)
        if self.decoder_inputs == "given" or not _shifted_labels_are_read(b, out["labels"], samples.pad):
            out["decoder_input_ids"] = b["answer_read"]
        if not _plain_sight(b, "decoder", "answer_"):
            out["decoder_attention_mask"] = self.dense(b, "answer_")
        if self.positions == "given":
            out |= {"position_ids": b["source_position"] + self.first_position}
            out |= {"decoder_position_ids": b["answer_position"] + self.first_position}
        elif self.positions == "auto" and not all(_counted(b, part) for part in ("source_", "answer_")):
            raise ValueError(f"{samples.objective} numbers its positions itself, and T5 and BART take none: positions='model' lets the "
                             "model count (right where positions are relative), positions='given' gives them, decoder_position_ids "
                             "too")  # fmt: skip
        return out

    def asked(self, samples: Samples) -> list[Head]:
        """The heads that are put out; one that judges what a generator drew has no answers yet."""
        known = [h.name for h in samples.heads]
        if self.heads is None:
            return [h for h in samples.heads if h.form != "drawn"]
        for name in self.heads:
            if name not in known:
                raise ValueError(f"{samples.objective} has no head {name!r}: its heads are {', '.join(known)}")
        return [h for h in samples.heads if h.name in self.heads]

    def answers(self, b: Batch, heads: Iterable[Head], shift: bool) -> Arrays:
        """Labels and, where they are not 1, weights of each head; the first head's are `labels`, a sentence's one number a row."""
        out: Arrays = {}
        for head in heads:
            target, weight = b[f"target:{head.name}"], b[f"weight:{head.name}"]
            if head.name in SENTENCE:
                if (target[:, 1:] != SILENT).any():
                    raise ValueError(f"{head.name} is asked once a row, at its first position: give each pair a row of its own")
                out[SENTENCE[head.name]] = target[:, 0]
                continue
            suffix = f"_{head.name}" if "labels" in out else ""
            out[f"labels{suffix}"] = moved(target, SILENT) if shift else target
            if (weight[target != SILENT] != 1).any():
                out[f"weights{suffix}"] = moved(weight, 0) if shift else weight
        return out

    def widened(self, b: Batch, pad: int, more: int) -> Batch:
        """Every array with `more` columns of padding, and as many again as `pad_to_multiple_of` wants."""
        for name, values in b.items():
            width = -(-(values.shape[1] + more) // self.pad_to_multiple_of) * self.pad_to_multiple_of
            fill = pad if name.endswith("read") else FILL.get(name.split(":")[0].removeprefix("source_").removeprefix("answer_"), 0)
            if width > values.shape[1]:
                b[name] = np.pad(values, ((0, 0), (0, width - values.shape[1])), constant_values=fill)
        return b


def moved(values: NDArray[Any], fill: int) -> NDArray[Any]:
    """One place to the right; the last column holds nothing."""
    out = np.full_like(values, fill)
    out[:, 1:] = values[:, :-1]
    return out


def _plain(values: NDArray[Any]) -> NDArray[Any]:
    """float32 stays, everything else is int64, as Hugging Face's models index with it; the memory is the batch's own."""
    return values.astype(np.float32 if values.dtype.kind == "f" else np.int64)


def _neighbours(b: Batch, prefix: str = "") -> tuple[NDArray[np.bool_], NDArray[np.int32]]:
    """Of each two neighbours: whether they are real and of one document, and how much the order rises."""
    segment, order = b[prefix + "segment"], b[prefix + "order"]
    return (segment[:, 1:] == segment[:, :-1]) & (segment[:, 1:] >= 0), order[:, 1:] - order[:, :-1]


def _plain_sight(b: Batch, layout: Layout, prefix: str = "") -> bool:
    """Whether every row is one document that is read as the model reads by itself: both ways, or in rising order."""
    segment, (together, rise) = b[prefix + "segment"], _neighbours(b, prefix)
    one = (segment[:, 1:] < 0) | together
    as_asked = rise == 0 if layout == "encoder" else rise > 0
    return f"{prefix}private" not in b and bool(one.all() and (as_asked | ~together).all())


def _only_documents(b: Batch) -> None:
    together, rise = _neighbours(b)
    if "private" in b or (together & (rise <= 0)).any():
        raise ValueError("documents='positions' says only where documents begin; this sight is not causal within them: documents='mask'")


def _says_next(b: Batch, heads: Iterable[Head]) -> bool:
    """Whether no asked position sees its document's next one, so that it can only be asked for what comes."""
    together, rise = _neighbours(b)
    asked = np.logical_or.reduce([b[f"target:{h.name}"] != SILENT for h in heads if h.name not in SENTENCE])
    return "private" not in b and not (asked[:, :-1] & together & (rise <= 0)).any()


def _counted(b: Batch, prefix: str = "") -> bool:
    """Whether positions are what a model counts by itself."""
    position = b[prefix + "position"]
    return bool((np.where(b[prefix + "segment"] >= 0, position - np.arange(position.shape[1]), 0) == 0).all())


def _encoder_decoder_sight(b: Batch, name: str) -> None:
    """Hugging Face's encoder and cross attention share one mask [B, S]: all of the source is seen, from everywhere."""
    source, answer = b["source_segment"], b["answer_segment"]
    first = np.maximum(source[:, :1], answer[:, :1])
    one = all(((segment == first) | (segment < 0)).all() for segment in (source, answer))
    latest = np.where(source >= 0, b["source_order"], -1).max(axis=1, initial=-1)
    earliest = np.where(answer >= 0, b["answer_order"], np.iinfo(np.int32).max).min(axis=1, initial=np.iinfo(np.int32).max)
    if not (one and _plain_sight(b, "encoder", "source_") and (latest < earliest).all()):
        raise ValueError(f"{name}: Hugging Face's encoder–decoders have one mask for encoder and cross attention, which shows all of one "
                         "document; put one document in a row (packing='joined'), or use layout='decoder'")  # fmt: skip


def _shifted_labels_are_read(b: Batch, labels: NDArray[np.int32], pad: int) -> bool:
    """Whether the answer reads its own labels shifted right behind one start token, as a model makes its decoder's inputs."""
    read, segment = b["answer_read"], b["answer_segment"]
    same = read[:, 1:] == np.where(labels[:, :-1] == SILENT, pad, labels[:, :-1])
    return bool((same | (segment[:, 1:] < 0)).all() and (read[:, :1] == read[:1, :1]).all())
