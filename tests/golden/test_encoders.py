"""Encoders to the token: the worked examples of their docstrings, published examples, and the edges where sources trip."""

from itertools import pairwise

import numpy as np
import pytest

import maskdial as md
from maskdial.corruption.render import AS_MASK, AS_RANDOM, AS_SAME
from maskdial.corruption.short_runs import short_runs
from maskdial.sample import KINDS, SILENT
from maskdial.target.discriminated import discriminate
from tests.golden.words import Words, example

SENTENCE = "transformer models learn patterns from large text corpora"


def numbers(line):
    """A line of a worked example that holds numbers, `·` for silent."""
    return [SILENT if word == "·" else int(word) for word in line.split()]


def text_of(drawn):
    """The words of a worked example's text, without the places of its frame."""
    return " ".join(word for word in drawn["text"].split() if word != "·")


def built(words, name, hide=(), frame=True, part=None, label=None, decisions=None, options=None, word=None):
    """A text under a recipe, these tokens hidden as [MASK]."""
    ids = [words.id[w] for w in words.text.split()]
    rows = md.rows([ids], word=[[1] * len(ids) if word is None else word], part=None if part is None else [part],
                   label=None if label is None else [label])  # fmt: skip
    objective = md.objective(name, **(options or {})).replace(frame=frame)
    flags = np.zeros(len(ids), dtype=np.uint8)
    flags[list(hide)] = AS_MASK
    d = objective.draw(rows, words.vocab, force={"hidden": flags})
    d.values.update(decisions or {})
    return objective.build(rows, words.vocab, d, provenance=True)[0]


def test_roberta_may_hide_its_frame():
    drawn = example("roberta")
    words = Words(text_of(drawn), roles=("pad", "bos", "eos", "mask"))
    one = built(words, "roberta", hide=[0, 3], decisions={"frame": np.array([[0, AS_MASK]], dtype=np.uint8)})
    assert words.spelled(one.read) == drawn["read"]
    assert words.spelled(one.target) == drawn["target"]
    assert [KINDS[k] for k in one.kind] == ["special", "mask", "kept", "kept", "mask", "mask"]
    assert one.leaks == 0


@pytest.mark.parametrize("name", ["bert-nsp", "albert"])
def test_pairs(name):
    """Two texts in one frame: the second separator's part, and the class asked at the first position, once a row."""
    drawn, head = example(name), {"bert-nsp": "next_sentence", "albert": "sentence_order"}[name]
    words = Words(text_of(drawn))
    hide = [i for i, word in enumerate(words.text.split()) if word in drawn["target"].split()]
    one = built(words, name, hide=hide, part=[0, 0, 1, 1], label=1)
    assert words.spelled(one.read) == drawn["read"]
    assert one.part.tolist() == numbers(drawn["part"])
    assert words.spelled(one.target) == drawn["target"]
    assert one.targets[head].tolist() == numbers(drawn[head])
    assert [(h.name, h.kind, h.coefficient, h.divisor) for h in one.heads] == [("token", "token", 1, "scored"), (head, "class", 1, "rows")]
    assert one.leaks == 0
    assert len(set(one.column(f"answer:{head}")[:1]) & set(one.origin)) == 0, "a label is read nowhere"


def test_the_published_pairs():
    """BERT's appendix: `b c` and `e f` after truncation. ALBERT: `a b`, `c d` exchanged."""
    words = Words("b c e f")
    one = built(words, "bert-nsp", part=[0, 0, 1, 1], label=0)
    assert words.spelled(one.read) == "[CLS] b c [SEP] e f [SEP]"
    assert one.part.tolist() == [0, 0, 0, 0, 1, 1, 1]
    assert one.targets["next_sentence"][0] == 0
    words = Words("c d a b")
    one = built(words, "albert", part=[0, 0, 1, 1], label=1)
    assert words.spelled(one.read) == "[CLS] c d [SEP] a b [SEP]"
    assert one.targets["sentence_order"][0] == 1
    with pytest.raises(ValueError, match="albert needs the rows' `part` column"):
        md.objective("albert")(words.rows(), words.vocab)


def test_megatrons_next_sentence_is_sentence_order():
    one, other = md.objective("bert-nsp", compat="megatron"), md.objective("bert-nsp")
    assert (one.pairs, other.pairs) == ("order", "next")
    assert one.heads == other.heads
    assert md.objective("albert").pairs == "order"


PIECES = "a ##b ##c ##d"


