"""Tokenizers: lossless, deterministic, and never a reserved id from text."""

import json
import subprocess
import sys
import time

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tokenizers import Tokenizer as Engine
from tokenizers import decoders, models, normalizers, pre_tokenizers, processors, trainers

from maskdial.data import load
from maskdial.data.pieces import pieces
from maskdial.data.specials import all_specials
from maskdial.data.tokenizer import Tokenizer, train
from maskdial.errors import UserError

TEXTS = [
    "The quick brown fox jumps over the lazy dog. It didn't stop! Did it? No: 3.14 times, e.g. on Mr. Smith's lawn.",
    "Fichier déjà vu, où l'été s'achève. « Bonjour ! »", "東京は日本の首都です。人口は多い。",
    "नमस्ते दुनिया। यह हिन्दी है।", "mask s extra id 0 endoftext PAD UNK",
] * 4  # fmt: skip
HOSTILE = [*all_specials(), "<mask>", "<unk>", "<pad>", "▁", "##", "Ġ", "Ċ", "\U0010fffe", "[", "]", "<", ">", "\x00", "\ufeff", "\u2028",
           "é", "日", "👩‍👩‍👧", "🇫🇷", "́", "a", " ", "\n", "  ", "'s", "1234"]  # fmt: skip
hostile_text = st.lists(st.sampled_from(HOSTILE) | st.text(max_size=4), max_size=12).map("".join).filter(
    lambda t: not any("\ud800" <= c <= "\udfff" for c in t)
)


def wordpiece(splitter):
    engine = Engine(models.WordPiece(unk_token="[UNK]"))
    engine.normalizer = normalizers.BertNormalizer(lowercase=False)
    engine.pre_tokenizer = splitter
    engine.decoder = decoders.WordPiece()
    specials = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    engine.train_from_iterator(TEXTS, trainers.WordPieceTrainer(vocab_size=500, special_tokens=specials, show_progress=False))
    engine.post_processor = processors.BertProcessing(("[SEP]", 3), ("[CLS]", 2))
    engine.enable_truncation(8)
    engine.enable_padding(length=16)
    return engine


def unigram():
    engine = Engine(models.Unigram())
    engine.pre_tokenizer = pre_tokenizers.Metaspace()
    engine.decoder = decoders.Metaspace()
    specials = ["<pad>", "</s>", "<unk>", "<s>", "<mask>", *(f"<extra_id_{k}>" for k in range(5))]
    trainer = trainers.UnigramTrainer(vocab_size=300, special_tokens=specials, unk_token="<unk>", show_progress=False)
    engine.train_from_iterator(TEXTS, trainer)
    return engine


def gpt2():
    engine = Engine(models.BPE())
    engine.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    engine.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(vocab_size=400, initial_alphabet=alphabet, special_tokens=["<|endoftext|>"], show_progress=False)
    engine.train_from_iterator(TEXTS, trainer)
    engine.add_tokens(["    ", "<tool>"])  # ordinary added tokens, whose ids come after the special one
    engine.add_special_tokens(["<|late|>"])
    engine.add_tokens(["<later>"])
    return engine


def merged():
    """A special token that the model's merges lead to: it can't be taken from the vocabulary without breaking them."""
    pairs = [("<", "s"), ("<s", ">"), ("<", "/"), ("</", "s"), ("</s", ">")]
    vocab = {c: n for n, c in enumerate([*sorted(pre_tokenizers.ByteLevel.alphabet()), *(a + b for a, b in pairs)])}
    engine = Engine(models.BPE(vocab, pairs))
    engine.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    engine.decoder = decoders.ByteLevel()
    engine.add_special_tokens(["<s>", "</s>"])
    return engine


FOREIGN = {
    "wordpiece": lambda: wordpiece(pre_tokenizers.BertPreTokenizer()),
    "wordpiece by spaces": lambda: wordpiece(pre_tokenizers.WhitespaceSplit()), "unigram": unigram, "gpt2": gpt2,
    "merged": merged,
}  # fmt: skip


@pytest.fixture(scope="module")
def tokenizers():
    found = {name: Tokenizer(make(), name) for name, make in FOREIGN.items()}
    return found | {"own": train(TEXTS, 400), "bytes": load("bytes"), "words": load("words", TEXTS)}


ALL = [*FOREIGN, "own", "bytes", "words"]


