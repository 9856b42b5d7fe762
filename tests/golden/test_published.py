"""Published examples and numbers, to the token: T5's two layouts, packed documents, T5's length helper, frames."""

import numpy as np
import pytest

import maskdial as md
from maskdial.corruption.text import Spans
from maskdial.sample import KINDS, SILENT
from tests.golden.words import Words

SENTENCE = "transformer models learn patterns from large text corpora"


def test_t5_of_one_span():
    words = Words(SENTENCE)
    modes = [({}, True), ({"layout": "complement"}, True), ({"final_sentinel": False}, False), ({"final_sentinel": True}, True)]
    for options, last in modes:
        source, _read, said = words.parts(words.build("t5", hide=[2, 3, 4], **options))
        assert source == "transformer models <extra_id_0> large text corpora"
        assert said == "<extra_id_0> learn patterns from" + " <extra_id_1>" * last + " </s>"


@pytest.mark.parametrize(("layout", "said"), [
    ("complement", "a b <extra_id_0> e <extra_id_1> </s>"),
    ("announce", "<extra_id_0> a b <extra_id_1> e <extra_id_2> </s>"),
])  # fmt: skip
def test_t5_of_a_text_that_starts_hidden(layout, said):
    words = Words("a b c d e f")
    one = words.build("t5", hide=[0, 1, 4], layout=layout)
    assert words.parts(one)[0] == "<extra_id_0> c d <extra_id_1> f"
    assert words.parts(one)[2] == said
    assert one.leaks == 0


@pytest.mark.parametrize(("hide", "layout", "source", "said"), [
    ([4, 5], "announce", "a b c d <extra_id_0>", "<extra_id_0> e f </s>"),
    ([4, 5], "complement", "a b c d <extra_id_0>", "<extra_id_0> e f </s>"),
    ([0, 5], "complement", "<extra_id_0> b c d e <extra_id_1>", "a <extra_id_0> f </s>"),
    ([0, 5], "announce", "<extra_id_0> b c d e <extra_id_1>", "<extra_id_0> a <extra_id_1> f </s>"),
    ([0, 1, 2, 3, 4, 5], "complement", "<extra_id_0>", "a b c d e f </s>"),
    ([0, 1, 2, 3, 4, 5], "announce", "<extra_id_0>", "<extra_id_0> a b c d e f </s>"),
    ([], "announce", "a b c d e f", "<extra_id_0> </s>"),
    ([], "complement", "a b c d e f", "<extra_id_0> </s>"),
])  # fmt: skip
def test_t5_at_the_ends_of_a_text(hide, layout, source, said):
    """Complement is the same function over the opposite mask: every kept run becomes a sentinel."""
    words = Words("a b c d e f")
    found = words.parts(words.build("t5", hide=hide, layout=layout))
    assert (found[0], found[2]) == (source, said)


def test_t5_row_of_random_spans():
    words = Words("Thank you for inviting me to your party last week .")
    source, _read, said = words.parts(words.build("t5", force={"spans": Spans.of([[(2, 3), (6, 3)]])}))
    assert source == "Thank you <extra_id_0> to <extra_id_1> week ."
    assert said == "<extra_id_0> for inviting me <extra_id_1> your party last <extra_id_2> </s>"


def test_t5_start_falls_back_to_pad():
    words = Words("a b c d", roles=("pad", "eos"))
    assert words.parts(words.build("t5", hide=[3]))[1] == "</s> <extra_id_0> d"
    bare = md.Vocab(size=30, pad=0, eos=1, start=0, sentinels=range(29, 20, -1))
    s = md.objective("t5")(md.rows([[5, 6, 7, 8]]), bare)
    assert s.read[s.stream == 1].tolist() == [0, 29, 8]
    assert s.read[s.stream == 0].tolist() == [5, 6, 7, 29, 1], "released T5 ends its source too"


def test_frames():
    words = Words("a b c")
    one = words.build("bert", hide=[1], frame=True)
    assert words.spelled(one.read) == "[CLS] a [MASK] c [SEP]"
    assert words.spelled(one.target) == "· · b · ·"
    assert [KINDS[k] for k in one.kind] == ["special", "kept", "mask", "kept", "special"]
    source, read, said = words.parts(words.build("bart", frame=True, infill=0.0, permute=False))
    assert (source, read, said) == ("<s> a b c </s>", "<start> <s> a b c", "<s> a b c </s>")
    assert words.spelled(words.build("gpt", frame=True).read) == "a b c"
    assert words.parts(words.build("t5", hide=[2], frame=True))[0] == "a b <extra_id_0> </s>"


