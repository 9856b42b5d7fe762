"""The collator's batches in classes of transformers: their loss is ours, and no position hears what it must not."""

import numpy as np
import pytest
import torch

import maskdial as md
from maskdial.sample import SILENT
from tests.interop.guests import VOCAB, fast, features, model

pytest.importorskip("transformers")
LENGTHS = [14, 9, 14]
#: class, objective, isolated, options
FITS = [
    ("bert", "bert", False, {}), ("bert", "bert", True, {}), ("bert", "gpt", False, {"layout": "encoder"}),
    ("bert", "spanbert", False, {"heads": ["token"]}), ("gpt2", "gpt", False, {}), ("gpt2", "gpt", True, {}),
    ("gpt2", "prefix-lm", False, {}), ("gpt2", "t5", False, {"layout": "decoder"}),
    ("gpt2", "bert", False, {"layout": "decoder", "labels": "shifted"}), ("gpt2", "sft", False, {}),
    ("gpt2", "prefix-lm", True, {"labels": "shift_labels"}), ("llama", "gpt", True, {}),
    ("llama", "gpt", True, {"documents": "positions"}), ("llama", "prefix-lm", True, {}), ("llama", "fim", False, {}),
    ("llama", "bert", True, {"layout": "decoder", "labels": "shift_labels"}), ("t5", "t5", False, {}),
    ("t5", "t5", False, {"decoder_inputs": "given"}), ("t5", "cmlm", False, {}), ("t5", "mass", False, {"positions": "model"}),
    ("bart", "bart", False, {}), ("bart", "t5", False, {}), ("bart", "bart", False, {"decoder_inputs": "given"}),
    ("bart", "cmlm", False, {}),
]  # fmt: skip


def batch_of(objective, isolated, options):
    collator = md.hf.Collator(objective, VOCAB, seed=2, **options)
    given = features(LENGTHS, isolated=isolated)
    return collator, collator(given), collator.samples(given)


def ours(samples, logits, two):
    """Our loss from a model's logits: the mean of −log p of each target at its own position."""
    found = []
    for r, sample in enumerate(samples):
        target = sample.target[sample.stream == 1] if two else sample.target
        at = np.flatnonzero(target != SILENT)
        found.append(-torch.log_softmax(logits[r, at].double(), -1)[torch.arange(len(at)), torch.from_numpy(target[at]).long()])
    return torch.cat(found).mean().item()


@pytest.mark.parametrize("attention", ["sdpa", "eager"])
@pytest.mark.parametrize(("kind", "objective", "isolated", "options"), FITS, ids=lambda x: str(x))
def test_the_models_loss_is_ours(kind, objective, isolated, options, attention):
    collator, batch, samples = batch_of(objective, isolated, options)
    body = model(kind, attention=attention)
    collator.check(body)
    out = body(**batch)
    assert torch.isfinite(out.logits).all()
    assert out.loss.item() == pytest.approx(ours(samples, out.logits, kind in ("t5", "bart")), abs=1e-5)
    assert collator.loss(out, batch["labels"]).item() == pytest.approx(out.loss.item(), abs=1e-5)


def heard(kind, batch, attention="sdpa", **more):
    """bool[S, S]: the logits at q have a gradient for the embedding at k, in row 0."""
    body = model(kind, attention=attention).double()
    batch = {k: v.double() if isinstance(v, torch.Tensor) and v.is_floating_point() else v for k, v in batch.items() if "labels" not in k}
    embedded = body.get_input_embeddings()(batch.pop("input_ids")).detach().requires_grad_()
    logits = body(inputs_embeds=embedded, **batch, **more).logits
    rows = []
    for q in range(logits.shape[1]):
        (grad,) = torch.autograd.grad(logits[0, q].square().sum(), embedded, retain_graph=True)
        assert not grad[1:].any(), "rows of a batch are strangers"
        rows.append(grad[0].ne(0).any(-1))
    return torch.stack(rows).numpy()


@pytest.mark.parametrize("attention", ["sdpa", "eager"])
@pytest.mark.parametrize(("kind", "objective", "isolated", "options"), [
    ("gpt2", "prefix-lm", False, {}), ("gpt2", "gpt", True, {}), ("gpt2", "prefix-lm", True, {}), ("llama", "prefix-lm", False, {}),
    ("llama", "gpt", True, {}), ("llama", "gpt", True, {"documents": "positions"}), ("bert", "bert", True, {}),
    ("bert", "gpt", True, {"layout": "encoder"}),
])  # fmt: skip
def test_exactly_what_is_visible_is_heard(kind, objective, isolated, options, attention):
    """Gradients are zero wherever the samples hide a position, and non-zero wherever they show one: no document and no later
    token of an answer is overheard."""
    _, batch, samples = batch_of(objective, isolated, options)
    found, size = heard(kind, batch, attention), len(samples[0])
    visible = samples[0].visible()
    assert 0 < visible.sum() < visible.size
    assert (found[:size, :size] == visible).all()
    assert not found[:size, size:].any()