@pytest.mark.parametrize("name", ALL)
@given(text=hostile_text)
@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_text_never_gives_a_reserved_id(tokenizers, name, text):
    t = tokenizers[name]
    columns = t.encode_columns(text)
    assert not set(columns.ids.tolist()) & (t.vocab.special - {t.vocab.unk})
    assert t.encode(text) == columns.ids.tolist()
    assert len(columns.word) == len(columns.sentence) == len(columns.spans) == len(columns.ids)
    assert (np.diff(columns.spans[:, 1]) >= 0).all()
    if name in ("own", "bytes"):
        assert t.decode(columns.ids) == text


@pytest.mark.parametrize("name", ALL)
def test_every_special_token_spelt_in_text_stays_text(tokenizers, name):
    t = tokenizers[name]
    for spelling in [t.token(id) for id in sorted(t.vocab.special)]:
        ids = t.encode(f"see {spelling} and {spelling}")
        assert not set(ids) & (t.vocab.special - {t.vocab.unk}), spelling
        assert t.spelled(f"see {spelling} and{spelling}") == 2
    assert t.encode("")  == []


def test_foreign_ids_are_the_originals():
    for name, make in FOREIGN.items():
        engine = make()
        engine.no_padding()
        engine.no_truncation()
        for text in [*TEXTS[:3], "a    b<tool> <later>"]:
            assert Tokenizer(engine, name).encode(text) == engine.encode(text, add_special_tokens=False).ids, name


def test_a_spelt_special_token_is_encoded_as_if_there_were_none():
    plain = train(TEXTS, 400)
    data = json.loads(plain._engine.to_str()) | {"added_tokens": []}
    engine = Engine.from_str(json.dumps(data))
    for text in ("see [MASK] and<extra_id_0></s>.", "<|endoftext|>" * 3, "[PAD]", "[UNK]"):
        assert plain.encode(text) == engine.encode(text).ids
    assert Tokenizer(merged(), "merged").decode(Tokenizer(merged(), "merged").encode("a <s></s> b")) == "a <s></s> b"


def test_a_character_that_is_a_special_token_has_a_stand_in():
    engine = wordpiece(pre_tokenizers.WhitespaceSplit())
    engine.add_special_tokens(["§"])
    t = Tokenizer(engine, "odd")
    assert not set(t.encode("a § b§ §c")) & (t.vocab.special - {t.vocab.unk})


def test_our_tokenizer_has_every_role(tokenizers):
    for name in ("own", "bytes", "words"):
        v = tokenizers[name].vocab
        roles = [v.pad, v.bos, v.eos, v.eod, v.cls, v.sep, v.mask, v.unk, v.start, *v.modes.values(), *v.fim.values(), *v.sentinels]
        assert len(set(roles)) == len(roles) == 16 + 130
        assert None not in roles
        assert sorted(roles) == list(range(v.size - len(roles), v.size)), "special ids come on top"
        assert v.special == set(roles)
    t = tokenizers["own"]
    assert len(t.vocab.body) == 400
    shown = [t.token(i) for i in (t.vocab.eos, t.vocab.eod, t.vocab.mask, t.vocab.sentinels[7])]
    assert shown == ["</s>", "<|endoftext|>", "[MASK]", "<extra_id_7>"]
    assert tokenizers["bytes"].looking
    assert tokenizers["words"].looking
    assert not t.looking


def test_training_is_deterministic():
    code = ("from maskdial.data.tokenizer import train; from pydoc_data.topics import topics; "
            "print(train([topics[k] for k in sorted(topics)], 700).sha256)")  # fmt: skip
    runs = {
        subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True,
                       env={"PYTHONHASHSEED": s, "TOKENIZERS_PARALLELISM": p, "RAYON_NUM_THREADS": n}).stdout
        for s, p, n in (("0", "true", "3"), ("1", "false", "1"))
    }  # fmt: skip
    assert len(runs) == 1


def test_saving_and_loading_changes_nothing(tokenizers, tmp_path):
    for name, t in tokenizers.items():
        t.save(tmp_path / name)
        back = load(tmp_path / name)
        assert (back.sha256, back.name, back.rule, back.looking, back.vocab) == (t.sha256, t.name, t.rule, t.looking, t.vocab)
        assert back.encode(TEXTS[0]) == t.encode(TEXTS[0])
        assert load(tmp_path / name / "tokenizer.json").sha256 == t.sha256


def test_names_in_a_hugging_face_folder_are_read(tmp_path):
    engine = gpt2()
    engine.add_special_tokens(["<|blank|>", "<|fill|>"])
    engine.save(str(tmp_path / "tokenizer.json"))
    (tmp_path / "tokenizer_config.json").write_text(json.dumps({"pad_token": "<|blank|>", "mask_token": {"content": "<|fill|>"}}))
    v = load(tmp_path).vocab
    assert (v.pad, v.mask) == (engine.token_to_id("<|blank|>"), engine.token_to_id("<|fill|>"))


