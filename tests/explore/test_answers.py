"""An answer says what is so: its words, its quiz and its code are held against the sample itself, for every recipe."""

from __future__ import annotations

import json
import shlex
import time
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import maskdial as md
from maskdial.explore.answers import Answers
from maskdial.explore.meta import meta
from maskdial.explore.request import CHARACTERS, TOKENS, names
from maskdial.explore.texts import EXAMPLES, FIRST
from maskdial.recipes import find
from tests.cli.run import maskdial

TEXT = EXAMPLES[0]["text"]
STORY = EXAMPLES[1]["text"]
WORDS = " ".join(f"word{i % 40}" for i in range(64))


@pytest.fixture(scope="module")
def answers():
    return Answers()


def ask(answers, **request):
    made = answers(FIRST | {"options": {}} | request)
    assert made["ok"], made["error"]
    return made


def streams(view, key=""):
    """(key, stream, its view) of a view and of the second network's."""
    found = [(key + s["id"], s, view) for s in view["streams"]]
    return found + (streams(view["second"], "second.") if "second" in view else [])


def scored(stream):
    return [i for i in range(len(stream["tokens"])) if any(target[i] for target in stream["targets"])]


def row_sees(view, stream, row):
    """panel's other stream → the positions that a row sees."""
    return {p["k"]: {k for a, b in p["rows"][row] for k in range(a, b)} for p in view["attn"] if p["q"] == stream}


def told_sights(sentence):
    """How many positions a sentence says are seen."""
    words = sentence.partition(" sees ")[2].partition(". It is ")[0]
    total = 0
    for part in words.split(" and "):
        first = part.removeprefix("all ").split()[0]
        total += 1 if part.startswith("the one") else 0 if part.startswith("nothing") else int(first)
    return total


@pytest.mark.parametrize("see", [None, {"visibility": "causal"}], ids=["own", "causal"])
@pytest.mark.parametrize("name", names())
def test_every_word_about_a_sample_is_true(answers, name, see):
    made = ask(answers, objective=name, text=STORY, seed=2, options={"see": see} if see else {})
    view, extra = made["data"][0], made["extra"]
    assert [stage["id"] for stage in extra["stages"]] == ["text", "tokens", "choose", "corrupt", "build", "score"]
    assert all(stage["say"].endswith((".", "”")) for stage in extra["stages"])
    for key, stream, seen in streams(view):
        said = extra["sentences"][key]
        assert len(said) == len(stream["tokens"])
        for row, sentence in enumerate(said):
            assert told_sights(sentence) == sum(len(k) for k in row_sees(seen, stream["id"], row).values()), sentence
            assert ("It is scored" in sentence) == (row in scored(stream)), sentence
            for target, head in zip(stream["targets"], stream["heads"], strict=True):
                if target[row] and head.startswith("token"):
                    assert target[row]["t"].strip() in sentence.replace("␣", " ")
    leak = extra["leak"]
    assert len(leak["positions"]) == view["stats"]["leaks"]
    marked = [row for row, said in enumerate(extra["sentences"][leak["stream"]]) if "in sight" in said or "still shows" in said]
    assert marked == leak["positions"]
    assert str(len(leak["positions"])) in leak["say"]
    assert extra["summary"].startswith("For the same text, ")


