"""Members that are alike run as one, and nobody can tell: every row is its member's own sample, bit for bit."""

import numpy as np
import pytest

import maskdial as md
from maskdial.mixture.alike import Alike, alike
from maskdial.mixture.table import Taken, take
from tests.conftest import make_rows
from tests.mixture.test_mixture import same

LENGTHS = [0, 1, 2, 3, 8, 31, 64, 127, 200, 90, 91, 92, 93, 94, 95, 96, 97, 98, 99, 100]


def groups(mixture, vocab):
    """How the members are grouped, by name."""
    ones, side, within = mixture._sides(vocab)
    found = [sorted((k, name) for name, i, k in zip(mixture.members, side, within, strict=True) if i == j) for j in range(len(ones))]
    assert [isinstance(one, Alike) for one in ones] == [len(group) > 1 for group in found]
    return [[name for _, name in group] for group in found]


def test_who_is_alike(vocab):
    spans = ["r-3-15", "r-8-15", "x-3-50", "x-8-50", "x-64-15", "x-64-50"]
    assert groups(md.objective("ul2"), vocab) == [spans, ["s"]]
    assert groups(md.objective("ul2", mode_tokens=False), vocab) == [spans, ["s"]]
    assert groups(md.objective("unilm"), vocab) == [["bidirectional", "sequence", "left", "right"]]
    assert groups(md.objective("unilm", next_sentence=True), vocab) == [["bidirectional"], ["sequence", "left", "right"]]
    bert, mbart = md.objective("bert"), md.objective("mbart")
    assert alike([bert, md.objective("bert", rate=0.3), bert]) == [[0, 2], [1]], "other options are another selection"
    assert alike([mbart, mbart]) == [[0], [1]], "each rewrites its own rows"
    assert alike([bert, bert.replace(visibility="causal"), bert.replace(frame=False)]) == [[0, 1], [2]]
    two = md.objective("xlnet"), md.objective("xlnet")
    assert alike(two) == [[0], [1]]


MIXTURES = {
    "ul2": lambda: md.objective("ul2"),
    "ul2-released": lambda: md.objective("ul2", compat="t5"),
    "ul2-plain": lambda: md.objective("ul2", mode_tokens=False, weights="grouped"),
    "ul2r": lambda: md.objective("ul2r"),
    "unilm": lambda: md.objective("unilm"),
    "unilm-turned": lambda: md.objective("unilm").replace(visibility="prefix"),
    "unilm-unframed": lambda: md.objective("unilm").replace(frame=False),
    "twins": lambda: md.mixture({"a": (one := md.objective("bert", count="fairseq", rate=0.9), 1, "R"), "b": (one, 2, "X")}),
    "sights": lambda: md.mixture({"a": (one := md.objective("gpt")), "b": one.replace(visibility="prefix:5"), "c": md.objective("t5")}),
}


@pytest.mark.parametrize("packing", ["joined", "isolated"])
@pytest.mark.parametrize("name", MIXTURES)
def test_every_row_is_its_members_own_sample(name, packing, vocab):
    mixture = MIXTURES[name]()
    assert any(len(group) > 1 for group in groups(mixture, vocab))
    index = np.arange(300, 300 + len(LENGTHS), dtype=np.uint64)
    rows = make_rows(LENGTHS, 3, packing, documents=3, index=index)
    together = mixture(rows, vocab, seed=5, epoch=2, provenance=True)
    alone = mixture.build(rows, vocab, mixture.draw(rows, vocab, seed=5, epoch=2), provenance=True)
    assert together.extras == alone.extras
    for one, other in zip(together, alone, strict=True):
        same(one, other)
        for column in alone.extras:
            np.testing.assert_array_equal(one.column(column), other.column(column))
            assert one.column(column).dtype == other.column(column).dtype
    np.testing.assert_array_equal(together.body, alone.body)


@pytest.mark.parametrize("name", ["ul2", "unilm"])
@pytest.mark.parametrize("packing", ["joined", "isolated"])
def test_rows_without_tokens_and_no_rows_at_all(name, packing, vocab):
    mixture = md.objective(name)
    for lengths in ([], [0] * 9):
        samples = mixture(make_rows(lengths, 1, packing), vocab, provenance=True)
        assert len(samples) == len(lengths)
        for one in samples:
            assert not (one.target >= 0)[: len(one) - 2].any()


def test_a_missing_mode_token_is_named(vocab):
    from dataclasses import replace

    with pytest.raises(ValueError, match="mode token 'X'"):
        md.objective("ul2")(make_rows([40] * 20, 1), replace(vocab, modes={"R": 11, "S": 12}))


def test_what_is_taken_is_copied_when_it_is_looked_at():
    rows = make_rows([3, 0, 5, 4], 13, documents=2)
    some = take(rows, np.array([2, 0]), np.array([7, 8], dtype=np.uint64))
    assert isinstance(some, Taken)
    assert "tokens" not in vars(some)
    assert some.tokens.tolist() == rows.tokens[[3, 4, 5, 6, 7, 0, 1, 2]].tolist()
    assert some.label is not None
    assert some.label.tolist() == rows.label[[2, 0]].tolist()
    whole = take(rows, None, rows.index)
    assert whole.tokens is rows.tokens
    assert whole.label is rows.label
