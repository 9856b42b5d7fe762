"""`maskdial bench step`: every side does the same work, and the figures are what they say."""

import json
import math
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from maskdial.bench import memory, peers, step
from maskdial.bench.step import Size
from tests.cli.run import maskdial

TINY = {
    "bert": Size(300, 32, 2, 4, 85, 4, 24),
    "gpt2": Size(300, 32, 2, 4, 85, 4, 24),
    "t5": Size(300, 32, 2, 4, 64, 4, 24, 7),
}


@pytest.mark.parametrize("kind", TINY)
def test_every_side_learns_its_one_batch_and_is_about_as_large(kind):
    size = TINY[kind]
    made = {name: make() for name, make in step.sides(kind, size, "cpu")}
    wanted = {"ours", "ours, as it trains here"} | ({peers.EQUAL, peers.AS_IT_COMES} if peers.installed() else set())
    assert set(made) == wanted | ({peers.PLAIN} if kind == "gpt2" else set())
    layers = {name: count - size.vocab * size.d for name, (_, count) in made.items()}
    for name, (one, _) in made.items():
        first = one()
        for _ in range(30):
            last = one()
        assert first < 3 * math.log(size.vocab), name
        assert last < first - 0.02, name
        assert layers[name] == pytest.approx(layers["ours"], rel=0.3), name


def test_the_plain_loop_is_asked_what_we_are_asked():
    size = TINY["gpt2"]
    batch = step.batch_of("gpt2", size).torch()
    target, read = batch["target:token"], batch["read"]
    assert (target[:, :-1] == read[:, 1:]).all()
    assert (target[:, -1] < 0).all()
    model, forward = peers.plain_gpt(size)
    x = model.token(read.long()) + model.place.weight
    logits = model.norm(model.blocks(x)) @ model.token.weight.T
    wanted = -torch.log_softmax(logits[:, :-1], -1).gather(2, read[:, 1:, None].long()).mean()
    assert forward(batch).item() == pytest.approx(wanted.item(), rel=1e-5)


def test_medians_come_from_the_rounds_after_the_first(monkeypatch):
    clock = iter(np.cumsum([0, 100, 0, 1, 0, 2, 0, 3, 0, 4, 0, 9, 0, 6]).tolist())
    monkeypatch.setattr(step, "time", SimpleNamespace(perf_counter=lambda: next(clock)))
    assert step.medians({"a": lambda: 0.0, "b": lambda: 0.0}, 3) == {"a": 3, "b": 4}


def test_memory_of_a_call():
    took = memory.grown(lambda: torch.ones(16, 2**20).sum() and None, "cpu")
    if took is None:
        pytest.skip("this system does not tell the peak of a process")
    assert 60 * 2**20 < took < 80 * 2**20


def test_the_command(monkeypatch):
    monkeypatch.setattr(step, "SMALL", TINY)
    monkeypatch.setattr(memory, "WIDE", Size(4096, 32, 1, 4, 85, 16, 64))
    threads = torch.get_num_threads()
    try:
        status, out, _ = maskdial("bench", "step", "--threads", 1, "--rounds", 1, "--json")
        words = maskdial("bench", "step", "--kinds", "gpt2", "--threads", 1, "--rounds", 1)[1]
        assert maskdial("bench", "step", "--kinds", "gpt3")[0] == 2
    finally:
        torch.set_num_threads(threads)
    assert status == 0
    loss, *steps = json.loads(out)["data"]
    assert loss["full"] == 4 * 16 * 64 * 4096
    assert [one["name"] for one in steps] == list(TINY)
    for one in steps:
        assert one["utilisation"] > 0
        for name, ratio in one["ratios"].items():
            assert ratio == pytest.approx(one["tokens_per_second"]["ours"] / one["tokens_per_second"][name])
    assert peers.PLAIN in words
    assert "logits of all positions 16 MiB" in words
