"""What maskdial makes itself passes its own audit; what is broken in it does not."""

import numpy as np
import pytest
from torch.utils.data import DataLoader

import maskdial as md
from maskdial.audit.check import CHECKS
from maskdial.explore.links import decode
from tests.conftest import make_rows
from tests.interop.guests import VOCAB, features

LENGTHS = [40, 33, 64, 1, 0, 8, 90, 30] * 4


def ended(lengths, isolated=False):
    """Features whose texts end, in an answer, with an end token."""
    made = features(lengths, isolated=isolated)
    for feature in made:
        for name, value in (("tokens", VOCAB.eos), ("word", 0), ("sentence", 0), ("part", 1), ("language", 65), ("segment", 1)):
            if name in feature:
                feature[name] = np.append(feature[name], value)
    return made


@pytest.mark.parametrize("name", md.recipes())
def test_samples_of_every_recipe_pass(name, vocab):
    objective = md.objective(name)
    audit = md.audit(objective(make_rows(LENGTHS, 1), vocab, provenance=True), objective, vocab=vocab)
    assert audit.worst != "fail", str(audit)
    assert {one.name for one in audit.findings} == set(CHECKS)
    assert audit["sight leak"].level == ("ok" if objective.sees_own != "mixed" else "skipped")


#: block-diffusion asks which model its batches are for
COLLATED = [(name, False) for name in md.recipes() if name != "block-diffusion"]
COLLATED += [(name, True) for name, _ in COLLATED if not md.objective(name).pairs and md.objective(name).layout != "encoder-decoder"]


@pytest.mark.parametrize(("name", "isolated"), COLLATED)
def test_batches_of_every_collator_pass(name, isolated):
    collator = md.hf.Collator(name, VOCAB, seed=5, positions="given" if isolated else "model")
    audit = md.audit((collator, ended([24, 17, 30, 24, 12, 33, 40, 24] * 4, isolated)))
    assert audit.ok, str(audit)
    assert collator.epoch == 0


@pytest.mark.parametrize("name", ["bert", "t5", "gpt"])
def test_a_loader_with_our_collator_passes_and_one_that_nobody_tells_the_epoch_does_not(name):
    data = md.hf.Indexed(ended([40, 37, 44, 50] * 4))
    collator = md.hf.Collator(name, VOCAB)

    def loader(epoch):
        collator.set_epoch(epoch)
        return DataLoader(data, batch_size=4, collate_fn=collator)

    assert md.audit(loader).ok
    untold = md.audit(lambda: loader(0))["noise across epochs"].level
    assert untold == ("skipped" if name == "gpt" else "fail")


def test_our_own_batches_are_read(vocab):
    for name in ("bert", "prefix-lm", "t5"):
        samples = md.objective(name)(make_rows([40, 33, 20], 1), vocab)
        assert md.audit([samples.batch(), samples.batch().torch()], vocab=vocab)["scored share"].level == "ok"
        assert md.audit([samples.batch()], vocab=vocab).worst != "fail"


def test_a_dial_that_is_turned_too_far_leaks(vocab):
    rows = make_rows([40, 33, 20], 1)
    turned = md.objective("gpt").replace(visibility="bidirectional")
    audit = md.audit(turned(rows, vocab, provenance=True), turned, vocab=vocab)
    assert (audit["sight leak"].level, audit.worst, audit.ok) == ("fail", "fail", False)
    assert "90 scored positions" in audit["sight leak"].say
    assert md.audit(turned(rows, vocab), turned, vocab=vocab)["sight leak"].level == "skipped", "without provenance nobody knows"


def test_text_that_is_lost_is_counted(vocab):
    from maskdial.audit.inside import rows_of

    rows, objective = make_rows([40, 33], 1), md.objective("bert")
    samples = objective(rows, vocab, provenance=True)
    bodies = [rows.tokens[:40].astype(np.int64), rows.tokens[40:].astype(np.int64)]
    assert [r.lost for r in rows_of(samples, objective, bodies)] == [0, 0]
    bodies[1][3] += 1
    assert [r.lost for r in rows_of(samples, objective, bodies)] == [0, 1]


def test_the_rate_of_a_recipe_is_found_where_it_differs(vocab):
    samples = md.objective("bert", rate=0.3)(make_rows([60] * 40, 1), vocab)
    assert md.audit(samples, "bert", vocab=vocab)["corruption rate"].level == "warn"
    assert md.audit(samples, md.objective("bert", rate=0.3), vocab=vocab)["corruption rate"].level == "ok"
    assert md.audit(samples, "bert", vocab=vocab, rate=0.15)["corruption rate"].level == "fail"


def test_features_are_told_in_every_form():
    silent = [{**f, "part": f["part"] * 0} for f in features([20, 20])]
    audit = md.audit([*ended([24] * 30), *silent], "sft", vocab=VOCAB)
    found = audit["nothing scored"]
    assert (found.level, found.rows, found.count) == ("warn", (30, 31), 2)
    text, data = str(audit), audit.to_json()
    assert "! nothing scored" in text
    assert "rows 30, 31" in text
    assert "not scored⟩" in text, "runs of unscored tokens are told by their length"
    assert "⟨" in audit["nothing scored"].example
    assert [one["name"] for one in data["checks"]] == list(CHECKS)
    assert {30, 31} <= {row["index"] for row in data["rows"]}
    assert "<table>" in audit._repr_html_()
    assert "nothing scored" in audit._repr_html_()


def test_a_finding_opens_in_the_explorer():
    from maskdial.data.tokenizer import load

    tokenizer = load("words", "the cat & the dog sat")
    rows = md.rows([tokenizer.encode("the cat & the dog sat")] * 3)
    turned = md.objective("bert", rate=0.5).replace(visibility="causal")
    samples = turned(rows, tokenizer.vocab, provenance=True)
    samples.column("target:token")[:] = -100
    audit = md.audit(samples, turned, vocab=tokenizer.vocab)
    assert audit["nothing scored"].link is None, "samples come without their text"
    features_ = [{"tokens": rows.tokens[:6], "part": [0] * 6}]
    link = md.audit(features_, "sft", tokenizer=tokenizer, seed=3)["nothing scored"].link
    found = decode(link)
    assert (found.request.objective, found.request.text, found.request.seed, found.ignored) == ("sft", "the cat & the dog sat", 3, ())


@pytest.mark.parametrize("setting", [{"rows": 0}, {"epochs": 0}, {"labels": "left"}])
def test_a_setting_out_of_range_is_refused(setting):
    with pytest.raises(ValueError, match=r"1 row|labels is"):
        md.audit([], vocab=VOCAB, **setting)