@pytest.mark.parametrize("name", names())
def test_ten_questions_have_their_answers_in_the_picture(answers, name):
    made = ask(answers, objective=name, text=STORY, seed=5)
    view, quiz = made["data"][0], made["extra"]["quiz"]
    assert len(quiz) == 10
    assert len({q["question"] for q in quiz}) == 10
    for q in quiz:
        stream = next(s for s in view["streams"] if s["id"] == q["stream"])
        if q["kind"] == "positions":
            assert q["answer"] == scored(stream)
        elif q["kind"] == "row":
            assert set(q["answer"]) == row_sees(view, q["stream"], q["row"])[q["stream"]]
        else:
            assert q["kind"] == "choice"
            assert 2 <= len(q["choices"]) <= 4
            assert len(set(q["choices"])) == len(q["choices"])
            right = q["choices"][q["answer"]]
            if "How many positions does" in q["question"]:
                assert int(right) == sum(len(k) for k in row_sees(view, q["stream"], q["row"]).values())
            if "carry loss" in q["question"]:
                assert int(right) == sum(len(scored(s)) for s in view["streams"])
            if "can see their own" in q["question"]:
                assert int(right) == view["stats"]["leaks"]
            if q["question"].startswith("What must"):
                said = {t[q["row"]]["t"] for t in stream["targets"] if t[q["row"]]}
                assert right.replace("␣", " ") in said or (not said and right == "nothing")
        assert q["row"] is None or 0 <= q["row"] < len(stream["tokens"])


@pytest.mark.parametrize("name", names())
def test_the_code_gives_this_very_sample(answers, name):
    recipe = next(r for r in meta()["recipes"] if r["name"] == name)
    dial = next((d for d in recipe["dials"] if d["kind"] == "range" and d["unit"] == "share"), None)
    options = {"frame": True, "see": {"visibility": "prefix", "split": 3}} | ({dial["name"]: 0.4} if dial else {})
    options |= {"label": 1} if any(d["name"] == "label" for d in recipe["dials"]) else {}
    made = ask(answers, objective=name, text="It's “new”. It is $HOME & `x`.", options=options, seed=4, tokenizer="bytes")
    code = made["extra"]["code"]
    again = eval(code["python"], {"md": md}).to_json()
    assert {k: again[k] for k in ("streams", "attn", "stats")} == {k: made["data"][0][k] for k in ("streams", "attn", "stats")}
    assert again["code"] == {k: code[k] for k in ("cli", "python")}
    if name not in ("gpt", "ul2", "bert-nsp", "bart"):  # a command takes a while to start, and all recipes go one way
        return
    status, out, err = maskdial(*shlex.split(code["cli"])[1:], "--json")
    assert (status, err) == (0, "")
    shown = json.loads(out)["data"][0]
    assert {k: shown[k] for k in ("streams", "attn", "stats")} == {k: again[k] for k in ("streams", "attn", "stats")}


def test_it_says_why_nothing_leaks_and_why_a_row_is_not_asked(answers):
    bert = ask(answers, objective="bert")["extra"]
    assert bert["leak"]["say"] == "0 leaks: the scored positions see the whole text, and what they must predict is taken out of it."
    assert bert["sentences"]["source"][0].endswith("It is not scored (SCORE: the chosen tokens, in place).")
    for name in ("gpt", "bert-nsp", "electra"):
        assert ask(answers, objective=name)["extra"]["leak"]["say"] == "0 leaks: no scored position can see its own answer.", name
    assert "(rows 0–10)" in ask(answers, options={"see": {"visibility": "bidirectional"}}, objective="gpt")["extra"]["leak"]["say"]


def visible(view):
    return sum(b - a for panel in view["attn"] for row in panel["rows"] for a, b in row)


@pytest.mark.parametrize("name", ["gpt", "prefix-lm", "bert"])
@pytest.mark.parametrize("k", [0, 1, 5, 12, 40])
def test_the_see_dial_opens_a_prefix(answers, name, k):
    view = ask(answers, objective=name, options={"see": {"visibility": "prefix", "split": k}})["data"][0]
    n, p = 12, min(k, 12)
    assert visible(view) == n * (n + 1) // 2 + p * (p - 1) // 2
    if name == "gpt":
        assert view["stats"]["leaks"] == max(0, min(p, n) - 1), "a position that sees the next one sees its answer"
    if name == "prefix-lm":
        assert view["stats"]["leaks"] == 0, "where SCORE follows the split nothing leaks"
        assert len(scored(view["streams"][0])) == (n - max(p, 1) if p < n else 0)


