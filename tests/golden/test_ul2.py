"""UL2's denoisers and T5's length helper: the worked examples, the table of lengths, and what goes wrong elsewhere."""

import numpy as np
import pytest

import maskdial as md
from maskdial.sample import KINDS
from tests.contract import handmade
from tests.golden.test_seq2seq import SENTENCE, Speaking
from tests.golden.words import Words, worked


def lines_of(name):
    """Consecutive (source, answer) lines of a mixture's docstring by member."""
    lines = worked(name)[1:]
    return {source[0]: (source[1], answer[1]) for source, answer in zip(lines[::2], lines[1::2], strict=True)}


def test_ul2():
    words, ul2 = Speaking(SENTENCE), md.objective("ul2").replace(frame=False)
    drawn = lines_of("ul2")
    s = words.made(ul2.member("s", words.vocab), {"split": np.array([5])})
    x = words.made(ul2.member("x-64-50", words.vocab))
    for name, one in (("s", s), ("x-64-50", x)):
        source, read, said = words.parts(one)
        assert (source, said) == drawn[name]
        assert read == " ".join(["<start>", *said.split()[:-1]])
        assert one.leaks == 0


def test_ul2_is_the_hand_made_sample_of_the_contract():
    words, ul2 = Speaking(SENTENCE), md.objective("ul2").replace(frame=False)
    forced = {"s": {"split": np.array([5])}, "x-64-50": {}}
    for (member, force), case in zip(forced.items(), handmade.ul2()[1:], strict=True):
        one, made = words.made(ul2.member(member, words.vocab), force), case.samples[0]
        for column in ("origin", "answer", "order", "position", "stream"):
            assert (one.column(column) == made.column(column)).all(), (member, column)


def test_ul2r():
    words, ul2r = Speaking(SENTENCE), md.objective("ul2r").replace(frame=False)
    drawn = lines_of("ul2r")
    s = words.made(ul2r.member("s", words.vocab), {"split": np.array([5])})
    r = words.made(ul2r.member("r-3-15", words.vocab))
    for name, one in (("s", s), ("r-3-15", r)):
        source, _read, said = words.parts(one)
        assert (source, said) == drawn[name]
        assert one.position.tolist() == list(range(len(one))), "one stack: positions run on"


def test_ul2_table():
    """512 positions, no mode token: T5's length helper for each denoiser, its rule for one half among them."""
    rooms = {name: room for name, room in md.objective("ul2", mode_tokens=False, roll=False).rooms(512).items() if name != "s"}
    assert {name: (room.raw, room.answer, room.exact) for name, room in rooms.items()} == {
        "r-3-15": (568, 114, True), "r-8-15": (588, 100, True), "x-3-50": (766, 512, True), "x-8-50": (908, 512, True),
        "x-64-15": (600, 92, True), "x-64-50": (1006, 512, True),
    }  # fmt: skip
    assert {room.source for room in rooms.values()} == {512}


def helper(length, rate, mean):
    """T5's length helper in plain numbers: the text that fills `length` with one end token, and its answer."""
    def sizes(n):
        hidden = round(n * rate)
        spans = round(hidden / mean)
        return n - hidden + spans + 1, hidden + spans + 1
    n = length - 1
    while sizes(n + 1)[0] <= length:
        n += 1
    source, answer = sizes(n)
    return (n - 1, answer - 1) if rate == 0.5 and answer > source else (n, answer)


@pytest.mark.parametrize(("length", "rate", "mean", "expected"), [
    (64, 0.2, 2.0, (70, 22)), (64, 0.2, 1.0, (63, 27)), (512, 0.15, 3.0, (568, 114)), (512, 0.15, 2.0, (552, 126)),
    (512, 0.15, 5.0, (581, 105)), (512, 0.15, 10.0, (591, 99)), (512, 0.5, 3.0, (766, 512)), (512, 0.5, 64.0, (1006, 512)),
])  # fmt: skip
def test_length_helper(length, rate, mean, expected):
    room = md.objective("t5", rate=rate, mean_length=mean).room(length)
    assert helper(length, rate, mean) == expected
    assert (room.raw, room.answer) == expected


