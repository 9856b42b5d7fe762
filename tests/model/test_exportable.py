"""Each shape gives the logits of a Hugging Face class that has no code of ours, from the same numbers."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from maskdial.model import Model
from maskdial.model.position import half_split
from tests.model.helpers import V, double, model, single

hf = pytest.importorskip("transformers", reason="transformers is not installed (pip install 'maskdial[hf]')")
Weights = dict[str, Tensor]


def single_stack(m: Model) -> Weights:
    """Llama's and EuroBERT's names; the logits' scale goes into the final norm."""
    made = dict.fromkeys(("model.embed_tokens.weight", "lm_head.weight"), m.embedding)
    made["model.norm.weight"] = m.stack.norm.gain * m.scale
    for i, block in enumerate(m.stack.blocks):
        pre, heads = f"model.layers.{i}.", m.config.heads
        q, k, v = block.attention.qkv.weight.chunk(3)
        gate, up = block.inner.gate_up.weight.chunk(2)
        made |= {f"{pre}self_attn.q_proj.weight": half_split(q, heads), f"{pre}self_attn.k_proj.weight": half_split(k, heads),
                 f"{pre}self_attn.v_proj.weight": v, f"{pre}self_attn.o_proj.weight": block.attention.out.weight,
                 f"{pre}mlp.gate_proj.weight": gate, f"{pre}mlp.up_proj.weight": up,
                 f"{pre}mlp.down_proj.weight": block.inner.down.weight}  # fmt: skip
        made |= {f"{pre}{norm}_layernorm.weight": torch.ones(m.config.d) for norm in ("input", "post_attention")}
    return made


def two_stacks(m: Model) -> Weights:
    """T5's names; T5 does not divide scores by the root of the head width, so q carries it."""
    made = dict.fromkeys(("shared.weight", "lm_head.weight", "encoder.embed_tokens.weight", "decoder.embed_tokens.weight"), m.embedding)
    for side, stack in (("encoder", m.source), ("decoder", m.stack)):
        made |= {f"{side}.final_layer_norm.weight": stack.norm.gain,
                 f"{side}.block.0.layer.0.SelfAttention.relative_attention_bias.weight": stack.place.table}  # fmt: skip
        for i, block in enumerate(stack.blocks):
            parts = [("SelfAttention", [*block.attention.qkv.weight.chunk(3), block.attention.out.weight])]
            if block.cross is not None:
                parts.append(("EncDecAttention", [block.cross.q.weight, *block.cross.kv.weight.chunk(2), block.cross.out.weight]))
            for number, (name, (q, k, v, out)) in enumerate(parts):
                weights = {"q": q * m.config.head_width**-0.5, "k": k, "v": v, "o": out}
                made |= {f"{side}.block.{i}.layer.{number}.{name}.{letter}.weight": w for letter, w in weights.items()}
            last = f"{side}.block.{i}.layer.{len(parts)}.DenseReluDense"
            gate, up = block.inner.gate_up.weight.chunk(2)
            made |= {f"{last}.wi_0.weight": gate, f"{last}.wi_1.weight": up, f"{last}.wo.weight": block.inner.down.weight}
            made |= {f"{side}.block.{i}.layer.{n}.layer_norm.weight": torch.ones(m.config.d) for n in range(len(parts) + 1)}
    return made


@pytest.mark.parametrize(("name", "order"), [("Llama", "causal"), ("EuroBert", "bidirectional")])
@torch.no_grad()
def test_single_stack(name: str, order: str) -> None:
    m, batch = model(dtype=torch.float32), single(order)
    c = m.config
    config = getattr(hf, f"{name}Config")(
        vocab_size=V, hidden_size=c.d, intermediate_size=c.ffn, num_hidden_layers=c.layers, num_attention_heads=c.heads,
        num_key_value_heads=c.heads, rms_norm_eps=c.norm_eps, tie_word_embeddings=True, pad_token_id=0, bos_token_id=1, eos_token_id=2,
        mask_token_id=3, rope_parameters={"rope_type": "default", "rope_theta": c.rotary_base},
    )  # fmt: skip
    theirs = (hf.LlamaForCausalLM if name == "Llama" else hf.EuroBertForMaskedLM)(config).eval()
    theirs.load_state_dict(single_stack(m))
    torch.testing.assert_close(theirs(batch["read"].long()).logits, m(batch), rtol=1e-4, atol=1e-5)


@torch.no_grad()
def test_two_stacks() -> None:
    m, batch = model("encoder-decoder", dtype=torch.float32), double(source=40)
    c = m.config
    config = hf.T5Config(
        vocab_size=V, d_model=c.d, d_kv=c.head_width, d_ff=c.ffn, num_layers=c.source_layers, num_decoder_layers=c.layers,
        num_heads=c.heads, relative_attention_num_buckets=c.buckets, relative_attention_max_distance=c.max_distance, dropout_rate=0.0,
        layer_norm_epsilon=c.norm_eps, feed_forward_proj="gated-silu", tie_word_embeddings=True, pad_token_id=0,
        decoder_start_token_id=0, eos_token_id=2,
    )  # fmt: skip
    theirs = hf.T5ForConditionalGeneration(config).eval()
    theirs.load_state_dict(two_stacks(m))
    made = theirs(input_ids=batch["source_read"].long(), decoder_input_ids=batch["answer_read"].long()).logits
    torch.testing.assert_close(made, m(batch), rtol=1e-4, atol=1e-5)
