"""Every recipe, mixtures included: each probe asks exactly what it says, with the answer out of sight, or says why it can't."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import maskdial as md
from maskdial.evaluate import behaviour
from maskdial.evaluate.abilities import TASKS, cannot
from maskdial.evaluate.behaviour import answers, error_rates, prompts
from maskdial.evaluate.bound import bound
from maskdial.evaluate.forms import Forms
from maskdial.evaluate.items import Items
from maskdial.evaluate.phrasing import Phrasing
from maskdial.evaluate.probes import PROBES, probe
from maskdial.evaluate.scoring import Scorer
from maskdial.evaluate.statistics import Outcome
from maskdial.model import ModelConfig, build
from maskdial.sample import KINDS, SILENT
from tests.evaluate.counting import COUNT, FIRST, VOCAB, Corpus, Uniform, after

TEXT = after(np.arange(60), FIRST + 100).astype(np.int32)
ENCODERS = {"albert", "bert", "bert-nsp", "cmlm", "electra", "roberta", "spanbert", "unilm"}
ON = {"fim", "gpt", "mtp", "sft", "sigma-gpt"}
#: who can't answer which probe; whoever is not named here can
CANNOT = {
    "bits_per_byte": ENCODERS | {"deshuffle"}, "cloze": {"deshuffle"}, "infill": {"deshuffle"}, "repair": {"deshuffle"},
    "copying": {"deshuffle"}, "bits_per_byte_documents": set(md.recipes()) - ON, "topic": set(),
}  # fmt: skip
REPAIR = {"albert", "bart", "bert", "bert-nsp", "deshuffle", "electra", "mbart", "roberta", "spanbert", "unilm"}
LEFT_ONLY = {"gpt", "mtp", "prefix-lm", "sft", "block-diffusion"}


def untrained(objective: Any) -> Any:
    """A tiny model of the shape that the objective's samples want."""
    drawn = tuple({"name": h.name, "kind": h.kind, "form": h.form} for h in objective.heads if h.form == "drawn")
    two = objective.layout == "encoder-decoder"
    return build(ModelConfig(vocab_size=VOCAB.size, shape="encoder-decoder" if two else "single", d=16, layers=1, heads=2, ffn=16,
                             source_layers=int(two), answer_both_ways=two, extra_heads=drawn)).eval()  # fmt: skip


@pytest.fixture(scope="module")
def items() -> Items:
    return Items(Corpus(labelled=True, documents=14))


