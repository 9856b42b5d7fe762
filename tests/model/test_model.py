"""One transformer, one dial: sight by gradients, matched sizes, honest FLOPs."""

from __future__ import annotations

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from maskdial.model import PRESETS, ModelConfig, build, loss
from maskdial.model.stack import CrossAttention, normed
from maskdial.sample import sight
from maskdial.visibility.attend import Visible
from tests.model.helpers import V, config, double, model, single


@pytest.mark.parametrize("order", ["causal", "bidirectional", "prefix"])
@pytest.mark.parametrize("positions", ["rotary", "relative"])
def test_gradient_is_zero_outside_sight_and_only_there(order: str, positions: str) -> None:
    m, batch = model(positions=positions), single(order, 1, 7, pad=2)
    seen = sight(batch["order"][0].numpy(), batch["segment"][0].numpy())
    found = []
    for asked in range(5):
        rows = torch.nn.functional.embedding(batch["read"].reshape(-1), m.embedding).detach().requires_grad_()
        x = m.stack(rows, Visible.of(batch["order"], batch["segment"]), batch["position"])
        m.logits(x[asked]).square().sum().backward()
        found.append(rows.grad.abs().sum(-1) > 0)
    # two layers: what is seen by what is seen is seen already, since an order is transitive
    assert torch.stack(found).tolist() == seen[:5].tolist()


def test_encoder_is_reached_through_cross_attention_alone() -> None:
    m, batch = model("encoder-decoder"), double()
    loss(m, batch).total().backward()  # type: ignore[no-untyped-call]
    reached = [p.grad.abs().sum() > 0 for p in m.source.parameters()]  # type: ignore[union-attr]
    assert all(reached)
    m.zero_grad()
    for block in m.stack.blocks:
        block.cross.out.weight.data.zero_()
    loss(m, batch).total().backward()  # type: ignore[no-untyped-call]
    assert all((p.grad == 0).all() for p in m.source.parameters())  # type: ignore[union-attr]


def test_answers_do_not_look_ahead_and_see_the_whole_source() -> None:
    m, batch = model("encoder-decoder"), double()
    before = m.hidden(batch)
    batch["answer_read"][:, 3] = (batch["answer_read"][:, 3] + 1) % V
    after = m.hidden(batch)
    assert before[:, :3].equal(after[:, :3])
    assert (before[:, 3:] != after[:, 3:]).any(-1).all()
    batch["source_read"][:, -1] = (batch["source_read"][:, -1] + 1) % V
    assert (after != m.hidden(batch)).any(-1).all()
    assert m.features(batch).shape == (2, 7, 16)


def test_an_answer_may_look_both_ways() -> None:
    """Conditional masked LM: every answer position sees every other, and relative positions tell left from right."""
    m, batch = model("encoder-decoder", answer_both_ways=True), double()
    batch["answer_order"] = torch.ones_like(batch["answer_order"])
    before = m.hidden(batch)
    batch["answer_read"][:, 4] = (batch["answer_read"][:, 4] + 1) % V
    assert (before != m.hidden(batch)).any(-1).all()
    assert not model("encoder-decoder").stack.place.both_ways  # type: ignore[union-attr]
    bias = m.stack.place(batch["answer_position"])  # type: ignore[operator]
    assert not bias[0, :, 2, 3].equal(bias[0, :, 2, 4])  # one way, all that comes later is one bucket


def test_a_second_coordinate_wants_rotary_positions() -> None:
    batch = single("prefix")
    batch["position2"] = batch["position"] // 3
    assert not model().hidden(batch).allclose(model().hidden(single("prefix")))
    with pytest.raises(ValueError, match=r"position2, GLM.*shape 'single' and rotary"):
        model(positions="relative").hidden(batch)
    two = double()
    two["answer_position2"] = two["answer_position"]
    with pytest.raises(ValueError, match="position2"):
        model("encoder-decoder").hidden(two)


def test_source_padding_is_not_seen() -> None:
    m, batch = model("encoder-decoder"), double(pad=2)
    before = m.hidden(batch)
    batch["source_read"][-1, -1] = (batch["source_read"][-1, -1] + 1) % V
    assert before.equal(m.hidden(batch))


def test_the_dial_alone_makes_encoder_or_decoder() -> None:
    m, causal = model(), single("causal")
    two_way = dict(causal) | {"order": causal["order"] * 0}
    assert m.hidden(causal)[:, -1].allclose(m.hidden(two_way)[:, -1]) is False
    prefix = dict(causal) | {"order": (causal["order"] - 3).clamp(min=0)}
    assert not m.hidden(prefix)[:, 0].allclose(m.hidden(causal)[:, 0])


