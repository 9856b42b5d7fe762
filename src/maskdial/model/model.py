"""The model: one embedding, one or two stacks, logits from the same embedding.

It reads a `Batch` (`maskdial.batch`) as torch tensors. Who looks at whom comes with the batch.

Suffixes: B rows, S positions of the only or the answer stream, T of the source, N = B · S, D width, V vocabulary.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from maskdial.model.config import ModelConfig
from maskdial.model.heads import extra_heads
from maskdial.model.stack import Source, Stack
from maskdial.visibility.attend import Visible

#: A batch as the model reads it: `Batch.torch()`, or any mapping with the same keys.
Tensors = Mapping[str, Any]


class Model(nn.Module):
    """`build(config)` makes one. Parameters start from a seed of their own, so the global generator is never touched."""

    def __init__(self, config: ModelConfig, seed: int = 0) -> None:
        super().__init__()
        self.config = config
        self.embedding = nn.Parameter(torch.empty(config.vocab_size, config.d))
        two = config.shape == "encoder-decoder"
        self.source = Stack(config, config.source_layers, crosses=False, both_ways=True) if two else None
        self.stack = Stack(config, config.layers, crosses=two, both_ways=not two)
        self.extra = extra_heads(config)
        self.scale = config.d**-0.5
        if self.embedding.device.type != "meta":
            self._start(seed)

    @torch.no_grad()
    def _start(self, seed: int) -> None:
        """Embeddings of std 1; matrices of std (columns)^-½, those that write to the residual stream (2 · layers)^-½ of it."""
        generator = torch.Generator().manual_seed(seed)
        blocks = self.config.layers + self.config.source_layers
        for name, p in self.named_parameters():
            if p.dim() < 2 or name.endswith("place.table"):
                continue
            std = 1.0 if p is self.embedding else p.shape[1] ** -0.5
            if name.endswith(("out.weight", "down.weight")):
                std *= (2 * blocks) ** -0.5
            p.normal_(0.0, std, generator=generator)

    def hidden(self, batch: Tensors) -> Tensor:
        """Final normed hidden states of the only or the answer stream, [B, S, D]."""
        return self.hidden_at(batch, None).view(*self.shape_of(batch), self.config.d)

    def hidden_at(self, batch: Tensors, keep_N: Tensor | None) -> Tensor:
        """The same at the flat positions `keep_N` alone, [len(keep_N), D]; all of them, [N, D], for None."""
        if self.source is None:
            return self._run(self.stack, batch, "", None, keep_N)
        across = Visible.across(
            batch["answer_order"], batch["answer_segment"],
            batch["source_order"], batch["source_segment"], batch.get("source_private"),
        )  # fmt: skip
        read = self._run(self.source, batch, "source_", None, None)
        return self._run(self.stack, batch, "answer_", Source(read, across), keep_N)

    def features(self, batch: Tensors) -> Tensor:
        """Hidden states of the only stream, or of the source stream: [B, S or T, D]; for probes."""
        if self.source is None:
            return self.hidden(batch)
        return self._run(self.source, batch, "source_", None, None).view(*batch["source_read"].shape, self.config.d)

    def logits(self, x: Tensor) -> Tensor:
        """Logits of the vocabulary from hidden states [..., D] → [..., V], scaled by d^-½."""
        return torch.nn.functional.linear(x * self.scale, self.embedding)

    def forward(self, batch: Tensors) -> Tensor:
        """Logits at every position, [B, S, V]: for looking and exporting; training uses `maskdial.model.loss`."""
        return self.logits(self.hidden(batch))

    def _run(self, stack: Stack, batch: Tensors, prefix: str, source: Source | None, keep_N: Tensor | None) -> Tensor:
        visible = Visible.of(batch[prefix + "order"], batch[prefix + "segment"], batch.get(prefix + "private"))
        x_ND = torch.nn.functional.embedding(batch[prefix + "read"].reshape(-1), self.embedding)
        out: Tensor = stack(x_ND, visible, batch[prefix + "position"], batch.get(prefix + "position2"), source, keep_N)
        return out

    def shape_of(self, batch: Tensors) -> tuple[int, int]:
        """Rows and positions of the stream that answers."""
        B, S = batch["read" if self.source is None else "answer_read"].shape
        return B, S

    @property
    def num_parameters(self) -> int:
        """How many numbers are learnt; the embedding, which is also the output, counts once."""
        return sum(p.numel() for p in self.parameters())

    @property
    def device(self) -> torch.device:
        return self.embedding.device

    @property
    def dtype(self) -> torch.dtype:
        return self.embedding.dtype

    def flops(self, batch: Tensors, scored: int | None = None) -> float:
        """Training FLOPs of a batch (`ModelConfig.flops`); numpy or torch columns, real and padded positions alike."""
        rows, length = self.shape_of(batch)
        if scored is None:
            scored = sum(int((t >= 0).sum()) for name, t in batch.items() if name.startswith("target:"))
        source = 0 if self.source is None else int(batch["source_read"].shape[1])
        return self.config.flops(rows, length, scored, source)

    def extra_repr(self) -> str:
        return f"{self.num_parameters:,} parameters, {self.config.shape}, logits scaled by 1/{math.sqrt(self.config.d):.2f}"


def build(config: ModelConfig, seed: int = 0) -> Model:
    """A model with fresh parameters; `seed` decides them."""
    return Model(config, seed)