class Watched:
    """Holds every question that is put against the law of questions."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.put, plain = 0, Phrasing.ask

        def ask(phrasing: Phrasing, texts: Any, hidden: Any, asked: Any, closing: bool = False, spelled: bool = False) -> Any:
            samples = plain(phrasing, texts, hidden, asked, closing, spelled)
            for i in range(0, len(texts), max(1, len(texts) // 5)):
                self.check(phrasing, samples[i], hidden[i], asked[i], closing)
            return samples

        monkeypatch.setattr(Phrasing, "ask", ask)

    def check(self, phrasing: Phrasing, one: Any, hidden: Any, asked: Any, closing: bool) -> None:
        at = np.flatnonzero(one.target != SILENT)
        said = one.answer[at]
        within = said[(said >= asked[0]) & (said < asked[1])]
        assert len(said) - len(within) <= int(closing), "only the run is scored, and what is said right after it"
        away = {i for a, b in hidden for i in range(a, b)}
        wanted = sorted(away & set(range(*asked))) if not phrasing.chain else list(range(*asked))
        assert sorted(within.tolist()) == wanted, "each of its tokens once"
        seen = one.own_answer[at]
        if phrasing.rewrites:  # what is not hidden stands in its source
            seen = seen[np.isin(said, list(away))]
        assert not seen.any(), "no position sees what it must say"
        self.put += len(wanted)


@pytest.mark.parametrize("name", md.recipes())
def test_every_probe_is_answered_or_declined(name: str, items: Items, monkeypatch: pytest.MonkeyPatch) -> None:
    objective, watched = md.objective(name), Watched(monkeypatch)
    found = probe(untrained(objective), objective, items)
    assert list(found) == list(PROBES)
    for one, outcome in found.items():
        assert isinstance(outcome, Outcome) == (name not in CANNOT[one]), (one, outcome)
        if isinstance(outcome, Outcome):
            assert np.isfinite(outcome.top).all()
            assert ("asked as its member" in outcome.note) == (name in ("ul2", "ul2r", "unilm")), outcome.note
        else:
            assert len(str(outcome["not_applicable"])) > 20
    assert watched.put > 500 or name == "deshuffle"


@pytest.mark.parametrize("name", md.recipes())
def test_every_task_is_done_or_declined(name: str, items: Items, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(behaviour, "GAPS", 3)
    monkeypatch.setattr(behaviour, "REPAIRS", 2)
    objective = md.objective(name)
    forms = Forms(objective, VOCAB)
    able = {task for task in TASKS if cannot(forms.fit(task), task) is None}
    assert ("continue" in able) == (name != "deshuffle")
    assert ("fill" in able) == (name not in LEFT_ONLY | {"deshuffle"})
    assert ("repair" in able) == (name in REPAIR)
    asked = prompts(items)[:6]
    scorer = Scorer(untrained(objective), forms.layout, VOCAB.body)
    said = answers(scorer, forms, items, asked)
    assert {p.task for p in asked if "text" in said[p.id]} == able
    wrong = error_rates(scorer, forms, items)
    assert isinstance(wrong["infill"], Outcome) == (name != "deshuffle")
    assert isinstance(wrong["repair"], Outcome) == (name in REPAIR)


@pytest.mark.parametrize("name", md.recipes())
def test_without_runs_the_text_stays_whole(name: str) -> None:
    for phrasing in Forms(md.objective(name), VOCAB).all:
        one = phrasing.show([TEXT])[0]
        source = one.stream == 0
        read = one.read[source & (one.origin < len(TEXT))]
        assert read[: len(TEXT)].tolist() == TEXT.tolist(), phrasing.member
        assert {KINDS[k] for k in one.kind[source]} <= {"kept", "special"}


def test_the_bound_of_a_uniform_model_is_exact() -> None:
    texts, runs = [TEXT, TEXT[:33]], [(21, 60), (30, 33)]
    for name in ("dlm", "block-diffusion"):
        phrasing = Forms(md.objective(name), VOCAB).all[0]
        nats = bound(Scorer(Uniform(), phrasing.layout, VOCAB.body), phrasing, texts, runs)
        assert nats == pytest.approx([39 * np.log(COUNT + FIRST), 3 * np.log(COUNT + FIRST)])


def test_a_block_sees_no_later_one() -> None:
    phrasing = Forms(md.objective("block-diffusion", block=8), VOCAB).all[0]
    one = phrasing.ask([TEXT], [[(19, 22)]], [(19, 22)])[0]
    at = np.flatnonzero(one.target != SILENT)
    seen = [set(one.origin[one.visible()[i]].tolist()) & set(range(60)) for i in at]
    assert seen == [set(range(19)) | {22, 23}] * 3


def test_the_middle_comes_last_and_has_both_sides() -> None:
    fim = VOCAB.fim
    for options in ({}, {"unit": "char"}):
        phrasing = Forms(md.objective("fim", **options), VOCAB).all[0]
        one = phrasing.ask([TEXT[:6]], [[(2, 4)]], [(2, 4)])[0]
        assert one.read.tolist() == [fim["prefix"], *TEXT[:2], fim["suffix"], *TEXT[4:6], fim["middle"], *TEXT[2:4]]
        assert one.target[one.target != SILENT].tolist() == TEXT[2:4].tolist()
        assert phrasing.ask([TEXT[:6]], [[(2, 6)]], [(2, 6)])[0].read.tolist() == TEXT[:6].tolist(), "a text's end is read on"
        with pytest.raises(ValueError, match="several runs"):
            phrasing.ask([TEXT], [[(2, 4), (6, 7)]], [(2, 4)])


def test_sentences_end_as_in_training() -> None:
    words = {int(TEXT[0]): " Cats sit", int(TEXT[1]): ".", int(TEXT[2]): " Dogs", int(TEXT[3]): " run", int(TEXT[4]): "."}
    phrasing = Phrasing(md.objective("mbart"), VOCAB, decode=lambda ids: "".join(words[i] for i in ids))
    end, language = VOCAB.eos, VOCAB.languages["en"]
    one = phrasing.ask([TEXT[:5]], [[(2, 4)]], [(2, 4)])[0]
    source, answer = one.read[one.stream == 0], one.read[one.stream == 1]
    assert source.tolist() == [VOCAB.bos, *TEXT[:2], end, VOCAB.mask, TEXT[4], end, language]
    assert answer.tolist() == [language, VOCAB.bos, *TEXT[:2], end, *TEXT[2:5], end]
    assert one.target[one.target != SILENT].tolist() == TEXT[2:4].tolist()
    spelled, runs = phrasing.spell(TEXT[:5], [(2, 4)])
    assert spelled.tolist() == [*TEXT[:2], end, *TEXT[2:5]]
    assert runs == [(3, 5)]


def test_a_mixture_is_asked_as_the_member_that_fits() -> None:
    forms = Forms(md.objective("ul2r"), VOCAB)
    assert {want: forms.fit(want).member for want in ("continue", "whole", "fill", "repair")} == {
        "continue": "s", "whole": "s", "fill": "r-3-15", "repair": "r-3-15"}  # fmt: skip
    mixed = md.mixture({"a": md.objective("gpt"), "b": md.objective("bert"), "c": md.objective("bart")})
    forms = Forms(mixed, VOCAB)
    assert {want: forms.fit(want).member for want in ("continue", "whole", "fill", "repair")} == {
        "continue": "a", "whole": "a", "fill": "c", "repair": "c"}  # fmt: skip
    assert {p.layout for p in forms.all} == {"decoder"}
