"""Guests made on the spot: tokenizers of the common kinds, very small models, features. Nothing is downloaded."""

import numpy as np
import torch
from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers, processors

import maskdial as md

TEXTS = ["the cat sat on the mat . then it ran !", "a big red bird flew over the old tree", "the dog",
         "it was a very quick new house . the end , and then a cat"]  # fmt: skip
WORDS = sorted({word for text in TEXTS for word in text.split()})
VOCAB = md.Vocab(size=96, pad=0, bos=1, eos=2, mask=3, cls=4, sep=5, start=6, eod=7, sentinels=range(95, 65, -1), languages={"en": 65},
                 modes={"R": 64, "S": 63, "X": 62}, fim={"prefix": 61, "middle": 60, "suffix": 59})  # fmt: skip
BODY = range(8, 59)


def engine(specials, single=None):
    """Word-level, with a frame of special tokens around a text: `single` is a template like "[CLS] $A [SEP]"."""
    made = Tokenizer(models.WordLevel({w: i for i, w in enumerate([*specials, *WORDS])}, unk_token=specials[-1]))
    made.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    made.add_special_tokens([AddedToken(s, special=True, normalized=False) for s in specials])
    if single:
        used = [(s, specials.index(s)) for s in specials if s in single]
        pair = f"{single} $B:1 {single.split('$A ')[1]}:1"
        made.post_processor = processors.TemplateProcessing(single=single, pair=pair, special_tokens=used)
    return made


def bytes_engine():
    """Byte-level, as GPT-2: one token for begin, end and everything."""
    letters = {c: i for i, c in enumerate(sorted(pre_tokenizers.ByteLevel.alphabet()))}
    made = Tokenizer(models.BPE(vocab=letters, merges=[]))
    made.pre_tokenizer, made.decoder = pre_tokenizers.ByteLevel(add_prefix_space=False), decoders.ByteLevel()
    made.add_special_tokens(["<|endoftext|>"])
    return made


def fast(kind):
    """A Hugging Face fast tokenizer like BERT's, RoBERTa's, T5's (two sentinels) or GPT-2's."""
    from transformers import PreTrainedTokenizerFast

    if kind == "bert":
        names = {"pad": "[PAD]", "cls": "[CLS]", "sep": "[SEP]", "mask": "[MASK]", "unk": "[UNK]"}
        made = engine(list(names.values()), "[CLS] $A [SEP]")
    elif kind == "roberta":
        names = {"bos": "<s>", "cls": "<s>", "eos": "</s>", "sep": "</s>", "pad": "<pad>", "mask": "<mask>", "unk": "<unk>"}
        made = engine(list(dict.fromkeys(names.values())), "<s> $A </s>")
    elif kind == "t5":
        names = {"pad": "<pad>", "eos": "</s>", "unk": "<unk>"}
        made = engine(["<pad>", "</s>", "<extra_id_0>", "<extra_id_1>", "<unk>"], "$A </s>")
    else:
        names, made = dict.fromkeys(("bos", "eos", "unk"), "<|endoftext|>"), bytes_engine()
    return PreTrainedTokenizerFast(tokenizer_object=made, **{f"{role}_token": text for role, text in names.items()})


def model(kind, size=VOCAB.size, attention="sdpa", start=VOCAB.start, pad=VOCAB.pad):
    """Two layers, width 16, no dropout, of a class of transformers; the same weights every time."""
    import transformers as t

    torch.manual_seed(7)
    ids = {"bos_token_id": None, "eos_token_id": None, "pad_token_id": pad, "vocab_size": size, "attn_implementation": attention}
    wide = {"hidden_size": 16, "intermediate_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2, "max_position_embeddings": 128}
    still = {"hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.0}
    twice = {f"{side}_{name}": n for side in ("encoder", "decoder") for name, n in (("layers", 2), ("attention_heads", 2), ("ffn_dim", 32))}
    if kind in ("bert", "bert-pretraining"):
        made = t.BertForMaskedLM if kind == "bert" else t.BertForPreTraining
        return made(t.BertConfig(**ids, **wide, **still))
    if kind == "albert-pretraining":
        return t.AlbertForPreTraining(t.AlbertConfig(**ids, **wide, **still, embedding_size=16, classifier_dropout_prob=0.0))
    if kind == "llama":
        return t.LlamaForCausalLM(t.LlamaConfig(**ids, **wide, num_key_value_heads=2))
    if kind == "gpt2":
        still = {"resid_pdrop": 0.0, "embd_pdrop": 0.0, "attn_pdrop": 0.0}
        return t.GPT2LMHeadModel(t.GPT2Config(**ids, **still, n_embd=16, n_layer=2, n_head=2, n_positions=128))
    ids["decoder_start_token_id"] = start
    if kind == "t5":
        return t.T5ForConditionalGeneration(t.T5Config(**ids, d_model=16, d_ff=32, d_kv=8, num_layers=2, num_heads=2, dropout_rate=0.0))
    return t.BartForConditionalGeneration(t.BartConfig(**ids, **twice, d_model=16, dropout=0.0, max_position_embeddings=128))


def features(lengths, seed=0, isolated=False, columns=True):
    """Body tokens with every column a recipe may need, numbered from 0; two documents a row when isolated."""
    g = np.random.default_rng(seed)
    made = []
    for i, n in enumerate(lengths):
        feature = {"tokens": g.integers(BODY.start, BODY.stop, n), "index": i, "label": i % 2}
        if columns:
            feature |= {"word": g.random(n) < 0.6, "sentence": np.arange(n) % 5 == 0, "part": np.arange(n) >= n // 2,
                        "language": np.full(n, 65)}  # fmt: skip
        if isolated:
            feature["segment"] = np.arange(n) >= n // 3
        made.append(feature)
    return made


def rows_of(features):
    """The rows that a direct call of an objective gets for such features."""
    given = {name: [f[name] for f in features] for name in ("word", "sentence", "part", "language", "segment") if name in features[0]}
    packing = "isolated" if "segment" in features[0] else "joined"
    return md.rows([f["tokens"] for f in features], index=[f["index"] for f in features], **given, packing=packing,
                   label=[f["label"] for f in features])  # fmt: skip
