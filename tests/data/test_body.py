"""What is remembered of words is what the engine says of them, in any text and for every kind of tokenizer that is remembered."""

import sys
import unicodedata

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tokenizers import Tokenizer as Engine
from tokenizers import models, pre_tokenizers, trainers

from maskdial.data import body
from maskdial.data.body import segments_stand_alone
from maskdial.data.tokenizer import Tokenizer, train

from .conftest import SHARED, needs_languages
from .test_tokenizer import HOSTILE, TEXTS, gpt2, hostile_text, merged, unigram, wordpiece


def plain_gpt2():
    engine = Engine(models.BPE())
    engine.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(vocab_size=500, initial_alphabet=alphabet, special_tokens=["<|endoftext|>"], show_progress=False)
    engine.train_from_iterator(TEXTS, trainer)
    return engine


MAKE = {
    "own": lambda: train(TEXTS, 500)._engine, "gpt2": plain_gpt2,
    "bert": lambda: wordpiece(pre_tokenizers.BertPreTokenizer()), "spaces": lambda: wordpiece(pre_tokenizers.WhitespaceSplit()),
}  # fmt: skip


@pytest.fixture(scope="module")
def tokenizers():
    return {name: Tokenizer(make(), name) for name, make in MAKE.items()}


def without_memory(t, text, language=None):
    t._body.remembers = False
    try:
        return t.encode_columns(text, language=language)
    finally:
        t._body.remembers = True


def same(t, text, language=None):
    mine, plain = t.encode_columns(text, language=language), without_memory(t, text, language)
    for name, a, b in zip(mine._fields, mine, plain, strict=True):
        assert np.array_equal(a, b), (name, text)


@pytest.mark.parametrize("name", MAKE)
@given(text=hostile_text | st.text(alphabet="ab'.,1é \t\n\r\x0b\x1c\x85\xa0\u200d\u2003\u2028\u202f\u3000\u0301日🇫🇷", max_size=40))
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_what_is_remembered_is_what_the_engine_says(tokenizers, name, text):
    t = tokenizers[name]
    assert t._body.remembers
    same(t, text)
    same(t, f"It is said, e.g. here: {text} And that is all.  ")


@pytest.mark.parametrize("name", MAKE)
def test_no_character_joins_a_space_unseen(tokenizers, name):
    """Spaces, controls, formats and marks of all of Unicode, and a part of the rest."""
    kinds = ("Zs", "Zl", "Zp", "Cc", "Cf", "Mn", "Me")
    odd = [c for c in map(chr, range(sys.maxunicode + 1)) if unicodedata.category(c) in kinds]
    others = [chr(c) for c in (*range(0x21, 0x100), *range(0x250, 0x2FFFF, 3001)) if not 0xD800 <= c < 0xE000]
    body_, known = tokenizers[name]._body, 0
    for c in (*odd[:150], *odd[150::17], *others):
        text = f"see x{c} y, {c} z{c}\n{c} \t w{c}1 end"
        found = body_.recall(text)
        if found is not None:
            known += 1
            ids, spans = body_.encode(text)
            assert np.array_equal(found[0], ids), text
            assert np.array_equal(found[1], spans), text
    assert known > 0.9 * len(others)


def test_which_tokenizers_are_remembered():
    for make in (unigram, merged, gpt2):  # joins spaces, no split at all, ordinary added tokens that hold spaces
        t = Tokenizer(make(), "other")
        assert not t._body.remembers
        assert t._body.recall("some words") is None
    lower = wordpiece(pre_tokenizers.Metaspace())
    assert not segments_stand_alone(lower)


def test_memory_is_bounded_and_forgetting_changes_nothing(monkeypatch):
    monkeypatch.setattr(body, "ROOM", 40)
    t = Tokenizer(MAKE["own"](), "own")
    for n in range(200):
        text = " ".join(f"w{n}x{i} the of and" for i in range(5))
        same(t, text)
        assert len(t._body._known) <= 40 + 20


def test_what_would_fill_the_memory_for_nothing_goes_to_the_engine(tokenizers):
    for text in ("a" * 10_000, "日本語の文章はつづく。" * 200, " ".join("ab" * 200 for _ in range(20))):
        assert tokenizers["own"]._body.recall(text) is None
        same(tokenizers["own"], text)


@pytest.mark.parametrize("name", MAKE)
def test_huge_texts_are_cut_where_segments_are(tokenizers, name, monkeypatch):
    text = " \n ".join([*TEXTS, *HOSTILE[-20:]] * 3)
    whole = tokenizers[name].encode_columns(text)
    monkeypatch.setattr("maskdial.data.tokenizer.LIMIT", 150)
    cut = tokenizers[name].encode_columns(text)
    assert np.array_equal(cut.ids, whole.ids)
    assert np.array_equal(cut.word, whole.word)
    same(tokenizers[name], text)


@needs_languages
def test_real_text_in_many_languages(tokenizers):
    from maskdial.data import read

    for n, d in enumerate(read(str(SHARED / "multilingual.jsonl.gz"))):
        if n % 60 == 0:
            same(tokenizers["own"], d.text, d.language)
    for n, d in enumerate(read(str(SHARED / "prose.jsonl.gz"))):
        if n % 400 == 0:
            same(tokenizers["gpt2"], d.text[:20_000])
