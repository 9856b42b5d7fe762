"""Pairs: each sample is a function of its number, and the laws of next-sentence prediction and sentence order hold."""

from collections import Counter
from itertools import pairwise
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from maskdial.data import load, pair_of, pair_rows, prepare
from maskdial.data.pairs import KINDS, Plan, fitted, held
from maskdial.data.second import SECOND
from maskdial.errors import UserError
from maskdial.train.feed import Feed
from tests.statistics.tolerance import categories, frequency, uniform

from .conftest import write_jsonl


def numbered(shape):
    """Documents of sentences of these lengths; every token of the corpus has an id of its own."""
    documents, at = [], 0
    for sentences in shape:
        documents.append([list(range(at := at + 1, at := at + n)) for n in sentences])
    return documents


def split(rows):
    """(first part, second part, label) of each row."""
    for (a, b), label in zip(pairwise(rows.offsets), rows.label, strict=True):
        tokens, part = rows.tokens[a:b], rows.part[a:b]
        yield tokens[part == 0].tolist(), tokens[part == 1].tolist(), int(label)


shapes = st.lists(st.lists(st.integers(1, 9), min_size=1, max_size=6), min_size=2, max_size=6)


@given(a=st.integers(1, 40), b=st.integers(1, 40), limit=st.integers(2, 50))
def test_what_is_left_is_what_token_by_token_cutting_leaves(a, b, limit):
    one, two = a, b
    while one + two > limit:
        one, two = (one - 1, two) if one > two else (one, two - 1)
    assert fitted(a, b, limit) == (one, two)


@given(shape=shapes, length=st.integers(2, 14), seed=st.integers(0, 99), kind=st.sampled_from(["next", "order:random"]))
@settings(max_examples=80, deadline=None)
def test_a_pair_is_two_neighbours_or_two_documents(shape, length, seed, kind):
    text = held(numbered(shape))
    plan = Plan([text], length, kind)
    numbers = np.arange(2 * len(plan))
    rows = plan.rows(numbers, seed)
    assert rows.packing == "joined"
    assert not rows.segment.any()
    assert rows.index.tolist() == numbers.tolist()
    starts = text.columns["sentence"].values
    for pair, (first, second, label) in zip(plan.pairs(numbers, seed), split(rows), strict=True):
        assert 1 <= len(first) <= length - 1
        assert 1 <= len(second) <= length - 1
        assert len(first) + len(second) == min(length, sum(p.end - p.first for p in pair.parts))
        a, b = pair.parts
        shown = (second, first) if kind != "next" and label and not pair.single else (first, second)
        for tokens, piece in zip(shown, (a, b), strict=True):
            at = int(text.first[piece.document])
            whole = text.columns["tokens"].values[at + piece.first : at + piece.end].tolist()
            assert tokens == whole[whole.index(tokens[0]) :][: len(tokens)], "a part is one run of its piece"
            assert piece.end <= text.size[piece.document]
        if label == 0 or (kind != "next" and not pair.single):
            assert (a.document, a.end) == (b.document, b.first)
        else:
            assert a.document != b.document
        if a.document == b.document or pair.label:
            assert starts[text.first[b.document] + b.first], "a second part starts with a sentence"
        assert not pair.single or label == 1


@given(shape=shapes, length=st.integers(2, 14), seed=st.integers(0, 99), cuts=st.lists(st.integers(0, 40), max_size=4))
@settings(max_examples=50, deadline=None)
def test_a_sample_is_the_same_whoever_asks(shape, length, seed, cuts):
    plan = Plan([held(numbered(shape))], length)
    whole = list(split(plan.rows(np.arange(40), seed)))
    edges = [0, *sorted(cuts), 40]
    again = [pair for a, b in pairwise(edges) for pair in split(plan.rows(np.arange(a, b), seed))]
    assert again == whole
    assert list(split(plan.rows([17], seed))) == whole[17:18]


