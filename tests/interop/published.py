"""Published folders made on the spot: very small models of transformers' classes with a tokenizer, and a text in its words."""

from pathlib import Path

import numpy as np
import torch

from tests.interop.guests import TEXTS, WORDS, bytes_engine, engine

FRAMES = {
    "bert": ({"pad": "[PAD]", "cls": "[CLS]", "sep": "[SEP]", "mask": "[MASK]", "unk": "[UNK]"}, "[CLS] $A [SEP]"),
    "roberta": (
        {"bos": "<s>", "pad": "<pad>", "eos": "</s>", "cls": "<s>", "sep": "</s>", "mask": "<mask>", "unk": "<unk>"}, "<s> $A </s>",
    ),
    "t5": ({"pad": "<pad>", "eos": "</s>", "unk": "<unk>"}, "$A </s>"),
    "llama": ({"bos": "<s>", "eos": "</s>", "unk": "<unk>"}, "<s> $A </s>"),
}
FRAME_OF = {"bart": "roberta", "albert": "bert", "modernbert": "bert", "electra": "bert", "eurobert": "roberta", "mt5": "t5",
            "qwen2": "llama", "qwen3": "llama", "xlm-roberta": "roberta"}  # fmt: skip
#: model type → class, and what makes it small
WIDE = {"hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2, "num_attention_heads": 2, "max_position_embeddings": 96}
HALVED = {f"{side}_{name}": n for side in ("encoder", "decoder") for name, n in (("layers", 2), ("attention_heads", 2), ("ffn_dim", 48))}
MODELS = {
    "bert": ("BertForMaskedLM", WIDE), "roberta": ("RobertaForMaskedLM", WIDE), "xlm-roberta": ("XLMRobertaForMaskedLM", WIDE),
    "albert": ("AlbertForMaskedLM", WIDE | {"embedding_size": 24}), "electra": ("ElectraForMaskedLM", WIDE | {"embedding_size": 24}),
    "modernbert": ("ModernBertForMaskedLM", WIDE | {"local_attention": 16, "global_attn_every_n_layers": 2}),
    "eurobert": ("EuroBertForMaskedLM", WIDE), "gpt2": ("GPT2LMHeadModel", {"n_embd": 32, "n_layer": 2, "n_head": 2, "n_positions": 96}),
    "llama": ("LlamaForCausalLM", WIDE | {"num_key_value_heads": 1}), "qwen2": ("Qwen2ForCausalLM", WIDE | {"num_key_value_heads": 1}),
    "qwen3": ("Qwen3ForCausalLM", WIDE | {"num_key_value_heads": 1, "head_dim": 16}),
    "t5": ("T5ForConditionalGeneration", {"d_model": 32, "d_kv": 16, "d_ff": 48, "num_layers": 2, "num_heads": 2}),
    "mt5": ("MT5ForConditionalGeneration", {"d_model": 32, "d_kv": 16, "d_ff": 48, "num_layers": 2, "num_heads": 2}),
    "bart": ("BartForConditionalGeneration", HALVED | {"d_model": 32, "max_position_embeddings": 96}),
}  # fmt: skip


def tokenizer(kind):
    """A fast tokenizer with the special tokens of a type of models."""
    from transformers import PreTrainedTokenizerFast

    if kind == "gpt2":
        names = dict.fromkeys(("bos_token", "eos_token", "unk_token"), "<|endoftext|>")
        return PreTrainedTokenizerFast(tokenizer_object=bytes_engine(), **names)
    names, frame = FRAMES[FRAME_OF.get(kind, kind)]
    specials = [s for s in dict.fromkeys(names.values()) if s != names["unk"]]
    specials += [f"<extra_id_{k}>" for k in range(40)] if "t5" in kind else []
    return PreTrainedTokenizerFast(tokenizer_object=engine([*specials, names["unk"]], frame), **{f"{r}_token": s for r, s in names.items()})


def published(folder, kind, rows=0, **changes):
    """A folder as `save_pretrained` writes it, with `rows` more embeddings than ids; returns the model."""
    import transformers

    made = tokenizer(kind)
    classname, sizes = MODELS[kind]
    kinds = getattr(transformers, classname)
    ids = {f"{role}_token_id": getattr(made, f"{role}_token_id") for role in ("pad", "bos", "eos")}
    ids |= {"decoder_start_token_id": made.pad_token_id if "t5" in kind else made.eos_token_id} if kind in ("t5", "mt5", "bart") else {}
    ids |= {"cls_token_id": made.cls_token_id, "sep_token_id": made.sep_token_id} if kind == "modernbert" else {}
    torch.manual_seed(3)
    body = kinds(kinds.config_class(vocab_size=len(made) + rows, **sizes, **ids, **changes)).eval()
    with torch.no_grad():  # fresh biases are 0 and fresh norms 1: give every parameter a share in the logits
        for p in body.parameters():
            p.add_(0.05 * torch.randn_like(p))
    body.save_pretrained(folder)
    made.save_pretrained(folder)
    return body


def text(folder, documents=60):
    """A file of documents in the words of the tokenizers."""
    draw = np.random.default_rng(5)
    lines = [" ".join(draw.permutation(TEXTS)) for _ in range(documents)]
    path = Path(folder) / "text.txt"
    path.write_text("\n\n".join(f"{line} {' '.join(draw.choice(WORDS, 6))}" for line in lines) + "\n", encoding="utf-8")
    return path
