"""Hugging Face's Trainer on very small models: what each step is fed is what the key says, in every epoch, after every resume."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

import maskdial as md
from tests.interop.guests import VOCAB, features, model, rows_of

transformers = pytest.importorskip("transformers")
pytest.importorskip("accelerate", reason="Trainer needs the package accelerate")
pytestmark = pytest.mark.filterwarnings("default")  # transformers' own deprecations are not ours
LENGTHS = [12, 7, 12, 9, 10, 5, 11, 12]


def plain(features):
    """As a tokenized data set holds them, without numbers: a `dict` of what a model's forward may take."""
    return [{"input_ids": f["tokens"].tolist(), "attention_mask": [1] * len(f["tokens"])} for f in features]


class Recorder(transformers.Trainer):
    """Keeps what every step was fed and what it lost."""

    fed, lost = None, None

    def compute_loss(self, model, inputs, *args, **more):
        if model.training:
            self.fed = [*(self.fed or []), {k: v.clone() if isinstance(v, torch.Tensor) else v for k, v in inputs.items()}]
        made = super().compute_loss(model, inputs, *args, **more)
        self.lost = [*(self.lost or []), made.detach().item() if isinstance(made, torch.Tensor) else None]
        return made


def trainer(tmp_path, body, collator, data, attach=True, compute_loss_func=None, **settings):
    chosen = {"num_train_epochs": 2, "per_device_train_batch_size": 4, "save_strategy": "no", "logging_steps": 1, "seed": 1,
              "train_sampling_strategy": "sequential"} | settings  # fmt: skip
    args = transformers.TrainingArguments(str(tmp_path), use_cpu=True, report_to="none", disable_tqdm=True, **chosen)
    made = Recorder(model=body, args=args, data_collator=collator, train_dataset=data, compute_loss_func=compute_loss_func)
    if attach:
        collator.attach(made)
    return made


def same(found, wanted):
    return found.keys() == wanted.keys() and all(torch.equal(found[k], wanted[k]) for k in wanted)


@pytest.mark.parametrize(("kind", "name", "options"), [
    ("bert", "bert", {}), ("gpt2", "gpt", {}), ("gpt2", "prefix-lm", {}), ("t5", "t5", {"rate": 0.5, "mean_length": 2.0}),
    ("bart", "bart", {"permute": False}),
])  # fmt: skip
def test_every_step_is_fed_what_the_key_says(tmp_path, kind, name, options):
    """Epoch e, samples first … last: the batch of a direct call with those numbers; the second epoch has its own noise."""
    given, objective = features(LENGTHS, columns=False), md.objective(name, **options)
    collator = md.hf.Collator(objective, VOCAB, seed=4)
    run = trainer(tmp_path, model(kind), collator, plain(given))
    run.train()
    assert len(run.fed) == 4
    for step, fed in enumerate(run.fed):
        epoch, first = divmod(4 * step, 8)
        samples = objective(rows_of(given[first : first + 4]), VOCAB, seed=4, epoch=epoch)
        assert same(fed, collator.edge(samples)), step
    assert name == "gpt" or not same(run.fed[0], run.fed[2])
    assert all(np.isfinite(run.lost))


@pytest.mark.parametrize("persistent", [False, True])
def test_workers_do_not_change_a_bit(tmp_path, persistent):
    given = plain(features(LENGTHS, columns=False))
    fed = []
    for workers in (0, 2):
        more = {"dataloader_num_workers": workers, "dataloader_persistent_workers": persistent and workers > 0}
        run = trainer(tmp_path, model("bert"), md.hf.Collator("bert", VOCAB), given, **more)
        run.train()
        fed.append(run.fed)
    assert all(same(a, b) for a, b in zip(*fed, strict=True))
    assert not same(fed[1][0], fed[1][2]), "the second epoch must not repeat the first one's noise"