@pytest.mark.parametrize(("name", "options"), [
    ("bert", {"compat": "google-bert", "whole_word": True}), ("bert", {"compat": "megatron"}),
    ("bert-nsp", {"compat": "google-bert", "whole_word": True}), ("bert-nsp", {"compat": "megatron"}), ("albert", {}),
])  # fmt: skip
def test_one_word_longer_than_the_budget_is_asked_nothing(name, options, vocab):
    """`[CLS] a ##b ##c ##d [SEP]`: one piece may be chosen, the only word has four."""
    words = Words(PIECES)
    rows = md.rows([[words.id[w] for w in PIECES.split()]] * 50, word=[[1, 0, 0, 0]] * 50, part=[[0, 0, 0, 0]] * 50, label=[0] * 50)
    for seed in range(3):
        assert (md.objective(name, **options)(rows, words.vocab, seed=seed).target == SILENT).all()


def test_a_separator_closes_a_word_unless_as_released():
    """B starts with a piece of a word that front truncation cut: by default it is a word of its own."""
    rows = md.rows([[100, 101, 102, 103]] * 400, word=[[1, 0, 0, 1]] * 400, part=[[0, 0, 1, 1]] * 400, label=[0] * 400)
    vocab = md.Vocab(size=200, pad=0, cls=1, sep=2, mask=3)
    for name, options in (("bert-nsp", {"whole_word": True, "rate": 0.4, "count": "exact"}), ("albert", {"rate": 0.4})):
        seen = {}
        for across in (False, True):
            hidden = md.objective(name, across=across, **options).draw(rows, vocab)["hidden"].reshape(-1, 4) > 0
            assert (hidden.sum(axis=1) <= 3).all()
            seen[across] = {"".join("x" if h else "." for h in row) for row in hidden}
        assert all(row[0] == row[1] for row in seen[False] | seen[True]), "a word is hidden whole"
        assert any(row[1] != row[2] for row in seen[False]), "the piece behind the separator goes its own way"
        assert all(row[1] == row[2] for row in seen[True]), "as released it goes with the word before the separator"
    assert {"xxx.", "...x"} >= seen[True] - {"...."}


def test_a_run_of_words_ends_at_the_separator_unless_as_released():
    half = 20
    part, word = [[0] * half + [1] * half] * 300, [[1] * 2 * half] * 300
    rows = md.rows([[100 + i for i in range(2 * half)]] * 300, word=word, part=part, label=[0] * 300)
    vocab = md.Vocab(size=200, pad=0, cls=1, sep=2, mask=3)
    last = {}
    for across in (False, True):
        objective = md.objective("albert", across=across, rate=0.046, ngram=2, favor="long")
        hidden = objective.draw(rows, vocab)["hidden"].reshape(-1, 2 * half) > 0
        assert (hidden.sum(axis=1) == 2).all(), "the budget is two words: one run of two, or two single words"
        last[across] = int((hidden[:, half - 1] & hidden[:, half]).sum())
    assert last[True] > last[False], "runs reach over the separator"


@pytest.mark.parametrize("options", [{"count": "exact"}, {"compat": "google-bert"}])
@pytest.mark.parametrize("name", ["bert", "roberta"])
def test_bert_of_no_token_and_of_one(name, options):
    """`[CLS] [SEP]` has no candidate; `[CLS] x [SEP]` has one, and it is chosen."""
    vocab = md.Vocab(size=300, pad=0, cls=1, sep=2, mask=3)
    options = {"count": "exact"} | options if "compat" not in options else options
    s = md.objective(name, **options)(md.rows([[], [100]]), vocab)
    assert [len(one) for one in s] == [2, 3]
    assert [one.target.tolist() for one in s] == [[SILENT] * 2, [SILENT, 100, SILENT]]


def test_the_cap_on_chosen_tokens():
    """512 positions: 76.8 rounds to 77; 20 are chosen where the released data hold 20."""
    rows = md.rows([[100] * 510], word=[[1] * 510], part=[[0] * 255 + [1] * 255], label=[0])
    vocab = md.Vocab(size=300, pad=0, cls=1, sep=2, mask=3)
    for name, options, count in (("bert", {"count": "exact"}, 77), ("bert", {"count": "exact", "most": 20}, 20),
                                 ("albert", {}, 77), ("albert", {"most": 20}, 20)):  # fmt: skip
        assert (md.objective(name, **options)(rows, vocab).target[1:] != SILENT).sum() == count


