"""A run as a folder of transformers: the same logits, the same ids, and it trains and generates there."""

import contextlib
import io
import json
from types import SimpleNamespace

import numpy as np
import pytest
import torch

import maskdial as md
from maskdial.data import load as load_tokenizer
from maskdial.data import prepare
from maskdial.errors import UserError
from maskdial.interop import export as exporting
from maskdial.interop.edge import Edge
from maskdial.interop.form import form_of
from maskdial.model import ModelConfig
from maskdial.train import TrainConfig, train
from tests.cli.run import maskdial
from tests.interop.published import text

transformers = pytest.importorskip("transformers")
SMALL = {"length": 48, "rows": 4, "budget": "3steps", "threads": 1, "precision": "fp32", "model.d": 32, "model.heads": 2,
         "model.layers": 3, "model.ffn": 96}  # fmt: skip
CLASSES = {"gpt": "LlamaForCausalLM", "prefix-lm": "LlamaForCausalLM", "mtp": "LlamaForCausalLM", "bert": "EuroBertForMaskedLM",
           "t5": "T5ForConditionalGeneration", "bart": "T5ForConditionalGeneration"}  # fmt: skip


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    folder = tmp_path_factory.mktemp("corpus")
    return prepare(str(text(folder)), folder / "corpus", vocab_size=300, progress="off")


@pytest.fixture(scope="module")
def runs(corpus, tmp_path_factory):
    """A run by objective, trained when it is first asked for, its gains and tables moved away from where they start."""
    made, folder = {}, tmp_path_factory.mktemp("runs")

    def run(name):
        if name not in made:
            with torch.enable_grad():
                train(TrainConfig().with_overrides(SMALL), md.objective(name), corpus, folder / name, progress="off")
            made[name] = md.load(folder / name)
            torch.manual_seed(2)
            with torch.no_grad():
                for p in made[name].model.parameters():
                    p.add_(0.1 * torch.randn_like(p))
        return made[name]

    return run


@pytest.fixture(scope="module")
def exports(runs, tmp_path_factory):
    made, folder = {}, tmp_path_factory.mktemp("exports")

    def export(name):
        made[name] = made.get(name) or md.export(runs(name), folder / name)
        return made[name]

    return export


def loaded(export):
    return getattr(transformers, export.classname).from_pretrained(export.path, dtype=torch.float32).eval()


def samples_of(run, corpus, count=3):
    rows = corpus.rows(30, 0, count, seed=1, **getattr(run.objective, "plan", {}))
    return run.objective(rows, corpus.vocab, seed=1)


@pytest.mark.parametrize("name", CLASSES)
@torch.no_grad()
def test_the_logits_are_the_runs(name, runs, exports, corpus):
    """Samples reach the class through the collator's edge, which knows nothing of the export."""
    run, made = runs(name), exports(name)
    assert made.classname == CLASSES[name]
    samples = samples_of(run, corpus)
    wanted = run.model(samples.batch(run.objective.layout).torch())
    given = Edge(labels="in_place", decoder_inputs="given", heads=("token",))(samples)
    found = loaded(made)(**{k: v for k, v in given.items() if "labels" not in k}).logits
    assert found.shape == wanted.shape
    assert (found - wanted).abs().max() <= 1e-5 * wanted.abs().max()
    assert made.difference <= 1e-5 * made.largest


@pytest.mark.parametrize("name", ["gpt", "bert", "t5", "bart"])
def test_it_trains_there(name, runs, exports, corpus, tmp_path):
    run, body = runs(name), loaded(exports(name))
    tokenizer = transformers.AutoTokenizer.from_pretrained(exports(name).path)
    collator = md.hf.Collator(run.objective, tokenizer)
    rows = corpus.rows(30, 0, 8, seed=1)
    data = [{"tokens": rows.tokens[a:b], "index": i} for i, (a, b) in enumerate(zip(rows.offsets, rows.offsets[1:], strict=False))]
    args = transformers.TrainingArguments(str(tmp_path), use_cpu=True, report_to="none", disable_tqdm=True, max_steps=1, save_strategy="no",
                                          per_device_train_batch_size=4, remove_unused_columns=False)  # fmt: skip
    before = body.get_input_embeddings().weight.detach().clone()
    trainer = transformers.Trainer(model=body, args=args, data_collator=collator, train_dataset=data)
    assert np.isfinite(trainer.train().training_loss)
    assert not torch.equal(body.get_input_embeddings().weight, before)


def stream(ids, rising):
    """The columns of one document without corruption."""
    level, place = torch.zeros_like(ids), torch.arange(ids.shape[1])[None]
    return {"read": ids, "position": place, "segment": level, "order": place if rising else level}


