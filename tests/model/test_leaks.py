"""What an answer depends on, by gradient through several layers: its sight and its reach, all of it and nothing else."""

from __future__ import annotations

import pytest
import torch

from maskdial.batch import Batch
from maskdial.model import Model
from maskdial.model.question import ask
from maskdial.sample import Head, Samples
from tests.contract.handmade import CASES
from tests.model.helpers import handmade, model_of

NAMES = [c.name for c in CASES]


def told_apart(samples: Samples) -> tuple[Batch, int]:
    """The batch with an id of its own at every position, so that rows of the embedding are positions; how many there are."""
    batch, count = samples.batch().torch(), 0
    for name in ("source_read", "answer_read") if samples.layout == "encoder-decoder" else ("read",):
        batch[name] = torch.arange(count, count + batch[name].numel(), dtype=torch.int32).view(batch[name].shape)
        count += batch[name].numel()
    return batch, count


def depends(m: Model, batch: Batch, head: Head, count: int) -> list[list[int]]:
    """For each position that the head asks, the positions its answer depends on."""
    (_, answer), *_ = m.answers(batch, [ask(batch, head)])
    weights = torch.randn(answer.shape[1:], generator=torch.Generator().manual_seed(0), dtype=answer.dtype)
    made = []
    for state in answer:
        (gradient,) = torch.autograd.grad((state * weights).sum(), m.embedding, retain_graph=True)
        made.append((gradient[:count] != 0).any(1).nonzero()[:, 0].tolist())
    return made


def expected(samples: Samples, head: Head) -> list[list[int]]:
    """The same from who looks at whom: a boundary head from both sides' sight, a module with the tokens it reaches."""
    sample = samples[0]
    sight, target = sample.visible(), sample.column(f"target:{head.name}")
    made = []
    for q in (target >= 0).nonzero()[0]:
        seen = sight[q]
        if head.form == "boundary":
            seen = sight[sample.left[q]] | sight[sample.right[q]]
        seen = seen.copy()
        seen[q : q + head.reach + 1] |= head.form == "module"
        made.append(seen.nonzero()[0].tolist())
    return made


@pytest.mark.parametrize("name", NAMES)
def test_answers_depend_on_what_is_seen_alone(name: str) -> None:
    samples = handmade(name)
    batch, count = told_apart(samples)
    m = model_of(samples, layers=3) if samples.layout != "encoder-decoder" else model_of(samples, layers=4)
    for head in samples.heads:
        if head.form != "drawn":
            assert depends(m, batch, head, count) == expected(samples, head), head.name


@pytest.mark.parametrize(("name", "own"), [("xlnet", [1, 3, 4]), ("block-diffusion", [7, 8, 9, 10])])
def test_nothing_leaks_by_a_detour(name: str, own: list[int]) -> None:
    """The token that must be said stands in the same row: in XLNet's content stream, in block diffusion's clean copy."""
    samples = handmade(name)
    batch, count = told_apart(samples)
    found = depends(model_of(samples, layers=3), batch, samples.heads[0], count)
    assert all(answer not in seen for answer, seen in zip(own, found, strict=True))
    opened = dict(batch) | {"private": torch.zeros_like(batch["private"]), "order": batch["order"] * 0}
    found = depends(model_of(samples, layers=3), opened, samples.heads[0], count)  # type: ignore[arg-type]
    assert all(answer in seen for answer, seen in zip(own, found, strict=True))


def test_content_never_sees_queries() -> None:
    samples = handmade("xlnet")
    batch, count = told_apart(samples)
    m = model_of(samples, layers=3)
    for q in range(6):
        (gradient,) = torch.autograd.grad(m.hidden(batch)[0, q].square().sum(), m.embedding)
        assert (gradient[6:count] == 0).all()


def test_no_module_reads_the_token_it_must_say() -> None:
    """Depth k at position i: tokens up to i + k, never i + k + 1 (DeepSeek-V3, section 2.2)."""
    samples = handmade("multi-token-reach-1")
    batch, count = told_apart(samples)
    m = model_of(samples, layers=3)
    for depth, head in enumerate(samples.heads):
        found = depends(m, batch, head, count)
        assert len(found) == 5 - depth
        assert found == [list(range(i + depth + 1)) for i in range(5 - depth)]