@pytest.mark.parametrize(("name", "options"), [("bert-nsp", {"count": "exact"}), ("albert", {})])
def test_a_pairs_count_is_of_both_texts_and_three_special_tokens(name, options, vocab):
    lengths = range(2, 300)
    rows = md.rows([[100] * n for n in lengths], word=[[1] * n for n in lengths], part=[[0] + [1] * (n - 1) for n in lengths],
                   label=[0] * len(lengths))  # fmt: skip
    s = md.objective(name, **options)(rows, vocab)
    assert [int((one.target != SILENT).sum()) for one in s] == [max(1, round((n + 3) * 0.15)) for n in lengths]


def test_spanbert():
    drawn = example("spanbert")
    words = Words(drawn["text"])
    one = built(words, "spanbert", hide=[2, 3], frame=False)
    assert words.spelled(one.read) == drawn["read"]
    assert words.spelled(one.target) == drawn["target"]
    assert words.spelled(one.targets["span_boundary"]) == drawn["span_boundary"]
    for name in ("left", "right", "offset"):
        assert one.column(name).tolist() == numbers(drawn[name]), name
        assert one.column(name).dtype == np.int32
    assert (one.column("answer:span_boundary") == one.answer).all()
    assert one.leaks == 0


@pytest.mark.parametrize(("hide", "asked"), [
    ([0, 1], []), ([6, 7], []), (range(8), []), ([0, 1, 4], [4]), ([1], [1]), ([2, 3, 5, 6], [2, 3, 5, 6]), ([], []),
])  # fmt: skip
def test_a_span_at_an_end_has_no_boundary(hide, asked):
    """The frame is no boundary: what touches an end is asked in place only."""
    one = built(Words(SENTENCE), "spanbert", hide=hide)
    assert np.flatnonzero(one.target != SILENT).tolist() == [i + 1 for i in hide]
    found = np.flatnonzero(one.targets["span_boundary"] != SILENT)
    assert found.tolist() == [i + 1 for i in asked]
    for i in found:
        assert one.left[i] == i - 1 - one.offset[i]
        assert one.target[one.left[i]] == one.target[one.right[i]] == SILENT, "boundaries are not hidden"
        assert (one.targets["span_boundary"][one.left[i] + 1 : one.right[i]] != SILENT).all()
    assert (one.column("weight:span_boundary") == (one.targets["span_boundary"] != SILENT)).all()


def test_one_token_is_hidden_and_has_no_boundary(vocab):
    s = md.objective("spanbert")(md.rows([[100], []], word=[[1], []]), vocab)
    assert s.target.tolist() == [SILENT, 100, SILENT, SILENT, SILENT]
    assert (s.column("target:span_boundary") == SILENT).all()


def test_far_tokens_of_a_span_are_not_asked_of_its_boundary():
    words = Words(" ".join(f"w{i}" for i in range(40)))
    for options, most in (({}, 20), ({"compat": "released"}, 15), ({"max_pair": 3}, 3)):
        one = built(words, "spanbert", hide=range(5, 35), frame=False, options=options)
        assert np.flatnonzero(one.targets["span_boundary"] != SILENT).tolist() == list(range(5, 5 + most))
        assert one.offset.tolist()[5 : 5 + most] == list(range(most))
        assert set(one.left[5 : 5 + most]) == {4}
        assert set(one.right[5 : 5 + most]) == {35}
    plain = md.objective("spanbert", compat="flags")
    assert [h.name for h in plain.heads] == ["token"]


def test_boundaries_of_packed_documents_stay_within_them(vocab):
    """Columns point within the row; a span that ends a document has no boundary in the next one."""
    rows = md.rows([[100] * 12], segment=[[0] * 6 + [1] * 6], word=[[1] * 12], packing="isolated")
    objective = md.objective("spanbert")
    flags = np.array([0, 1, 0, 0, 0, 1, 0, 0, 1, 1, 0, 0], dtype=np.uint8)
    one = objective.build(rows, vocab, objective.draw(rows, vocab, force={"hidden": flags}))[0]
    assert len(one) == 16
    found = np.flatnonzero(one.targets["span_boundary"] != SILENT)
    assert found.tolist() == [2, 11, 12]
    assert one.left[found].tolist() == [1, 10, 10]
    assert one.right[found].tolist() == [3, 13, 13]
    assert (one.segment[one.left[found]] == one.segment[found]).all()


