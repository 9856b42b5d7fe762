"""From run to run: through an exported folder, and straight from one objective to another."""

import json
import shutil

import pytest
import torch

import maskdial as md
from maskdial.data import prepare
from maskdial.errors import UserError
from maskdial.model import Model
from maskdial.train import TrainConfig, load, train
from maskdial.train.init import origin
from tests.cli.run import maskdial
from tests.interop.published import published, text

transformers = pytest.importorskip("transformers")
SIZES = {"model.d": 32, "model.heads": 2, "model.layers": 3, "model.ffn": 96}
SMALL = {"length": 48, "rows": 4, "threads": 1, "precision": "fp32"}


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """(folder, text, corpus in a tokenizer of ours)."""
    folder = tmp_path_factory.mktemp("place")
    source = text(folder)
    return folder, source, prepare(str(source), folder / "corpus", vocab_size=300, progress="off")


@pytest.fixture(scope="module")
def runs(place):
    """Runs of gpt and t5 whose gains and tables are not where they start."""
    folder, _, corpus = place
    rate = {"optimizer.other_rate": 0.3, "optimizer.position_rate": 0.3, "optimizer.warmup": 0, "budget": "4steps"}
    for name in ("gpt", "t5"):
        train(TrainConfig().with_overrides(SMALL | SIZES | rate), md.objective(name), corpus, folder / name, progress="off")
        md.export(folder / name, folder / f"{name}-hf")
    return {name: load(folder / name) for name in ("gpt", "t5")}


def start(objective, corpus, init, out, **changes):
    """A run of one step from `init`, with a rate of next to nothing."""
    still = {"optimizer.matrix_rate": 1e-12, "optimizer.embedding_rate": 1e-12, "optimizer.other_rate": 1e-12,
             "optimizer.position_rate": 1e-12, "budget": "1steps"}  # fmt: skip
    settings = TrainConfig().with_overrides(SMALL | still | {"init": str(init)} | changes)
    train(settings, md.objective(objective), corpus, out, progress="plain")
    return load(out)


def batch_of(run, corpus):
    return run.objective(corpus.rows(30, 0, 3, seed=1), corpus.vocab, seed=1).batch(run.objective.layout).torch()


@pytest.mark.parametrize("name", ["gpt", "t5"])
@torch.no_grad()
def test_an_export_becomes_a_model_of_ours_again(name, place, runs, tmp_path):
    folder, _, corpus = place
    run = runs[name]
    with torch.enable_grad():
        again = start(name, corpus, folder / f"{name}-hf", tmp_path / "again")
    assert type(again.model) is Model
    assert again.model.config == run.model.config
    batch = batch_of(run, corpus)
    wanted = run.model(batch)
    assert (again.model(batch) - wanted).abs().max() <= 1e-5 * wanted.abs().max()
    gain = run.model.stack.norm.gain
    assert (gain - 1).abs().max() > 0.1, "the test means something"


@pytest.mark.parametrize("name", ["gpt", "t5"])
@torch.no_grad()
def test_so_does_one_that_was_trained_on_elsewhere(name, place, runs, tmp_path):
    """Gains inside blocks, which ours has not, have moved: they become factors of the matrices behind them."""
    folder, _, corpus = place
    other = tmp_path / "other"
    shutil.copytree(folder / f"{name}-hf", other)
    kind = transformers.LlamaForCausalLM if name == "gpt" else transformers.T5ForConditionalGeneration
    body = kind.from_pretrained(other)
    torch.manual_seed(0)
    for p in body.parameters():
        p.add_(0.1 * torch.randn_like(p))
    body.save_pretrained(other)
    with torch.enable_grad():
        again = start(name, corpus, other, tmp_path / "again")
    made = md.export(again, tmp_path / "hf")
    ids = torch.arange(20)[None] + 30
    given = {"input_ids": ids} | ({"decoder_input_ids": ids} if name == "t5" else {})
    wanted, found = body(**given).logits, kind.from_pretrained(made.path)(**given).logits
    assert (found - wanted).abs().max() <= 1e-5 * wanted.abs().max()


