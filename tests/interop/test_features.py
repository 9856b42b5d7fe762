"""What a collator makes of a feature: body tokens without the tokenizer's frame, columns under their several names, a key."""

import numpy as np
import pytest

import maskdial as md
from maskdial.interop.features import Reader, digest
from maskdial.interop.guest import guest
from tests.interop.guests import BODY, TEXTS, VOCAB, engine, fast, features, rows_of

pytest.importorskip("transformers")


def body(objective, tokenizer, feature):
    return Reader(md.objective(objective), guest(tokenizer), 0).read(feature)


@pytest.mark.parametrize("kind", ["bert", "roberta"])
@pytest.mark.parametrize("objective", ["bert", "bart", "t5"])
def test_a_framed_objective_takes_the_tokenizers_frame_away(kind, objective):
    tokenizer = fast(kind)
    plain = tokenizer(TEXTS[0], add_special_tokens=False)["input_ids"]
    framed = tokenizer(TEXTS[0])
    assert framed["input_ids"] != plain
    assert body(objective, tokenizer, framed).tokens.tolist() == plain
    assert body(objective, tokenizer, framed["input_ids"]).tokens.tolist() == plain
    padded = tokenizer(TEXTS[0], padding="max_length", max_length=20, return_tensors="pt")
    assert body(objective, tokenizer, padded).tokens.tolist() == plain
    marked = tokenizer(TEXTS[0], return_special_tokens_mask=True)
    assert body(objective, tokenizer, {k: v for k, v in marked.items() if k != "attention_mask"}).tokens.tolist() == plain


def test_an_unframed_objective_keeps_begin_and_end():
    """The end of a text is learnt (or a model never stops), padding is not, even where both are one token."""
    tokenizer = fast("roberta")
    assert body("gpt", tokenizer, tokenizer("the cat")).tokens.tolist() == tokenizer("the cat")["input_ids"]
    tokenizer = fast("gpt2")
    tokenizer.pad_token = tokenizer.eos_token
    end = tokenizer.eos_token_id
    ids = [*tokenizer("ab")["input_ids"], end]
    padded = {"input_ids": [*ids, end, end], "attention_mask": [1] * len(ids) + [0, 0]}
    assert body("gpt", tokenizer, padded).tokens.tolist() == ids
    batch = md.hf.Collator("gpt", tokenizer)([padded, tokenizer("abcdef")])
    assert batch["labels"][0].tolist() == [-100, *ids[1:], -100, -100, -100]


def test_documents_in_a_row_keep_what_parts_them():
    tokenizer = fast("roberta")
    begin, end = tokenizer.bos_token_id, tokenizer.eos_token_id
    row = [begin, 10, 11, end, begin, 12, 13, end]
    assert body("bart", tokenizer, row).tokens.tolist() == [10, 11, end, 12, 13]
    assert body("gpt", tokenizer, row).tokens.tolist() == row
    isolated = {"input_ids": row, "segment": [0] * 4 + [1] * 4}
    assert body("gpt", tokenizer, isolated).tokens.tolist() == [10, 11, end, 12, 13, end]  # gpt opens isolated documents itself


def test_body_tokens_are_left_alone():
    assert body("t5", VOCAB, {"tokens": [VOCAB.eos, 9, VOCAB.eos]}).tokens.tolist() == [VOCAB.eos, 9, VOCAB.eos]


def test_only_specials_leaves_nothing():
    tokenizer = fast("roberta")
    assert body("bart", tokenizer, tokenizer("")).tokens.tolist() == []
    assert body("bart", tokenizer, []).tokens.tolist() == []
    made = md.hf.Collator("bart", tokenizer)([tokenizer(""), tokenizer("the cat")])
    assert made["labels"][0].tolist()[:2] == [tokenizer.bos_token_id, tokenizer.eos_token_id]


@pytest.mark.parametrize("name", ["part", "completion_mask", "assistant_masks", "token_type_ids"])
def test_a_part_has_many_names(name):
    made = body("gpt", VOCAB, {"input_ids": [VOCAB.cls, 9, 10, 11, VOCAB.sep], name: [0, 0, 1, 1, 1]})
    assert made.tokens.tolist() == [9, 10, 11]
    assert made.columns["part"].tolist() == [0, 1, 1]


def test_the_token_types_of_one_text_are_no_part():
    assert "part" not in body("gpt", VOCAB, {"input_ids": [9, 10], "token_type_ids": [0, 0]}).columns


def test_words_and_sentences_come_from_the_tokenizer_where_a_feature_brings_none():
    tokenizer = fast("bert")
    reader = Reader(md.objective("bert"), guest(tokenizer), 0)
    rows = reader.rows([reader.read(tokenizer(TEXTS[0]))])
    assert rows.word.tolist() == [1] * 11
    assert rows.sentence.tolist() == [1, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0]  # the word behind the stop
    numbered = reader.read({"input_ids": [9, 10, 11, 12], "word_ids": [0, 0, 1, None]})
    assert numbered.columns["word"].tolist() == [1, 0, 1, 1]
    byte_level = guest(fast("gpt2"))
    assert byte_level.starts("word")(np.array(fast("gpt2")("ab cd")["input_ids"])).tolist() == [1, 0, 1, 0, 0]