def test_length_helper_at_one_half():
    """The same text at every length; where taking a token away takes a span too, the helper's answer is one too long."""
    taken, shorter = 0, 0
    for length in range(70, 700, 13):
        for mean in (3.0, 8.0, 64.0):
            objective, (raw, answer) = md.objective("t5", rate=0.5, mean_length=mean), helper(length, 0.5, mean)
            room = objective.room(length)
            assert room.raw == raw
            assert room.answer in (answer, answer - 1)
            assert room.answer <= room.source
            taken += md.Objective.room(objective, length).raw > raw
            shorter += room.answer < answer
    assert taken > 15
    assert 0 < shorter < 20


def test_a_mode_token_never_trims_a_sentinel(vocab):
    """Its room is reserved: source and mode token fill the length, and every sentinel is still there, the last one too."""
    ul2 = md.objective("ul2")
    for name, room in ul2.rooms(512, vocab=vocab).items():
        one = ul2.member(name, vocab)
        samples = one(md.rows([[100] * room.raw] * 5), vocab, provenance=True)
        for s in samples:
            source, said = s.read[s.stream == 0], s.target[s.stream == 1]
            assert len(source) <= 512
            assert not room.exact or len(source) == 512
            assert source[0] == vocab.modes[name[0].upper()]
            assert not set(vocab.modes.values()) & {*source[1:].tolist(), *said.tolist()}
            sentinels = [t for t in source.tolist() if t in vocab.sentinels]
            assert sentinels == list(vocab.sentinels[: len(sentinels)])
            assert sentinels == [t for t in said.tolist() if t in vocab.sentinels][: len(sentinels)]
            assert (len(sentinels) > 0) == (name != "s")
            assert s.leaks == 0


def test_ul2_at_half_in_spans_of_three_needs_128_sentinels():
    """766 tokens: an error that says so, the release's silent overflow by name, or surplus spans kept."""
    vocab = md.Vocab(size=1100, pad=0, eos=1, start=0, mask=2, sentinels=range(1099, 999, -1), modes={"R": 3, "S": 4, "X": 5})
    row = [list(range(100, 865))]

    def made(**options):
        ul2 = md.objective("ul2", **options)
        assert ul2.rooms(512, vocab=vocab)["x-3-50"].raw == 765 or options.get("overflow") == "merge_tail"
        one = ul2.member("x-3-50", vocab)(md.rows(row), vocab, provenance=True)[0]
        return [t for t, k in zip(one.read[one.stream == 0].tolist(), one.kind, strict=False) if KINDS[k] == "sentinel"]

    with pytest.raises(ValueError, match=r"needs 127 sentinels for one row and this vocabulary has 100.*merge_tail"):
        made()
    assert made(overflow="vocab") == made(compat="t5") == list(range(1099, 1099 - 127, -1))
    assert made(overflow="merge_tail") == list(range(1099, 1000, -1))


def test_ul2_names_a_missing_mode_token():
    words = Words(SENTENCE)
    with pytest.raises(ValueError, match=r"mode token 'R'.*Vocab\(…, modes="):
        md.objective("ul2").member("r-3-15", words.vocab)(words.rows(), words.vocab)
    alone = md.objective("ul2", mode_tokens=False).replace(frame=False)
    assert words.parts(words.build("ul2", mode_tokens=False))[0].split()[0] in (SENTENCE.split()[0], "<extra_id_0>")
    assert alone.member("s", words.vocab).head is None


def test_mt5_and_byt5_are_t5_over_other_vocabularies():
    rows, vocab = md.rows([list(range(100, 700))]), md.Vocab(size=1100, pad=0, eos=1, start=0, sentinels=range(1099, 999, -1))
    t5, mt5, byt5 = (md.objective("t5", compat=mode)(rows, vocab)[0] for mode in ("t5", "mt5", "byt5"))
    assert t5.read.tolist() == mt5.read.tolist()
    assert [sum(t >= 1000 for t in one.target.tolist()) for one in (t5, mt5, byt5)] == [30, 30, 4], "90 hidden: spans of 3, of 20"
