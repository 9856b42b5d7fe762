"""Word and sentence starts in many scripts, and the tokens that hold them."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from maskdial.data import load
from maskdial.data.segmentation import WINDOW, _ascii_words, _unicode_words, holders, sentence_starts, word_starts
from maskdial.data.tokenizer import Tokenizer, train

from .test_tokenizer import TEXTS, unigram, wordpiece


def words(text):
    starts = word_starts(text).tolist()
    return [text[a:b] for a, b in zip(starts, [*starts[1:], len(text)], strict=True)]


def sentences(text, language="en"):
    starts = sentence_starts(text, language).tolist()
    return [text[a:b] for a, b in zip(starts, [*starts, len(text)][1:], strict=True)]


@pytest.mark.parametrize(("text", "wanted"), [
    ("I don't owe $3.50, ok?", ["I", " ", "don't", " ", "owe", " ", "$", "3.50", ",", " ", "ok", "?"]),
    ("l’été  déjà", ["l’été", "  ", "déjà"]),
    ("東京タワー", ["東", "京", "タワー"]),
    ("नमस्ते दुनिया", ["नमस्ते", " ", "दुनिया"]),
    ("안녕 세계", ["안녕", " ", "세계"]),
    ("שלום עולם", ["שלום", " ", "עולם"]),
    ("👩‍👩‍👧 ok", ["👩‍👩‍👧", " ", "ok"]),
    ("a\r\nb\n\nc", ["a", "\r\n", "b", "\n", "\n", "c"]),
])  # fmt: skip
def test_words_of_many_scripts(text, wanted):
    assert words(text) == wanted


@given(st.text(alphabet="aZ19_.:',;- \t\r\n\x00\"([&", min_size=3, max_size=30))
@settings(max_examples=400, deadline=None)
def test_the_ascii_rule_is_the_unicode_rule(text):
    assert _ascii_words(text).tolist() == _unicode_words(text)


def test_windows_change_nothing():
    text = "Où est l'été? 東京は3.5倍。 नमस्ते don't " * 400
    assert len(text) > 3 * WINDOW
    assert word_starts(text).tolist() == _unicode_words(text)
    assert len(word_starts("é" * 10_000)) == 1


@pytest.mark.parametrize(("text", "wanted"), [
    ("Dr. Smith came. He saw it, e.g. the U.S. flag! Why?", ["Dr. Smith came. ", "He saw it, e.g. the U.S. flag! ", "Why?"]),
    ("你好。世界很大！是吗？", ["你好。", "世界很大！", "是吗？"]),
    ("यह है। वह भी।", ["यह है। ", "वह भी।"]),
    ("A heading\n\nThe first line\nruns on. Next.", ["A heading\n\n", "The first line\nruns on. ", "Next."]),
    ("  \n Late start. Two.", ["  \n Late start. ", "Two."]),
    ("no end", ["no end"]),
    ("  \n ", ["  \n "]),
    ("", []),
])  # fmt: skip
def test_sentences(text, wanted):
    assert sentences(text) == wanted


def test_long_sentences_start_once_and_long_texts_keep_all_starts():
    long = "word " * 2000 + "end. "
    assert [len(s) for s in sentences(long * 3)] == [len(long)] * 3
    many = "Here is one more sentence. " * 1000
    assert len(sentences(many)) == 1000


def test_a_start_goes_to_the_first_token_that_reaches_past_it():
    spans = np.array([[0, 3], [3, 7], [8, 9], [8, 9], [9, 10]], dtype=np.int32)
    assert holders(np.array([0]), spans).tolist() == [1, 0, 0, 0, 0]
    assert holders(np.array([0, 2, 4]), spans).tolist() == [1, 1, 0, 0, 0]
    assert holders(np.array([7, 8]), spans).tolist() == [0, 0, 1, 0, 0], "a dropped space belongs to the next token"
    assert holders(np.array([10]), spans).tolist() == [0] * 5
    assert holders(np.array([0]), spans[:0]).tolist() == []


@pytest.mark.parametrize("make", [
    lambda: train(TEXTS, 300), lambda: load("bytes"), lambda: Tokenizer(unigram(), "unigram"),
], ids=["bpe", "bytes", "unigram"])  # fmt: skip
def test_every_tokenizer_marks_the_same_words_and_sentences(make):
    t = make()
    text = "The fox jumps. 東京は日本の首都です。 Où l'été!"
    c = t.encode_columns(text)
    first = [int(s) for s, on in zip(c.spans[:, 0], c.word, strict=True) if on]
    begun = {text[s:].lstrip()[:1] for s in first}
    assert {"T", "f", "j", "東", "京", "O", "l", "!"} <= begun | ({"!"} if t.name == "unigram" else set())
    assert sum(c.sentence) == 3
    starts = [text[s:].lstrip()[0] for s, on in zip(c.spans[:, 0], c.sentence, strict=True) if on]
    assert starts == ["T", "東", "O"]


def test_wordpiece_marks_words_without_looking_at_its_prefix():
    from tokenizers import pre_tokenizers

    t = Tokenizer(wordpiece(pre_tokenizers.BertPreTokenizer()), "bert")
    c = t.encode_columns("The quickest fox. It stops!")
    shown = [("·" if not w else "") + t.token(i) for i, w in zip(c.ids, c.word, strict=True)]
    assert all(s.startswith("·##") == s.startswith("·") for s in shown), shown
    assert [t.token(i) for i, s in zip(c.ids, c.sentence, strict=True) if s] == ["The", "It"]


def test_the_first_token_starts_a_word_and_a_sentence():
    t = load("bytes")
    for text in ("\n\nx", "́a", "…"):
        c = t.encode_columns(text)
        assert c.word[0] == c.sentence[0] == 1
