"""Samples and batches at their edges: plain values, lazy columns, the three layouts of one sample, ragged and empty rows."""

import numpy as np
import pytest

import maskdial as md
from maskdial.sample import SILENT, Head, Samples
from tests.conftest import make_rows
from tests.contract import predicates


def test_what_is_left_out_takes_its_plain_value():
    s = Samples.of(read=[7, 8, 9], target=[SILENT, 5, SILENT])
    assert s.position.tolist() == [0, 1, 2]
    assert s.order.tolist() == s.segment.tolist() == s.stream.tolist() == [0, 0, 0]
    assert s.weight.tolist() == [0.0, 1.0, 0.0]
    assert s.private is None
    assert s[0].visible().all()
    assert s.num_scored == 1
    with pytest.raises(KeyError, match="ask for provenance=True"):
        _ = s.origin
    with pytest.raises(IndexError):
        _ = s[1]
    assert s[-1].index == 0


def test_a_column_of_another_length_is_refused():
    with pytest.raises(ValueError, match="'order' must have one value a token: 3, not 2"):
        Samples.of(read=[7, 8, 9], target=[1, 2, 3], order=[0, 1])


def test_a_lazy_column_is_made_once_and_only_when_asked():
    calls = []

    def order():
        calls.append(1)
        return np.arange(4, dtype=np.int32)

    s = Samples(np.array([0, 4]), np.zeros(1, np.uint64), {"read": np.zeros(4, np.int32), "order": order})
    assert not calls
    assert (s.order == s.order).all()
    assert calls == [1]


def test_equal_rows_are_not_copied():
    read = np.arange(12, dtype=np.int32)
    s = Samples(np.array([0, 4, 8, 12]), np.arange(3, dtype=np.uint64), {"read": read, "target:token": read})
    batch = s.batch()
    assert np.shares_memory(batch["read"], read)
    assert np.shares_memory(batch.torch()["read"].numpy(), read)
    assert batch["read"].shape == (3, 4)
    assert s.batch(length=6)["read"].shape == (3, 6)
    with pytest.raises(ValueError, match="4 tokens does not fit in 3"):
        s.batch(length=3)


def test_extra_columns_pass_and_provenance_does_not():
    s = Samples.of(read=[7, 8, 9], target=[SILENT, 5, SILENT], left=[0, 0, 0], part=[0, 1, 1], origin=[0, 3, 2], answer=[-1, 1, -1])
    assert s.extras == ["left", "part"]
    _ = s.position, s.order
    assert s.extras == ["left", "part"]
    assert set(s.batch()) == {"read", "position", "segment", "order", "left", "part", "target:token", "weight:token"}


def test_an_answer_counts_on_from_its_source_in_one_stream(vocab):
    for packing, documents in (("joined", 1), ("isolated", 3)):
        rows = make_rows([30, 2, 47, 0], 3, packing, documents)
        for name in ("t5", "bart"):
            s = md.objective(name)(rows, vocab)
            batch = s.batch("decoder")
            for i, one in enumerate(s):
                last, expected = None, []
                for segment in one.segment.tolist():
                    expected.append(0 if segment != last else expected[-1] + 1)
                    last = segment
                assert batch["position"][i, : len(one)].tolist() == expected
            two = s.batch()
            assert (two["answer_position"][:, 0] == 0).all()
            kept = md.objective(name).replace(layout="decoder")(rows, vocab)
            assert (kept.position == batch["position"][batch["segment"] >= 0]).all()


