"""Who our training step is measured against: Hugging Face's classes, and the short loop that people write themselves."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy, gelu, scaled_dot_product_attention

if TYPE_CHECKING:
    from maskdial.batch import Batch
    from maskdial.bench.step import Size

EQUAL, AS_IT_COMES, PLAIN = "Hugging Face, no dropout", "Hugging Face, as it comes", "plain GPT loop"
Forward = Callable[["Batch"], Tensor]


def installed() -> bool:
    """Whether transformers is there."""
    return importlib.util.find_spec("transformers") is not None


def hugging_face(kind: str, size: Size, dropout: float | None) -> tuple[nn.Module, Forward]:
    """The class of that name in this size with its own loss; `dropout` None leaves its own."""
    import transformers as hf

    off: dict[str, Any] = {} if dropout is None else dict.fromkeys(DROPOUTS[kind], dropout)
    model: Any
    if kind == "bert":
        model = hf.BertForMaskedLM(hf.BertConfig(vocab_size=size.vocab, max_position_embeddings=size.length, hidden_size=size.d,
                                                 num_hidden_layers=size.layers, num_attention_heads=size.heads,
                                                 intermediate_size=4 * size.d, **off))  # fmt: skip
        return model, lambda batch: model(input_ids=batch["read"].long(), labels=batch["target:token"].long()).loss
    if kind == "gpt2":
        model = hf.GPT2LMHeadModel(hf.GPT2Config(vocab_size=size.vocab, n_embd=size.d, n_layer=size.layers, n_head=size.heads,
                                                 n_positions=size.length, use_cache=False, **off))  # fmt: skip
        return model, lambda batch: model(input_ids=batch["read"].long(), labels=batch["read"].long()).loss
    shape: dict[str, Any] = {"vocab_size": size.vocab, "d_model": size.d, "num_layers": size.layers, "num_decoder_layers": size.layers,
                             "num_heads": size.heads, "d_kv": size.d // size.heads, "d_ff": size.ffn}  # fmt: skip
    form: dict[str, Any] = {"feed_forward_proj": "gated-silu", "tie_word_embeddings": True, "pad_token_id": 0, "decoder_start_token_id": 0}
    model = hf.T5ForConditionalGeneration(hf.T5Config(use_cache=False, **shape, **form, **off))
    return model, lambda batch: model(input_ids=batch["source_read"].long(), labels=batch["target:token"].long()).loss


#: what each configuration calls its dropouts
DROPOUTS = {
    "bert": ("hidden_dropout_prob", "attention_probs_dropout_prob"),
    "gpt2": ("resid_pdrop", "embd_pdrop", "attn_pdrop"),
    "t5": ("dropout_rate",),
}


class Block(nn.Module):
    """Attention and a feed-forward part, each behind a norm."""

    def __init__(self, d: int, heads: int) -> None:
        super().__init__()
        self.heads, self.before, self.between = heads, nn.LayerNorm(d, bias=False), nn.LayerNorm(d, bias=False)
        self.qkv, self.out = nn.Linear(d, 3 * d, bias=False), nn.Linear(d, d, bias=False)
        self.up, self.down = nn.Linear(d, 4 * d, bias=False), nn.Linear(4 * d, d, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        rows, length, d = x.shape
        q, k, v = (part.view(rows, length, self.heads, -1).transpose(1, 2) for part in self.qkv(self.before(x)).split(d, -1))
        seen = scaled_dot_product_attention(q, k, v, is_causal=True).transpose(1, 2).reshape(rows, length, d)
        x = x + self.out(seen)
        return x + torch.as_tensor(self.down(gelu(self.up(self.between(x)))))


class PlainGPT(nn.Module):
    """GPT-2's shape in as few lines as people write it: learnt positions, tied embedding, logits at every position, no biases."""

    def __init__(self, size: Size) -> None:
        super().__init__()
        self.token, self.place = nn.Embedding(size.vocab, size.d), nn.Embedding(size.length, size.d)
        self.blocks = nn.Sequential(*(Block(size.d, size.heads) for _ in range(size.layers)))
        self.norm = nn.LayerNorm(size.d, bias=False)
        nn.init.normal_(self.token.weight, std=0.02)

    def forward(self, read: Tensor, target: Tensor) -> Tensor:
        x = self.token(read) + self.place.weight[: read.shape[1]]
        logits = self.norm(self.blocks(x)) @ self.token.weight.t()
        return cross_entropy(logits.flatten(0, 1), target.flatten(), ignore_index=-100)


def plain_gpt(size: Size) -> tuple[nn.Module, Forward]:
    """The plain loop."""
    model = PlainGPT(size)
    return model, lambda batch: model(batch["read"].long(), batch["target:token"].long())