def test_electra_in_two_views():
    drawn = example("electra")
    words = Words(drawn["text"])
    # two draws: `the`, which is right, and `ate`
    spelling = [*words.spelling, "ate"]
    words.spelling, words.id = spelling, {word: id for id, word in enumerate(spelling)}
    one = built(words, "electra", hide=[0, 2], frame=False)
    assert words.spelled(one.read) == drawn["read"]
    assert words.spelled(one.target) == drawn["target"]
    assert (one.targets["replaced"] == 0).all(), "until the generator has drawn"
    head = one.heads[1]
    assert (head.name, head.kind, head.coefficient, head.divisor, head.form) == ("replaced", "binary", 50, "scored", "drawn")
    second = discriminate(one.table, [words.id["the"], words.id["ate"]])[0]
    assert words.spelled(second.read) == drawn["drawn"]
    assert second.target.tolist() == numbers(drawn["replaced"])
    assert one.leaks == second.leaks == 0


def test_electra_judges_the_frame_too_and_hides_nothing_at_random(vocab):
    one = built(Words("a b c"), "electra", hide=[1])
    assert one.targets["replaced"].tolist() == [0] * 5
    assert one.weight.tolist() == [0, 0, 1, 0, 0]
    actions = md.objective("electra", rate=1.0).draw(md.rows([[100] * 2000]), vocab)["hidden"]
    assert set(actions.tolist()) == {AS_MASK, AS_SAME}


@pytest.mark.parametrize(("length", "most"), [(None, None), (128, 19), (512, 79)])
def test_electra_counts(length, most, vocab):
    """k = max(1, min(floor(.155 · model's length), round(.15 · L))) with L of the framed text, halves to even."""
    rows = md.rows([[100] * n for n in range(600)])
    drawn = md.objective("electra", length=length).draw(rows, vocab)["hidden"] > 0
    found = [int(drawn[a:b].sum()) for a, b in zip(rows.offsets[:-1], rows.offsets[1:], strict=True)]
    assert found == [min(n, max(1, min(most or 10**9, round((n + 2) * 0.15)))) for n in range(600)]


def test_electra_twice_drawn_counts_twice(vocab):
    objective, rows = md.objective("electra", compat="google-electra"), md.rows([[100 + i for i in range(126)]] * 40)
    d = objective.draw(rows, vocab)
    times = d["times"].reshape(40, -1)
    assert (times.sum(axis=1) == 19).all()
    assert times.max() > 1
    s = objective.build(rows, vocab, d)
    weight = s.weight.reshape(40, -1)[:, 1:-1]
    assert (weight == times).all()
    assert ((s.target.reshape(40, -1)[:, 1:-1] != SILENT) == (times > 0)).all()
    assert s.heads[0].divisor == "weights"
    forced = objective.draw(rows, vocab, force=objective.steps[0].hold(rows, rows.units.lengths, [[(3, 4)], *[[]] * 39]))
    assert objective.build(rows, vocab, forced).weight.sum() == 1, "what is hidden by hand counts once"


def test_masked_diffusion():
    drawn = example("dlm")
    words = Words(drawn["text"])
    one = built(words, "dlm", hide=[1, 2, 4], decisions={"t": np.array([0.5])})
    assert words.spelled(one.read) == drawn["read"]
    assert words.spelled(one.target) == drawn["target"]
    assert one.weight.tolist() == numbers(drawn["weight"])
    assert one.heads[0].divisor == "tokens"
    assert one.visible().all()


def test_a_forced_level_is_the_level():
    """The level is drawn first: forcing it changes what is hidden, and a higher one keeps the earlier picks."""
    objective, vocab = md.objective("dlm"), md.Vocab(size=300, pad=0, mask=3)
    rows = md.rows([[100] * 500])
    hidden = [objective.draw(rows, vocab, force={"t": np.array([t])})["hidden"] for t in (0.001, 0.2, 0.7, 1.0)]
    assert hidden[-1].all()
    assert all((a <= b).all() and a.sum() < b.sum() for a, b in pairwise(hidden))


SIGHTS = {"bidirectional": 3, "sequence": 3, "left": None, "right": None}


@pytest.mark.parametrize("name", SIGHTS)
def test_unilm_under_four_sights(name):
    drawn, cut = example("unilm"), SIGHTS[name]
    words, objective = Words(text_of(drawn)), md.objective("unilm").member(name)
    rows = words.rows()
    flags = np.zeros(5, dtype=np.uint8)
    flags[[i for i, word in enumerate(text_of(drawn).split()) if word in drawn["target"].split()]] = AS_MASK
    force = {"hidden": flags} | ({} if cut is None else {"split": np.array([2])})
    one = objective.build(rows, words.vocab, objective.draw(rows, words.vocab, force=force), provenance=True)[0]
    kept = [i for i in range(8) if cut is not None or i != 3]
    assert words.spelled(one.read).split() == [drawn["read"].split()[i] for i in kept]
    assert words.spelled(one.target).split() == [drawn["target"].split()[i] for i in kept]
    assert one.order.tolist() == [n for n in numbers(drawn[name]) if n != SILENT]
    assert one.leaks == 0
    assert one.visible().diagonal().all(), "every position sees itself, and reads [MASK] there"
    if cut is not None:
        assert one.part.tolist() == [0, 0, 0, 0, 1, 1, 1, 1]