def test_bart_reads_its_end_token_first_when_no_start_token_is_named():
    words = Words("a b c", roles=("pad", "bos", "eos", "mask"))
    _source, read, said = words.parts(words.build("bart", frame=True, infill=0.0, permute=False))
    assert (read, said) == ("</s> <s> a b c", "<s> a b c </s>")


def test_documents_packed_apart():
    """Two documents whose end token 1 is part of the text, in a row of six: the begin token is 0, as padding is."""
    rows = md.rows([[3, 9, 1, 4, 1]], segment=[[1, 1, 1, 2, 2]], packing="isolated")
    s = md.objective("gpt")(rows, md.Vocab(size=12, pad=0, bos=0), provenance=True)
    batch = s.batch(length=6)
    assert np.where(batch["target:token"] == SILENT, 0, batch["target:token"]).tolist() == [[3, 9, 1, 4, 1, 0]]
    assert batch["read"].tolist() == [[0, 3, 9, 0, 4, 0]]
    assert batch["weight:token"].tolist() == [[1, 1, 1, 1, 1, 0]]
    assert batch["position"].tolist() == [[0, 1, 2, 0, 1, 0]]
    assert (batch["segment"] + (batch["segment"] < 0)).tolist() == [[1, 1, 1, 2, 2, 0]]
    assert s[0].leaks == 0
    assert s[0].visible().tolist()[3] == [False, False, False, True, False]


def test_a_joined_row_is_asked_all_but_its_first_token():
    s = md.objective("gpt")(md.rows([[5, 6, 0, 7]]), md.Vocab(size=12, eod=0, bos=1))
    assert s.read.tolist() == [5, 6, 0, 7]
    assert s.target.tolist() == [6, 0, 7, SILENT]


@pytest.mark.parametrize(("length", "rate", "mean", "raw", "answer"), [
    (512, 0.15, 3.0, 568, 114), (64, 0.2, 2.0, 70, 22), (64, 0.2, 1.0, 63, 27),
    (512, 0.15, 2.0, 552, 126), (512, 0.15, 5.0, 581, 105), (512, 0.15, 10.0, 591, 99),
])  # fmt: skip
def test_t5_length_helper(length, rate, mean, raw, answer, vocab):
    objective = md.objective("t5", rate=rate, mean_length=mean)
    room = objective.room(length)
    assert (room.raw, room.source, room.answer, room.exact) == (raw, length, answer, True)
    s = objective(md.rows([(list(range(100, 110)) * 60)[:raw]], index=[3]), vocab)
    assert ((s.stream == 0).sum(), (s.stream == 1).sum()) == (length, answer)


def test_bert_reads_one_mask_and_asks_two_tokens():
    words = Words(SENTENCE)
    one = words.build("bert", hide=[2, 5])
    assert words.spelled(one.read) == "transformer models [MASK] patterns from [MASK] text corpora"
    assert words.spelled(one.target[one.target != SILENT]) == "learn large"
    shifted = words.build("gpt")
    assert words.spelled(shifted.read[:-1]) == "transformer models learn patterns from large text"
    assert words.spelled(shifted.target[:-1]) == "models learn patterns from large text corpora"
    assert shifted.target[-1] == SILENT


def test_a_rotation_begins_at_any_token():
    words = Words("a b c d")
    for first, expected in ((0, "a b c d"), (1, "a b c d"), (2, "b c d a"), (4, "d a b c")):
        one = words.build("bart", force={"rotate": np.array([first])}, infill=0.0, permute=False, rotate=1.0)
        assert words.parts(one)[0] == expected


def test_noises_compose_in_the_order_of_the_release():
    """Sentences are shuffled first, then spans are cut, then the text is turned; the answer stays clean."""
    words = Words("A B C . D E .")
    force = {"sentences": Spans.of([[(4, 3), (0, 4)]]), "spans": Spans.of([[(1, 2)]]), "rotate": np.array([3])}
    source, _read, said = words.parts(words.build("bart", force=force, rotate=1.0))
    assert source == "A B C . D [MASK]"
    assert said == "A B C . D E . </s>"
