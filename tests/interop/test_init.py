"""A published folder as the start of a run: its own logits before the first step, its own class after the last."""

import shutil

import numpy as np
import pytest
import torch

import maskdial as md
from maskdial.data import prepare
from maskdial.errors import UserError
from maskdial.evaluate.asking import ask
from maskdial.evaluate.generate import Decoding
from maskdial.interop.body import Body
from maskdial.interop.classes import CLASSES
from maskdial.interop.edge import Edge
from maskdial.model import loss
from maskdial.train import TrainConfig, load, train
from maskdial.train.init import model_of, origin
from tests.interop.published import MODELS, published, text

transformers = pytest.importorskip("transformers")
#: what each type was published with
OBJECTIVE = {"encoder": "bert", "decoder": "gpt", "encoder-decoder": "t5"}
KINDS = ["bert", "roberta", "gpt2", "llama", "t5", "bart", "modernbert", "albert", "electra", "eurobert", "qwen3"]
TRAINED = ["bert", "roberta", "gpt2", "llama", "t5", "bart", "modernbert", "albert"]


def objective_of(kind):
    return md.objective("bart" if kind == "bart" else OBJECTIVE[next(iter(CLASSES[kind]))])


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    """By type: the published folder, its model, and a corpus in its tokenizer; made when first asked for."""
    made, folder = {}, tmp_path_factory.mktemp("published")
    source = text(folder)

    def get(kind, add=(), **changes):
        key = "-".join([kind, *add, *map(str, changes.values())])
        if key not in made:
            with torch.enable_grad():
                body = published(folder / key, kind, **changes)
            corpus = prepare(str(source), folder / f"{key}-corpus", tokenizer=str(folder / key), grow=add, progress="off")
            made[key] = folder / key, body, corpus
        return made[key]

    return get


def config(folder, **changes):
    small = {"length": 48, "rows": 4, "budget": "8steps", "threads": 1, "precision": "fp32", "log_every": 1, "init": str(folder)}
    return TrainConfig().with_overrides(small | {k.replace("__", "."): v for k, v in changes.items()})


def started(folder, objective, corpus, **changes):
    """(the model before its first step, what was said)."""
    settings, source = config(folder, **changes), origin(str(folder))
    settings = source.settled(settings, objective, corpus.vocab)
    planned = source.model(settings, objective, corpus)
    with torch.enable_grad():
        model = model_of(planned.model_dump(mode="json"), seed=4)
    return model, source.into(model, objective)


