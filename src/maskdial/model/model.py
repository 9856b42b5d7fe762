"""The model: one embedding, one or two stacks, logits from the same embedding.

It reads a `Batch` (`maskdial.batch`) as torch tensors. Who looks at whom comes with the batch.

Suffixes: B rows, S positions of the only or the answer stream, T of the source, N = B · S, D width, V vocabulary.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence

import torch
from torch import Tensor, nn

from maskdial.model.ahead import Ahead, embedded_ahead
from maskdial.model.config import ModelConfig
from maskdial.model.flops import flops
from maskdial.model.heads import BoundaryHead, extra_heads
from maskdial.model.linear import Table
from maskdial.model.question import Kept, Question, Tensors, union
from maskdial.model.stack import CrossAttention, Source, Stack, Trunk
from maskdial.visibility.attend import Visible

#: Positions projected at a time: about 2 MB of float32 logits a chunk on a CPU (they stay in its cache).
CPU_CHUNK_NUMBERS, DEVICE_CHUNK_NUMBERS = 1 << 19, 1 << 27
#: … but no fewer positions than this: the embedding and its gradient are read once a chunk.
LEAST_ROWS = 256


class Model(nn.Module):
    """`maskdial.model.build(config)` makes one and gives it its first parameters."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.config = config
        self.embedding = nn.Parameter(torch.empty(config.vocab_size, config.d))
        two = config.shape == "encoder-decoder"
        self.source = Stack(config, config.source_layers, crosses=False, both_ways=True) if two else None
        self.stack = Stack(config, config.layers, crosses=two, both_ways=not two or config.answer_both_ways)
        self.part = Table(config.parts, config.d) if config.parts else None
        self.extra = extra_heads(config)
        self.scale = config.d**-0.5

    @torch.no_grad()
    def start(self, seed: int) -> None:
        """Embeddings of std 1; matrices of std (columns)^-½, those that write to the residual stream (2 · layers)^-½ of it.

        What is added to something else (position and part tables) starts at 0. What an answer asks the source starts as what the
        source offers, q = k: a token looks first at its like, a sentinel at itself (docs/decisions/010). The seed's generator is its
        own.
        """
        generator = torch.Generator().manual_seed(seed)
        blocks = self.config.layers + self.config.source_layers
        for name, p in self.named_parameters():
            if p.dim() < 2 or name.endswith(("place.table", "part.table")):
                continue
            std = 1.0 if p is self.embedding or name.endswith(".table") else p.shape[1] ** -0.5
            if name.endswith(("out.weight", "down.weight")):
                std *= (2 * blocks) ** -0.5
            p.normal_(0.0, std, generator=generator)
        for module in self.modules():
            if isinstance(module, CrossAttention):
                module.q.weight.copy_(module.kv.weight[: self.config.d])

    def hidden(self, batch: Tensors) -> Tensor:
        """Final normed hidden states of the only or the answer stream, [B, S, D]: what `logits` reads."""
        return self.hidden_at(batch, None).view(*self.shape_of(batch), self.config.d)

    def hidden_at(self, batch: Tensors, keep_N: Tensor | None) -> Tensor:
        """The same at the flat positions `keep_N` alone, [len(keep_N), D]; all of them, [N, D], for None."""
        return self._final(batch, keep_N)

    def features(self, batch: Tensors) -> Tensor:
        """Hidden states of the only stream, or of the source stream: [B, S or T, D]; for probes."""
        if self.source is None:
            return self._final(batch, None).view(*self.shape_of(batch), self.config.d)
        return self._read(self.source, batch).view(*batch["source_read"].shape, self.config.d)

    def logits(self, x: Tensor) -> Tensor:
        """Logits of the vocabulary from hidden states [..., D] → [..., V], scaled by d^-½."""
        return nn.functional.linear(x * self.scale, self.embedding)

    def forward(self, batch: Tensors) -> Tensor:
        """Logits at every position, [B, S, V]: for looking and exporting; training uses `maskdial.model.loss`."""
        return self.logits(self.hidden(batch))

    def answers(self, batch: Tensors, questions: Sequence[Question]) -> Iterator[tuple[Question, Tensor]]:
        """Each question with its answer: states [N, D] to be projected (token heads), else logits, [N, C] or [N] for yes and no.

        One after another, so that what is made of one answer can go before the next one comes.
        """
        ahead = {q.head.name: q for q in questions if isinstance(self.head(q), Ahead)}
        own = [q for q in questions if q.head.name not in ahead]
        deepest = max((h.reach for name, h in self.extra.items() if isinstance(h, Ahead) and name in ahead), default=0)
        trunk = self._trunk(batch)
        last_ND = None
        if own or deepest:
            B, S = self.shape_of(batch)
            wanted = [self._looked_at(q, batch) for q in own]
            keep_N = None if deepest else union([index for indices in wanted for index in indices], B * S, self.device)
            last_ND = self.stack.last(trunk, keep_N)
            kept = Kept(self.stack.norm(last_ND), keep_N, B * S)
            for q, indices in zip(own, wanted, strict=True):
                yield q, self._read_off(q, [kept.at(index) for index in indices], batch)
        yield from self._ahead(batch, trunk, last_ND, ahead, deepest)

    def _ahead(
        self, batch: Tensors, trunk: Trunk, last_ND: Tensor | None, asked: Mapping[str, Question], deepest: int
    ) -> Iterator[tuple[Question, Tensor]]:
        """The modules that are asked, and those below them in the chain."""
        modules = {name: head for name, head in self.extra.items() if isinstance(head, Ahead) and head.reach <= deepest}
        for name, head in sorted(modules.items(), key=lambda item: item[1].reach):
            q = asked.get(name)
            if not head.reach and q is not None:
                yield q, self.stack.norm(head(trunk, None, None, q.index))
            elif head.reach:
                token_ND = embedded_ahead(batch["read"], batch["segment"], self.embedding, head.reach)
                end = head.reach == deepest  # nothing is built on the last module, so it need not be everywhere
                last_ND = head(trunk, last_ND, token_ND, q.index if end and q is not None else None)
                if q is not None:
                    yield q, self.stack.norm(last_ND if end or q.index is None else last_ND[q.index])

    def head(self, question: Question) -> nn.Module | None:
        """The module that answers a question (None: `token`, which has none)."""
        head = question.head
        if head.name == "token":
            return None
        if head.name not in self.extra:
            wanted = {"name": head.name, "kind": head.kind} | ({"form": head.form} if head.form != "plain" else {})
            raise ValueError(f"the model has no head {head.name!r}: build it with extra_heads=({wanted},)")
        return self.extra[head.name]

    def _looked_at(self, q: Question, batch: Tensors) -> list[Tensor | None]:
        """The flat positions whose final states a head is read off."""
        if not isinstance(self.head(q), BoundaryHead):
            return [q.index]
        B, S = self.shape_of(batch)
        begin_BS = torch.arange(0, B * S, S, device=self.device)[:, None].expand(B, S)
        return [q.pick(begin_BS + batch[side]) for side in ("left", "right")]

    def _read_off(self, q: Question, states: Sequence[Tensor], batch: Tensors) -> Tensor:
        head = self.head(q)
        if head is None:
            return states[0]
        out: Tensor = head(*states, q.pick(batch["offset"])) if isinstance(head, BoundaryHead) else head(*states)
        return out

    def _final(self, batch: Tensors, keep_N: Tensor | None) -> Tensor:
        out: Tensor = self.stack.norm(self.stack.last(self._trunk(batch), keep_N))
        return out

    def _trunk(self, batch: Tensors) -> Trunk:
        """The only or the answer stack up to its last block, after the source stack where there is one."""
        if self.source is None:
            return self.stack.trunk(*self._inputs(batch))
        across = Visible.across(
            batch["answer_order"], batch["answer_segment"],
            batch["source_order"], batch["source_segment"], batch.get("source_private"),
        )  # fmt: skip
        return self.stack.trunk(*self._inputs(batch, "answer_"), Source(self._read(self.source, batch), across))

    def _read(self, source: Stack, batch: Tensors) -> Tensor:
        out: Tensor = source(*self._inputs(batch, "source_"))
        return out

    def _inputs(self, batch: Tensors, prefix: str = "") -> tuple[Tensor, Visible, Tensor, Tensor | None]:
        """What a stack starts from: embedded tokens [N, D], who looks at whom, positions. A batch without parts is all part 0.

        Padding counts on from the row's own tokens, as rows without it do: then most batches need the positions of one row alone.
        """
        segment_BS, position_BS = batch[prefix + "segment"], batch[prefix + "position"]
        visible = Visible.of(batch[prefix + "order"], segment_BS, batch.get(prefix + "private"))
        place_S = torch.arange(segment_BS.shape[1], dtype=position_BS.dtype, device=position_BS.device)
        position_BS = torch.where(segment_BS < 0, place_S, position_BS)
        x_ND = nn.functional.embedding(batch[prefix + "read"].reshape(-1), self.embedding)
        if self.part is not None:
            part = batch.get(prefix + "part")
            x_ND = x_ND + (self.part.table[0] if part is None else self.part(part.reshape(-1).int()))
        second, key = batch.get(prefix + "position2"), batch.get(prefix + "position2_key")
        if second is not None and key is not None:
            second = torch.stack([second, key])
        return x_ND, visible, position_BS, second

    def shape_of(self, batch: Tensors) -> tuple[int, int]:
        """Rows and positions of the stream that answers."""
        B, S = batch["read" if self.source is None else "answer_read"].shape
        return B, S

    @property
    def chunk(self) -> int:
        """Positions whose logits are there at a time, so that they stay within a fixed size."""
        numbers = CPU_CHUNK_NUMBERS if self.device.type == "cpu" else DEVICE_CHUNK_NUMBERS
        return max(LEAST_ROWS, numbers // self.config.vocab_size)

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

    def flops(self, batch: Tensors, scored: Mapping[str, int] | None = None) -> float:
        """Training FLOPs of a batch (`maskdial.model.flops`)."""
        return flops(self.config, batch, scored)

    def extra_repr(self) -> str:
        return f"{self.num_parameters:,} parameters, {self.config.shape}, logits scaled by 1/{math.sqrt(self.config.d):.2f}"
