"""Our parameters under the names of transformers, and back: the same function from the same numbers (docs/decisions/010).

On the way out the scale of the logits goes into the final norm (Llama, EuroBERT; T5 has `scale_decoder_outputs`), rotary pairs
from (2j, 2j + 1) to (j, j + K/2), and K^-½ into T5's W_q, which does not divide its scores. On the way back a gain inside a block,
which ours has not, becomes a factor of the columns of the matrices that read it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import torch
from torch import Tensor

from maskdial.interop.classes import transformers
from maskdial.model import Model, ModelConfig
from maskdial.model.position import half_split

Weights = dict[str, Tensor]
#: the names of T5's parts, and ours
SIDES = (("encoder", "source"), ("decoder", "stack"))


def config_for(config: ModelConfig, classname: str, ids: Mapping[str, Any]) -> Any:
    """transformers' config of a model of ours; `ids` are its special tokens' and other settings."""
    c, package = config, transformers()
    if classname == "T5ForConditionalGeneration":
        return package.T5Config(
            vocab_size=c.vocab_size, d_model=c.d, d_kv=c.head_width, d_ff=c.ffn, num_layers=c.source_layers, num_decoder_layers=c.layers,
            num_heads=c.heads, relative_attention_num_buckets=c.buckets, relative_attention_max_distance=c.max_distance, dropout_rate=0.0,
            layer_norm_epsilon=c.norm_eps, feed_forward_proj="gated-silu", tie_word_embeddings=True, **ids,
        )  # fmt: skip
    kind = package.LlamaConfig if classname.startswith("Llama") else package.EuroBertConfig
    return kind(
        vocab_size=c.vocab_size, hidden_size=c.d, intermediate_size=c.ffn, num_hidden_layers=c.layers, num_attention_heads=c.heads,
        num_key_value_heads=c.heads, head_dim=c.head_width, hidden_act="silu", rms_norm_eps=c.norm_eps, tie_word_embeddings=not c.parts,
        rope_parameters={"rope_type": "default", "rope_theta": c.rotary_base}, **ids,
    )  # fmt: skip


def outward(m: Model, classname: str) -> Weights:
    """All parameters of a class of transformers from a model's; every tensor is a new one. A `part` table's first row, which is
    added to every token of a single text, goes into the input embedding alone."""
    weights = two_stacks(m) if m.source is not None else single_stack(m)
    if classname == "EuroBertModel":  # a trunk has no projection, so the scale is not its own
        weights = {n.removeprefix("model."): w for n, w in weights.items() if n != "lm_head.weight"} | {"norm.weight": m.stack.norm.gain}
    return {name: w.detach().clone() for name, w in weights.items()}


def single_stack(m: Model) -> Weights:
    read = m.embedding if m.part is None else m.embedding + m.part.table[0]
    made = {"model.embed_tokens.weight": read, "lm_head.weight": m.embedding, "model.norm.weight": m.stack.norm.gain * m.scale}
    one, heads = torch.ones(m.config.d), m.config.heads
    blocks: Any = m.stack.blocks
    for i, block in enumerate(blocks):
        q, k, v = block.attention.qkv.weight.chunk(3)
        gate, up = block.inner.gate_up.weight.chunk(2)
        parts = {"self_attn.q_proj": half_split(q, heads), "self_attn.k_proj": half_split(k, heads), "self_attn.v_proj": v,
                 "self_attn.o_proj": block.attention.out.weight, "mlp.gate_proj": gate, "mlp.up_proj": up,
                 "mlp.down_proj": block.inner.down.weight, "input_layernorm": one, "post_attention_layernorm": one}  # fmt: skip
        made |= {f"model.layers.{i}.{name}.weight": w for name, w in parts.items()}
    return made


def two_stacks(m: Model) -> Weights:
    names = ("shared.weight", "lm_head.weight", "encoder.embed_tokens.weight", "decoder.embed_tokens.weight")
    made: Weights = dict.fromkeys(names, m.embedding)
    one, shrink = torch.ones(m.config.d), m.config.head_width**-0.5
    for side, ours in SIDES:
        stack = getattr(m, ours)
        made |= {f"{side}.final_layer_norm.weight": stack.norm.gain,
                 f"{side}.block.0.layer.0.SelfAttention.relative_attention_bias.weight": stack.place.table}  # fmt: skip
        for i, block in enumerate(stack.blocks):
            q, k, v = block.attention.qkv.weight.chunk(3)
            parts = {"layer.0.SelfAttention": (q * shrink, k, v, block.attention.out.weight)}
            if block.cross is not None:
                parts["layer.1.EncDecAttention"] = (block.cross.q.weight * shrink, *block.cross.kv.weight.chunk(2), block.cross.out.weight)
            for name, four in parts.items():
                made |= {f"{side}.block.{i}.{name}.{letter}.weight": w for letter, w in zip("qkvo", four, strict=True)}
            gate, up = block.inner.gate_up.weight.chunk(2)
            last = f"{side}.block.{i}.layer.{len(parts)}"
            made |= {f"{last}.DenseReluDense.wi_0.weight": gate, f"{last}.DenseReluDense.wi_1.weight": up,
                     f"{last}.DenseReluDense.wo.weight": block.inner.down.weight}  # fmt: skip
            made |= {f"{side}.block.{i}.layer.{n}.layer_norm.weight": one for n in range(len(parts) + 1)}
    return made


def inward(weights: Mapping[str, Tensor], config: ModelConfig) -> Weights:
    """A model's parameters by our names, from those of a folder that `outward` filled, trained further there or not.

    `KeyError` names a parameter that the folder lacks.
    """
    return dict(_from_two(weights, config) if config.shape == "encoder-decoder" else _from_single(weights, config))


def _from_single(w: Mapping[str, Tensor], config: ModelConfig) -> Iterator[tuple[str, Tensor]]:
    yield "embedding", w["model.embed_tokens.weight"]
    yield "stack.norm.gain", w["model.norm.weight"] * config.d**0.5
    for i in range(config.layers):
        pre, own = f"model.layers.{i}", f"stack.blocks.{i}"
        before, after = w[f"{pre}.input_layernorm.weight"], w[f"{pre}.post_attention_layernorm.weight"]
        q, k, v, o = (w[f"{pre}.self_attn.{letter}_proj.weight"] for letter in "qkvo")
        yield f"{own}.attention.qkv.weight", torch.cat([half_joined(q, config.heads), half_joined(k, config.heads), v]) * before
        yield f"{own}.attention.out.weight", o
        yield f"{own}.inner.gate_up.weight", torch.cat([w[f"{pre}.mlp.gate_proj.weight"], w[f"{pre}.mlp.up_proj.weight"]]) * after
        yield f"{own}.inner.down.weight", w[f"{pre}.mlp.down_proj.weight"]


def _from_two(w: Mapping[str, Tensor], config: ModelConfig) -> Iterator[tuple[str, Tensor]]:
    yield "embedding", w["shared.weight"]
    grow = config.head_width**0.5
    for (side, ours), layers in zip(SIDES, (config.source_layers, config.layers), strict=True):
        yield f"{ours}.norm.gain", w[f"{side}.final_layer_norm.weight"]
        yield f"{ours}.place.table", w[f"{side}.block.0.layer.0.SelfAttention.relative_attention_bias.weight"]
        for i in range(layers):
            pre, own = f"{side}.block.{i}.layer", f"{ours}.blocks.{i}"
            norms = [w[f"{pre}.{n}.layer_norm.weight"] for n in range(2 + (side == "decoder"))]
            q, k, v, o = (w[f"{pre}.0.SelfAttention.{letter}.weight"] for letter in "qkvo")
            yield f"{own}.attention.qkv.weight", torch.cat([q * grow, k, v]) * norms[0]
            yield f"{own}.attention.out.weight", o
            if side == "decoder":
                q, k, v, o = (w[f"{pre}.1.EncDecAttention.{letter}.weight"] for letter in "qkvo")
                yield f"{own}.cross.q.weight", q * grow * norms[1]
                yield f"{own}.cross.kv.weight", torch.cat([k, v])
                yield f"{own}.cross.out.weight", o
            last = f"{pre}.{len(norms) - 1}.DenseReluDense"
            yield f"{own}.inner.gate_up.weight", torch.cat([w[f"{last}.wi_0.weight"], w[f"{last}.wi_1.weight"]]) * norms[-1]
            yield f"{own}.inner.down.weight", w[f"{last}.wo.weight"]


def half_joined(w: Tensor, heads: int) -> Tensor:
    """Rows of a q or k matrix from the published order of rotary pairs to ours: `half_split`, undone."""
    return w.reshape(heads, 2, -1, w.shape[-1]).transpose(1, 2).flatten(0, 2)