def samples_of(objective, corpus, packing="joined", lengths=(30, 21)):
    """Rows of several lengths, so that there is padding; with two documents each when isolated."""
    g = np.random.default_rng(1)
    bodies = [g.choice(corpus.vocab.body, n) for n in lengths]
    more = {"segment": [np.arange(n) >= n // 3 for n in lengths]} if packing == "isolated" else {}
    sentences = [np.arange(n) % 7 == 0 for n in lengths]
    return objective(md.rows(bodies, packing=packing, sentence=sentences, **more), corpus.vocab, seed=1)


def edge_logits(body, samples, **options):
    """A published model's own logits, from the collator's keywords."""
    given = Edge(labels="in_place", decoder_inputs="given", **options)(samples)
    return body(**{k: v for k, v in given.items() if "labels" not in k}).logits


@pytest.mark.parametrize("kind", KINDS)
@torch.no_grad()
def test_before_the_first_step_the_logits_are_the_published_ones(kind, home):
    folder, body, corpus = home(kind)
    objective = objective_of(kind)
    model, said = started(folder, objective, corpus)
    assert isinstance(model, Body)
    assert said.startswith(f"starts from {folder}: {MODELS[kind][0]}")
    first = model.first
    for packing in ("joined", "isolated") if objective.layout != "encoder-decoder" and kind != "modernbert" else ("joined",):
        samples = samples_of(objective, corpus, packing)
        batch = samples.batch(objective.layout).torch()
        wanted = edge_logits(body, samples, first_position=first, positions="given" if first else "auto")
        real = batch["answer_segment" if "answer_read" in batch else "segment"] >= 0
        found = model(batch)[..., : wanted.shape[-1]]
        assert ((found - wanted)[real]).abs().max() <= 1e-5 * wanted.abs().max(), packing
        source = batch["source_segment" if "answer_read" in batch else "segment"] >= 0
        ids = batch["source_read" if "answer_read" in batch else "read"].long()
        if packing == "joined" and kind != "roberta":
            inner = body.get_encoder() if "answer_read" in batch else body.base_model
            states = inner(ids, attention_mask=source.long()).last_hidden_state
            assert ((model.features(batch) - states)[source]).abs().max() < 1e-5
        index = (batch["target:token"] != -100).flatten().nonzero()[:, 0]
        some = model.logits(model.hidden_at(batch, index))[..., : wanted.shape[-1]]
        assert (some - wanted.flatten(0, 1)[index]).abs().max() <= 1e-5 * wanted.abs().max()


@torch.no_grad()
def test_packed_documents_do_not_hear_one_another(home):
    """T5's encoder and cross attention share one mask in its forward; here each has its own. ModernBERT keeps its windows."""
    for kind in ("t5", "modernbert"):
        folder, _, corpus = home(kind)
        objective = objective_of(kind)
        model, _ = started(folder, objective, corpus)
        samples = samples_of(objective, corpus, "isolated", lengths=(36, 36))
        batch = samples.batch(objective.layout).torch()
        before = model(batch)
        side = "source_" if kind == "t5" else ""
        other = batch[f"{side}segment"] == 1
        assert other.any()
        changed = {**batch, f"{side}read": torch.where(other, corpus.vocab.unk, batch[f"{side}read"])}
        kept = batch["answer_segment" if kind == "t5" else "segment"] == 0
        after = model(changed)
        assert torch.allclose(before[kept], after[kept], atol=1e-6)
        assert not torch.allclose(before[~kept], after[~kept], atol=1e-4)
    folder, body, corpus = home("modernbert")
    samples = samples_of(md.objective("bert"), corpus, lengths=(40, 33))
    model, _ = started(folder, md.objective("bert"), corpus)
    assert (edge_logits(body, samples) - model(samples.batch("encoder").torch())[..., : body.config.vocab_size])[0].abs().max() < 1e-4


@pytest.mark.parametrize("kind", TRAINED)
def test_it_learns_and_goes_out_as_the_class_it_was(kind, home, tmp_path):
    folder, body, corpus = home(kind)
    objective = objective_of(kind)
    rates = {f"optimizer__{what}_rate": 3e-3 for what in ("matrix", "embedding", "position", "other")}
    done = train(config(folder, budget="16steps", **rates), objective, corpus, tmp_path / "run", progress="off")
    assert np.isfinite(done.loss)
    assert done.flops > 0
    run = load(tmp_path / "run")
    assert isinstance(run.model, Body)
    before, _ = started(folder, objective, corpus)
    batch = objective(corpus.rows(30, 0, 12, seed=9), corpus.vocab, seed=9).batch(objective.layout).torch()
    one, two = (float(loss(m, batch).total().detach()) for m in (before, run.model))
    assert two < one - 0.02
    loss(before, batch).total().backward()
    assert all(p.grad is not None for p in before.parameters() if p.requires_grad), "ranks would wait for one that never comes"
    made = md.export(run, tmp_path / "hf")
    assert made.classname == MODELS[kind][0]
    again = getattr(transformers, made.classname).from_pretrained(made.path, dtype=torch.float32).eval()
    ids = torch.arange(10)[None] + 5
    given = {"input_ids": ids} | ({"decoder_input_ids": ids} if kind in ("t5", "bart") else {})
    with torch.no_grad():
        moved = again(**given).logits[..., : body.config.vocab_size] - body(**given).logits
    assert moved.abs().max() > 1e-3, "it is the trained model"
    assert again.config.vocab_size == max(corpus.vocab.size, body.config.vocab_size)


def test_a_resumed_run_is_the_same_run(home, tmp_path):
    folder, _, corpus = home("bert")
    objective, settings = md.objective("bert"), config(folder, checkpoint__every=4, checkpoint__keep=5, deterministic=True)
    train(settings, objective, corpus, tmp_path / "whole", progress="off")
    shutil.copytree(tmp_path / "whole", tmp_path / "again")
    shutil.rmtree(tmp_path / "again" / "checkpoints" / "step-8")
    done = train(settings, objective, corpus, tmp_path / "again", progress="off")
    assert done.resumed_from == 4
    files = [tmp_path / name / "checkpoints" / "step-8" / "model.safetensors" for name in ("whole", "again")]
    assert files[0].read_bytes() == files[1].read_bytes()


def test_rates_are_those_of_going_on(home, tmp_path):
    folder, _, corpus = home("bert")
    settings = origin(str(folder)).settled(config(folder), md.objective("bert"), corpus.vocab).optimizer
    assert (settings.name, settings.matrix_rate, settings.embedding_rate, settings.other_rate) == ("adamw", 5e-5, 5e-5, 5e-5)
    fresh = TrainConfig().decided("encoder").optimizer
    assert (fresh.name, fresh.other_rate) == ("muon", 1e-2)
    for key, value in (("optimizer__name", "muon"), ("parallel", "fsdp"), ("activation_checkpointing", True)):
        with pytest.raises(UserError, match=key.replace("__", ".")):
            train(config(folder, **{key: value}), md.objective("bert"), corpus, tmp_path / "no", progress="off")
    assert not (tmp_path / "no" / "config.json").exists()


#: type, objective, settings, what is said
MISFITS = [
    ("bert", "t5", {}, "bert has one: it has no decoder"), ("gpt2", "bart", {}, "gpt2 has one"),
    ("t5", "gpt", {}, "t5 answers in a second stack"), ("bart", "bert", {}, "bart answers in a second stack"),
    ("bert", "bert-nsp", {}, "asks next_sentence, for which BertForMaskedLM has no head"), ("gpt2", "mtp", {}, "asks token"),
    ("gpt2", "bert", {}, "bert needs a mask token"), ("bart", "t5", {}, "sentinels"),
    ("gpt2", "gpt", {"length": 97}, "take up to 97 positions, and .* has 96"), ("roberta", "bert", {"length": 95}, "has 94"),
    ("bart", "bart", {"packing": "isolated"}, "documents can't be kept apart"), ("bart", "mass", {}, "numbers its positions itself"),
    ("llama", "sigma-gpt", {}, "two positions"),
]  # fmt: skip


@pytest.mark.parametrize(("kind", "name", "settings", "said"), MISFITS)
def test_an_objective_that_does_not_fit_says_why(kind, name, settings, said, home, tmp_path):
    folder, _, corpus = home(kind)
    with pytest.raises(UserError, match=said) as caught:
        train(config(folder, **settings), md.objective(name), corpus, tmp_path / "run", progress="off")
    assert caught.value.hint
    assert not (tmp_path / "run" / "config.json").exists()


def test_a_decoder_may_go_on_as_an_encoder_and_back(home):
    """Llama's block is EuroBERT's; BERT has a twin that reads left to right; GPT-2 has none and is shown both sides by the mask."""
    folder, body, corpus = home("llama", add=("mask",))
    model, said = started(folder, md.objective("bert"), corpus)
    assert "the same weights go on as EuroBertForMaskedLM" in said
    assert torch.equal(model.body.model.layers[1].self_attn.k_proj.weight, body.model.layers[1].self_attn.k_proj.weight)
    twin = transformers.EuroBertForMaskedLM(model.body.config).eval()
    twin.load_state_dict(model.body.state_dict())
    samples = samples_of(md.objective("bert"), corpus, lengths=(20, 20))
    with torch.no_grad():
        assert (edge_logits(twin, samples) - model(samples.batch("encoder").torch())).abs().max() < 1e-5
    for kind, name, classname, note in (
        ("bert", "gpt", "BertLMHeadModel", "go on as BertLMHeadModel"), ("gpt2", "bert", "GPT2LMHeadModel", "4-D mask"),
    ):  # fmt: skip
        folder, body, corpus = home(kind, add=("mask",))
        model, said = started(folder, md.objective(name), corpus)
        assert model.config.classname == classname
        assert note in said
        samples = samples_of(md.objective(name), corpus, lengths=(20, 20))
        batch = samples.batch(samples.layout).torch()
        with torch.no_grad():
            before = model(batch)
            changed = {**batch, "read": batch["read"].clone()}
            changed["read"][:, -2] = corpus.vocab.unk
            heard = ~torch.isclose(before, model(changed), atol=1e-6).all(-1)
        assert bool(heard[:, :-2].any()) == (name == "bert"), "an encoder hears what comes later, a decoder does not"


def test_tokens_that_lack_are_added_in_the_open(home):
    """GPT-2 gets [MASK] and grows by a row at the mean of the others; what was there says what it said."""
    folder, body, corpus = home("gpt2", add=("mask",))
    model, said = started(folder, md.objective("bert"), corpus)
    size = body.config.vocab_size
    assert f"embeddings: {size:,} → {corpus.vocab.size:,} rows" in said
    assert corpus.manifest["tokenizer"]["added"] == {"[MASK]": size}
    table = model.body.get_input_embeddings().weight
    assert torch.equal(table[:size], body.get_input_embeddings().weight)
    torch.testing.assert_close(table[size:], table[:size].mean(0, keepdim=True).expand(len(table) - size, -1))
    gpt, _ = started(folder, md.objective("gpt"), corpus)
    samples = samples_of(md.objective("gpt"), corpus)
    with torch.no_grad():
        found, wanted = gpt(samples.batch().torch())[0, :, :size], edge_logits(body, samples)[0]
    assert (found - wanted).abs().max() <= 1e-5 * wanted.abs().max()


def test_what_a_class_shares_and_a_folder_keeps_apart_stays_apart(home, tmp_path):
    """T5 1.1: an output matrix of its own under a config that says that it is shared."""
    from safetensors.torch import load_file, save_file

    folder, _, corpus = home("t5")
    other = tmp_path / "apart"
    shutil.copytree(folder, other)
    weights = load_file(other / "model.safetensors")
    weights["lm_head.weight"] = torch.randn_like(weights["shared.weight"])
    save_file(weights, other / "model.safetensors", metadata={"format": "pt"})
    model, _ = started(other, md.objective("t5"), corpus)
    assert model.config.untied == ("lm_head.weight",)
    assert torch.equal(model.output.weight, weights["lm_head.weight"])
    assert torch.equal(model.body.shared.weight, weights["shared.weight"])
    train(config(other, budget="2steps"), md.objective("t5"), corpus, tmp_path / "run", progress="off")
    made = md.export(tmp_path / "run", tmp_path / "hf")
    assert made.difference <= 1e-5 * made.largest
    kept = load_file(tmp_path / "hf" / "model.safetensors")
    assert not torch.equal(kept["lm_head.weight"], kept["shared.weight"])


def test_a_bias_of_the_logits_is_part_of_the_model(home, tmp_path):
    """BART keeps one in a buffer: it is in the logits, in a checkpoint, and in an export; training leaves it alone."""
    from safetensors.torch import load_file, save_file

    folder, _, corpus = home("bart")
    other = tmp_path / "biased"
    shutil.copytree(folder, other)
    weights = load_file(other / "model.safetensors")
    weights["final_logits_bias"] = torch.randn_like(weights["final_logits_bias"])
    save_file(weights, other / "model.safetensors", metadata={"format": "pt"})
    train(config(other, budget="2steps"), md.objective("bart"), corpus, tmp_path / "run", progress="off")
    found = load(tmp_path / "run").model.bias
    assert torch.equal(found[: weights["final_logits_bias"].shape[1]], weights["final_logits_bias"][0])
    md.export(tmp_path / "run", tmp_path / "hf")
    assert torch.equal(load_file(tmp_path / "hf" / "model.safetensors")["final_logits_bias"][0], found)


def test_a_folder_without_its_head_is_told_so(home, tmp_path):
    """Sentence encoders are published without the head that they were pretrained with; it begins anew, always the same."""
    folder, body, corpus = home("bert")
    body.bert.save_pretrained(tmp_path / "bare")
    shutil.copy(folder / "tokenizer.json", tmp_path / "bare")
    shutil.copy(folder / "tokenizer_config.json", tmp_path / "bare")
    models = []
    for _ in range(2):
        model, said = started(tmp_path / "bare", md.objective("bert"), corpus)
        models.append(model)
        assert "begins anew, since the folder lacks it: cls.predictions" in said
    assert all(torch.equal(a, b) for a, b in zip(*(m.parameters() for m in models), strict=True))
    assert torch.equal(models[0].body.bert.encoder.layer[1].output.dense.weight, body.bert.encoder.layer[1].output.dense.weight)


def test_folders_that_can_not_be_continued(home, tmp_path):
    folder, _, corpus = home("bert")
    other = tmp_path / "other"

    def refused(said):
        with pytest.raises(UserError, match=said) as caught:
            started(other, md.objective("bert"), corpus)
        return caught.value

    shutil.copytree(folder, other)
    (other / "model.safetensors").rename(other / "pytorch_model.bin")
    assert "save_pretrained" in refused("no .safetensors file, and weights in other formats are pickles").hint
    (other / "pytorch_model.bin").rename(other / "model.safetensors")
    config_file = other / "config.json"
    said = config_file.read_text()
    config_file.write_text(said.replace('"bert"', '"rwkv"'))
    assert "bert, roberta" in refused("is a rwkv model").hint
    config_file.write_text(said.replace('"num_hidden_layers": 2', '"num_hidden_layers": 3'))
    refused("lacks bert.encoder.layer.2")
    config_file.write_text(said)
    shutil.copy(home("roberta")[0] / "tokenizer.json", other)
    assert "--tokenizer" in refused("another tokenizer").hint
    with pytest.raises(UserError, match="is not a run"):
        train(config(tmp_path / "none"), md.objective("bert"), corpus, tmp_path / "run", progress="off")


@pytest.mark.parametrize("kind", ["bert", "gpt2", "llama", "t5", "bart", "modernbert"])
def test_half_precision_rounds_what_is_learnt_alone(kind, home):
    """Tables of rotary frequencies are computed, not learnt: they keep their precision."""
    folder, _, corpus = home(kind)
    model, _ = started(folder, objective_of(kind), corpus)
    before = {name: b.clone() for name, b in model.named_buffers() if b.is_floating_point()}
    assert bool(before) == (kind in ("llama", "modernbert"))
    batch = samples_of(objective_of(kind), corpus).batch().torch()
    wanted = loss(model, batch).total().item()
    model.to(dtype=torch.bfloat16)
    assert model.dtype == torch.bfloat16
    assert all(torch.equal(b, before[name]) for name, b in model.named_buffers() if name in before)
    assert loss(model, batch).total().item() == pytest.approx(wanted, rel=0.02)


def test_flops_are_counted_from_the_matrices(home):
    """6 a number of a matrix and position, 12 · width a pair and layer, the vocabulary where it is asked; d 32, inner width 48."""
    d, inner, layers, rows = 32, 48, 2, 2
    one = 4 * d * d + 2 * d * inner
    for kind, block in (("bert", layers * one + d * d), ("albert", layers * one + 2 * 24 * d)):
        folder, _, corpus = home(kind)
        model, _ = started(folder, md.objective("bert"), corpus)
        batch = samples_of(md.objective("bert"), corpus, lengths=(28, 28)).batch()
        length, asked = batch["read"].shape[1], int((batch["target:token"] >= 0).sum())
        vocabulary = 6 * asked * model.output.weight.numel()
        assert model.flops(batch) == rows * length * (6 * block + 12 * d * length * layers) + vocabulary
    folder, _, corpus = home("t5")
    model, _ = started(folder, md.objective("t5"), corpus)
    batch = samples_of(md.objective("t5"), corpus, lengths=(28, 28)).batch()
    (_, source), (_, answer) = batch["source_read"].shape, batch["answer_read"].shape
    asked = int((batch["target:token"] >= 0).sum())
    reading = source * (6 * layers * (one + 2 * d * d) + 12 * d * source * layers)
    answering = answer * (6 * layers * (one + 2 * d * d) + 12 * d * (answer + source) * layers)
    assert model.flops(batch) == rows * (reading + answering) + 6 * asked * model.output.weight.numel()


ASKED = [("bert", "the cat sat on the ____ ."), ("gpt2", "the cat sat"), ("t5", "the ____ sat on the mat .")]


@pytest.mark.parametrize(("kind", "prompt"), ASKED)
def test_it_answers_and_is_probed_as_any_run(kind, prompt, home, tmp_path):
    from maskdial.evaluate.items import Items
    from maskdial.evaluate.results import evaluate

    folder, _, corpus = home(kind)
    objective = objective_of(kind)
    train(config(folder, budget="2steps"), objective, corpus, tmp_path / "run", progress="off")
    run = load(tmp_path / "run")
    said = ask(run, prompt, how=Decoding(most=4))
    assert said.task == ("fill" if "_" in prompt else "continue")
    if kind == "bert":
        found = evaluate(run.model, objective, Items(corpus), label="x", progress="off")
        assert found is not None