def test_a_folded_answer_gets_its_start_token_back(vocab):
    """The packed row of two documents that seqio's own test pins: sources `7 8 5 1` and `8 4 9 3 1`, answers `3 9 1`, `4 1`."""
    rows = md.rows([[7, 8, 5, 1, 3, 9, 1, 8, 4, 9, 3, 1, 4, 1]], segment=[[1] * 7 + [2] * 7], packing="isolated")
    prefix_lm, zero = md.objective("prefix-lm"), md.Vocab(size=20, pad=0, start=0)
    s = prefix_lm.build(rows, zero, prefix_lm.draw(rows, zero, force={"split": np.array([4, 5])}), provenance=True)
    one = s.batch()
    assert one["weight:token"].tolist() == [[0, 0, 0, 1, 1, 1, 0, 0, 0, 0, 0, 1, 1, 0]]
    seen, apart = predicates.prefix(4, 7), predicates.prefix(5, 7)
    assert (s[0].visible()[:7, :7] == np.array(seen)).all()
    assert (s[0].visible()[7:, 7:] == np.array(apart)).all()
    assert not s[0].visible()[:7, 7:].any()
    assert not s[0].visible()[7:, :7].any()
    two = s.batch("encoder-decoder")
    assert two["source_read"].tolist() == [[7, 8, 5, 1, 8, 4, 9, 3, 1]]
    assert two["source_segment"].tolist() == [[1] * 4 + [2] * 5]
    assert two["source_position"].tolist() == [[0, 1, 2, 3, 0, 1, 2, 3, 4]]
    assert two["answer_read"].tolist() == [[0, 3, 9, 0, 4]]
    assert two["target:token"].tolist() == [[3, 9, 1, 4, 1]]
    assert two["weight:token"].tolist() == [[1, 1, 1, 1, 1]]
    assert two["answer_position"].tolist() == [[0, 1, 2, 0, 1]]
    assert two["answer_segment"].tolist() == [[1, 1, 1, 2, 2]]


def test_no_row_hands_its_last_token_to_the_next(vocab):
    """Rows of one token have no prefix: their answer begins where the row does."""
    two = md.objective("prefix-lm")(md.rows([[110, 111], [112], [], [113]]), vocab).batch("encoder-decoder")
    assert two["answer_read"].tolist() == [[vocab.start], [vocab.start], [0], [vocab.start]]
    assert two["target:token"].tolist() == [[111], [SILENT], [SILENT], [SILENT]]
    assert two["source_segment"].tolist() == [[0], [-1], [-1], [-1]]


@pytest.mark.parametrize("name", md.recipes())
@pytest.mark.parametrize("lengths", [[], [0], [0, 0], [5, 0], [0, 5], [1], [0, 1, 40, 0]])
def test_any_rows_make_a_batch_in_every_layout(name, lengths, vocab):
    s = md.objective(name)(make_rows(lengths), vocab)
    for layout in ("encoder", "decoder", "encoder-decoder"):
        one_stream = s.layout == "encoder" or (s.layout == "decoder" and not (s.stream == 1).any())
        if layout == "encoder-decoder" and one_stream and len(s.read):
            with pytest.raises(ValueError, match=f"{name} has one stream only"):
                s.batch(layout)
            continue
        batch = s.batch(layout)
        assert len(batch["target:token"]) == len(lengths)
        assert batch.layout == layout
        assert {len(column) for column in batch.values()} == {len(lengths)}
        if layout != "encoder-decoder":
            assert (batch["segment"] >= 0).sum() == len(s.read)
        assert sum((batch[f"target:{head.name}"] != SILENT).sum() for head in s.heads) == s.num_scored


def test_one_stream_is_never_parted_in_silence(vocab):
    for name in ("gpt", "bert"):
        with pytest.raises(ValueError, match=f"{name} has one stream only: use layout="):
            md.objective(name)(make_rows([9]), vocab).batch("encoder-decoder")
    bare = md.Vocab(size=600)
    with pytest.raises(ValueError, match="folds its start token and names none"):
        md.objective("prefix-lm", split=0.5)(make_rows([9]), bare).batch("encoder-decoder")


def test_heads_divide_as_they_say():
    heads = (Head(divisor="tokens"), Head("next_sentence", kind="class", divisor="rows", coefficient=0.5), Head("x", divisor=512))
    s = Samples.of(heads=heads, read=[1, 2], target=[1, SILENT], **{"target:next_sentence": [0, SILENT], "target:x": [SILENT, 4]})
    assert s.batch().heads == heads
    assert {name: column.tolist() for name, column in s.targets.items()} == {
        "token": [1, SILENT], "next_sentence": [0, SILENT], "x": [SILENT, 4],
    }  # fmt: skip
    assert s.num_scored == 3
