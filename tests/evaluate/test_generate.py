"""Every family writes, reproducibly; a model that knows the text writes the right one."""

import numpy as np
import pytest

from maskdial.evaluate.abilities import cannot
from maskdial.evaluate.behaviour import answers, edits, error_rates, prompts
from maskdial.evaluate.forms import Forms
from maskdial.evaluate.generate import Decoding, choose, continue_, fill, rejoined, rewrite
from maskdial.evaluate.items import Items
from maskdial.evaluate.phrasing import Phrasing
from maskdial.evaluate.scoring import Scorer
from maskdial.evaluate.statistics import Outcome
from maskdial.recipes import objective
from maskdial.sample import SILENT
from tests.evaluate.counting import COUNT, FIRST, VOCAB, Corpus, Knowing, Uniform, after

NAMES = ("gpt", "prefix-lm", "bert", "t5", "bart")
IN_PLACE = ("dlm", "block-diffusion", "unilm", "electra", "roberta")
TEXT = after(np.arange(30), FIRST + 100).astype(np.int32)


def both(name: str, model: object, task: str = "continue") -> tuple[Scorer, Phrasing]:
    p = Forms(objective(name), VOCAB).fit(task)
    return Scorer(model, p.layout, VOCAB.body), p


def knowing(name: str) -> Knowing:
    """Who knows the text, as this objective's samples tell it what they ask."""
    return Knowing({"sigma-gpt": "position2", "xlnet": "position", "block-diffusion": "position"}.get(name))


@pytest.mark.parametrize("name", [*NAMES, *IN_PLACE, "sft", "mtp", "fim", "sigma-gpt", "xlnet", "glm", "mbart", "ul2", "ul2r", "t5-iid"])
def test_a_model_that_can_count_goes_on_counting(name: str) -> None:
    (said,) = continue_(*both(name, knowing(name)), [TEXT[:20]], Decoding(most=10))
    assert said.tolist() == TEXT[20:].tolist()


@pytest.mark.parametrize("name", ["bert", "t5", "bart", "fim", "sigma-gpt", "xlnet", "glm", "dlm", "unilm", "mbart", "ul2", "ul2r"])
def test_gaps_are_filled_and_later_gaps_stay_hidden(name: str) -> None:
    scorer, phrasing = both(name, knowing(name), "fill")
    wrong = np.full(3, VOCAB.body[7], dtype=np.int32)  # what a later gap hides must not be believed
    right = np.concatenate([TEXT[15:20], wrong, TEXT[23:]])
    said = fill(scorer, phrasing, [(TEXT[:10], TEXT[15:]), (TEXT[:10], right)], [5, 5], Decoding(), exact=True, later=[[], [(5, 8)]])
    assert [s.tolist() for s in said] == [TEXT[10:15].tolist()] * 2


def test_a_rewriting_ends_where_it_rejoins_the_text() -> None:
    scorer, phrasing = both("bart", Knowing())
    (said,) = fill(scorer, phrasing, [(TEXT[:10], TEXT[15:])], [12], Decoding())
    assert said.tolist() == TEXT[10:15].tolist()
    assert rejoined(TEXT[:5], TEXT[9:]).tolist() == TEXT[:5].tolist()


def test_bart_and_bert_repair() -> None:
    (said,) = rewrite(*both("bart", Knowing()), [TEXT[:12]], Decoding(most=12))
    assert said.tolist() == TEXT[:12].tolist()
    damaged = TEXT.copy()
    damaged[[4, 9]] = VOCAB.body[3]
    (said,) = rewrite(*both("bert", Knowing()), [damaged], Decoding())
    assert said.tolist() == TEXT.tolist()


def test_what_cannot_be_done_is_said() -> None:
    able = {n: [t for t in ("continue", "fill", "repair") if cannot(both(n, None)[1], t) is None] for n in NAMES}  # type: ignore[arg-type]
    assert able == {
        "gpt": ["continue"], "prefix-lm": ["continue"], "bert": ["continue", "fill", "repair"], "t5": ["continue", "fill"],
        "bart": ["continue", "fill", "repair"],
    }  # fmt: skip
    with pytest.raises(ValueError, match="cannot repair: it writes on"):
        rewrite(*both("gpt", Uniform()), [TEXT], Decoding())
    only_masks = Phrasing(objective("bert", mask=1.0, random=0.0), VOCAB)
    assert "never a token that it reads" in str(cannot(only_masks, "repair"))


