"""Rows: sample n is always the same window, whoever asks, in whatever batches."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from maskdial.data import Corpus, Loader, merge
from maskdial.data.build import prepare_shard
from maskdial.data.options import Options
from maskdial.data.shuffle import permute
from maskdial.errors import UserError

L = 48


@pytest.fixture(scope="module")
def sharded(text_file, tmp_path_factory) -> Corpus:
    out = tmp_path_factory.mktemp("sharded")
    for number in range(3):
        prepare_shard([str(text_file)], out, Options(vocab_size=400, held_out=0.2), number, 3, progress="off")
    return merge(out)


def stream(part):
    """The part's tokens, words, sentences and document numbers, from its documents."""
    columns = [[], [], [], []]
    for i in range(part.num_documents):
        ids, (word, sentence) = part.document(i), part.columns(i)
        eod = part._tokenizer.vocab.eod
        for column, values in zip(columns, ([*ids, eod], [*word, 1], [*sentence, 0], [i] * (len(ids) + 1)), strict=True):
            column.extend(values)
    return [np.array(c) for c in columns]


@pytest.mark.parametrize("packing", ["joined", "isolated"])
@pytest.mark.parametrize("which", ["corpus", "sharded"])
@pytest.mark.parametrize("part", ["train", "held_out"])
def test_rows_are_windows_of_the_stream(request, which, part, packing):
    corpus = request.getfixturevalue(which)
    tokens, word, sentence, document = stream(corpus.part(part))
    windows = len(tokens) // L
    rows = corpus.rows(L, 0, windows + 3, seed=3, part=part, packing=packing)
    assert rows.packing == packing
    assert rows.index.tolist() == list(range(windows + 3))
    assert rows.tokens.dtype == np.int32
    order = [*permute(np.arange(windows), windows, 3, 0), *permute(np.arange(3), windows, 3, 1)]
    for n, w in enumerate(order):
        here, there = slice(n * L, n * L + L), slice(w * L, w * L + L)
        assert np.array_equal(rows.tokens[here], tokens[there])
        assert np.array_equal(rows.word[here], word[there])
        assert np.array_equal(rows.sentence[here], sentence[there])
        wanted = document[there] - document[there][0] if packing == "isolated" else np.zeros(L)
        assert np.array_equal(rows.segment[here], wanted)


def test_an_epoch_holds_every_window_once(corpus):
    windows = corpus.num_windows(L)
    plain = corpus.rows(L, 0, windows, seed=0, shuffle=False).tokens.reshape(-1, L)
    for epoch in (0, 1, 5):
        drawn = corpus.rows(L, epoch * windows, windows, seed=0).tokens.reshape(-1, L)
        assert sorted(map(tuple, drawn)) == sorted(map(tuple, plain))
        assert not np.array_equal(drawn, plain)
    assert corpus.epoch_of(windows - 1, L) == 0
    assert corpus.epoch_of(windows, L) == 1


@given(cuts=st.lists(st.integers(0, 500), max_size=6))
@settings(max_examples=20, deadline=None)
def test_batches_and_restarts_change_nothing(sharded_once, cuts):
    corpus, whole = sharded_once
    edges = [0, *sorted(cuts), 500]
    parts = [corpus.rows(L, a, b - a, seed=9, packing="isolated") for a, b in pairwise(edges)]
    for column in ("tokens", "segment", "word", "sentence", "index"):
        assert np.array_equal(np.concatenate([getattr(p, column) for p in parts]), getattr(whole, column))


@pytest.fixture(scope="module")
def sharded_once(sharded):
    return sharded, sharded.rows(L, 0, 500, seed=9, packing="isolated")


def test_the_loader_goes_on_where_it_was(corpus):
    loader = Loader(corpus, L, 4, seed=1)
    seen = []
    for (first, rows), _ in zip(loader, range(5), strict=False):
        seen.append((first, rows.tokens))
        loader.consumed(len(rows))
    assert [first for first, _ in seen] == [0, 4, 8, 12, 16]
    state = loader.state()
    assert state == {"fingerprint": corpus.fingerprint, "seed": 1, "samples_consumed": 20}
    first, rows = next(iter(Loader(corpus, L, 10, seed=1, samples_consumed=12)))
    assert first == 12
    assert np.array_equal(rows.tokens[: 8 * L], np.concatenate([t for _, t in seen[3:]]))
    with pytest.raises(ValueError, match="batch"):
        Loader(corpus, L, 0, seed=0)


def test_what_can_t_be_asked(corpus):
    with pytest.raises(UserError, match="fewer than one window"):
        corpus.rows(10**6, 0, 1, seed=0)
    with pytest.raises(ValueError, match="part is"):
        corpus.rows(L, 0, 1, seed=0, part="test")
    with pytest.raises(ValueError, match="packing"):
        corpus.rows(L, 0, 1, seed=0, packing="loose")
    with pytest.raises(ValueError, match="numbered from 0"):
        corpus.rows(L, -1, 1, seed=0)
    assert len(corpus.rows(L, 0, 0, seed=0)) == 0


def test_windows_that_share_a_token_ask_every_token_once(corpus):
    """Megatron's windows: with one token in common, what they say is the stream without its first token."""
    length = 9
    windows = corpus.num_windows(length, overlap=1)
    assert windows == (corpus.train.num_tokens - 1) // (length - 1)
    rows = corpus.rows(length, 0, windows, seed=0, shuffle=False, overlap=1)
    stream = np.concatenate([np.append(corpus.train.document(i), corpus.vocab.eod) for i in range(corpus.train.num_documents)])
    table = rows.tokens.reshape(windows, length)
    assert (table[1:, 0] == table[:-1, -1]).all()
    assert (table[:, 1:].reshape(-1) == stream[1 : 1 + windows * (length - 1)]).all()
    assert corpus.epoch_of(windows, length, overlap=1) == 1
