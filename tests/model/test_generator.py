"""ELECTRA: who learns from whom, what is drawn, and the two views."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from maskdial.batch import Batch
from maskdial.model import GeneratorDiscriminator, loss
from maskdial.model.generator_discriminator import chances, chosen
from maskdial.sample import SAME, SILENT, Head, Samples
from maskdial.target.discriminated import discriminate
from tests.contract.handmade import discriminator, ids, table
from tests.model.helpers import handmade, model_of
from tests.statistics.tolerance import categories, frequency


def electra(rows: int = 6, pad: int = 0) -> Batch:
    """The hand-made generator's sample in several rows of different words; the last row ends in padding."""
    one = handmade("electra-generator")
    samples = table(*[one] * rows)
    samples.heads = one.heads
    batch = samples.batch()
    batch["read"] = (batch["read"] + np.arange(rows, dtype=np.int32)[:, None]) % 90
    if pad:
        batch["segment"][-1, -pad:] = -1
        for head in one.heads:
            batch[f"target:{head.name}"][-1, -pad:] = SILENT
    return batch.torch()


def network(**changes: object) -> GeneratorDiscriminator:
    made = model_of(handmade("electra-generator"), **({"generator": 0.5} | changes))
    assert isinstance(made, GeneratorDiscriminator)
    return made


def test_the_discriminator_does_not_teach_the_generator() -> None:
    """d L_disc / d (what only the generator has) is exactly 0; the shared embedding learns from both."""
    m, batch = network(), electra(pad=1)
    made = loss(m, batch)
    only = list(m.generator.parameters())
    found = torch.autograd.grad(made.sums["replaced"], [*only, m.embedding], retain_graph=True, allow_unused=True)
    assert all(g is None or (g == 0).all() for g in found[:-1])
    assert (found[-1] != 0).any()
    rest = [p for name, p in m.named_parameters() if not name.startswith(("generator.", "embedding"))]
    found = torch.autograd.grad(made.sums["token"], [*rest, *only, m.embedding], retain_graph=True, allow_unused=True)
    assert all(g is None for g in found[: len(rest)])
    assert all((g != 0).any() for g in found[len(rest) :])
    made.total().backward()  # type: ignore[no-untyped-call]
    assert all((p.grad != 0).any() for p in m.parameters())


def test_total_is_the_generators_loss_and_fifty_times_the_discriminators() -> None:
    m, batch = network(), electra(pad=2)
    made = loss(m, batch)
    assert made.scored == {"token": 12, "replaced": 28}  # judged wherever a token is
    torch.testing.assert_close(made.total(), made.sums["token"] / 12 + 50 * made.sums["replaced"] / 28)


def test_drawn_and_labelled() -> None:
    m, batch = network(), electra()
    read, asked = m.draw(batch), batch["target:token"] != SILENT
    assert read[~asked].equal(batch["read"][~asked])
    first = torch.where(asked, batch["target:token"], batch["read"])
    x = judged(m, batch, read)
    want = torch.nn.functional.binary_cross_entropy_with_logits(m.extra["replaced"](x), (read != first).double().reshape(-1))
    made = loss(m, batch)
    torch.testing.assert_close(made.sums["replaced"], want * 30)
    p = m.discriminate(dict(batch) | {"read": read})
    torch.testing.assert_close(p, torch.sigmoid(m.extra["replaced"](x)).view(6, 5))


def judged(m: GeneratorDiscriminator, batch: Batch, read: torch.Tensor) -> torch.Tensor:
    """The discriminator's states of a view, through the stack's own call."""
    return m.stack(*m._inputs(dict(batch) | {"read": read}))


def test_a_right_guess_is_an_original(monkeypatch: pytest.MonkeyPatch) -> None:
    """Spelled out: `the chef cooked the meal`, drawn `the`, `ate`: labels 0 0 1 0 0."""
    from maskdial.model import generator_discriminator as module

    samples = handmade("electra-generator")
    m, batch = network(), samples.batch().torch()
    monkeypatch.setattr(module, "chosen", lambda p, chance: torch.tensor(ids("the ate")))
    assert m.draw(batch).tolist() == [ids("the chef ate the meal")]
    found = {q.head.name: q.target.tolist() for q, _ in m.answers(batch, [module.ask(batch, h) for h in samples.heads])}
    assert found["replaced"] == [0, 0, 1, 0, 0]


def test_both_views_agree() -> None:
    """Drawing inside the loss, and drawing, `discriminate` and judging a plain batch, are the same numbers."""
    m, samples = network(), handmade("electra-generator")
    batch = samples.batch().torch()
    drawn = m.draw(batch)[batch["target:token"] != SILENT].numpy()
    second = discriminate(samples, drawn)
    made = loss(m, second.batch().torch())
    torch.testing.assert_close(made.total(), 50 * loss(m, batch).sums["replaced"] / 5)


