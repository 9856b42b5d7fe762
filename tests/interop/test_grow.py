"""Missing tokens: an error that says how, and growth in the open."""

import pytest
import torch

import maskdial as md
from maskdial.interop.guest import guest
from tests.interop.guests import TEXTS, bytes_engine, fast, model

pytest.importorskip("transformers")


@pytest.mark.parametrize(("kind", "objective", "lacks"), [
    ("gpt2", "bert", "a mask token"), ("gpt2", "t5", "1 sentinels"), ("bert", "t5", "1 sentinels"), ("bert", "bart", "a eos token"),
])  # fmt: skip
def test_a_new_collator_says_what_is_missing_and_how_to_add_it(kind, objective, lacks):
    with pytest.raises(ValueError, match=rf"{objective} needs {lacks}.*md\.hf\.grow\(tokenizer, model\)"):
        md.hf.Collator(objective, fast(kind))
    with pytest.raises(ValueError, match="bert needs a mask token") as error:
        md.hf.Collator("bert", md.Vocab(size=30))
    assert "md.hf" not in str(error.value), "a bare vocabulary has no tokenizer to grow"


@pytest.mark.parametrize("kind", ["gpt2", "bert", "t5"])
def test_growth_is_printed_and_returned(kind, capsys):
    tokenizer = fast(kind)
    before, ids = dict(tokenizer.get_vocab()), tokenizer(TEXTS[0])["input_ids"]
    body = model("bert", size=len(tokenizer))
    embedded = body.get_input_embeddings().weight.detach().clone()
    added = md.hf.grow(tokenizer, body, sentinels=5, roles=("mask", "pad", "eos", "eod"), modes=True, fim=True)
    printed = capsys.readouterr().out.splitlines()
    assert [f"added {text} as {id}" for text, id in added.items()] == printed[: len(added)]
    assert {t: i for t, i in tokenizer.get_vocab().items() if t not in before} == added
    assert all(tokenizer.get_vocab()[t] == i for t, i in before.items()), "what was there keeps its id"
    assert set(added) & set(before) == set()
    vocab = guest(tokenizer).vocab
    assert set(added.values()) <= vocab.special
    assert (vocab.mask, vocab.pad, vocab.eos) == (tokenizer.mask_token_id, tokenizer.pad_token_id, tokenizer.eos_token_id)
    assert None not in (vocab.mask, vocab.pad, vocab.eos, vocab.eod)
    assert (len(vocab.sentinels), set(vocab.modes), len(vocab.fim)) == (5, {"R", "S", "X"}, 4)
    rows = body.get_input_embeddings().weight
    assert len(rows) == len(tokenizer)
    assert torch.equal(rows[: len(embedded)], embedded)
    assert tokenizer(TEXTS[0])["input_ids"] == ids
    assert md.hf.grow(tokenizer, body, sentinels=5, roles=("mask", "pad"), modes=True) == {}
    assert capsys.readouterr().out == "nothing to add\n"


def test_a_model_never_shrinks_and_learns_a_new_padding(capsys):
    tokenizer = fast("gpt2")
    body = model("gpt2", size=2048, pad=None)
    added = md.hf.grow(tokenizer, body, sentinels=0)
    assert set(added) == {"[MASK]", "[PAD]"}
    assert len(body.get_input_embeddings().weight) == 2048
    assert body.config.pad_token_id == added["[PAD]"] == tokenizer.pad_token_id
    assert f"config.pad_token_id: {added['[PAD]']}" in capsys.readouterr().out


def test_a_grown_tokenizer_survives_being_saved(tmp_path):
    from transformers import PreTrainedTokenizerFast

    tokenizer = fast("gpt2")
    md.hf.grow(tokenizer, sentinels=7)
    tokenizer.save_pretrained(tmp_path)
    again = PreTrainedTokenizerFast.from_pretrained(tmp_path)
    assert guest(again).vocab == guest(tokenizer).vocab


def test_a_bare_engine_grows_too():
    engine = bytes_engine()
    added = md.hf.grow(engine, sentinels=2)
    assert list(added) == ["[MASK]", "[PAD]", "<extra_id_0>", "<extra_id_1>"]
    assert md.hf.Collator("t5", engine).reader.vocab.sentinels == (added["<extra_id_0>"], added["<extra_id_1>"])


def test_what_can_not_grow_says_so():
    with pytest.raises(ValueError, match="no special token is called 'maks': did you mean 'mask'"):
        md.hf.grow(fast("bert"), roles=("maks",))
    from maskdial.data import load

    with pytest.raises(TypeError, match=r"tokenizer\.grow\('sentinels'\)"):
        md.hf.grow(load("bytes"))
