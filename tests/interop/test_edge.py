"""Every recipe at Hugging Face's edge: what a model of transformers is told is what the samples say, and nothing is lost."""

import numpy as np
import pytest
import torch

import maskdial as md
from maskdial.interop.edge import SENTENCE, Edge
from maskdial.sample import SILENT
from tests.contract import handmade
from tests.interop.guests import VOCAB, features

LENGTHS = [24, 17, 3, 1, 0, 24]
SINGLE = [name for name in md.recipes() if md.objective(name).layout != "encoder-decoder"]
TWO = [name for name in md.recipes() if md.objective(name).layout == "encoder-decoder"]


def made(objective, isolated=False, **options):
    """(collator, the batch, its samples)"""
    collator = md.hf.Collator(objective, VOCAB, seed=5, **options)
    given = features(LENGTHS, isolated=isolated)
    return collator, collator(given), collator.samples(given)


def seen(mask, default, row, size):
    """Who sees whom by the mask a model gets: of its own accord (`default`) with a 2-D one, by a 4-D one alone."""
    if mask.dim() == 4:
        return (mask[row, 0] == 0).numpy()[:size, :size]
    own = np.tri(size, dtype=bool) if default == "causal" else np.ones((size, size), dtype=bool)
    return own & mask[row].bool().numpy()[None, :size]


def log_p(logits, labels, shifted):
    """The sum of log probabilities that a class of transformers computes its loss from."""
    if shifted:
        logits, labels = logits[:, :-1], labels[:, 1:]
    at = labels != SILENT
    return float(torch.log_softmax(logits, -1)[at].gather(1, labels[at][:, None]).sum())


def said(samples, logits, row_of):
    """The same sum from the samples: each target at its own position."""
    total = 0.0
    for r, sample in enumerate(samples):
        target = row_of(sample, sample.target)
        at = np.flatnonzero(target != SILENT)
        total += float(torch.log_softmax(logits[r, at], -1)[torch.arange(len(at)), torch.from_numpy(target[at]).long()].sum())
    return total


@pytest.mark.parametrize("labels", ["shifted", "in_place"])
@pytest.mark.parametrize("layout", ["encoder", "decoder"])
@pytest.mark.parametrize("isolated", [False, True], ids=["joined", "isolated"])
@pytest.mark.parametrize("name", SINGLE)
def test_one_stream(name, isolated, layout, labels):
    if isolated and md.objective(name).pairs:
        pytest.skip("a pair is a row")
    _, batch, samples = made(name, isolated, layout=layout, labels=labels)
    width = batch["input_ids"].shape[1]
    for r, sample in enumerate(samples):
        size = len(sample)
        assert batch["input_ids"][r].tolist() == [*sample.read.tolist(), *[VOCAB.pad] * (width - size)]
        assert (seen(batch["attention_mask"], {"decoder": "causal"}.get(layout), r, size) == sample.visible()).all()
        position = batch["position_ids"][r, :size].numpy() if "position_ids" in batch else np.arange(size)
        assert (position == sample.position).all()
    logits = torch.randn(*batch["input_ids"].shape, VOCAB.size, generator=torch.Generator().manual_seed(0))
    for head in samples.heads:
        if head.form == "drawn":
            continue
        target = samples.column(f"target:{head.name}")
        key = SENTENCE.get(head.name) or ("labels" if head is samples.heads[0] else f"labels_{head.name}")
        assert int((batch[key] != SILENT).sum()) == int((target != SILENT).sum()), "a target is lost"
    assert log_p(logits, batch["labels"], labels == "shifted") == pytest.approx(said(samples, logits, lambda s, c: c), abs=1e-3)
    assert all(v.dtype in (torch.int64, torch.float32) for v in batch.values())


@pytest.mark.parametrize("decoder_inputs", ["model", "given"])
@pytest.mark.parametrize("name", TWO)
def test_two_streams(name, decoder_inputs):
    _, batch, samples = made(name, decoder_inputs=decoder_inputs, positions="model")
    labels = batch["labels"]
    start = next(int(s.read[s.stream == 1][0]) for s in samples if (s.stream == 1).any())
    shifted = torch.cat([torch.full((len(labels), 1), start), labels[:, :-1].masked_fill(labels[:, :-1] == SILENT, VOCAB.pad)], 1)
    inputs = batch.get("decoder_input_ids", shifted)
    assert ("decoder_input_ids" in batch) or decoder_inputs == "model"
    for r, sample in enumerate(samples):
        source, answer = sample.stream == 0, sample.stream == 1
        assert batch["input_ids"][r, : source.sum()].tolist() == sample.read[source].tolist()
        assert batch["attention_mask"][r].tolist() == [1] * source.sum() + [0] * (batch["input_ids"].shape[1] - source.sum())
        assert inputs[r, : answer.sum()].tolist() == sample.read[answer].tolist()
        visible = sample.visible()
        assert visible[np.ix_(answer, source)].all()
        own = batch.get("decoder_attention_mask", torch.ones_like(inputs))
        assert (seen(own, "causal", r, answer.sum()) == visible[np.ix_(answer, answer)]).all()
    logits = torch.randn(*labels.shape, VOCAB.size, generator=torch.Generator().manual_seed(0))
    assert log_p(logits, labels, False) == pytest.approx(said(samples, logits, lambda s, c: c[s.stream == 1]), abs=1e-3)


