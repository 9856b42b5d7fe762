"""Several ranks train as one process does, save what any number of them reads, and end together."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch

from maskdial.data import prepare
from maskdial.errors import UserError
from maskdial.model.stack import Inner
from maskdial.train import Run, load
from maskdial.train.blocks import blocks, plain
from maskdial.train.checkpoint import found, verify
from maskdial.train.ranks import ALONE, Ranks, started
from tests.model import helpers as small
from tests.train.ranks import LAUNCHES, MARK, OBJECTIVES, SHORT, run

ROOT = Path(__file__).parents[2]
SAME = 1e-5

Launched = dict[str, tuple[list[int], list[str], float]]


def launched(folder: Path, *scenarios: str) -> Launched:
    """Exit statuses, what each rank said and seconds, by scenario (`tests.train.ranks`)."""
    done = subprocess.run([sys.executable, "-m", "tests.train.ranks", str(folder), *scenarios], cwd=ROOT, capture_output=True, text=True,
                          timeout=1800, env=os.environ | {"OMP_NUM_THREADS": "1"})  # fmt: skip
    assert done.returncode == 0, done.stderr
    made = {}
    for line in map(json.loads, done.stdout.splitlines()):
        said = [(folder / f"{line['scenario']}.{rank}.txt").read_text() for rank in range(len(line["status"]))]
        made[line["scenario"]] = (line["status"], said, line["seconds"])
    return made


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("ranks")


TRAINED = {"one": [0], "two": [0, 0], "elastic-1": [143], "elastic-2": [143, 143], "elastic-4": [0] * 4}
FAULTY = ("disk-ddp", "disk-fsdp", "unloadable", "damaged", "clock", "term", "interrupt", "killed", "memory", "hung")


@pytest.fixture(scope="module")
def faults(folder: Path) -> Launched:
    """Everything is launched at once, since importing torch takes longer than most of it."""
    return launched(folder, *TRAINED, *FAULTY)


@pytest.fixture(scope="module")
def trained(faults: Launched) -> Launched:
    made = {name: faults[name] for name in TRAINED}
    assert {name: status for name, (status, _, _) in made.items()} == TRAINED, made
    return made


def steps(one: Run) -> list[dict[str, Any]]:
    return [e for e in one.events() if e["event"] == "step"]


def alike(one: Run, other: Run, tolerance: float = SAME) -> None:
    """The same data, losses, counts and parameters."""
    for a, b in zip(steps(one), steps(other), strict=True):
        for name in ("step", "samples", "tokens", "scored", "loss_count"):
            assert a[name] == b[name]
        assert a["flops"] == pytest.approx(b["flops"])
        for head, value in a["loss_sum"].items():
            assert value == pytest.approx(b["loss_sum"][head], abs=tolerance * max(1, a["loss_count"][head]))
        for member, own in a.get("loss_by_member", {}).items():
            assert own["count"] == b["loss_by_member"][member]["count"]
            assert own["sum"] == pytest.approx(b["loss_by_member"][member]["sum"], abs=tolerance * max(1, own["count"]))
    looks = [[e for e in r.events() if e["event"] == "held_out"] for r in (one, other)]
    for a, b in zip(*looks, strict=True):
        assert (a["step"], a["scored"]) == (b["step"], b["scored"])
        assert a["loss"] == pytest.approx(b["loss"], abs=tolerance)
    mine, theirs = (dict(r.model.named_parameters()) for r in (one, other))
    for key, value in mine.items():
        torch.testing.assert_close(value, theirs[key], rtol=0, atol=tolerance)


@pytest.mark.parametrize("way", ["ddp", "fsdp"])
@pytest.mark.parametrize("name", OBJECTIVES)
def test_two_ranks_equal_one_process(folder: Path, trained: Launched, name: str, way: str) -> None:
    """With accumulation (ddp) and with blocks computed again in the backward pass (bert-ddp, t5-fsdp) too."""
    alike(load(folder / f"{name}-one"), load(folder / f"{name}-{way}"))


@pytest.mark.parametrize("way", ["ddp", "fsdp"])
def test_bf16(folder: Path, trained: Launched, way: str) -> None:
    alike(load(folder / "bf16-one"), load(folder / f"bf16-{way}"), 0.05)


def test_shards_are_safetensors_that_the_manifest_vouches_for(folder: Path, trained: Launched) -> None:
    path = folder / "electra-fsdp" / "checkpoints" / "step-20"
    manifest = verify(path).manifest
    assert {p.name for p in path.iterdir()} == {*manifest["files"], "MANIFEST.json"}
    assert [name for name in manifest["files"] if name != "state.json"] == [
        "shard-00001-model-00001-of-00001.safetensors", "shard-00002-model-00001-of-00001.safetensors"]  # fmt: skip
    assert manifest["world_size"] == 2
    one = verify(folder / "electra-one" / "checkpoints" / "step-20")
    for group in ("model", "optimizer"):
        saved, own = verify(path).tensors(group), one.tensors(group)
        assert {k: (v.shape, v.dtype) for k, v in saved.items()} == {k: (v.shape, v.dtype) for k, v in own.items()}


@pytest.mark.parametrize(("name", "way"), [("electra", "fsdp"), ("gpt", "ddp")])
def test_two_ranks_go_on_with_what_one_process_saved(folder: Path, trained: Launched, name: str, way: str) -> None:
    whole, rest = load(folder / f"{name}-one"), load(folder / f"{name}-on-{way}")
    assert rest.events()[0]["event"] == "resumed"
    assert [e["loss_count"] for e in steps(rest)] == [e["loss_count"] for e in steps(whole)][2:]
    for key, value in whole.model.named_parameters():
        torch.testing.assert_close(dict(rest.model.named_parameters())[key], value, rtol=0, atol=SAME)


@pytest.mark.parametrize("name", ["gpt", "electra"])
def test_one_process_goes_on_with_what_two_ranks_saved(tmp_path: Path, folder: Path, trained: Launched, name: str) -> None:
    run(tmp_path, "rest", name, resume=str(folder / f"{name}-fsdp" / "checkpoints" / "step-10"))
    whole, rest = load(folder / f"{name}-one"), load(tmp_path / "rest")
    assert [e["step"] for e in steps(rest)] == [15, 20]
    for key, value in whole.model.named_parameters():
        torch.testing.assert_close(dict(rest.model.named_parameters())[key], value, rtol=0, atol=SAME)


def test_ranks_and_parts_may_change_at_every_launch(folder: Path, trained: Launched) -> None:
    """1 rank, 2 with FSDP2, 4 with DDP and accumulation, each stopped in the middle of an epoch of a mixture."""
    whole, elastic = load(folder / "mixed-one"), load(folder / "elastic")
    assert [e["world_size"] for e in elastic.events() if e["event"] in ("config", "resumed")] == [1, 2, 4]
    alike(whole, elastic)


def test_a_shard_that_is_changed_cut_or_added_is_refused(tmp_path: Path, folder: Path, trained: Launched) -> None:
    import shutil

    path = tmp_path / "step-20"
    shutil.copytree(folder / "gpt-fsdp" / "checkpoints" / "step-20", path)
    stranger = path / "shard-00003-model-00001-of-00001.safetensors"
    shutil.copy(path / "shard-00001-model-00001-of-00001.safetensors", stranger)
    with pytest.raises(UserError, match=r"not those that its manifest names|not whole"):
        verify(path).tensors("model")
    stranger.unlink()
    shard = path / "shard-00002-model-00001-of-00001.safetensors"
    data = bytearray(shard.read_bytes())
    data[-3] ^= 1
    shard.write_bytes(data)
    with pytest.raises(ValueError, match=f"{shard.name} is damaged"):
        verify(path)
    shard.unlink()
    with pytest.raises(ValueError, match=f"{shard.name} is missing"):
        verify(path)


@pytest.mark.parametrize("way", ["ddp", "fsdp"])
def test_a_full_disk_of_one_rank_ends_all_and_keeps_the_last_checkpoint(folder: Path, faults: Launched, way: str) -> None:
    status, said, _ = faults[f"disk-{way}"]
    wanted = r"could not save step 8: .*No space left on device; the last checkpoint is whole: .*step-4"
    assert status == [1, 1]
    assert all(re.search(wanted, text) for text in said)
    if way == "ddp":
        assert said[1].startswith("rank 1 ends because rank 0 failed saving step 8")
    assert [p.name for p in (folder / f"disk-{way}" / "checkpoints").iterdir()] == ["step-4"]


FAULTS = {
    "unloadable": ([1, 1], ("rank 0 ends because rank 1 failed loading: not on my disk", "^not on my disk")),
    "damaged": ([1, 1], ("rank 0 ends because rank 1 failed making the samples of step 7: shard-00000.bin is damaged", "is damaged")),
    "memory": ([1, 1], ("rank 0 (ends because another rank ended|failed in step 7)", "rank 1 failed in step 7: OutOfMemoryError")),
    "killed": ([1, -9], ("rank 0 (ends because another rank ended|failed in step 7)", "")),
    "hung": ([1, -9], ("rank 0 (ends because another rank ended or no longer answers|failed in step 7)", "")),
}


@pytest.mark.parametrize("name", FAULTS)
def test_one_rank_that_fails_ends_the_others_with_a_message(faults: Launched, name: str) -> None:
    status, said, seconds = faults[name]
    wanted, texts = FAULTS[name]
    assert status == wanted, said
    assert all(re.search(pattern, text) for pattern, text in zip(texts, said, strict=True)), said
    if name == "hung":
        assert SHORT < seconds < 20 * SHORT, "it waited, and not for ever"


@pytest.mark.parametrize(("name", "number"), [("term", 143), ("interrupt", 130)])
def test_a_signal_to_any_rank_stops_all_at_one_step_saved_once(folder: Path, faults: Launched, name: str, number: int) -> None:
    """SIGTERM reaches one rank only; Ctrl-C reaches all, and a second time through the launcher."""
    status, said, _ = faults[name]
    assert status == [number, number]
    assert all(f"stopped at step {MARK} of 14; saved in" in text for text in said)
    assert [step for step, _ in found(folder / name / "checkpoints")] == [MARK, 4]
    assert [e["step"] for e in load(folder / name).events() if e["event"] == "interrupted"] == [MARK]


def test_a_time_budget_is_the_same_number_of_steps_everywhere(folder: Path, faults: Launched) -> None:
    status, said, _ = faults["clock"]
    assert status == [0, 0]
    assert said[0] == said[1]
    assert [e["steps"] for e in load(folder / "clock").events() if e["event"] == "frozen"] == [int(said[0])]


def test_torchrun(tmp_path: Path) -> None:
    """The command as typed: one answer on stdout, whatever the number of ranks."""
    for name, word in (("birds", "bird"), ("stones", "stone")):
        (tmp_path / f"{name}.txt").write_text("\n\n".join(f"the {n}th {word} of the north and {n + 3} more" for n in range(200)))
        prepare(str(tmp_path / f"{name}.txt"), tmp_path / name, tokenizer="bytes", progress="off")
    words = ["train", "-o", "bert", "--data", "birds", "--data", "stones:0.5", "--budget", "3steps", "--out", "run", "--json",
             "length=32", "rows=3", "model.d=16", "model.layers=2", "model.heads=2", "parallel=fsdp"]  # fmt: skip
    done = subprocess.run(
        [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", "2", "--standalone", "-m", "maskdial", *words],
        cwd=tmp_path, capture_output=True, text=True, timeout=300, env=os.environ | {"OMP_NUM_THREADS": "1"},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    answer = json.loads(done.stdout)
    assert (answer["data"]["steps"], answer["data"]["loss"] > 0) == (3, True)
    assert done.stderr.count(" parameters, 3steps") == 1, "rank 0 alone speaks"
    assert load(tmp_path / "run").config["corpus"]["name"] == "0.667 birds + 0.333 stones"


def test_one_process_asks_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("RANK", "WORLD_SIZE", "LOCAL_RANK", "MASTER_ADDR", "MASTER_PORT"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("WORLD_SIZE", "7")  # somebody else's
    with started("cpu", 1.0) as ranks:
        assert ranks is ALONE
    assert (ALONE.tell(3), ALONE.gather(3), ALONE.sum({"a": 2}), ALONE.largest(5), ALONE.device("cuda")) == (3, [3], {"a": 2}, 5, "cuda")
    assert ALONE.first_before_others(lambda: 4, "trying") == 4
    with pytest.raises(KeyError), ALONE.together("trying"):
        raise KeyError
    assert Ranks(rank=3, world=4, local=1).device("cuda") == "cuda:1"
    probe = ("import sys, maskdial.train; print([m for m in ('torch.distributed.fsdp', 'torch.distributed.checkpoint', "
             "'torch.distributed.tensor') if m in sys.modules])")  # fmt: skip
    assert subprocess.run([sys.executable, "-c", probe], capture_output=True, text=True, check=True).stdout.strip() == "[]"


@pytest.mark.parametrize(("device", "text"), [("cuda:1", "several processes can't share cuda:1"), ("cuda", "has no GPU")])
def test_every_rank_needs_a_gpu_of_its_own(monkeypatch: pytest.MonkeyPatch, device: str, text: str) -> None:
    for name, value in {"RANK": "1", "WORLD_SIZE": "2", "LOCAL_RANK": "99", "MASTER_ADDR": "localhost", "MASTER_PORT": "1"}.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(UserError, match=text), started(device, 1.0):
        pass


@pytest.mark.slow
@pytest.mark.parametrize("name", ["mixed", "t5"])
def test_ranks_parts_and_ways_change_at_every_launch(tmp_path: Path, name: str) -> None:
    made = launched(tmp_path, "one", *(f"long-{name}-{number}" for number in range(1, len(LAUNCHES) + 1)))
    assert [set(status) for status, _, _ in made.values()] == [{0}] + [{143}] * (len(LAUNCHES) - 1) + [{0}], made
    alike(load(tmp_path / f"{name}-one"), load(tmp_path / f"long-{name}"))


@pytest.mark.slow
@pytest.mark.parametrize("way", ["ddp", "fsdp"])
def test_three_deterministic_ranks_go_on_bit_for_bit(tmp_path: Path, way: str) -> None:
    launched(tmp_path, *(f"exact-{way}-{number}" for number in range(3)))
    whole, cut = (verify(tmp_path / f"exact-{way}-{label}" / "checkpoints" / "step-20") for label in ("whole", "cut"))
    for group in ("model", "optimizer"):
        mine, theirs = whole.tensors(group), cut.tensors(group)
        assert all(value.equal(theirs[key]) for key, value in mine.items())
    assert [e["loss_sum"] for e in steps(load(tmp_path / f"exact-{way}-whole"))] == [
        e["loss_sum"] for e in steps(load(tmp_path / f"exact-{way}-cut"))]  # fmt: skip


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:.*torch.jit:DeprecationWarning", "ignore:The .grad attribute")  # of torch's compiler itself
@pytest.mark.parametrize("name", ["gpt", "t5"])
def test_compiled_parts_change_nothing(tmp_path: Path, name: str) -> None:
    for compile in ("off", "on"):
        run(tmp_path, compile, name, compile=compile, budget="6steps")
    alike(load(tmp_path / "off"), load(tmp_path / "on"))


def test_what_is_compiled_computes_the_same() -> None:
    inner = next(m for m in small.model(dtype=torch.float64).modules() if isinstance(m, Inner))
    found = []
    for forward in (inner, partial(plain, inner)):
        x = torch.linspace(-2, 2, 3 * inner.down.weight.shape[0], dtype=torch.float64).view(3, -1).requires_grad_()
        inner.zero_grad()
        forward(x).square().sum().backward()
        found.append([x.grad, *(p.grad for p in inner.parameters())])
    torch.testing.assert_close(*found)


def test_a_models_layers_are_found() -> None:
    assert [type(m).__name__ for m in blocks(small.model())] == ["Block"] * small.config().layers
    guest: Any = torch.nn.Sequential(torch.nn.ModuleList([torch.nn.ModuleList([torch.nn.Linear(1, 1)]), torch.nn.Linear(2, 2)]))
    assert len(blocks(guest)) == 2
