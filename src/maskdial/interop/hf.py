"""Hugging Face: a collator for `Trainer` and any DataLoader, and tokens for tokenizers that lack them.

    collator = md.hf.Collator("t5", tokenizer, seed=0)
    trainer = Trainer(model, args, train_dataset=dataset, data_collator=collator)
    collator.attach(trainer)            # numbers the samples, counts the epochs
"""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

from maskdial.interop.edge import Edge, Labels
from maskdial.interop.epoch import Epoch, Indexed, callback
from maskdial.interop.features import Feature, Reader, lacks_token
from maskdial.interop.grow import grow
from maskdial.interop.guest import guest
from maskdial.interop.pickles import register
from maskdial.recipes import objective as recipe
from maskdial.rows import rows
from maskdial.sample import SILENT, Layout, Samples

__all__ = ["Collator", "Indexed", "grow"]
#: rows and tokens that a new collator tries, to find out early what the tokenizer lacks
TRIAL = (16, 8)

#: keywords that some model of Hugging Face reads
KNOWN = {"input_ids", "attention_mask", "token_type_ids", "position_ids", "labels", "shift_labels", "use_cache", "decoder_input_ids",
         "decoder_attention_mask", "decoder_position_ids", "next_sentence_label", "sentence_order_label"}  # fmt: skip

#: the layout of samples for a model, by its loss
LAYOUT: dict[str | None, Layout] = {"ForCausalLM": "decoder", "ForMaskedLM": "encoder"}


