"""Modules that say tokens further ahead, against their formulas."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from maskdial.batch import Batch
from maskdial.model import log_probs, loss
from maskdial.model.ahead import embedded_ahead
from maskdial.sample import SILENT, Head
from maskdial.visibility.attend import Visible
from tests.model.helpers import handmade, model, model_of, single


def heads(reach: int, count: int = 2) -> tuple[Head, ...]:
    return (Head(), *(Head(f"token+{k + 1}", coefficient=0.3, reach=k * reach, form="module") for k in range(1, count + 1)))


def ahead(reach: int, documents: int = 1) -> Batch:
    """Two rows of nine tokens in `documents` documents; `token+k` asks wherever the document goes that far."""
    batch = single("causal", 2, 9, share=1.1)
    batch["segment"] = (torch.arange(9) * documents // 9).int().expand(2, -1)
    batch.heads = heads(reach)
    for number, head in enumerate(batch.heads, 1):
        target = batch["read"].roll(-number, 1)
        target[(batch["segment"].roll(-number, 1) != batch["segment"]) | (torch.arange(9) + number >= 9)] = SILENT
        batch[f"target:{head.name}"], batch[f"weight:{head.name}"] = target, torch.ones(2, 9)
    return batch


def extra(reach: int) -> list[dict[str, object]]:
    return [{"name": h.name, "kind": "token", "form": "module", "reach": h.reach} for h in heads(reach)[1:]]


def rms(x: Tensor) -> Tensor:
    return x * (x.square().mean(-1, keepdim=True) + 1e-6).rsqrt()


@pytest.mark.parametrize("reach", [0, 1])
@pytest.mark.parametrize("documents", [1, 3])
def test_reference_formulas(reach: int, documents: int) -> None:
    """Written out with full logits: Gloeckle et al. 2024, section 2 (reach 0); DeepSeek-V3, section 2.2 (reach 1)."""
    batch, m = ahead(reach, documents), model(layers=3, extra_heads=extra(reach))
    visible = Visible.of(batch["order"], batch["segment"])
    inputs = torch.nn.functional.embedding(batch["read"].reshape(-1), m.embedding)
    trunk = m.stack.trunk(inputs, visible, batch["position"])
    state = m.stack.last(trunk)
    found = loss(m, batch)
    for number, head in enumerate(batch.heads):
        if number:
            module = m.extra[head.name]
            if reach:
                tokens = batch["read"].roll(-number, 1)  # what lies past the end may be anything: nothing scored sees it
                joined = torch.cat([rms(state), rms(m.embedding[tokens.reshape(-1)])], -1) @ module.join.weight.T
                state = module.block(joined, visible, trunk.place, None, None)
            else:
                state = module.block(trunk.states, visible, trunk.place, None, None)
        logp = torch.log_softmax(m.logits(m.stack.norm(state)), -1)
        target = batch[f"target:{head.name}"].reshape(-1)
        asked = target != SILENT
        want = -logp[asked].gather(1, target[asked].long()[:, None]).sum()
        torch.testing.assert_close(found.sums[head.name], want)
        torch.testing.assert_close(-log_probs(m, batch, head.name).sum(), want.float(), rtol=1e-5, atol=1e-4)


def test_without_further_heads_the_loss_is_that_of_the_plain_model_bit_for_bit() -> None:
    batch = ahead(0)
    plain, wide = model(layers=3, dtype=torch.float32), model(layers=3, dtype=torch.float32, extra_heads=extra(0))
    assert all(p.equal(dict(wide.named_parameters())[name]) for name, p in plain.named_parameters() if p.dim() > 1)
    wide.load_state_dict(plain.state_dict(), strict=False)
    together = loss(wide, batch)
    batch.heads = (Head(),)
    alone = loss(plain, batch)
    assert loss(wide, batch).total().equal(alone.total())
    assert together.sums["token"].equal(alone.sums["token"])


@pytest.mark.parametrize("reach", [0, 1])
def test_every_parameter_learns_and_sums_count_their_own_targets(reach: int) -> None:
    samples = handmade(f"multi-token-reach-{reach}")
    m = model_of(samples, layers=3)
    made = loss(m, samples.batch().torch())
    assert made.scored == {"token": 5, "token+2": 4, "token+3": 3}
    made.total().backward()  # type: ignore[no-untyped-call]
    assert all((p.grad != 0).any() for p in m.parameters())


def test_a_head_deep_in_the_chain_is_asked_alone() -> None:
    batch, m = ahead(1), model(layers=2, extra_heads=extra(1))
    whole = loss(m, batch).sums["token+3"]
    batch.heads = batch.heads[2:]
    torch.testing.assert_close(loss(m, batch).sums["token+3"], whole)


def test_the_tokens_ahead_stay_in_their_document() -> None:
    segment = torch.tensor([[0, 0, 0, 1, 1, -1]])
    read, embedding = torch.arange(6)[None], torch.eye(6)
    assert embedded_ahead(read, segment, embedding, 1).argmax(1).tolist() == [1, 2, 0, 4, 0, 0]
    assert embedded_ahead(read, segment, embedding, 1).sum(1).tolist() == [1, 1, 0, 1, 0, 0]
    assert embedded_ahead(read, segment, embedding, 2).sum(1).tolist() == [1, 0, 0, 0, 0, 0]
    assert embedded_ahead(read, segment, embedding, 9).sum() == 0
    assert embedded_ahead(read, segment * 0, embedding, 2).sum(1).tolist() == [1, 1, 1, 1, 0, 0]  # the row's begin is not its end


def test_another_document_changes_nothing() -> None:
    batch, m = ahead(1, 2), model(layers=2, extra_heads=extra(1))
    before = {h.name: log_probs(m, batch, h.name) for h in batch.heads}
    first = batch["segment"] == 0
    batch["read"] = torch.where(first, batch["read"], (batch["read"] + 7) % 50)
    for name, was in before.items():
        assert log_probs(m, batch, name)[first].equal(was[first])


def test_chains_have_no_gaps() -> None:
    with pytest.raises(ValueError, match="reaches must be 1, 2"):
        model(extra_heads=extra(1)[1:])
    with pytest.raises(ValueError, match="read off a single stack"):
        model("encoder-decoder", extra_heads=extra(0))
