"""Questions are put in the very form that the objective trains on."""

import numpy as np
import pytest

from maskdial.evaluate.asked import take
from maskdial.evaluate.phrasing import Phrasing
from maskdial.recipes import objective
from maskdial.sample import SILENT, rows
from tests.evaluate.counting import VOCAB

T = np.arange(50, 60, dtype=np.int32)


def asked(name: str, hidden, run, closing: bool = False, **options):
    s = Phrasing(objective(name, **options), VOCAB).ask([T], [hidden], [run], closing)[0]
    return s.read.tolist(), [(i, t) for i, t in enumerate(s.target.tolist()) if t != SILENT]


def test_each_family_asks_for_a_span_in_its_own_form() -> None:
    s0, s1 = VOCAB.sentinels[:2]
    assert asked("gpt", [(4, 6)], (4, 6)) == (T.tolist(), [(3, 54), (4, 55)])
    assert asked("bert", [(4, 6)], (4, 6)) == ([4, 50, 51, 52, 53, 6, 6, 56, 57, 58, 59, 5], [(5, 54), (6, 55)])
    read, targets = asked("t5", [(4, 6)], (4, 6))
    assert read == [50, 51, 52, 53, s0, 56, 57, 58, 59, 2, 7, s0, 54, 55, s1]
    assert targets == [(11, 54), (12, 55)]
    assert asked("t5", [(4, 6)], (4, 6), closing=True)[1][-1] == (13, s1)
    assert asked("t5", [(6, 10)], (6, 10), closing=True)[1][-1] == (13, VOCAB.eos)
    read, targets = asked("bart", [(4, 6)], (4, 6))
    assert read == [1, 50, 51, 52, 53, 6, 56, 57, 58, 59, 2, 7, 1, *range(50, 60)]
    assert targets == [(16, 54), (17, 55)]


def test_the_prefix_ends_where_the_question_begins() -> None:
    s = Phrasing(objective("prefix-lm"), VOCAB).ask([T], [[(4, 10)]], [(6, 7)])[0]
    assert s.order.tolist() == [0, 0, 0, 0, 1, 2, 3, 4, 5, 6]
    assert np.flatnonzero(s.target != SILENT).tolist() == [5]


@pytest.mark.parametrize("name", ["t5", "bart", "bert", "gpt", "prefix-lm"])
def test_a_question_is_a_sample_of_the_objective(name: str) -> None:
    """Asking for what a drawn sample hides gives that very sample (apart from what is scored)."""
    o = objective(name, **({"mask": 1.0, "random": 0.0} if name == "bert" else {"permute": False} if name == "bart" else {}))
    table = rows([np.arange(50, 130, dtype=np.int32)])
    d = o.draw(table, VOCAB, seed=3)
    drawn = o.build(table, VOCAB, d)
    if name == "bert":
        flags = np.flatnonzero(d["hidden"])
        runs = [(int(i), int(i) + 1) for i in flags]
    elif name in ("t5", "bart"):
        runs = [(a, a + n) for a, n in d["spans"].unit(0)]
    else:
        runs = [(int(d["split"][0]) if name == "prefix-lm" else 5, 80)]
    again = Phrasing(o, VOCAB).ask([table.tokens], [runs], [(0, 80)])
    for column in ("read", "position", "order", "stream", "segment"):
        np.testing.assert_array_equal(again.column(column), drawn.column(column))
    kept = again.target != SILENT
    np.testing.assert_array_equal(again.target[kept], drawn.target[kept])


def test_every_noise_of_bart_can_be_held_still() -> None:
    for options in ({"compat": "fairseq"}, {"rotate": 1.0}, {"mask": 0.1, "delete": 0.1}, {"infill": 0.0, "mask": 0.2}):
        s = Phrasing(objective("bart", **options), VOCAB).ask([T, T[:7]], [[(4, 6)], [(1, 2)]], [(4, 6), (1, 2)])
        assert [s[i].target[s[i].target != SILENT].tolist() for i in range(2)] == [[54, 55], [51]]
        assert VOCAB.mask in s[0].read
        source = s[1].read[s[1].stream == 0]
        assert source.tolist() == [1, 50, 6, 52, 53, 54, 55, 56, 2]


def test_source_and_answer_of_a_rewriting_may_differ() -> None:
    s = Phrasing(objective("bart"), VOCAB).rewrite([T[:4], T[:2]], [T[:6], T[:1]], [(2, 4), (0, 1)])
    assert s[0].read.tolist() == [1, 50, 51, 52, 53, 2, 7, 1, 50, 51, 52, 53, 54, 55]
    assert s[0].order.tolist() == [0] * 6 + list(range(1, 9))
    assert s[0].target[s[0].target != SILENT].tolist() == [52, 53]
    assert s.batch()["source_read"].shape == (2, 6)
    with pytest.raises(ValueError, match="does not rewrite"):
        Phrasing(objective("t5"), VOCAB).rewrite([T], [T], [(0, 1)])


def test_rows_can_be_taken_in_any_order() -> None:
    s = Phrasing(objective("t5"), VOCAB).ask([T, T[:5]], [[(1, 2)], [(3, 4)]], [(1, 2), (3, 4)])
    t = take(s, np.array([1, 0]))
    assert t[0].read.tolist() == s[1].read.tolist()
    assert t[1].target.tolist() == s[0].target.tolist()
