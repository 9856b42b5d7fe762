"""Words and sentences start where they do, whatever the tokenizer: by rules that know nothing of how they were found."""

import unicodedata

import numpy as np
import pytest
from tokenizers import Tokenizer as Engine
from tokenizers import decoders, models, normalizers, pre_tokenizers, trainers

from maskdial.data import load, read
from maskdial.data.segmentation import language_rules, sentence_starts
from maskdial.data.tokenizer import Tokenizer, train
from maskdial.vocab import Vocab

from .conftest import SHARED, needs_languages

SPACED = [
    "The fox doesn't jump over 3.14 lazy dogs, does it?", "Où l'été s'achève, déjà vu ; c'est l'œuvre.", "Съешь же ещё этих мягких булок!",
    "مرحبا بالعالم، هل أنت بخير؟ نعم.", "नमस्ते दुनिया। यह हिन्दी है।", "שלום עולם, מה שלומך?", "இது ஒரு சோதனை. நன்றி!", "안녕 세계, 반갑습니다.",
    "Η καλημέρα σας. Τι κάνετε;", "ሰላም፡ልዑል፡ነው።",
]  # fmt: skip
UNSPACED = {
    "東京タワーは高い。": ["東", "京", "タワー", "は", "高", "い", "。"],
    "我爱北京,天安门123!": ["我", "爱", "北", "京", ",", "天", "安", "门", "123", "!"],
    "น้ำดี": ["น้ำ", "ดี"],
    "កម្ពុជា": ["ក", "ម្", "ពុ", "ជា"],
}
SENTENCES = {
    "你好。世界很大！是吗？他说：“好。”然后走了。": ["你好。", "世界很大！", "是吗？", "他说：“好。”", "然后走了。"],
    "これは本です。そうですか？「はい。」と言った。": ["これは本です。", "そうですか？", "「はい。」", "と言った。"],
    "甲｡乙｡": ["甲｡", "乙｡"],
    "مرحبا بالعالم. هل أنت بخير؟ نعم!": ["مرحبا بالعالم.", "هل أنت بخير؟", "نعم!"],
    "یہ ہے۔ وہ بھی۔": ["یہ ہے۔", "وہ بھی۔"],
    "यह है। वह भी। क्या? हाँ!": ["यह है।", "वह भी।", "क्या?", "हाँ!"],
    "Σα. Τι κάνετε; Καλά.": ["Σα.", "Τι κάνετε;", "Καλά."],
    "Это т. е. то. Да.": ["Это т. е.", "то.", "Да."],
    "Սա առաջինն է։ Սա երկրորդն է։": ["Սա առաջինն է։", "Սա երկրորդն է։"],
    "ሰላም ነው። እንዴት ነህ?": ["ሰላም ነው።", "እንዴት ነህ?"],
    "នេះជា។ នោះផង។": ["នេះជា។", "នោះផង។"],
    "བཀྲ་ཤིས། བདེ་ལེགས།": ["བཀྲ་ཤིས།", "བདེ་ལེགས།"],
    "ဒါက။ အဲဒါလည်း။": ["ဒါက။", "အဲဒါလည်း။"],
    "สวัสดีครับ ผมชื่อจอห์น": ["สวัสดีครับ ผมชื่อจอห์น"],
}


def build(texts, size=600):
    """Byte-level BPE, WordPiece and Unigram, trained on these texts."""
    wordpiece = Engine(models.WordPiece(unk_token="[UNK]"))
    wordpiece.normalizer = normalizers.BertNormalizer(lowercase=False)
    wordpiece.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    wordpiece.decoder = decoders.WordPiece()
    special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    wordpiece.train_from_iterator(texts, trainers.WordPieceTrainer(vocab_size=size, special_tokens=special, show_progress=False))
    unigram = Engine(models.Unigram())
    unigram.pre_tokenizer, unigram.decoder = pre_tokenizers.Metaspace(), decoders.Metaspace()
    special = ["<pad>", "</s>", "<unk>", "<s>"]
    trainer = trainers.UnigramTrainer(vocab_size=size, special_tokens=special, unk_token="<unk>", show_progress=False)
    unigram.train_from_iterator(texts, trainer)
    return {"bpe": train(texts, size), "wordpiece": Tokenizer(wordpiece, "wordpiece"), "unigram": Tokenizer(unigram, "unigram"),
            "bytes": load("bytes")}  # fmt: skip


KINDS = ["bpe", "wordpiece", "unigram", "bytes"]


@pytest.fixture(scope="module")
def tokenizers():
    return build([*SPACED, *UNSPACED, *SENTENCES] * 4)


def reaches(spans):
    """(from, to) of the characters that each token is the first to reach past: none for a later byte of one character."""
    ends = np.maximum.accumulate(spans[:, 1])
    return list(zip([0, *ends[:-1].tolist()], ends.tolist(), strict=True))


def lettered(text):
    """Whether each character belongs to a word by its Unicode category alone."""
    return [unicodedata.category(c)[0] in "LM" for c in text]