def test_a_plain_mask_would_leak():
    """The same rows with the 2-D mask of Hugging Face's own collators: the second document hears the first."""
    _, batch, samples = batch_of("gpt", True, {})
    batch["attention_mask"] = torch.ones_like(batch["input_ids"])
    found, size = heard("llama", batch), len(samples[0])
    assert (found[:size, :size] & ~samples[0].visible()).any()


@pytest.mark.parametrize("kind", ["t5", "bart"])
def test_an_answer_hears_its_source_without_the_padding(kind):
    _, batch, samples = batch_of("t5", False, {"decoder_inputs": "given"})
    batch = {k: v.flip(0) if k != "labels" else v for k, v in batch.items()}  # a short row first
    order = [2, 1, 0]
    short = next(i for i in range(3) if batch["attention_mask"][i].min() == 0)
    rows = [short, *[i for i in range(3) if i != short]]
    found = heard(kind, {k: v[rows] for k, v in batch.items()})
    answer = int((samples[order[short]].stream == 1).sum())
    assert (found[:answer] == batch["attention_mask"][short].bool().numpy()).all()


@pytest.mark.parametrize("kind", ["t5", "bart"])
def test_the_model_makes_the_very_inputs_that_are_left_to_it(kind):
    _, batch, samples = batch_of(kind, False, {})
    assert "decoder_input_ids" not in batch
    made = model(kind).prepare_decoder_input_ids_from_labels(batch["labels"])
    for r, sample in enumerate(samples):
        wanted = sample.read[sample.stream == 1]
        assert made[r, : len(wanted)].tolist() == wanted.tolist()


@pytest.mark.parametrize(("kind", "objective", "key"), [
    ("bert-pretraining", "bert-nsp", "next_sentence_label"), ("albert-pretraining", "albert", "sentence_order_label"),
])  # fmt: skip
def test_sentence_heads_have_hugging_faces_names(kind, objective, key):
    _, batch, samples = batch_of(objective, False, {})
    assert batch[key].tolist() == [0, 1, 0]
    assert set(batch) == {"input_ids", "attention_mask", "token_type_ids", "labels", key}
    out = model(kind)(**batch)
    logits = out.seq_relationship_logits if kind.startswith("bert") else out.sop_logits
    words = ours(samples, out.prediction_logits, False)
    pairs = torch.nn.functional.cross_entropy(logits.double(), batch[key]).item()
    assert out.loss.item() == pytest.approx(words + pairs, abs=1e-5)


def test_weights_reach_the_loss():
    """dlm's loss is Σ weight · −log p / body tokens, which no loss of transformers computes."""
    collator, batch, samples = batch_of("dlm", False, {})
    out = model("bert")(**{k: v for k, v in batch.items() if k != "weights"})
    at = samples.target != SILENT
    flat = torch.cat([out.logits[r, : len(s)] for r, s in enumerate(samples)]).double()
    each = -torch.log_softmax(flat[at], -1)[torch.arange(at.sum()), torch.from_numpy(samples.target[at]).long()]
    wanted = (each * torch.from_numpy(samples.weight[at])).sum().item() / sum(LENGTHS)
    found = collator.loss(out, batch["labels"], sum(LENGTHS), weights=batch["weights"])
    assert found.item() == pytest.approx(wanted, abs=1e-5)
    assert wanted != pytest.approx(collator.loss(out, batch["labels"]).item(), abs=0.1)


def test_a_model_that_does_not_fit_is_refused():
    def check(kind, objective, size=VOCAB.size, start=VOCAB.start, **options):
        md.hf.Collator(objective, VOCAB, **options).check(model(kind, size=size, start=start))

    with pytest.raises(ValueError, match=r"has 96 ids and the model 95 embeddings: md.hf.grow"):
        check("bert", "bert", size=95)
    with pytest.raises(ValueError, match="reads left to right by itself and the samples' layout is encoder: layout='decoder'"):
        check("gpt2", "bert")
    with pytest.raises(ValueError, match="loss shifts labels: labels='shifted'"):
        check("llama", "gpt", labels="in_place")
    with pytest.raises(ValueError, match="is no encoder–decoder"):
        check("gpt2", "t5")
    with pytest.raises(ValueError, match="starts with token 9 and this vocabulary's with 6"):
        check("t5", "t5", start=9, decoder_inputs="given")


def test_a_real_tokenizers_text_trains_its_model():
    tokenizer = fast("bert")
    collator = md.hf.Collator("bert", tokenizer, seed=1)
    body = model("bert", size=len(tokenizer), pad=tokenizer.pad_token_id)
    batch = collator([tokenizer(t) for t in ("the cat sat on the mat . then it ran !", "a big red bird flew over the old tree")])
    assert torch.isfinite(body(**batch).loss)