def test_turning_see_never_moves_the_noise_and_more_hidden_keeps_the_hidden(answers):
    def hidden(**options):
        view = ask(answers, objective="bert", text=WORDS, seed=1, options=options)["data"][0]
        return [i for i, token in enumerate(view["streams"][0]["tokens"]) if token["kind"] != "kept"]

    assert hidden(rate=0.15) == hidden(rate=0.15, see={"visibility": "causal"})
    assert set(hidden(rate=0.15)) < set(hidden(rate=0.3)) < set(hidden(rate=0.6))


def test_the_same_request_has_the_same_bytes(answers):
    for name in names():
        request = {"objective": name, "text": STORY, "seed": 9}
        assert json.dumps(answers(request)) == json.dumps(Answers()(request))


def test_a_comparison_is_two_answers_and_one_sentence(answers):
    made = ask(answers, objective="gpt", second={"objective": "bert", "options": {"rate": 0.5}})
    alone = ask(answers, objective="bert", options={"rate": 0.5})
    assert made["data"][1] == alone["data"][0]
    assert made["extra"]["second"] == {k: v for k, v in alone["extra"].items() if k != "summary"}
    gpt = "For the same text, next-token prediction (GPT) scores 11 positions that see 6 of 12 on average"
    assert made["extra"]["summary"] == f"{gpt}; {alone['extra']['summary'].removeprefix('For the same text, ')}"


LONG = "a " * 700
BAD: list[tuple[Any, str, str]] = [
    ([], "", "request.json"), ({}, "objective", "objective.unknown"), ({"objective": "gtp"}, "objective", "objective.unknown"),
    ({"text": ""}, "text", "text.empty"), ({"text": " \n"}, "text", "text.empty"), ({"text": None}, "text", "text.missing"),
    ({"text": "x" * (CHARACTERS + 1)}, "text", "text.long"), ({"text": LONG}, "text", "text.tokens"),
    ({"text": "a\ud800b"}, "text", "text.surrogate"),
    ({"tokenizer": "/etc/passwd"}, "tokenizer", "tokenizer.unknown"), ({"tokenizer": "run"}, "tokenizer", "tokenizer.unknown"),
    ({"seed": -1}, "seed", "seed.range"), ({"seed": 1.5}, "seed", "seed.range"), ({"seed": True}, "seed", "seed.range"),
    ({"options": {"rate": 2}}, "options.rate", "options.range"), ({"options": {"rate": "inf"}}, "options.rate", "options.range"),
    ({"options": {"nope": 1}}, "options.nope", "options.unknown"), ({"options": []}, "options", "options.form"),
    ({"options": {"see": "causal"}}, "options.see", "options.range"),
    ({"options": {"see": {"visibility": "prefix", "split": -1}}}, "options.see", "options.range"),
    ({"options": {"compat": "nope"}}, "options.compat", "options.range"), ({"options": {"member": "s"}}, "options.member", "options.range"),
    ({"hide": [99]}, "hide", "hide.range"), ({"hide": ["a"]}, "hide", "hide.form"), ({"hide": list(range(600))}, "hide", "hide.form"),
    ({"force": {"nope": 1}}, "force", "sample.refused"), ({"force": {"hidden": [999]}}, "force", "sample.refused"),
    ({"force": {"hidden": [[1] * 3000]}}, "force", "force.form"), ({"second": {"objective": "x"}}, "second.objective", "objective.unknown"),
    ({"second": {"objective": "bert", "options": {"rate": 3}}}, "second.options.rate", "options.range"),
    ({"path": "/"}, "path", "request.field"),
]  # fmt: skip


@pytest.mark.parametrize(("change", "where", "code"), BAD, ids=[f"{code}-{i}" for i, (_, _, code) in enumerate(BAD)])
def test_what_cannot_be_shown_is_said(answers, change, where, code):
    made = answers({"objective": "bert", "text": TEXT} | change if change and isinstance(change, dict) else change)
    assert made["ok"] is False
    assert (made["error"]["where"], made["error"]["code"]) == (where, code)
    assert made["error"]["message"]