def test_a_resumed_run_is_fed_the_same(tmp_path):
    """Stopped in the middle of the second epoch and resumed: the remaining steps get the batches of the whole run."""
    given = plain(features(LENGTHS, columns=False))
    settings = {"num_train_epochs": 3, "per_device_train_batch_size": 2, "save_strategy": "steps", "save_steps": 6,
                "train_sampling_strategy": "random"}  # fmt: skip
    whole = trainer(tmp_path, model("bert"), md.hf.Collator("bert", VOCAB), given, **settings)
    whole.train()
    again = trainer(tmp_path, model("bert"), md.hf.Collator("bert", VOCAB), given, **settings)
    again.train(resume_from_checkpoint=str(tmp_path / "checkpoint-6"))
    assert (len(whole.fed), len(again.fed)) == (12, 6)
    assert all(same(a, b) for a, b in zip(whole.fed[6:], again.fed, strict=True))


def test_evaluation_keeps_one_noise(tmp_path):
    given = plain(features(LENGTHS, columns=False))
    collator = md.hf.Collator("bert", VOCAB)
    args = transformers.TrainingArguments(str(tmp_path), use_cpu=True, report_to="none", disable_tqdm=True, eval_strategy="epoch",
                                          learning_rate=0.0, save_strategy="no")  # fmt: skip
    run = transformers.Trainer(model=model("bert"), args=args, data_collator=collator, train_dataset=given, eval_dataset=given)
    collator.attach(run)
    run.train()
    lost = [entry["eval_loss"] for entry in run.state.log_history if "eval_loss" in entry]
    assert len(lost) == 3
    assert len(set(lost)) == 1, "a model that does not learn evaluates alike"


def test_accumulated_gradients_are_those_of_one_batch(tmp_path):
    """BERT's own loss ignores `num_items_in_batch`, and Trainer believes that it does not; the collator's loss keeps to it."""
    given = plain(features(LENGTHS, columns=False))
    steps = {}
    for name, function, size, pieces in (("one", True, 8, 1), ("four", True, 2, 4), ("theirs", False, 2, 4)):
        collator, body = md.hf.Collator("bert", VOCAB, seed=3), model("bert")
        run = trainer(tmp_path, body, collator, given, compute_loss_func=collator.loss if function else None, num_train_epochs=1,
                      per_device_train_batch_size=size, gradient_accumulation_steps=pieces, optim="sgd", learning_rate=1.0,
                      max_grad_norm=0.0, lr_scheduler_type="constant")  # fmt: skip
        run.train()
        steps[name] = torch.cat([p.detach().flatten() for p in body.parameters()])
    start = torch.cat([p.detach().flatten() for p in model("bert").parameters()])
    assert torch.allclose(steps["one"], steps["four"], atol=1e-5)
    assert (steps["theirs"] - start).norm() > 2 * (steps["one"] - start).norm()


def test_a_trainer_that_is_not_attached_is_told(tmp_path, capsys):
    """Nobody says the epoch, so the second one repeats the first: the collator notices."""
    run = trainer(tmp_path, model("bert"), md.hf.Collator("bert", VOCAB), plain(features(LENGTHS, columns=False)), attach=False)
    run.train()
    assert same(run.fed[0], run.fed[2])
    assert "collator.attach(trainer)" in capsys.readouterr().err


def test_attach_wants_its_own_collator(tmp_path):
    given = plain(features(LENGTHS, columns=False))
    run = trainer(tmp_path, model("bert"), md.hf.Collator("bert", VOCAB), given)
    with pytest.raises(ValueError, match="another data_collator"):
        md.hf.Collator("bert", VOCAB).attach(run)
    with pytest.raises(ValueError, match="layout='encoder'"):
        trainer(tmp_path, model("bert"), md.hf.Collator("gpt", VOCAB), given)


@pytest.mark.slow
def test_two_ranks_share_the_work_and_the_key(tmp_path):
    """Two processes with batches of two are fed, step by step, the two halves of what the key says, in both epochs."""
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2", "-m", "tests.interop.two_ranks"]
    subprocess.run([*command, str(tmp_path)], check=True, cwd=Path(__file__).parents[2], timeout=300, capture_output=True)
    ranks = [torch.load(tmp_path / f"rank{rank}.pt") for rank in range(2)]
    given = features(LENGTHS, columns=False)
    collator = md.hf.Collator("bert", VOCAB, seed=4)
    for step in range(4):
        for rank in range(2):
            epoch, first = divmod(4 * step + 2 * rank, 8)
            samples = md.objective("bert")(rows_of(given[first : first + 2]), VOCAB, seed=4, epoch=epoch)
            assert same(ranks[rank][step], collator.edge(samples)), (step, rank)
