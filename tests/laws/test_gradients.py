"""The gradient of a scored position is exactly zero outside its sight, and not zero inside it, for every recipe."""

import pytest
import torch

import maskdial as md
from maskdial.model import ModelConfig, build
from maskdial.sample import SILENT
from tests.conftest import make_rows
from tests.laws.cases import CASES, IDS

VISIBILITY = ["as it is", "bidirectional", "causal"]


def model_for(layout):
    shape = "encoder-decoder" if layout == "encoder-decoder" else "single"
    return build(ModelConfig(vocab_size=640, shape=shape, preset="tiny", d=32, layers=2, heads=2, ffn=64), seed=1)


def reaches(model, batch, q, layout):
    """Which positions (source then answer) have a gradient from the hidden state at the q-th position that answers."""
    prefixes = ["source_", "answer_"] if layout == "encoder-decoder" else [""]
    count = 0
    for prefix in prefixes:  # every position reads an id of its own, so that rows of the embedding tell positions apart
        read = batch[prefix + "read"]
        batch[prefix + "read"] = torch.arange(count, count + read.numel(), dtype=read.dtype).view(read.shape)
        count += read.numel()
    model.zero_grad()
    generator = torch.Generator().manual_seed(q)
    x = model.hidden(batch)[0, q]
    (x * torch.randn(x.shape, generator=generator)).sum().backward()
    return (model.embedding.grad[:count] != 0).any(dim=1).numpy()


@pytest.mark.parametrize("visibility", VISIBILITY)
@pytest.mark.parametrize(("name", "options"), CASES, ids=IDS)
def test_no_gradient_from_outside_the_sight(name, options, visibility, vocab):
    objective = md.objective(name, **options)
    if visibility != "as it is":
        objective = objective.replace(visibility=visibility)
    samples = objective(make_rows([14], 3, "isolated", documents=2), vocab, seed=2)
    sample, batch = samples[0], samples.batch().torch()
    model = model_for(objective.layout)
    visible = sample.visible()
    first = int((sample.stream == 0).sum()) if objective.layout == "encoder-decoder" else 0
    if objective.layout == "encoder-decoder":  # the batch holds the source of every document, then their answers
        order = [*(sample.stream == 0).nonzero()[0], *(sample.stream == 1).nonzero()[0]]
        visible = visible[order][:, order]
    asked = (batch["target:token"][0] != SILENT).nonzero().flatten().tolist()
    assert asked or options.get("rate") == 0.0
    for q in asked[:: max(1, len(asked) // 4)]:
        found = reaches(model, samples.batch().torch(), q, objective.layout)
        assert (found == visible[first + q]).all()