class Collator:
    """Features of a batch → the keywords of a Hugging Face model's forward, torch tensors (int64; masks and weights float).

    `objective` is an `Objective`, a mixture or a recipe's name; `tokenizer` whatever `guest` reads. Noise is a function of
    (seed, objective, epoch, index): the same bits for any workers, ranks and batch sizes. The index is the feature's `index`
    or `idx` (`Indexed` and `attach` put it there), else a digest of its tokens; the epoch is the feature's, else what
    `set_epoch` or an attached Trainer said last.

    layout            encoder, decoder or encoder-decoder (default: the objective's)
    labels            "auto": shifted for decoders, in place for others; "shifted", "in_place"; "shift_labels" gives both keywords
    decoder_inputs    "model" leaves them to the model where its own shift makes the same; "given" always gives them
    heads             names of the heads to put out (default: all)
    documents         how packed rows keep documents apart: a 4-D "mask", or "positions" (no mask; flash attention can read these)
    positions         "auto": given where the model's own count is wrong; "given"; "model"
    first_position    what the model's first position is called (RoBERTa: padding id + 1)
    pad_to_multiple_of, dtype (of 4-D masks)
    """

    def __init__(
        self, objective: Any, tokenizer: Any, seed: int = 0, *, layout: Layout | None = None, labels: Labels = "auto",
        decoder_inputs: Literal["model", "given"] = "model", heads: Sequence[str] | None = None,
        documents: Literal["mask", "positions"] = "mask", positions: Literal["auto", "given", "model"] = "auto",
        first_position: int = 0, pad_to_multiple_of: int | None = None, dtype: torch.dtype = torch.float32,
    ) -> None:  # fmt: skip
        self.objective = recipe(objective) if isinstance(objective, str) else objective
        register(self.objective)
        self.edge = Edge(layout, labels, decoder_inputs, None if heads is None else tuple(heads), documents, positions, first_position,
                         pad_to_multiple_of or 1, dtype)  # fmt: skip
        self.reader, self._epoch = Reader(self.objective, guest(tokenizer), seed), Epoch()
        self._try()

    def _try(self) -> None:
        """Make some rows, so that a missing token is an error here and not in a worker's traceback an hour later."""
        vocab, (count, length) = self.reader.vocab, TRIAL
        flags, languages = np.arange(length) % 4 == 0, sorted(vocab.languages.values()) or [0]
        tried = rows(list(np.resize(vocab.body, TRIAL)), word=[flags] * count, sentence=[flags] * count, label=[0] * count,
                     part=[np.arange(length) >= length // 2] * count, language=[np.full(length, languages[0])] * count)  # fmt: skip
        try:
            made = self.reader.build(tried, 0)
        except ValueError as error:
            if lacks_token(error):
                raise
            return
        if own := sorted(_keys(self.edge, made) - KNOWN):
            print(f"maskdial: {made.objective} gives {', '.join(own)} too, which Hugging Face's models and losses pass over: see "
                  "md.hf.Collator.loss for weights, heads= to leave heads out.", file=sys.stderr, flush=True)  # fmt: skip

    def __call__(self, features: Sequence[Any]) -> dict[str, Any]:
        made = self.samples(features)
        if "part" in self.objective.needs and not made.num_scored:
            raise ValueError("no token of this batch is to be learnt: its `part` (completion_mask, assistant_masks) marks none. "
                             "A chat template without {% generation %} gives an assistant mask of zeros")  # fmt: skip
        return self.edge(made)

    def samples(self, features: Sequence[Any]) -> Samples:
        """The batch before it is spelt for a model: `collator.samples(features)[0].show()`."""
        made = self.reader.samples(features, self.epoch)
        fixed = [isinstance(f, Mapping) and f.get("epoch") is not None for f in features]
        self._epoch.watch([i for i, own in zip(made.index.tolist(), fixed, strict=True) if not own])
        return made

    @property
    def epoch(self) -> int:
        """The epoch of features that bring none."""
        return self._epoch.get()

    def set_epoch(self, epoch: int) -> None:
        """Say which pass over the data begins; call it between passes. Workers, persistent ones too, read it."""
        self._epoch.set(epoch)

    def attach(self, trainer: Any) -> None:
        """Number a Trainer's samples, tell the collator its epochs, and check that the model fits.

        Evaluation gets the noise of epoch 0 in every pass, so that its losses compare. `ValueError` when the Trainer has
        another collator, or a model with fewer embeddings than the tokenizer has ids, or whose loss shifts labels otherwise.
        """
        if trainer.data_collator is not self:
            raise ValueError("this Trainer has another data_collator: Trainer(…, data_collator=collator)")
        self.check(trainer.model)
        if trainer.train_dataset is not None:
            trainer.train_dataset = _indexed(trainer.train_dataset, None)
        held = trainer.eval_dataset
        if isinstance(held, dict):
            trainer.eval_dataset = {name: _indexed(one, 0) for name, one in held.items()}
        elif held is not None:
            trainer.eval_dataset = _indexed(held, 0)
        trainer.add_callback(callback(self._epoch))

    def check(self, model: Any) -> None:
        """`ValueError` when the tokenizer has ids that the model has no embedding for, or labels stand where its loss won't look."""
        size, have = self.reader.vocab.size, model.get_input_embeddings().weight.shape[0]
        if size > have:
            raise ValueError(f"the tokenizer has {size:,} ids and the model {have:,} embeddings: md.hf.grow(tokenizer, model), or "
                             "model.resize_token_embeddings(len(tokenizer))")  # fmt: skip
        layout: Layout = self.edge.layout or self.objective.layout
        two = bool(getattr(model.config, "is_encoder_decoder", False))
        if two != (layout == "encoder-decoder"):
            raise ValueError(f"{type(model).__name__} is {'' if two else 'no '}encoder–decoder and the samples' layout is {layout}: choose "
                             "another model, or layout=")  # fmt: skip
        start = getattr(model.config, "decoder_start_token_id", None)
        if two and self.edge.decoder_inputs == "given" and start is not None and start != self.reader.vocab.get("start"):
            raise ValueError(f"the model's decoder starts with token {start} and this vocabulary's with {self.reader.vocab.get('start')}: "
                             "decoder_inputs='model', so that training and generating start alike")  # fmt: skip
        reads, shifts = LAYOUT.get(_loss_of(model)), self.edge.shifts(layout)
        if not two and reads not in (None, layout):
            way = "left to right" if reads == "decoder" else "both ways"
            raise ValueError(f"{type(model).__name__} reads {way} by itself and the samples' layout is {layout}: layout={reads!r}")
        if not two and self.edge.labels != "shift_labels" and reads is not None and (reads == "decoder") != shifts:
            raise ValueError(f"{type(model).__name__}'s loss {'compares in place' if shifts else 'shifts labels'}: "
                             f"labels={'in_place' if shifts else 'shifted'!r}")  # fmt: skip

    def loss(self, outputs: Any, labels: Tensor, num_items_in_batch: Any = None, *, weights: Tensor | None = None) -> Tensor:
        """Σ weight · −log p of the labels / their number, for `Trainer(compute_loss_func=collator.loss)`.

        Unlike the loss inside BERT, T5 or BART it keeps to `num_items_in_batch`, so that accumulated gradients are those of
        one large batch. The model gets no labels then: encoder–decoders need decoder_inputs="given".
        """
        logits = outputs["logits"] if isinstance(outputs, Mapping) else outputs.logits
        if self.edge.shifts(self.edge.layout or self.objective.layout):
            logits, labels = logits[:, :-1], labels[:, 1:]
            weights = None if weights is None else weights[:, 1:]
        each = cross_entropy(logits.flatten(0, 1).float(), labels.flatten(), ignore_index=SILENT, reduction="none")
        total = each.sum() if weights is None else weights.flatten() @ each
        count = (labels != SILENT).sum() if num_items_in_batch is None else num_items_in_batch
        return total / count


def _loss_of(model: Any) -> str | None:
    """transformers' name for the model's loss; older classes (GPT2LMHeadModel) have none and shift, except XLNet's."""
    name = type(model).__name__
    if name.endswith("LMHeadModel") and not name.startswith("XLNet"):
        return "ForCausalLM"
    return getattr(model, "loss_type", None)


def _keys(edge: Edge, made: Samples) -> set[str]:
    """What a batch will hold; nothing when it can't be spelt, which is said when a batch is asked for."""
    try:
        return set(edge(made))
    except ValueError:
        return set()


def _indexed(dataset: Any, epoch: int | None) -> Any:
    """The dataset with indices; streams and datasets that number their samples themselves stay as they are."""
    if isinstance(dataset, Indexed) or not (hasattr(dataset, "__len__") and hasattr(dataset, "__getitem__")):
        return dataset
    if len(dataset) and isinstance(dataset[0], Feature):
        return dataset
    return Indexed(dataset, epoch)