@pytest.mark.parametrize("kind", ["bert", "roberta", "t5", "gpt2"])
def test_roles_are_the_tokenizers_own(kind):
    tokenizer = fast(kind)
    vocab = guest(tokenizer).vocab
    assert vocab.size == len(tokenizer)
    for role in ("pad", "bos", "eos", "cls", "sep", "mask", "unk"):
        assert getattr(vocab, role) == getattr(tokenizer, f"{role}_token_id"), role
    assert set(tokenizer.all_special_ids) <= vocab.special
    assert len(vocab.sentinels) == (2 if kind == "t5" else 0)


def test_a_tokenizer_is_not_changed_by_reading_it():
    tokenizer = engine(["[PAD]", "[UNK]"])
    tokenizer.enable_padding(pad_id=0, pad_token="[PAD]", length=9)
    tokenizer.enable_truncation(12)
    before = tokenizer.to_str()
    guest(tokenizer)
    assert tokenizer.to_str() == before
    with pytest.raises(TypeError, match="not dict"):
        guest({})


def test_a_slow_tokenizer_and_maskdials_own():
    from transformers import PreTrainedTokenizer

    class Slow(PreTrainedTokenizer):
        def __init__(self, **named):
            self.table = {w: i for i, w in enumerate(["[PAD]", "[MASK]", "[UNK]", "un", "##til", "cat"])}
            super().__init__(**named)

        vocab_size = property(lambda self: len(self.table))

        def get_vocab(self):
            return dict(self.table)

        def _tokenize(self, text):
            return text.split()

        def _convert_token_to_id(self, token):
            return self.table.get(token, 2)

        def _convert_id_to_token(self, index):
            return list(self.table)[index]

    made = guest(Slow(pad_token="[PAD]", mask_token="[MASK]", unk_token="[UNK]"))
    assert (made.vocab.size, made.vocab.pad, made.vocab.mask, made.vocab.unk) == (6, 0, 1, 2)
    assert made.vocab.special == {0, 1, 2}
    assert made.word.tolist() == [True, True, True, True, False, True]
    own = guest("bytes")
    assert own.vocab.mask is not None
    assert own.starts("sentence")(np.frombuffer(b"a. b", np.uint8).astype(np.int64)).tolist() == [1, 0, 1, 0]


def test_an_index_is_taken_or_made_of_the_tokens():
    assert body("gpt", VOCAB, {"input_ids": [9, 10], "index": 4}).index == 4
    assert body("gpt", VOCAB, {"input_ids": [9, 10], "idx": np.int64(5), "epoch": 3}).epoch == 3
    without = body("gpt", VOCAB, {"input_ids": [9, 10]}).index
    assert without == digest(np.array([9, 10])) == body("gpt", VOCAB, [9, 10]).index
    assert len({digest(np.array(t)) for t in ([9, 10], [10, 9], [9], [], [9, 10, 0])}) == 5
    with pytest.raises(ValueError, match="from 0 up, not -1"):
        body("gpt", VOCAB, {"input_ids": [9], "index": -1})


def test_bad_features_say_what_is_wrong():
    with pytest.raises(ValueError, match=r"needs `input_ids` \(or `tokens`, body ids\); this one has \['text'\]"):
        body("gpt", VOCAB, {"text": "a"})
    with pytest.raises(ValueError, match="lie in 0 … 95"):
        body("gpt", VOCAB, [9, 96])
    with pytest.raises(ValueError, match="list of whole numbers"):
        body("gpt", VOCAB, {"input_ids": [9.5]})
    with pytest.raises(ValueError, match="`part` must have one value a token: 2, not 1"):
        body("gpt", VOCAB, {"input_ids": [9, 10], "part": [1]})
    with pytest.raises(ValueError, match="others have none"):
        Reader(md.objective("gpt"), guest(VOCAB), 0).samples([{"tokens": [9], "segment": [0]}, {"tokens": [9]}])


def test_a_batch_of_several_epochs_is_each_samples_own():
    """Rows come back in the order of the features, whatever their epochs and lengths."""
    reader = Reader(md.objective("bart"), guest(VOCAB), 3)
    given = features([9, 17, 0, 4, 12])
    for feature, epoch in zip(given, [1, 0, 2, 1, 0], strict=True):
        feature["epoch"] = epoch
    together = reader.samples(given)
    assert together.index.tolist() == [0, 1, 2, 3, 4]
    assert together.body.tolist() == [9, 17, 0, 4, 12]
    for i, feature in enumerate(given):
        alone = md.objective("bart")(rows_of([feature]), VOCAB, seed=3, epoch=feature["epoch"])
        for name in ("read", "position", "segment", "stream", "order", "target:token", "weight:token"):
            assert (together[i].column(name) == alone.column(name)).all(), (i, name)
    assert BODY.start <= int(together.column("target:token").max()) < VOCAB.size