def test_draws_depend_on_the_sample_alone() -> None:
    """Neither on the batch around it nor on padding nor on the global generator; another sample number draws anew."""
    m, batch = network(), electra()
    whole = m.draw(batch)
    torch.manual_seed(3)
    assert m.draw(batch).equal(whole)
    for row in range(6):
        one = Batch({name: torch.nn.functional.pad(c[row : row + 1], (0, 2), value=-1 if name == "segment" else SILENT * ("target" in name))
                     for name, c in batch.items()})  # fmt: skip
        one.heads, one.index = batch.heads, batch.index[row : row + 1]
        assert m.draw(one)[:, :5].equal(whole[row : row + 1])
    batch.index = batch.index + 100
    assert not m.draw(batch).equal(whole)
    other = dict(batch) | {"read": batch["read"] + 1}
    assert not chances(other).equal(chances(batch))  # type: ignore[arg-type]


def test_draws_follow_the_generator() -> None:
    """40,000 samples of one row: shares of a known law, and no correlation between the two places."""
    rows, law = 40_000, np.array([0.4, 0.3, 0.2, 0.1, 0.0])
    batch = Batch({"read": torch.ones(rows, 3, dtype=torch.int32), "segment": torch.zeros(rows, 3)})
    batch.index = torch.arange(rows)
    chance = chances(batch)
    assert 0 <= float(chance.min()) <= float(chance.max()) < 1
    p = torch.tensor(law).expand(rows, 5)
    found = [chosen(p, chance[:, place]) for place in range(3)]
    for place in found:
        categories(place.bincount(minlength=5).numpy(), law)
    for a, b in ((0, 1), (1, 2), (0, 2)):
        frequency(int(((found[a] == 0) & (found[b] == 0)).sum()), rows, 0.16)


def test_certain_and_impossible_ids() -> None:
    p = torch.tensor([[0.0, 1.0, 0.0], [0.0, 0.0, 1.0], [1.0, 0.0, 0.0]], dtype=torch.float64)
    for chance in (0.0, 0.5, 1 - 2.0**-53):
        assert chosen(p, torch.full((3,), chance, dtype=torch.float64)).tolist() == [1, 2, 0]


def test_nothing_hidden_nothing_drawn() -> None:
    m, batch = network(), electra()
    batch["target:token"][:] = SILENT
    made = loss(m, batch)
    assert made.scored == {"token": 0, "replaced": 30}
    assert m.draw(batch).equal(batch["read"])
    assert torch.isfinite(made.total())


def test_the_generator_answers_tokens_and_the_discriminator_has_the_features() -> None:
    m, batch = network(), electra()
    for p in m.generator.parameters():
        p.data.zero_()
    assert m.features(batch).shape == (6, 5, 16)
    assert (m.features(batch) != 0).all()
    assert (m.hidden(batch) == 0).all()
    assert m(batch).shape == (6, 5, 100)


def test_second_view_keeps_the_contract() -> None:
    first, want = handmade("electra-generator"), discriminator().samples
    for samples in (first, generator_without_judge(first)):
        made = discriminate(samples, ids("the ate"))
        assert made.heads[0] == replace(samples.heads[-1], form="plain") if len(samples.heads) > 1 else made.heads == want.heads
        for name in ("read", "position", "segment", "order", "target:replaced", "weight:replaced", "origin", "place", "kind", "answer"):
            np.testing.assert_array_equal(made.column(name), want.column(name), err_msg=name)
            assert made.column(name).dtype == want.column(name).dtype
        assert made[0].leaks == 0
    right = discriminate(first, ids("the cooked"))
    assert right.target.tolist() == [0] * 5
    assert (right.kind == SAME).tolist() == [True, False, True, False, False]
    assert right.origin.tolist() == [0, 1, 2, 3, 4]
    with pytest.raises(ValueError, match="one drawn id for each of the 2"):
        discriminate(first, ids("the"))


def generator_without_judge(samples: Samples) -> Samples:
    columns = {k: v for k, v in samples._columns.items() if not k.endswith(":replaced")}
    return Samples(samples.offsets, samples.index, columns, (Head(),), samples.layout, body=samples.body)


def test_padding_stays_silent_in_the_second_view() -> None:
    samples = handmade("electra-generator")
    samples._columns["segment"] = np.array([0, 0, 0, 0, -1], dtype=np.int32)
    samples._columns["target:replaced"][-1] = SILENT
    for one in (samples, generator_without_judge(samples)):
        made = discriminate(one, ids("the ate"))
        assert made.target.tolist() == [0, 0, 1, 0, SILENT]
        assert made.answer[-1] == -1