def test_unilm_sees_the_source_and_what_came_before():
    """`[SOS] t1 t2 [EOS] t3 t4 t5 [EOS]`: t1 and t2 see the first four positions, t4 the first six."""
    words, objective = Words("t1 t2 t3 t4 t5"), md.objective("unilm").member("sequence")
    d = objective.draw(words.rows(), words.vocab, force={"split": np.array([2])})
    seen = ["".join("1" if x else "." for x in row) for row in objective.build(words.rows(), words.vocab, d)[0].visible()]
    assert seen[1] == seen[2] == "1111...."
    assert seen[5] == "111111.."
    assert [row.count("1") for row in seen] == [4, 4, 4, 4, 5, 6, 7, 8]


def test_unilm_with_the_papers_pairs(vocab):
    """Next sentence is asked of the samples that are read both ways, and of no others."""
    mixture = md.objective("unilm", next_sentence=True)
    rows = md.rows([[100] * 20] * 12, part=[[0] * 8 + [1] * 12] * 12, label=[1] * 12)
    s = mixture(rows, vocab)
    asked = [(one.targets["next_sentence"] != SILENT).sum() for one in s]
    assert asked == [int(mixture.member_of(n) == "bidirectional") for n in range(12)]
    assert sum(asked) == 4
    assert mixture.member("bidirectional").pairs == "next"
    assert mixture.needs == ("part", "label")
    assert all(one.part[:10].sum() == 0 for one, yes in zip(s, asked, strict=True) if yes), "the rows' own parts"
    one = md.objective("unilm", next_sentence=True, runs=1.0).member("bidirectional")
    d = one.draw(rows, vocab)
    fenced, free = (short_runs(rows.offsets, d.keys, np.full(12, 3), 1.0, 3, fence) for fence in (np.full(12, 8), None))
    assert ((d["hidden"] > 0) == fenced).all(), "no run leads from one text into the other"
    assert (fenced != free).any()


def test_a_random_span_takes_tokens_that_stand_in_the_row(vocab):
    """A span of random tokens reads tokens of the same text that are not hidden; where all are hidden, ordinary ids."""
    objective = md.objective("spanbert")
    text = list(range(100, 140))
    rows = md.rows([text] * 50, word=[[1] * 40] * 50)
    flags = np.tile(np.where(np.isin(np.arange(40), (3, 4, 5, 20)), AS_RANDOM, 0).astype(np.uint8), 50)
    read = objective.build(rows, vocab, objective.draw(rows, vocab, force={"hidden": flags})).read.reshape(50, 42)[:, 1:-1]
    made = read[:, [3, 4, 5, 20]]
    assert set(made.reshape(-1).tolist()) <= set(text) - {103, 104, 105, 120}
    assert len({tuple(row) for row in made.tolist()}) > 45
    every = objective.build(rows, vocab, objective.draw(rows, vocab, force={"hidden": np.full(2000, AS_RANDOM, dtype=np.uint8)}))
    assert np.isin(every.read.reshape(50, 42)[:, 1:-1], vocab.body).all()
    body = md.objective("spanbert", pool="body")
    other = body.build(rows, vocab, body.draw(rows, vocab, force={"hidden": flags})).read.reshape(50, 42)[:, [4, 5, 6, 21]]
    assert not set(other.reshape(-1).tolist()) <= set(text)
    assert np.isin(other, vocab.body).all()


def test_options_that_contradict_each_other():
    for name in ("bert", "roberta", "bert-nsp", "albert", "spanbert", "unilm"):
        with pytest.raises(ValueError, match=f"{name}: mask \\+ random must not exceed 1"):
            md.objective(name, mask=0.8, random=0.3)
    with pytest.raises(ValueError, match="runs of words"):
        md.objective("bert", ngram=2)
    with pytest.raises(ValueError, match="needs the rows' `word` column"):
        md.objective("spanbert")(md.rows([[5, 6]]), md.Vocab(size=10, mask=3))
    with pytest.raises(ValueError, match="roberta: whole words need"):
        md.objective("roberta", whole_word=True)(md.rows([[5, 6]]), md.Vocab(size=10, mask=3))