@pytest.mark.parametrize("name", NAMES)
def test_draws_depend_on_seed_prompt_and_position_alone(name: str) -> None:
    scorer, phrasing = both(name, Uniform())

    def draw(contexts: list[np.ndarray], seed: int) -> list[list[int]]:
        return [s.tolist() for s in continue_(scorer, phrasing, contexts, Decoding(most=6, temperature=1.0, seed=seed))]

    one, two = draw([TEXT[:9]], 0), draw([TEXT[:9], TEXT[5:16]], 0)
    assert one[0] == two[0]
    assert one == draw([TEXT[:9]], 0)
    assert one != draw([TEXT[:9]], 1)
    assert two[0] != two[1]


def test_draws_follow_the_probabilities() -> None:
    p = np.array([0.5, 0.3, 0.2, 0.0])
    logits = np.tile(np.log(np.maximum(p, 1e-9)), (4000, 1)).astype(np.float32)
    allowed = np.array([True, True, True, False])
    drawn = choose(logits, allowed, Decoding(temperature=1.0), np.arange(4000), 3)
    assert np.bincount(drawn, minlength=4) / 4000 == pytest.approx(p, abs=5 * np.sqrt(0.25 / 4000))
    top = choose(logits, allowed, Decoding(temperature=1.0, top=2), np.arange(4000), 3)
    assert set(top.tolist()) == {0, 1}
    assert (choose(logits, ~allowed, Decoding(), np.arange(3), 0) == 3).all()


def test_edit_distance() -> None:
    cases = [("kitten", "sitting", 3), ("", "abc", 3), ("abc", "", 3), ("flaw", "lawn", 2), ("same", "same", 0)]
    for a, b, wanted in cases:
        assert edits(np.array([ord(c) for c in a]), np.array([ord(c) for c in b])) == wanted


@pytest.mark.parametrize("name", NAMES)
def test_the_same_prompts_are_answered_by_all(name: str) -> None:
    items = Items(Corpus())
    asked = prompts(items)
    assert [p.task for p in asked] == ["continue", "fill", "repair"] * 8
    assert all(p.text != p.truth for p in asked)
    forms = Forms(objective(name), VOCAB)
    scorer = Scorer(Knowing(), forms.layout, VOCAB.body)
    said = answers(scorer, forms, items, asked)
    assert set(said) == {p.id for p in asked}
    for p in asked:
        assert set(said[p.id]) in ({"text"}, {"text", "note"}, {"not_applicable"})
        if "text" in said[p.id] and p.task == "fill":
            assert said[p.id]["text"].startswith(p.truth)  # (t5 was never taught to stop)
    wrong = error_rates(scorer, forms, items)
    assert isinstance(wrong["infill"], Outcome)
    assert wrong["infill"].value == 0.0
    assert wrong["infill"].baseline > 0.9
    assert isinstance(wrong["repair"], Outcome) == (name in ("bert", "bart"))


def test_a_uniform_model_fills_wrongly() -> None:
    items = Items(Corpus())
    forms = Forms(objective("t5"), VOCAB)
    wrong = error_rates(Scorer(Uniform(), forms.layout, VOCAB.body), forms, items)["infill"]
    assert isinstance(wrong, Outcome)
    assert wrong.value > 1 - 10 / COUNT


@pytest.mark.parametrize("name", ["gpt", "t5", "bart", "unilm", "xlnet", "fim", "glm", "sigma-gpt", "ul2r", "block-diffusion"])
def test_what_was_made_is_read_when_the_next_is_asked(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    put, plain = [], Phrasing.ask
    monkeypatch.setattr(Phrasing, "ask", lambda *given, **more: put.append(plain(*given, **more)) or put[-1])
    (said,) = continue_(*both(name, knowing(name)), [TEXT[:20]], Decoding(most=8))
    last = put[-1][0]
    at = np.flatnonzero(last.target != SILENT)[0]
    seen = set(last.read[last.visible()[at]].tolist())
    known = 4 if name == "block-diffusion" else 7  # a block is made at once
    assert set(TEXT[:20].tolist()) | set(said[:known].tolist()) <= seen