def check_spaced(tokenizer, text):
    columns, letter = tokenizer.encode_columns(text), lettered(text)
    inside = [p > 0 and letter[p - 1] and letter[p] for p in range(len(text))]
    reach = reaches(columns.spans)
    for (a, b), word in zip(reach, columns.word, strict=True):
        assert not word or not all(inside[a:b]), f"{text!r}: a word starts inside one, at {text[a:b]!r}"
    for p in range(len(text)):
        if letter[p] and (p == 0 or text[p - 1].isspace()):
            holder = next((i for i, (_, b) in enumerate(reach) if b > p), None)
            assert holder is None or columns.word[holder], f"{text!r}: no token starts the word at {p}"


@pytest.mark.parametrize("name", KINDS)
def test_no_word_starts_inside_a_word_of_a_spaced_script(tokenizers, name):
    for text in SPACED:
        check_spaced(tokenizers[name], text)


@pytest.mark.parametrize("name", KINDS)
def test_unspaced_scripts_have_words_of_a_character_or_a_run(tokenizers, name):
    for text, words in UNSPACED.items():
        starts = set(np.cumsum([0, *map(len, words)])[:-1].tolist())
        columns = tokenizers[name].encode_columns(text)
        flagged = {(a, b) for (a, b), word in zip(reaches(columns.spans), columns.word, strict=True) if word}
        assert all(starts & set(range(a, b)) for a, b in flagged), (text, flagged)
        held = {s for a, b in flagged for s in range(a, b)} & starts
        assert held == starts, "every start lies in a token that is marked"


@pytest.mark.parametrize("name", KINDS)
@pytest.mark.parametrize("text", SENTENCES)
def test_sentences_end_in_every_script(tokenizers, name, text):
    wanted = SENTENCES[text]
    starts = sentence_starts(text).tolist()
    assert [text[a:b].strip() for a, b in zip(starts, [*starts[1:], len(text)], strict=True)] == wanted
    columns = tokenizers[name].encode_columns(text)
    marked = [(a, b) for (a, b), s in zip(reaches(columns.spans), columns.sentence, strict=True) if s]
    assert len({s for s in starts for a, b in marked if a <= s < b}) == len(starts), "every start lies in a token that is marked"
    assert len(marked) <= len(starts)


@pytest.mark.parametrize(("name", "wanted"), [
    (None, "en"), ("de", "de"), ("de-AT", "de"), ("deu_1996", "de"), ("de_DE", "de"), ("cmn_hans", "zh"), ("Klingon", "en"), ("tlh", "en"),
])  # fmt: skip
def test_languages_by_any_name(name, wanted):
    assert language_rules("Ein Text, déjà.", name) == wanted


def test_a_named_language_decides_how_sentences_end():
    text = "Er kam am 3. Mai. Er ging."
    assert len(sentence_starts(text, "deu")) == 2
    assert len(sentence_starts(text)) == 3, "in English the third ends a sentence"
    t = load("bytes")
    assert (t.encode_columns(text, language="de").sentence.sum(), t.encode_columns(text).sentence.sum()) == (2, 3)
    assert language_rules("Τι κάνετε;") == "el"
    assert language_rules("Да, mixed") == "en", "a few letters decide nothing"


ENDS = set(".!?。！？｡؟۔।॥։።:;…\n,،、」”\"'»)][")


@needs_languages
@pytest.mark.parametrize("name", ["bpe", "wordpiece", "unigram"])
def test_real_text_in_fourteen_languages(real, name):
    made, texts = real
    for label, text in texts:
        columns = made[name].encode_columns(text, language=label)
        starts = sentence_starts(text, label).tolist()
        for s in starts[1:]:
            before = text[:s].rstrip()
            assert before[-1] in ENDS or "\n\n" in text[len(before) : s], (label, text[max(0, s - 20) : s + 10])
        marked = [(a, b) for (a, b), s in zip(reaches(columns.spans), columns.sentence, strict=True) if s]
        assert all(any(a <= s < b for s in starts) or a == 0 for a, b in marked)
        assert len(marked) == len({next((i for i, (_, b) in enumerate(marked) if b > s), None) for s in starts} - {None})
        if label not in ("jpn", "cmn_hans", "tha"):
            check_spaced(made[name], text)


@pytest.fixture(scope="module")
def real():
    taken, texts = {}, []
    for d in read(str(SHARED / "multilingual.jsonl.gz")):
        taken[d.label] = taken.get(d.label, 0) + 1
        if taken[d.label] <= 8:
            texts.append((d.label, d.text))
    assert len(taken) == 14
    return build([text for _, text in texts], 1500), texts


@pytest.mark.parametrize("name", KINDS)
def test_the_vocabulary_brings_its_tokenizer(tokenizers, name):
    t = tokenizers[name]
    text = "The fox [MASK] jumps</s>."
    codec = t.vocab.codec
    assert codec.encode(text) == t.encode(text)
    assert codec.decode(codec.encode(text)) == t.decode(t.encode(text))
    assert "codec" not in t.vocab.to_json()
    assert Vocab(**t.vocab.to_json()) == t.vocab
    assert "codec" not in repr(t.vocab)


def test_a_foreign_tokenizer_s_vocabulary_brings_it_too():
    engine = train(SPACED, 300)._engine
    engine.enable_truncation(3)
    codec = Vocab.from_tokenizer(engine).codec
    assert codec.decode(codec.encode("The fox [MASK] jumps</s>.")) == "The fox [MASK] jumps</s>."
    assert not set(codec.encode("The fox [MASK] jumps</s>.")) & Vocab.from_tokenizer(engine).special
    assert engine.truncation is not None
