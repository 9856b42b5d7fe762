"""A class of transformers behind the interface of `maskdial.model.Model`: the same batches, sight, loss, loop and probes.

The class computes its own states; who looks at whom comes with the batch, in the class's own form where that says the same and
as a 4-D mask otherwise. The vocabulary is projected by our loss, at the scored positions alone.

Suffixes: B rows, S positions of the only or the answer stream, T of the source, N = B · S, D width, V vocabulary.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from maskdial.interop.classes import FLAGGED, RELATIVE, config_of, transformers
from maskdial.interop.shape import BodyConfig
from maskdial.model import Model
from maskdial.model.question import Question, Tensors
from maskdial.visibility.attend import Visible


class Body(Model):
    """A `Model` whose stacks are those of a class of transformers. It has the `token` head alone.

    An output projection with a bias is one more column of `embedding`, and states have a 1 behind them.
    """

    def __init__(self, config: BodyConfig, body: Any) -> None:
        nn.Module.__init__(self)
        self.config: BodyConfig = config
        self.body, self.source, self.part, self.scale, self.extra = body, None, None, 1.0, nn.ModuleDict()
        for owner in list(body.modules()):
            persistent = {n: b for n, b in owner._buffers.items() if b is not None and n not in owner._non_persistent_buffers_set}
            for name, buffer in persistent.items():  # saved with the model, so saved in a checkpoint: BART's bias of the logits
                delattr(owner, name)
                owner.register_parameter(name, nn.Parameter(buffer, requires_grad=False))
        self.takes = frozenset(inspect.signature(body.forward).parameters)
        table = getattr(getattr(body.base_model, "embeddings", None), "position_embeddings", None)
        padding = getattr(table, "padding_idx", None)
        #: what the first position is called (RoBERTa: padding id + 1), and how many there are (None: any number)
        self.first = 0 if padding is None else padding + 1
        most = None if config.type in RELATIVE else getattr(body.config, "max_position_embeddings", None)
        self.most = None if most is None else most - self.first
        self.train(self.training)

    def train(self, mode: bool = True) -> Body:
        """Dropout stays off (docs/decisions/010): a run's numbers depend on its seed and samples alone."""
        super().train(mode)
        self.body.eval()
        return self

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> Body:
        """Tables that are computed, not learnt (rotary frequencies), move to a device but keep their precision."""
        kept = {name: buffer for name, buffer in self.named_buffers() if buffer.is_floating_point()}
        super()._apply(fn, recurse)  # type: ignore[no-untyped-call]
        for name, buffer in kept.items():
            owner, _, last = name.rpartition(".")
            self.get_submodule(owner)._buffers[last] = buffer.to(self.device)
        return self

    @property
    def output(self) -> nn.Linear:
        """The projection onto the vocabulary."""
        out: nn.Linear = self.body.get_output_embeddings()
        return out

    @property
    def bias(self) -> Tensor | None:
        """What is added to the logits, [V]."""
        if self.output.bias is not None:
            return self.output.bias
        added: Tensor | None = getattr(self.body, "final_logits_bias", None)
        return None if added is None else added.view(-1)

    @property
    def embedding(self) -> Tensor:  # type: ignore[override]
        """[V, D], or [V, D + 1] with a bias."""
        weight_VD, bias = self.output.weight, self.bias
        return weight_VD if bias is None else torch.cat([weight_VD, bias[:, None]], dim=1)

    def hidden_at(self, batch: Tensors, keep_N: Tensor | None) -> Tensor:
        """What the output projection reads, at the flat positions `keep_N` or at all."""
        x_ND = self._states(batch).flatten(0, 1)
        x_ND = x_ND if keep_N is None else x_ND.index_select(0, keep_N)
        return x_ND if self.bias is None else torch.cat([x_ND, x_ND.new_ones(len(x_ND), 1)], dim=1)

    def hidden(self, batch: Tensors) -> Tensor:
        return self.hidden_at(batch, None).view(*self.shape_of(batch), -1)

    def logits(self, x: Tensor) -> Tensor:
        return nn.functional.linear(x[..., : self.output.in_features], self.output.weight, self.bias)

    def features(self, batch: Tensors) -> Tensor:
        """The last states of the only stack, or of the source's: [B, S or T, D]."""
        if self.config.shape == "encoder-decoder":
            return self._source(batch)
        out: Tensor = self.body.base_model(**self._inputs_of(batch)).last_hidden_state
        return out

    def answers(self, batch: Tensors, questions: Sequence[Question]) -> Iterator[tuple[Question, Tensor]]:
        for q in questions:
            if q.head.name != "token":
                raise ValueError(f"{self.config.classname} has no head {q.head.name!r}: it says tokens alone")
            yield q, self.hidden_at(batch, q.index)

    def shape_of(self, batch: Tensors) -> tuple[int, int]:
        B, S = batch["answer_read" if self.config.shape == "encoder-decoder" else "read"].shape
        return B, S

    @property
    def device(self) -> torch.device:
        return self.output.weight.device

    @property
    def dtype(self) -> torch.dtype:
        return self.output.weight.dtype

    def flops(self, batch: Tensors, scored: Mapping[str, int] | None = None) -> float:
        return self.config.flops(batch, scored)

    def _states(self, batch: Tensors) -> Tensor:
        """[B, S, D]: the class runs with a projection that is asked at no position, and what would enter it is kept."""
        held: list[Tensor] = []

        def keep(_: nn.Module, given: tuple[Tensor, ...]) -> tuple[Tensor]:
            held.append(given[0])
            return (given[0][:, :0],)

        handle = self.output.register_forward_pre_hook(keep)
        try:
            self.body(**self._inputs_of(batch))
        finally:
            handle.remove()
        return held[0]

    def _source(self, batch: Tensors) -> Tensor:
        """The source stack's last states, [B, T, D]."""
        seen = self.sight(batch, "source_", "none")
        out: Tensor = self.body.get_encoder()(input_ids=self._ids(batch, "source_"), attention_mask=seen).last_hidden_state
        return out

    def _ids(self, batch: Tensors, prefix: str = "") -> Tensor:
        read_BS: Tensor = batch[prefix + "read"]
        if self.most is not None and read_BS.shape[1] > self.most:
            raise ValueError(f"{self.config.classname} has {self.most:,} positions, not {read_BS.shape[1]:,}")
        return read_BS.long()

    def _inputs_of(self, batch: Tensors) -> dict[str, Any]:
        """The keywords of the class's forward."""
        if self.config.shape == "encoder-decoder":
            from transformers.modeling_outputs import BaseModelOutput

            across = Visible.across(batch["answer_order"], batch["answer_segment"], batch["source_order"], batch["source_segment"],
                                    batch.get("source_private"))  # fmt: skip
            B, T = batch["source_read"].shape
            open_BT = torch.ones(B, T, dtype=torch.long, device=self.device)
            return {"encoder_outputs": BaseModelOutput(last_hidden_state=self._source(batch)), "use_cache": False,
                    "attention_mask": open_BT if across.form == "none" else self._dense(across),
                    "decoder_input_ids": self._ids(batch, "answer_"),
                    "decoder_attention_mask": self.sight(batch, "answer_", "causal")}  # fmt: skip
        made = {"input_ids": self._ids(batch), "attention_mask": self.sight(batch, "", self.config.own_sight),
                "position_ids": batch["position"].long() + self.first}  # fmt: skip
        if "use_cache" in self.takes:
            made["use_cache"] = False
        return made

    def sight(self, batch: Tensors, prefix: str, own: str) -> Any:
        """`attention_mask`: all open, [B, S], where the class's own sight is the samples'; else 4-D, for ModernBERT by kind of layer."""
        seen = Visible.of(batch[prefix + "order"], batch[prefix + "segment"], batch.get(prefix + "private"))
        if seen.form == own:
            return torch.ones(seen.shape[:2], dtype=torch.long, device=self.device)
        dense = self._dense(seen)
        if self.config.type != "modernbert":
            return dense
        at = torch.arange(seen.shape[1], device=self.device)
        far = (at[:, None] - at[None, :]).abs() > self.body.config.sliding_window
        return {"full_attention": dense, "sliding_attention": dense.masked_fill(far, torch.finfo(dense.dtype).min)}

    def _dense(self, seen: Visible) -> Tensor:
        """What is added to the scores, [B, 1, Q, K]: 0 where visible, the dtype's minimum elsewhere; what sees nothing is left open."""
        B, Q, K = seen.shape
        open_BQK = seen.dense() | seen.blind()[:, :, None]
        zeros = torch.zeros(B, 1, Q, K, dtype=self.dtype, device=self.device)
        return zeros.masked_fill_(~open_BQK[:, None], torch.finfo(self.dtype).min)


def body_of(config: BodyConfig, seed: int = 0) -> Any:
    """The class of transformers, with fresh parameters; `seed` decides them and the global generator stays as it was."""
    package = transformers()
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        made = getattr(package, config.classname)(config_of(config.type, config.settings))
    for name in config.untied:
        owner, _, last = name.rpartition(".")
        module = made.get_submodule(owner)
        module.register_parameter(last, nn.Parameter(getattr(module, last).detach().clone()))
        made.all_tied_weights_keys.pop(name, None)
    return made


def told(type: str, classname: str, settings: dict[str, Any]) -> dict[str, Any]:
    """The settings with the flag by which some classes know that they read left to right."""
    return settings | {"is_decoder": not classname.endswith("MaskedLM")} if type in FLAGGED else settings