def test_growing_adds_what_is_missing_at_the_end():
    t = Tokenizer(gpt2(), "gpt2")
    size, before, ids = t.vocab.size, t.sha256, t.encode(TEXTS[0])
    assert t.vocab.mask is None
    added = t.grow("mask", "pad", "eos", "sentinels")
    assert list(added)[:2] == ["[MASK]", "[PAD]"]
    assert sorted(added.values()) == list(range(size, size + 132))
    assert (t.vocab.mask, t.vocab.pad, len(t.vocab.sentinels)) == (size, size + 1, 130)
    assert t.sha256 != before
    assert t.encode(TEXTS[0]) == ids
    assert not set(t.encode("[MASK]<extra_id_0>")) & t.vocab.special
    assert t.grow("mask", "sentinels") == {}
    with pytest.raises(ValueError, match="sentinels"):
        t.grow("sentinel")


def test_words_mark_sentences_by_their_stops():
    t = load("words", "A B C . D E .")
    c = t.encode_columns("A B C . D E .")
    assert [t.token(i) for i in c.ids] == ["A", "B", "C", ".", "D", "E", "."]
    assert c.word.tolist() == [1] * 7
    assert c.sentence.tolist() == [1, 0, 0, 0, 1, 0, 0]
    assert t.decode(c.ids) == "A B C . D E ."
    assert t.encode_columns("One two! Three? Four").sentence.tolist() == [1, 0, 1, 1]
    assert t.encode("new") == [t.vocab.unk]


def test_bytes_are_one_id_each():
    t = load("bytes")
    assert t.encode("Aé\n") == [65, 195, 169, 10]
    assert t.token(65) == "A"
    assert t.token(10) == "\n"
    assert t.token(195) == "\\xc3"
    assert t.decode([65, t.vocab.mask, 10]) == "A[MASK]\n"


def test_tokens_look_like_text(tokenizers):
    t = tokenizers["own"]
    assert "".join(t.token(i) for i in t.encode("The quick\n fox")) == "The quick\n fox"
    assert tokenizers["unigram"].token(tokenizers["unigram"].encode("fox")[0]).startswith(" ")


REPEATS = ["a" * 10**6, "\n" * 10**6, "é" * 300_000, "“" * 50_000, "🇫🇷" * 10_000, "ab " * 300_000, "\u0301" * 300_000]


@pytest.mark.parametrize("text", REPEATS, ids=range(len(REPEATS)))
def test_repeats_are_bounded_in_time(tokenizers, text):
    t, began = tokenizers["own"], time.process_time()
    columns = t.encode_columns(text)
    assert time.process_time() - began < 20, "seconds; minutes before pieces were bounded"
    assert t.decode(columns.ids) == text
    assert columns.spans[-1, 1] == len(text)


@pytest.mark.parametrize("name", ["own", "bytes", "words", "unigram", "wordpiece", "gpt2"])
def test_a_huge_text_encodes_as_it_would_in_one_piece(tokenizers, name, monkeypatch):
    t = tokenizers[name]
    text = ("   \n  " if name in ("own", "words", "wordpiece") else " ").join(TEXTS * 10)
    whole = t.encode_columns(text)
    monkeypatch.setattr("maskdial.data.tokenizer.LIMIT", 200)
    pieces = t.encode_columns(text)
    assert np.array_equal(pieces.ids, whole.ids)
    assert np.array_equal(pieces.word, whole.word)
    assert np.array_equal(pieces.sentence, whole.sentence)


@given(text=st.text(alphabet="ab \n\té", max_size=200), limit=st.integers(4, 20))
@settings(deadline=None)
def test_pieces_are_bounded_and_together_the_text(text, limit):
    found = list(pieces(text, limit))
    assert "".join(p for _, p in found) == text
    assert all(0 < len(p) <= limit and text.startswith(p, first) for first, p in found)


def test_what_is_no_tokenizer(tmp_path):
    (tmp_path / "tokenizer.json").write_text("{}")
    (tmp_path / "empty").mkdir()
    for path, message in ((tmp_path / "tokenizer.json", "is no"), (tmp_path / "empty", "no tokenizer at"), ("worsd", "no tokenizer at")):
        with pytest.raises(UserError, match=message):
            load(path)
    with pytest.raises(UserError, match="256"):
        train(TEXTS, 100)