def test_a_text_that_is_too_long_says_how_much_of_it_fits(answers):
    error = answers({"objective": "gpt", "text": LONG})["error"]
    assert ask(answers, objective="gpt", text=LONG[: error["cut"]])["data"][0]["stats"]["tokens"] == TOKENS
    error = answers({"objective": "block-diffusion", "text": LONG[:600]})["error"]
    assert error["code"] == "text.tokens"
    assert ask(answers, objective="block-diffusion", text=LONG[: error["cut"]])["data"][0]["stats"]["read"] <= TOKENS


KEYS = ["see", "visibility", "split", "hidden", "spans", "rate", "k"]
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**70), 2**70) | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=5)
    | st.sampled_from(["split", "bert", "causal", "uniform", "x" * 5000]),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from(KEYS), inner, max_size=3), max_leaves=8,
)  # fmt: skip
FORCED = ["split", "spans", "hidden", "cuts", "permutation", "t", "levels", "sentences", "turns", "ranks", "part"]
PLAIN = {"objective": st.sampled_from(names()), "text": st.sampled_from([TEXT, "a", "🌊\u202e\x00"])}
WILD = {"options": JSON, "tokenizer": st.sampled_from(["words", "bytes"]) | JSON, "seed": JSON, "second": JSON, "hide": JSON}
TAME = {"force": st.dictionaries(st.sampled_from(FORCED), JSON, max_size=2), "hide": st.lists(st.integers(-1, 13), max_size=4),
        "options": st.dictionaries(st.sampled_from(KEYS), st.floats(0, 1) | st.integers(0, 20), max_size=2)}  # fmt: skip


@settings(max_examples=300, deadline=None, derandomize=True)
@given(st.fixed_dictionaries(PLAIN, optional=WILD) | st.fixed_dictionaries(PLAIN, optional=TAME))
def test_no_request_is_a_crash(value):
    made = EVERYTHING(value)
    assert made["ok"] or made["error"]["code"] != "unexpected", made
    json.dumps(made)


EVERYTHING = Answers()
AWKWARD = ["<script>alert(1)</script>", "🌊👩‍👩‍👧 e\u0301", "שלום עולם", "a\x00b", "\u2028x", "[MASK] <extra_id_0> </s>", "\\n", "'\"`$("]


@pytest.mark.parametrize("text", AWKWARD)
def test_awkward_texts_are_texts(answers, text):
    for tokenizer in ("words", "bytes"):
        for name in ("gpt", "t5", "bert-nsp"):
            made = ask(answers, objective=name, text=text, tokenizer=tokenizer)
            body = [t for t in made["data"][0]["streams"][0]["tokens"] if t["kind"] == "kept" and t["src"]]
            assert all(0 <= a < b <= len(made["data"][0]["text"]) for t in body for a, b in [t["src"]])


def test_a_dial_move_at_64_tokens_is_quick(answers):
    slow = []
    for name in names():
        request = {"objective": name, "text": WORDS}
        answers(request)
        times = []
        for seed in range(4):
            start = time.thread_time()
            json.dumps(answers(request | {"seed": seed}))
            times.append(time.thread_time() - start)
        if min(times) > 0.04:  # 20 ms is the aim (tests.explore.speed measures it); twice that is a defect on any machine
            slow.append((name, min(times)))
    assert slow == []


def test_meta_tells_every_dial_of_every_recipe():
    known = {recipe["name"]: recipe for recipe in meta()["recipes"]}
    assert sorted(known) == md.recipes()
    for name, recipe in known.items():
        dials = {dial["name"]: dial for dial in recipe["dials"]}
        for option in find(name).options.values():
            dial = dials[option.name]
            assert dial["default"] == option.default
            assert (dial["low"], dial["high"]) == (option.dial.low, option.dial.high)
            assert dial["role"] in ("hide", "see", "score", "other")
            assert dial["help"]
        assert all(recipe["card"][field] for field in ("objective", "fit", "effect", "limitation", "evidence"))