def test_a_last_position_that_is_asked_gets_a_place_for_its_label():
    """Isolated gpt reads token i - 1 and says token i, up to the last: shifted, its label stands behind the row."""
    _, batch, samples = made("gpt", isolated=True)
    width = max(len(s) for s in samples)
    assert batch["input_ids"].shape[1] == width + 1
    assert batch["input_ids"][:, -1].tolist() == [VOCAB.pad] * len(samples)
    assert (batch["labels"][[0, 5], -1] != SILENT).all()
    assert made("gpt")[1]["input_ids"].shape[1] == 24


@pytest.mark.parametrize("case", handmade.CASES, ids=lambda c: c.name)
def test_every_sample_that_strains_the_contract(case):
    """A sample made by hand: its sight survives the edge, or the edge says why it can't."""
    layout = case.samples.layout
    if layout == "encoder-decoder":
        batch = Edge()(case.samples)
        assert set(batch) == {"input_ids", "attention_mask", "labels"}
        return
    batch = Edge(labels="in_place")(case.samples)
    size = len(case.samples[0])
    assert (seen(batch["attention_mask"], {"decoder": "causal"}.get(layout), 0, size) == np.array(case.sight)).all()
    assert ("weights" in batch) == bool((case.samples.weight[case.samples.target != SILENT] != 1).any())


def test_targets_in_place_under_a_decoder_are_not_guessed():
    with pytest.raises(ValueError, match=r"asks some positions in place.*labels='shifted'.*ForCausalLM.*labels='in_place'.*'shift_labels'"):
        made("bert", layout="decoder")
    both = made("bert", layout="decoder", labels="shift_labels")[1]
    assert (both["labels"] == both["shift_labels"]).all()
    assert (both["labels"] == made("bert", layout="decoder", labels="in_place")[1]["labels"]).all()


def test_hugging_face_can_not_pack_an_encoder_decoder():
    with pytest.raises(ValueError, match="one mask for encoder and cross attention"):
        made("t5", isolated=True)
    with pytest.raises(ValueError, match="stand in place"):
        made("t5", labels="shifted")


def test_documents_by_positions_alone():
    _, batch, samples = made("gpt", isolated=True, documents="positions")
    assert "attention_mask" not in batch
    assert batch["use_cache"] is False, "with a cache, transformers does not look for documents in the positions"
    assert batch["position_ids"][0, : len(samples[0])].tolist() == samples[0].position.tolist()
    with pytest.raises(ValueError, match="not causal within them"):
        made("bert", layout="decoder", labels="shifted", documents="positions")


def test_padding_and_first_positions():
    _, batch, _ = made("bert", isolated=True, pad_to_multiple_of=16, first_position=2, dtype=torch.float64)
    assert batch["input_ids"].shape[1] % 16 == 0
    assert batch["attention_mask"].dtype == torch.float64
    assert batch["attention_mask"].min() == torch.finfo(torch.float64).min
    assert (batch["attention_mask"] == 0).any(-1).all(), "a position that sees nothing is a NaN in a softmax"
    assert batch["position_ids"].min() == 2
    _, wide, _ = made("t5", pad_to_multiple_of=16)
    assert wide["input_ids"].shape[1] % 16 == wide["labels"].shape[1] % 16 == 0


def test_heads_can_be_chosen():
    assert set(made("spanbert", heads=["token"])[1]) == {"input_ids", "attention_mask", "labels"}
    assert {"left", "right", "offset", "labels_span_boundary"} <= set(made("spanbert")[1])
    assert "labels_replaced" not in made("electra")[1], "nobody knows yet what a generator draws"
    with pytest.raises(ValueError, match="has no head 'nsp': its heads are token"):
        made("bert", heads=["nsp"])


def test_what_a_model_would_pass_over_is_said(capsys):
    md.hf.Collator("bert", VOCAB)
    assert capsys.readouterr().err == ""
    md.hf.Collator("dlm", VOCAB)
    assert "dlm gives weights too" in capsys.readouterr().err


def test_a_batch_without_a_completion_is_refused():
    """Its loss would be 0 / 0; a chat template that marks nothing makes such batches, in silence, for a whole run."""
    collator = md.hf.Collator("sft", VOCAB)
    with pytest.raises(ValueError, match="marks none"):
        collator([{"input_ids": [9, 10, 11], "assistant_masks": [0, 0, 0]}])
    some = [{"input_ids": [9, 10, 11], "assistant_masks": [0, 1, 0]}, {"input_ids": [9, 10], "assistant_masks": [0, 0]}]
    labels = collator(some)["labels"]
    assert labels.tolist() == [[-100, 10, -100], [-100, -100, -100]]


def test_options_are_checked():
    with pytest.raises(ValueError, match="labels='shift' is none of 'auto', 'shifted', 'in_place', 'shift_labels'"):
        md.hf.Collator("gpt", VOCAB, labels="shift")
    with pytest.raises(ValueError, match="layout='both' is none of"):
        md.hf.Collator("gpt", VOCAB, layout="both")