@pytest.mark.parametrize("name", ["gpt", "prefix-lm", "t5"])
@torch.no_grad()
def test_generate_says_what_the_run_would(name, runs, exports, corpus):
    """Greedy, token by token, from the run's own logits."""
    run, body = runs(name), loaded(exports(name))
    settings, vocab = body.generation_config, run.vocab
    ids = torch.from_numpy(corpus.train.document(0)[:9].astype(np.int64))[None]
    made = body.generate(ids, max_new_tokens=5, min_new_tokens=5, do_sample=False)[0].tolist()
    if name == "t5":
        assert (settings.decoder_start_token_id, settings.eos_token_id) == (vocab.start, vocab.eos)
        said, ends = [vocab.start], vocab.eos
    else:
        said, ends = ids[0].tolist(), vocab.eod
        assert settings.eos_token_id == ends
    assert settings.pad_token_id == vocab.pad
    for _ in range(5):
        one = stream(torch.tensor([said]), rising=True)
        if name == "t5":
            source = stream(ids, rising=False)
            one = {f"source_{k}": v for k, v in source.items()} | {f"answer_{k}": v + (k == "order") for k, v in one.items()}
        logits = run.model(one)[0, -1]
        logits[ends] = -torch.inf  # as min_new_tokens wants
        said.append(int(logits.argmax()))
    assert made == said


def test_the_tokenizer_comes_along(runs, exports):
    run, made = runs("gpt"), exports("gpt")
    theirs, own = transformers.AutoTokenizer.from_pretrained(made.path), run.tokenizer
    for one in ("the cat sat on the mat .", "Ünïcödé 漢字\n\n\tand  spaces ", ""):
        assert theirs(one)["input_ids"] == own.encode(one), "no token is added by itself"
        assert theirs.decode(own.encode(one)) == one
    roles = {"pad_token_id": own.vocab.pad, "mask_token_id": own.vocab.mask, "eos_token_id": own.vocab.eod}
    assert {role: getattr(theirs, role) for role in roles} == roles
    assert theirs(own.token(own.vocab.mask))["input_ids"] == [own.vocab.mask], "special tokens are special there"
    assert set(theirs(TEXT)) == {"input_ids", "attention_mask"}
    assert load_tokenizer(made.path).sha256 == own.sha256
    assert load_tokenizer(made.path).vocab == own.vocab


TEXT = "the cat sat on the mat ."


def test_what_is_left_out_is_said(runs, exports, corpus):
    assert exports("mtp").left == ("the head token+2", "the head token+3", "the head token+4")
    assert exports("gpt").left == exports("gpt").notes == ()
    (said,) = exports("prefix-lm").notes
    assert "a prefix both ways" in said
    assert "4-D attention_mask" in said
    # pairs: what is left is the model of single texts, to the last digit
    run, made = runs("bert-nsp"), exports("bert-nsp")
    assert "the head next_sentence" in made.left
    assert any("second parts" in what for what in made.left)
    body, ids = loaded(made), torch.from_numpy(corpus.train.document(0)[None, :9].astype(np.int64))
    with torch.no_grad():
        wanted = run.model(stream(ids, rising=False) | {"part": torch.zeros_like(ids)})
        found = body(ids).logits
    assert run.model.part.table[0].abs().max() > 0.01
    assert (found - wanted).abs().max() <= 1e-5 * wanted.abs().max()


def test_electra_goes_out_as_its_discriminators_stack(runs, exports, corpus):
    run, made = runs("electra"), exports("electra")
    assert (made.classname, made.left) == ("EuroBertModel", ("the generator", "the head replaced"))
    assert "discriminator" in made.notes[0]
    ids = torch.from_numpy(corpus.train.document(0)[None, :9].astype(np.int64))
    with torch.no_grad():
        wanted = run.model.features(stream(ids, rising=False))
        assert (transformers.AutoModel.from_pretrained(made.path)(ids).last_hidden_state - wanted).abs().max() < 1e-5


@pytest.mark.parametrize("name", ["gpt", "bert", "t5", "prefix-lm", "electra"])
def test_the_card_tells_what_it_is_and_its_code_runs(name, runs, exports, corpus, monkeypatch):
    made = exports(name)
    card = (made.path / "README.md").read_text(encoding="utf-8")
    for fact in (corpus.fingerprint, f"{made.parameters:,} parameters", f"maskdial train -o {name}", "model.d=32", made.classname):
        assert fact in card
    assert all(what in card for what in (*made.left, *(note[1:] for note in made.notes)))
    code = card.split("```python")[1].split("```")[0].replace('"DIR"', repr(str(made.path)))
    said = io.StringIO()
    with contextlib.redirect_stdout(said):
        exec(code, {})
    assert bool(said.getvalue()) == (name in ("gpt", "t5", "prefix-lm"))