def test_a_decoder_goes_on_as_an_encoder_and_back(place, runs, tmp_path, capfd):
    """Two phases: the stack, the embedding that is the output too and the rotation stay; only who may look at whom changes."""
    folder, _, corpus = place
    bert = start("bert", corpus, folder / "gpt", tmp_path / "bert")
    assert "gpt at step 4; rates and averages begin anew; what it read left to right it now reads both ways" in capfd.readouterr().err
    assert all(torch.equal(a, b) for a, b in zip(bert.model.parameters(), runs["gpt"].model.parameters(), strict=True)), "sizes came along"
    back = start("gpt", corpus, tmp_path / "bert", tmp_path / "gpt")
    assert "what it read both ways it now reads left to right" in capfd.readouterr().err
    batch = batch_of(runs["gpt"], corpus)
    with torch.no_grad():
        torch.testing.assert_close(back.model(batch), runs["gpt"].model(batch))
    start("bert", corpus, folder / "gpt-hf", tmp_path / "exported")
    for wrong, said in ((("t5", folder / "gpt"), "source.* is absent there"), (("bert-nsp", folder / "gpt"), "does not fit")):
        with pytest.raises(UserError, match=said) as caught:
            start(wrong[0], corpus, wrong[1], tmp_path / wrong[0])
        assert (caught.value.exit, bool(caught.value.hint)) == (4, True)


def test_another_tokenizer_is_refused(place, runs, tmp_path):
    folder, source, _ = place
    other = prepare(str(source), tmp_path / "corpus", vocab_size=290, progress="off")
    for init in ("gpt", "gpt-hf"):
        with pytest.raises(UserError, match="another tokenizer") as caught:
            start("gpt", other, folder / init, tmp_path / "run")
        assert caught.value.exit == 4
        assert "--tokenizer" in caught.value.hint


def test_the_command_reads_raw_text_with_the_origins_tokenizer(place, tmp_path, monkeypatch):
    folder, source, _ = place
    monkeypatch.setenv("MASKDIAL_CACHE", str(tmp_path / "cache"))
    with torch.enable_grad():
        published(tmp_path / "gpt2", "gpt2")
    words = ["train", "--data", source, "--budget", "3steps", "--progress", "plain", *(f"{k}={v}" for k, v in SMALL.items())]
    status, said, log = maskdial(*words, "-o", "bert", "--init", tmp_path / "gpt2", "--out", tmp_path / "no")
    assert status == 2
    assert "bert needs a mask token" in log
    assert "--add mask" in log
    status, said, log = maskdial(*words, "-o", "bert", "--init", tmp_path / "gpt2", "--add", "mask", "--out", tmp_path / "run", "--json")
    assert status == 0, log
    assert json.loads(said)["data"]["steps"] == 3
    assert "added [MASK] as 257" in log
    assert "embeddings: 257 → 258 rows" in log
    assert "4-D mask" in log
    status, said, log = maskdial("export", tmp_path / "run", "--to", "hf", tmp_path / "hf")
    assert status == 0, log
    assert "GPT2LMHeadModel" in said
    assert transformers.AutoTokenizer.from_pretrained(tmp_path / "hf").mask_token_id == 257
    status, said, log = maskdial(*words, "-o", "gpt", "--init", folder / "gpt", "--out", tmp_path / "more")
    assert status == 0, log
    assert load(tmp_path / "more").tokenizer.sha256 == load(folder / "gpt").tokenizer.sha256
    assert f"starts from {folder / 'gpt'}" in log
    status, said, log = maskdial(*words, "-o", "gpt", "--add", "mask", "--out", tmp_path / "none")
    assert (status, "--add is for --init" in log) == (2, True)
    with pytest.raises(UserError, match="--init reads those as folders"):
        origin(str(tmp_path / "run")).model(None, None, None)
