"""Heads beside `token`: pooled classes, SpanBERT's boundaries, and the vectors of parts."""

from __future__ import annotations

import pytest
import torch

from maskdial.model import ExtraHead, log_probs, loss
from maskdial.model.heads import PLACE_WIDTH, ClassHead
from maskdial.sample import SILENT, Head
from tests.contract.handmade import table
from tests.model.helpers import handmade, model, model_of, single


def test_boundary_head_is_the_papers_formula() -> None:
    """Joshi et al. 2020, section 3.2, from the states at 1 and 4; `learn` is place 0, `patterns` place 1."""
    samples = handmade("span-boundary")
    m, batch = model_of(samples), samples.batch().torch()
    x, head = m.hidden(batch)[0], m.extra["span_boundary"]
    made, norm, gelu = [], torch.nn.functional.layer_norm, torch.nn.functional.gelu
    for place, token in ((0, 2), (1, 3)):
        h = torch.cat([x[1], x[4], head.places.table[place]])
        h = norm(gelu(head.one.weight @ h), (16,), head.norm_one.weight, head.norm_one.bias)
        h = norm(gelu(head.two.weight @ h), (16,), head.norm_two.weight, head.norm_two.bias)
        made.append(torch.log_softmax(m.logits(h), -1)[batch["target:span_boundary"][0, token].long()])
    torch.testing.assert_close(loss(m, batch).sums["span_boundary"], -torch.stack(made).sum())
    assert head.one.weight.shape == (16, 2 * 16 + PLACE_WIDTH)


def test_boundary_states_of_the_right_row() -> None:
    samples = handmade("span-boundary")
    m, batch = model_of(samples), table(samples, samples).batch().torch()
    batch.heads = samples.heads
    batch["read"][0, 4] = 1  # the right neighbour of the first row's span
    both = log_probs(m, batch, "span_boundary")
    alone = log_probs(m, samples.batch().torch(), "span_boundary")
    torch.testing.assert_close(both[1:], alone)
    assert (both[0, 2:4] != alone[0, 2:4]).all()


def test_boundaries_alone_keep_no_other_position(monkeypatch: pytest.MonkeyPatch) -> None:
    samples = handmade("span-boundary")
    m, batch, kept = model_of(samples), samples.batch().torch(), []
    batch.heads = batch.heads[1:]
    last = m.stack.last
    monkeypatch.setattr(m.stack, "last", lambda trunk, keep: kept.append(keep.tolist()) or last(trunk, keep))
    loss(m, batch)
    assert kept == [[1, 4]]


def test_a_span_longer_than_the_table_is_an_error_not_a_guess() -> None:
    samples = handmade("span-boundary")
    heads = (ExtraHead(name="span_boundary", kind="token", form="boundary", places=1),)
    with pytest.raises(IndexError):
        loss(model(vocab_size=100, extra_heads=heads), samples.batch().torch())


def test_classes_are_pooled() -> None:
    """BERT: a dense layer and tanh, then the classes; ELECTRA: a dense layer and GELU, then one number."""
    m = model(extra_heads=[{"name": "next_sentence", "kind": "class"}, {"name": "replaced", "kind": "binary"}])
    x = torch.randn(3, 16, dtype=torch.float64)
    pooled, judge = m.extra["next_sentence"], m.extra["replaced"]
    assert isinstance(pooled, ClassHead)
    torch.testing.assert_close(pooled(x), torch.tanh(x @ pooled.map.weight.T) @ pooled.answer.weight.T)
    torch.testing.assert_close(judge(x), (torch.nn.functional.gelu(x @ judge.map.weight.T) @ judge.answer.weight.T)[:, 0])


def test_a_head_by_definition_in_float64() -> None:
    samples = handmade("next-sentence")
    m, batch = model_of(samples), samples.batch().torch()
    logits = m.extra["next_sentence"](m.hidden(batch)[:, 0])
    made = loss(m, batch)
    assert made.sums["next_sentence"].dtype == torch.float64
    torch.testing.assert_close(made.sums["next_sentence"], -torch.log_softmax(logits, -1)[0, 1])
    assert made.counts["next_sentence"] == 1.0


def test_parts_are_learnt_vectors() -> None:
    samples = handmade("next-sentence")
    m, batch = model_of(samples), samples.batch().torch()
    before = m.hidden(batch)
    swapped = dict(batch) | {"part": 1 - batch["part"]}
    assert not m.hidden(swapped).allclose(before)
    first = dict(batch) | {"part": batch["part"] * 0}
    without = {name: column for name, column in batch.items() if name != "part"}
    assert m.hidden(without).equal(m.hidden(first))
    loss(m, batch).total().backward()  # type: ignore[no-untyped-call]
    assert (m.part.table.grad != 0).any(1).all()  # type: ignore[union-attr]
    fresh = model_of(samples, parts=0)
    assert fresh.part is None
    assert fresh.hidden(batch).equal(fresh.hidden(without))


def test_parts_of_two_streams() -> None:
    from tests.model.helpers import double

    m, batch = model("encoder-decoder", parts=2), double()
    before = m.hidden(batch)
    batch["source_part"] = torch.ones(2, 7, dtype=torch.uint8)
    assert not m.hidden(batch).allclose(before)


def test_a_fault_names_the_head_and_its_form() -> None:
    batch = single("causal")
    batch.heads = (Head(), Head("token+2", form="module"))
    batch["target:token+2"], batch["weight:token+2"] = batch["read"] * 0 + SILENT, batch["read"].float()
    with pytest.raises(ValueError, match=r"no head 'token\+2'.*'form': 'module'"):
        loss(model(), batch)