@given(shape=shapes, length=st.integers(2, 14), seed=st.integers(0, 99))
@settings(max_examples=50, deadline=None)
def test_an_epoch_has_every_chunk_once(shape, length, seed):
    text = held(numbered(shape))
    plan = Plan([text], length)
    begun = [sorted((p.parts[0].document, p.parts[0].first) for p in plan.pairs(np.arange(len(plan)) + e * len(plan), seed))
             for e in (0, 1, 5)]  # fmt: skip
    assert begun[0] == begun[1] == begun[2]
    assert Counter(document for document, _ in begun[0]) == {d: -(-sum(s) // length) for d, s in enumerate(shape)}
    for d, sentences in enumerate(shape):
        size, places = sum(sentences), [first for document, first in begun[0] if document == d]
        starts = {0, *np.cumsum(sentences).tolist()}
        for k, first in enumerate(places):  # the first sentence of each of equal stretches, so that all text is in reach of one
            stretch = range(size * k // len(places), size * (k + 1) // len(places))
            assert first == next((p for p in stretch if p in starts), stretch[0])
            assert len(stretch) <= length


@given(shape=shapes, length=st.integers(2, 14), seed=st.integers(0, 99))
@settings(max_examples=50, deadline=None)
def test_order_lists_the_chunks_that_have_two_sentences(shape, length, seed):
    text = held(numbered(shape))
    every = Plan([text], length, "order:random")
    whole = sorted(p.parts[0][:2] for p in every.pairs(np.arange(len(every)), seed, shuffle=False) if not p.single)
    if not whole:
        with pytest.raises(UserError, match="two sentences"):
            Plan([text], length, "order")
        return
    plan = Plan([text], length, "order")
    found = plan.pairs(np.arange(len(plan)), seed, shuffle=False)
    assert sorted(p.parts[0][:2] for p in found) == whole
    assert not any(p.single for p in found)


def test_the_published_examples():
    outcomes = Counter()
    for first, second, label in split(Plan([held([[[1, 2, 3, 4], [5, 6]]])], 4, "order").rows(np.arange(2000), 0, shuffle=False)):
        outcomes[tuple(first), tuple(second)] += 1
        assert label == (first[0] >= 5)
    kept = [(1, 2), (2, 3), (3, 4)]  # coins back back, front back, front front
    categories([outcomes[k, (5, 6)] + outcomes[(5, 6), k] for k in kept], [0.25, 0.5, 0.25], "tokens lost in front")
    assert sum(outcomes.values()) == sum(outcomes[k, (5, 6)] + outcomes[(5, 6), k] for k in kept)
    exchange = pair_rows([[[1, 2], [3, 4]]], 9, np.arange(50), kind="order")
    orders = Counter((tuple(a), tuple(b), label) for a, b, label in split(exchange))
    assert set(orders) == {((1, 2), (3, 4), 0), ((3, 4), (1, 2), 1)}


def test_the_share_of_each_label():
    """P(1) = 1/2 + q/2, with q the share of chunks that hold one sentence."""
    plan = Plan([held(numbered([[3] * 8, [40], [5, 30, 2], [2, 2]] * 20))], 16)
    pairs = plan.pairs(np.arange(12_000), 7, shuffle=False)
    q = sum(p.single for p in pairs) / len(pairs)
    assert 0.2 < q < 0.8
    frequency(sum(p.label for p in pairs if not p.single), sum(not p.single for p in pairs), 0.5, "label 1 of chunks that can follow")
    assert all(p.label for p in pairs if p.single)
    frequency(sum(p.label for p in pairs), len(pairs), 0.5 + 0.5 * q, "label 1")
    exchanged = Plan([held(numbered([[3] * 8, [2, 2]] * 20))], 16, "order").rows(np.arange(8000), 0, shuffle=False).label
    frequency(int(exchanged.sum()), len(exchanged), 0.5, "exchanged")


def test_where_a_random_second_part_comes_from_is_uniform():
    plan = Plan([held(numbered([[4] * 5, [2] * 3, [50], [9, 1]]))], 12)
    found = [p for p in plan.pairs(np.arange(20_000), 3, shuffle=False) if p.label == 1]
    for d in range(4):
        others = Counter(p.parts[1].document for p in found if p.parts[0].document == d)
        assert d not in others
        uniform([others[e] for e in range(4) if e != d], f"second documents beside {d}")
    starts = Counter(p.parts[1].first for p in found if p.parts[1].document == 0)
    uniform([starts[s] for s in range(0, 20, 4)], "starts in a document of five sentences")


def test_target_lengths_and_cuts():
    """Sentences of one token show the target: 9 in 10 the full length, else uniform in 2 … length; the cut is uniform."""
    length = 8
    plan = Plan([held(numbered([[1] * 24] * 3))], length, "order")
    pairs = plan.pairs(np.arange(30_000), 1, shuffle=False)
    total = Counter(p.parts[1].end - p.parts[0].first for p in pairs)
    short = 0.1 / (length - 1)
    categories([total[n] for n in range(2, length + 1)], [short] * (length - 2) + [0.9 + short], "targets")
    cut = Counter(p.parts[0].end - p.parts[0].first for p in pairs if p.parts[1].end - p.parts[0].first == length)
    uniform([cut[n] for n in range(1, length)], "sentences of the first part")


def test_the_noise_is_pinned():
    rows = pair_rows(numbered([[3, 4, 2, 5], [6, 1], [2] * 7]), 8, [0, 3, 4], seed=11, epoch=2)
    assert list(split(rows)) == [
        ([10, 11], [13, 14, 15, 16, 17], 0),
        ([28, 29], [1, 2, 3, 5, 6, 7], 1),
        ([1, 2, 3], [28, 29, 31, 32, 34], 1),
    ]
    assert rows.index.tolist() == [10, 13, 14]


def test_a_huge_sentence_is_read_in_part():
    rows = pair_rows([[range(1_000_000)], [range(1_000_000, 1_200_000)]], 32, [0, 20_000, 35_000])
    assert np.diff(rows.offsets).tolist() == [32] * 3
    assert rows.label.tolist() == [1] * 3


def test_what_can_t_be_paired():
    with pytest.raises(UserError, match="has 1 documents") as caught:
        pair_rows([[[1], [2]], []], 8)
    assert "next:same-document" in caught.value.hint
    assert {label for *_, label in split(pair_rows([[[1], [2]]], 8, np.arange(40), kind="next:same-document"))} == {0, 1}
    with pytest.raises(UserError, match="has 0 documents"):
        pair_rows([], 8, kind="order")
    with pytest.raises(UserError, match="no document with two sentences"):
        pair_rows([[[1]], [[2]]], 8, kind="order")
    with pytest.raises(ValueError, match="did you mean 'order'"):
        pair_rows([[[1]], [[2]]], 8, kind="ordre")
    with pytest.raises(ValueError, match="2 or more tokens"):
        pair_rows([[[1]], [[2]]], 1)


@pytest.mark.parametrize("kind", KINDS)
def test_a_corpus_gives_pairs_with_their_words_and_sentences(sharded, kind):
    part, length = sharded.train, 40
    whole = [(part.document(i), *part.columns(i)) for i in range(len(part))]
    number = sharded.num_windows(length, pairs=kind)
    rows = sharded.rows(length, number - 5, 60, seed=4, pairs=kind)
    assert [sharded.epoch_of(n, length, pairs=kind) for n in (0, number - 1, number, 3 * number)] == [0, 0, 1, 3]
    assert set(rows.label.tolist()) == {0, 1}
    pairs = part.plan(length, kind).pairs(np.arange(number - 5, number + 55), 4)
    for pair, a, b in zip(pairs, rows.offsets, rows.offsets[1:], strict=False):
        documents = {p.document for p in pair.parts}
        columns = [(rows.tokens[k], rows.word[k], rows.sentence[k]) for k in range(a, b)]
        assert all(any(_within(columns[i:j], whole[d]) for d in documents) for i, j in _parts(rows.part[a:b]))
    again = sharded.rows(length, number + 3, 1, seed=4, pairs=kind)
    assert again.tokens.tolist() == rows.tokens[rows.offsets[8] : rows.offsets[9]].tolist()
    assert again.tokens.dtype == np.int32


def _parts(part):
    cut = int(np.argmax(part))
    return (0, cut), (cut, len(part))


def _within(run, document):
    """Whether the triples of token, word and sentence stand side by side in a document."""
    triples = list(zip(*(c.tolist() for c in document), strict=True))
    run = [tuple(int(x) for x in t) for t in run]
    return any(triples[k : k + len(run)] == run for k in range(len(triples) - len(run) + 1))


@pytest.fixture(scope="module")
def sharded(text_file, tmp_path_factory):
    from maskdial.data import merge
    from maskdial.data.build import prepare_shard
    from maskdial.data.options import Options

    out = tmp_path_factory.mktemp("paired")
    for number in range(3):
        prepare_shard([str(text_file)], out, Options(vocab_size=400, held_out=0.2), number, 3, progress="off")
    return merge(out)


class Asking(SimpleNamespace):
    """As much of an objective as feeding takes."""

    def __call__(self, rows, vocab, seed, epoch):
        return SimpleNamespace(batch=lambda layout: (rows, epoch))


def test_training_is_fed_pairs_and_epochs_of_pairs(sharded):
    asking = Asking(name="nsp", layout="encoder", plan={"pairs": "next"}, needs=("part", "label"))
    feed = Feed(asking, sharded, 40, seed=4, packing="isolated")
    number = sharded.num_windows(40, pairs="next")
    assert number != sharded.num_windows(40)
    (one, first), (two, second) = feed.batches(number - 2, 5)
    assert (len(one), first, len(two), second) == (2, 0, 3, 1)
    assert one.label is not None
    plain = Feed(Asking(name="sft", layout="decoder", plan={}, needs=("part",)), sharded, 40, seed=4, packing="joined")
    with pytest.raises(UserError, match="sft needs to know the part of each token") as caught:
        plain.batches(0, 1)
    assert "messages" in caught.value.hint


def test_a_corpus_of_one_document_is_refused(tmp_path):
    path = write_jsonl(tmp_path / "a.jsonl", [{"text": "One here. Two here. Three here."}])
    c = prepare(str(path), tmp_path / "c", tokenizer="bytes", held_out=0, progress="off")
    with pytest.raises(UserError, match="train part has 1 documents"):
        c.rows(16, 0, 1, seed=0, pairs="next")
    assert len(c.rows(16, 0, 3, seed=0, pairs="next:same-document")) == 3
    assert len(c.rows(16, 0, 3, seed=0, pairs="order")) == 3


@pytest.mark.parametrize(("text", "kind", "label", "wanted"), [
    ("Tea is hot. It is green. Drink it.", "next", None, ("Tea is hot. It is green.", "Drink it.", 0)),
    ("Tea is hot. It is green.", "next", 1, ("Tea is hot. It is green.", SECOND, 1)),
    ("Tea is hot", "next", None, ("Tea is hot", SECOND, 1)),
    ("Tea is hot now", "next", 0, ("Tea is", "hot now", 0)),
    ("Tea is hot. It is green.", "order", None, ("Tea is hot.", "It is green.", 0)),
    ("Tea is hot. It is green.", "order", 1, ("It is green.", "Tea is hot.", 1)),
    ("Tea", "order", 1, (SECOND, "Tea", 1)),
])  # fmt: skip
def test_one_text_as_a_pair(text, kind, label, wanted):
    t = load("words", text=[text, SECOND])
    shown = pair_of(text, t, kind, label)
    ((first, second, made),) = split(shown.rows)
    assert (t.decode(first), t.decode(second), made) == wanted
    assert [shown.text[a:b] for a, b in shown.spans] == [t.token(i) for i in shown.rows.tokens]


def test_texts_that_are_no_pair():
    with pytest.raises(ValueError, match="empty"):
        pair_of(" ", load("words", text=" "))
    with pytest.raises(ValueError, match="label 0 or 1"):
        pair_of("a b", load("bytes"), "next", 2)
