"""Resumed is never stopped: cut at every step, however often, a run of any family ends with the same bits."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import maskdial as md
from maskdial.train import load, train
from maskdial.train import loop as loops
from maskdial.train.checkpoint import found
from tests.train.bits import differing, final
from tests.train.helpers import FakeCorpus, config

STEPS = 8
#: A family each: a decoder, an encoder, two stacks, two networks, a mixture with modes, two streams, chained heads; then what else
#: has a state of its own.
FAMILIES: dict[str, tuple[str, dict[str, Any]]] = {
    **{name: (name, {}) for name in ("gpt", "bert", "t5", "electra", "ul2", "xlnet", "mtp")},
    "bfloat16": ("gpt", {"precision": "bf16"}), "adamw": ("bert", {"optimizer__name": "adamw", "optimizer__decay": 0.1}),
    "accumulation": ("t5", {"accumulate": 3}), "held out": ("gpt", {"evaluate__every": 3, "evaluate__samples": 8}),
}  # fmt: skip


class Power(BaseException):
    """Goes off: nothing is written any more."""


class Modes(FakeCorpus):
    """The corpus whose vocabulary has the mode tokens of mixtures."""

    def __init__(self) -> None:
        super().__init__()
        self.vocab = md.Vocab(size=60, pad=0, bos=1, eos=2, mask=3, cls=4, sep=5, start=6, eod=7, sentinels=range(11, 24),
                              modes={"R": 8, "S": 9, "X": 10})  # fmt: skip


def make(family: str, out: Path, every: int) -> None:
    """Train to the end, unless the power goes off."""
    name, changes = FAMILIES[family]
    settings = config(budget=f"{STEPS}steps", deterministic=True, checkpoint__every=every, log_every=3, **changes)
    train(settings, md.objective(name), Modes(), out, progress="off")


@pytest.fixture
def cut(monkeypatch: pytest.MonkeyPatch) -> Callable[[int], None]:
    """`cut(step)`: the power goes off right after this step, before it can be saved; 0: never again."""
    real, at = loops.Loop._log, [0]

    def log(self: loops.Loop) -> None:
        real(self)
        if self.state.step == at[0]:
            raise Power

    monkeypatch.setattr(loops.Loop, "_log", log)
    return lambda step: at.__setitem__(0, step)


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], dict[str, bytes]]:
    """A family's run that was never cut."""
    made: dict[str, dict[str, bytes]] = {}

    def of(family: str) -> dict[str, bytes]:
        if family not in made:
            out = tmp_path_factory.mktemp("whole") / "run"
            make(family, out, STEPS)
            made[family] = final(out)
        return made[family]

    return of


def ends_the_same(family: str, out: Path, every: int, cuts: list[int], cut: Callable[[int], None]) -> list[int]:
    """Cut after each of some steps in turn, then left in peace; the checkpoints that it went on from."""
    went_on = []
    for step in [*cuts, 0]:
        went_on += [max([n for n, _ in found(out / "checkpoints")], default=0)]
        cut(step)
        try:
            make(family, out, every)
        except Power:
            assert step
            continue
        assert not step
    return went_on


@pytest.mark.parametrize("family", FAMILIES)
def test_cut_at_every_step_in_one_run(
    tmp_path: Path, cut: Callable[[int], None], whole: Callable[[str], dict[str, bytes]], family: str
) -> None:
    """Eight cuts in a row: each process does one step more than the one before, and loses it."""
    out, wanted = tmp_path / "run", whole(family)
    assert ends_the_same(family, out, 1, list(range(1, STEPS + 1)), cut) == [0, *range(STEPS)]
    assert differing(final(out), wanted) == []
    resumed = [e["step"] for e in load(out).events() if e["event"] == "resumed"]
    assert resumed == list(range(1, STEPS))


def every_first_cut(family: str, tmp_path: Path, cut: Callable[[int], None], wanted: dict[str, bytes]) -> None:
    for first in range(1, STEPS + 1):
        out = tmp_path / str(first)
        ends_the_same(family, out, 3, [first, min(STEPS, first + 2), min(STEPS, first + 3)], cut)
        assert differing(final(out), wanted) == [], first


def test_three_resumes_from_every_step_with_work_lost(
    tmp_path: Path, cut: Callable[[int], None], whole: Callable[[str], dict[str, bytes]]
) -> None:
    """Checkpoints every third step: what was done after one is done again, and written into the log again."""
    every_first_cut("gpt", tmp_path, cut, whole("gpt"))


@pytest.mark.slow
@pytest.mark.parametrize("family", FAMILIES)
def test_three_resumes_from_every_step_of_every_family(
    tmp_path: Path, cut: Callable[[int], None], whole: Callable[[str], dict[str, bytes]], family: str
) -> None:
    every_first_cut(family, tmp_path, cut, whole(family))
