"""The contract holds every objective: each hand-made sample is taken as it is, seen, checked for leaks and batched."""

import numpy as np
import pytest

from maskdial.sample import KINDS, SILENT, Sample, Samples, sight
from maskdial.visibility import attend
from tests.contract import predicates
from tests.contract.handmade import CASES, table

every = pytest.mark.parametrize("case", CASES, ids=lambda c: c.name)
TYPES = {"read": "i4", "position": "i4", "segment": "i4", "stream": "u1", "order": "i4", "origin": "i4", "place": "i4",
         "answer": "i4", "kind": "u1"}  # fmt: skip


@every
def test_columns_have_one_value_a_position_in_the_right_type(case):
    s = case.samples
    assert len(s) == 1
    for name, kind in TYPES.items():
        assert s.column(name).dtype == np.dtype(kind), name
        assert len(s.column(name)) == s.offsets[-1] == len(s[0])
    for head in s.heads:
        assert s.column(f"target:{head.name}").dtype == np.int32
        assert s.column(f"weight:{head.name}").dtype == np.float32
    assert s.kind.max() < len(KINDS)


@every
def test_sight_is_what_the_paper_says(case):
    assert predicates.drawn(case.samples[0].visible().tolist()) == predicates.drawn(case.sight)


@every
def test_no_scored_position_sees_its_own_answer(case):
    one = case.samples[0]
    for head in one.heads:
        said = case.answers[head.name]
        assert not any(predicates.own_answers(case.sight, one.origin.tolist(), said, head.reach))
        assert ((one.column(f"target:{head.name}") != SILENT) == (np.array(said) >= 0)).all()
    assert one.leaks == 0
    assert not one.own_answer.any()


@every
def test_a_wrong_sight_shows_the_answers_that_are_read(case):
    """The leak meter is no rubber stamp: with every position seeing every position it counts what is there to see."""
    s = case.samples
    columns = {**s._columns, "order": np.zeros(s.offsets[-1], dtype=np.int32)}
    columns.pop("private", None)
    opened = Samples(s.offsets, s.index, columns, s.heads, s.layout, body=s.body)[0]
    everyone = predicates.full(len(opened))
    expected = np.zeros(len(opened), dtype=bool)
    for head in s.heads:
        expected |= predicates.own_answers(everyone, opened.origin.tolist(), case.answers[head.name], head.reach)
    assert (opened.own_answer == expected).all()
    if case.sight != everyone:
        assert opened.leaks == expected.sum() > 0
    else:
        assert opened.leaks == 0


@every
def test_the_batch_keeps_every_column_a_model_reads(case):
    s = case.samples
    batch = table(s, s).batch()
    parts = {"": np.ones(len(s.read), dtype=bool)}
    if s.layout == "encoder-decoder":
        parts = {"source_": s.stream == 0, "answer_": s.stream == 1}
    for front, part in parts.items():
        for name in ("read", "position", "segment", "order", *s.extras):
            found = batch[front + name]
            assert found.shape == (2, part.sum())
            assert (found == s.column(name)[part]).all(), name
            assert found.dtype == s.column(name).dtype
    asked = parts.get("answer_", parts.get(""))
    for head in s.heads:
        for name in (f"target:{head.name}", f"weight:{head.name}"):
            assert (batch[name] == s.column(name)[asked]).all()
    assert not {"origin", "answer", "kind", "place"} & {key.split("_")[-1] for key in batch}
    assert batch.heads == s.heads
    assert batch.body_tokens == 2 * s.body.sum()


@every
def test_padding_asks_nothing_sees_nothing_and_moves_nothing(case):
    """A longer neighbour pads this sample on the right; what was there stays."""
    s = case.samples
    longer = table(s, s)
    longer = Samples(np.array([0, longer.offsets[-1]]), s.index, longer._columns, s.heads, s.layout, body=s.body)
    alone, padded = s.batch(), table(s, longer).batch()
    for name, column in alone.items():
        width = column.shape[1]
        assert padded[name].shape[1] == 2 * width
        assert (padded[name][:1, :width] == column).all(), name
        rest = padded[name][0, width:]
        assert (rest == {"segment": -1, "target": SILENT}.get(name.split(":")[0].split("_")[-1], 0)).all(), name
    if s.layout != "encoder-decoder":
        order, segment = padded["order"][0], padded["segment"][0]
        seen = sight(order, segment, padded["private"][0] if "private" in padded else None)
        n = len(case.sight)
        assert (seen[:n, :n] == np.array(case.sight)).all()
        assert not seen[n:].any()
        assert not seen[:, n:].any()


@every
def test_attention_receives_the_same_sight(case):
    s = case.samples
    batch = table(s, s).batch().torch()
    if s.layout != "encoder-decoder":
        seen = attend.Visible.of(batch["order"], batch["segment"], batch.get("private"))
        assert (seen.dense()[1].numpy() == np.array(case.sight)).all()
        return
    n = int((s.stream == 0).sum())
    source, answer = [(batch[f"{part}_order"], batch[f"{part}_segment"]) for part in ("source", "answer")]
    rows = np.array(case.sight)
    assert (attend.Visible.of(*source).dense()[1].numpy() == rows[:n, :n]).all()
    assert (attend.Visible.of(*answer).dense()[1].numpy() == rows[n:, n:]).all()
    assert (attend.Visible.across(*answer, *source).dense()[1].numpy() == rows[n:, :n]).all()


@every
def test_a_sample_gives_its_columns_by_name(case):
    one = case.samples[0]
    assert isinstance(one, Sample)
    for name in (*TYPES, *case.samples.extras):
        assert (getattr(one, name) == case.samples.column(name)).all()
    assert set(one.targets) == {head.name for head in case.samples.heads}
    with pytest.raises(AttributeError, match="no column 'nonsense'"):
        _ = one.nonsense