def test_logits_are_scaled_and_tied() -> None:
    m = model()
    x = torch.randn(3, 16, dtype=torch.float64)
    torch.testing.assert_close(m.logits(x), x @ m.embedding.T / 4)
    assert m.features is not None
    assert m(single("causal")).shape == (2, 9, V)


@pytest.mark.parametrize("preset", list(PRESETS))
@pytest.mark.parametrize("vocab", [300, 2_200, 8_192, 50_257])
def test_two_stacks_weigh_what_one_does(preset: str, vocab: int) -> None:
    with torch.device("meta"):
        one, two = (build(ModelConfig(vocab_size=vocab, shape=s, preset=preset)).num_parameters for s in ("single", "encoder-decoder"))  # type: ignore[arg-type]
    assert abs(two / one - 1) < 0.02


@pytest.mark.parametrize(("layers", "ffn"), [(1, 512), (3, 680), (4, 680), (5, 700), (7, 1000)])
def test_odd_sizes_match_too(layers: int, ffn: int) -> None:
    sizes = {"d": 256, "layers": layers, "heads": 4, "ffn": ffn}
    if layers == 1:
        with pytest.raises(ValueError, match="cannot be paid for"):
            ModelConfig(vocab_size=100, shape="encoder-decoder", **{**sizes, "ffn": 100})
        return
    with torch.device("meta"):
        one, two = (build(ModelConfig(vocab_size=100, shape=s, **sizes)).num_parameters for s in ("single", "encoder-decoder"))  # type: ignore[arg-type]
    assert abs(two / one - 1) < 0.02


def test_sizes_that_are_promised() -> None:
    with torch.device("meta"):
        assert 1.0e6 < build(ModelConfig(vocab_size=2200)).num_parameters < 1.1e6
        assert 123e6 < build(ModelConfig(vocab_size=50_257, preset="base")).num_parameters < 125e6


@pytest.mark.parametrize("shape", ["single", "encoder-decoder"])
def test_config_round_trip(shape: str) -> None:
    import json

    one = ModelConfig(vocab_size=70, shape=shape, extra_heads=[{"name": "replaced", "kind": "binary"}])  # type: ignore[arg-type]
    assert ModelConfig(**json.loads(json.dumps(one.model_dump(mode="json")))) == one
    with pytest.raises(ValueError, match="unknown preset"):
        ModelConfig(vocab_size=70, preset="huge")
    with pytest.raises(ValueError, match="even head width"):
        ModelConfig(vocab_size=70, d=10, heads=4)


def test_same_seed_same_parameters_and_the_global_generator_is_left_alone() -> None:
    torch.manual_seed(5)
    before = torch.get_rng_state()
    one, two, other = build(config(), 3), build(config(), 3), build(config(), 4)
    assert before.equal(torch.get_rng_state())
    assert all(a.equal(b) for a, b in zip(one.parameters(), two.parameters(), strict=True))
    assert not one.embedding.equal(other.embedding)


@pytest.mark.parametrize("shape", ["single", "encoder-decoder"])
def test_flops_are_those_counted(shape: str) -> None:
    """Against torch's counter, forward and backward, everything scored and no recomputing."""
    m = model(shape, dtype=torch.float32, positions="relative")  # relative: attention as plain products that are counted
    batch = single("bidirectional", 2, 12, share=1.1) if shape == "single" else double(2, 12, 8)
    with FlopCounterMode(display=False) as counter:
        loss(m, batch).total().backward()  # type: ignore[no-untyped-call]
    assert counter.get_total_flops() == pytest.approx(m.flops(batch), rel=0.1)


def test_an_answer_looks_first_at_its_like_in_the_source() -> None:
    size = {"preset": None, "d": 64, "layers": 2, "source_layers": 2, "heads": 2, "ffn": 96}
    model = build(ModelConfig(vocab_size=200, shape="encoder-decoder", **size), seed=3)
    x_VD, _ = normed(model.embedding, 1e-6)
    crossing = [m for m in model.modules() if isinstance(m, CrossAttention)]
    assert len(crossing) == 2
    for cross in crossing:
        q_VHK, k_VHK = (w(x_VD).view(200, 2, 32) for w in (cross.q, lambda x, w=cross.kv.weight[:64]: x @ w.T))
        best = torch.einsum("qhk,vhk->hqv", q_VHK, k_VHK).argmax(-1)
        assert (best == torch.arange(200)).float().mean() > 0.95
    assert not torch.equal(crossing[0].q.weight, crossing[1].q.weight)