#: objective, sizes, what is said
REFUSED = [
    ("xlnet", {}, "order of its own"), ("block-diffusion", {}, "order of its own"), ("glm", {}, "two positions"),
    ("sigma-gpt", {}, "two positions"), ("cmlm", {"shape": "encoder-decoder", "answer_both_ways": True}, "looks both ways"),
    ("t5", {"shape": "encoder-decoder", "positions": "rotary"}, "model.positions=relative"),
    ("gpt", {"positions": "relative"}, "model.positions=rotary"),
]  # fmt: skip


@pytest.mark.parametrize(("name", "sizes", "said"), REFUSED)
def test_what_no_class_computes_is_refused(name, sizes, said):
    vocab = md.Vocab.with_every_role(300)
    run = SimpleNamespace(name=name, objective=md.objective(name), vocab=vocab,
                          model=SimpleNamespace(config=ModelConfig(vocab_size=300, **sizes)))  # fmt: skip
    with pytest.raises(UserError, match=said) as caught:
        form_of(run)
    assert caught.value.message.startswith(f"{name} can't be exported: ")
    assert "gpt, prefix-lm" in caught.value.hint, "it says which runs can"


@pytest.mark.parametrize("name", ["ul2", "unilm", "ul2r"])
def test_mixtures_go_out_when_one_class_reads_them_all(name):
    vocab = md.Vocab.with_every_role(300)
    shape = {"ul2": {"shape": "encoder-decoder"}, "unilm": {"parts": 2}, "ul2r": {}}[name]
    run = SimpleNamespace(name=name, objective=md.objective(name), vocab=vocab,
                          model=SimpleNamespace(config=ModelConfig(vocab_size=300, **shape)))  # fmt: skip
    form, samples = form_of(run)
    assert set(samples) == set(run.objective.members)
    assert form.classname == {"ul2": "T5ForConditionalGeneration", "unilm": "EuroBertForMaskedLM", "ul2r": "LlamaForCausalLM"}[name]
    notes = {"ul2": [], "ul2r": ["to read a prefix both ways;"],
             "unilm": ["left to right (left), right to left (right), a prefix both ways (sequence)"]}  # fmt: skip
    assert all(said in form.notes[0] for said in notes[name])
    assert bool(form.notes) == bool(notes[name])


def test_a_folder_in_use_and_a_wrong_model_leave_nothing_behind(runs, tmp_path, monkeypatch):
    run, used = runs("gpt"), tmp_path / "used"
    used.mkdir()
    (used / "mine").write_text("x")
    with pytest.raises(UserError, match="not empty") as caught:
        md.export(run, used)
    assert caught.value.exit == 4
    assert [p.name for p in used.iterdir()] == ["mine"]
    right = exporting.outward

    def wrong(model, classname):
        weights = right(model, classname)
        weights["model.layers.1.self_attn.k_proj.weight"] = weights["model.layers.1.self_attn.k_proj.weight"].flip(0)
        return weights

    monkeypatch.setattr(exporting, "outward", wrong)
    with pytest.raises(UserError, match="not the same function") as caught:
        md.export(run, tmp_path / "new")
    assert caught.value.exit == 1
    assert [p.name for p in tmp_path.iterdir()] == ["used"]
    with pytest.raises(UserError, match="no format 'onnx'"):
        md.export(run, tmp_path / "new", to="onnx")


def test_a_tokenizer_that_reads_otherwise_is_refused(runs, tmp_path, monkeypatch):
    monkeypatch.setattr(type(runs("gpt").tokenizer), "encode", lambda self, text: [1, 2])
    with pytest.raises(UserError, match="can't be exported: transformers reads"):
        md.export(runs("gpt"), tmp_path / "new")


def test_the_command(runs, tmp_path):
    out = tmp_path / "hf"
    status, said, log = maskdial("export", runs("mtp").path, "--to", "hf", out)
    assert status == 0
    assert f"{out}  LlamaForCausalLM" in said
    assert "left out: the head token+2" in log
    status, said, _ = maskdial("export", runs("mtp").path, out, "--json")
    assert (status, json.loads(said)["error"]["code"]) == (4, "out.exists")
    status, said, _ = maskdial("export", runs("gpt").path, tmp_path / "two", "--json")
    assert (status, json.loads(said)["schema"], json.loads(said)["data"]["classname"]) == (0, "export/1", "LlamaForCausalLM")
    assert maskdial("export", tmp_path, tmp_path / "three")[0] == 2
