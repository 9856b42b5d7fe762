"""Supervised corpora: who says each token is stored, read into rows, counted, and never lost in silence."""

import json

import numpy as np
import pytest

from maskdial.data import load, merge, open_or_prepare, prepare, read, verify
from maskdial.data.build import prepare_shard
from maskdial.data.chat import halves, parts
from maskdial.data.notices import notices
from maskdial.data.options import Options
from maskdial.data.reader import Reader
from maskdial.errors import UserError

from .conftest import write_jsonl
from .test_chat import CHATML, TALK, tokenizer  # noqa: F401
from .test_commands import run  # noqa: F401

ASKED = [{"prompt": f"Question {i}: what is {i} plus one?", "completion": f" It is {i + 1}.", "label": "sums"} for i in range(60)]


@pytest.fixture(scope="module")
def records():
    turns = [[{"role": "user", "content": f"Say {i}."}, {"role": "assistant", "content": f"{i}!"}] for i in range(30)]
    talks = [{"messages": turn * (1 + i % 3)} for i, turn in enumerate(turns)]
    return [*ASKED, *talks, {"text": "Plain text is all to be said."}]


@pytest.fixture(scope="module")
def corpus(tmp_path_factory, records):
    path = write_jsonl(tmp_path_factory.mktemp("chat") / "chat.jsonl", records)
    return prepare(str(path), tmp_path_factory.mktemp("chat") / "c", vocab_size=400, held_out=0.2, progress="off")


def test_each_document_is_stored_with_who_says_it(corpus, records):
    t, seen = corpus.tokenizer, 0
    wanted = {}
    for r in records:
        made = parts(r["messages"], t) if "messages" in r else halves(r.get("prompt", ""), r.get("completion") or r["text"], t)
        wanted[made.text] = made
    for part in (corpus.train, corpus.held_out):
        assert part.supervised
        for i in range(len(part)):
            made, answers = wanted[part.text(i)], part.answers(i)
            assert part.document(i).tolist() == made.columns.ids.tolist()
            assert answers.tolist() == [*made.part.tolist(), int(made.ends)]
            assert [c.tolist() for c in part.columns(i)] == [made.columns.word.tolist(), made.columns.sentence.tolist()]
            assert answers.any()
            seen += 1
    assert seen == len(records)
    assert verify(corpus.folder) == []


@pytest.mark.parametrize("packing", ["joined", "isolated"])
def test_rows_tell_who_says_each_token(corpus, packing):
    part = corpus.train
    stream = np.concatenate([part.answers(i) for i in range(len(part))])
    windows = corpus.num_windows(4)
    rows = corpus.rows(4, 0, windows, seed=0, packing=packing, shuffle=False)
    assert rows.part.tolist() == stream[: 4 * windows].tolist()
    assert any(not row.any() for row in rows.part.reshape(-1, 4)), "a window may hold nothing but a prompt"
    shuffled = corpus.rows(4, 0, windows, seed=0, packing=packing)
    assert sorted(map(tuple, shuffled.part.reshape(-1, 4))) == sorted(map(tuple, rows.part.reshape(-1, 4)))


def test_the_end_of_a_completion_is_learnt_even_where_it_is_the_padding(tmp_path):
    from tokenizers import Tokenizer as Engine
    from tokenizers import models, pre_tokenizers

    engine = Engine(models.WordLevel({"Q": 0, ":": 1, "hi": 2, "yo": 3, "[UNK]": 4}, unk_token="[UNK]"))
    engine.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    engine.add_special_tokens(["</s>"])
    engine.save(str(tmp_path / "tokenizer.json"))
    (tmp_path / "tokenizer_config.json").write_text(json.dumps({"pad_token": "</s>", "eos_token": "</s>"}))
    path = write_jsonl(tmp_path / "a.jsonl", [{"prompt": "Q : hi", "completion": "yo"}, {"prompt": "Q :", "completion": "hi"}])
    c = prepare(str(path), tmp_path / "c", tokenizer=str(tmp_path), held_out=0, progress="off")
    assert c.vocab.pad == c.vocab.eos == 5
    rows = c.rows(9, 0, 1, seed=0, shuffle=False)
    assert rows.tokens.tolist() == [0, 1, 2, 3, 5, 0, 1, 2, 5]
    assert rows.part.tolist() == [0, 0, 0, 1, 1, 0, 0, 1, 1]


def test_what_was_left_out_is_counted(tmp_path, run):  # noqa: F811
    path = write_jsonl(tmp_path / "a.jsonl", [
        {"prompt": "Hi", "completion": " there"}, {"prompt": "Hi", "completion": "  "}, {"messages": TALK[:1]}, {"messages": []},
        {"messages": [{"role": "user"}, {"role": "assistant", "content": "x"}]}, {"prompt": ["Hi"], "completion": "x"},
        {"messages": [{"role": "user", "content": None}, {"role": "assistant", "content": "ok"}]},
        {"messages": "no list"}, {"prompt": "long " * 30, "completion": "short"}, {"messages": [{"content": "x"}]}, {"text": "plain"},
    ])  # fmt: skip
    out = tmp_path / "c"
    answer = json.loads(run("prepare", path, "--out", out, "--tokenizer", "bytes", "--held-out", 0, "--max-length", 150, "--json").out)
    tally = answer["data"]["tally"]
    assert (tally["documents"], tally["unanswered"], tally["malformed"], tally["long"]) == (5, 2, 4, 1)
    train = answer["data"]["train"]
    assert (train["documents"], train["longest_prompt"]) == (4, len("user: \nassistant: "))
    assert train["completion_tokens"] == len(" there") + len("x") + len("ok") + len("plain") + 4, "each with the token that ends it"
    assert train["prompt_tokens"] + train["completion_tokens"] == train["tokens"]
    assert any("fills --max-length" in w for w in answer["warnings"])
    assert "tokens answer" in run("prepare", path, "--out", out, "--tokenizer", "bytes", "--held-out", 0, "--max-length", 150).out
    with pytest.raises(UserError, match="2 tokens or more"):
        prepare(str(path), out, max_length=1)


def test_bytes_that_are_no_text_cost_one_record(tmp_path):
    path = tmp_path / "a.jsonl"
    path.write_bytes(b'{"prompt": "bad \xff", "completion": "x"}\n{"messages": [{"role": "assistant", "content": "\\ud800"}]}\n')
    for errors, texts in (("replace", ["bad \ufffdx", "assistant: \ufffd\ufffd\ufffd\n"]), ("drop", [])):
        reader = Reader(errors=errors)
        assert [d.text for d in read(str(path), reader)] == texts
        assert (reader.tally.replaced, reader.tally.dropped) == ((2, 0) if texts else (0, 2))


@pytest.mark.parametrize("name", ["a.jsonl", "a.csv", "a.parquet"])
def test_every_table_may_hold_prompts_and_completions(tmp_path, name):
    import csv

    import pyarrow as pa
    import pyarrow.parquet as pq

    path = tmp_path / name
    if name.endswith("jsonl"):
        write_jsonl(path, ASKED)
    elif name.endswith("csv"):
        with path.open("w", newline="") as file:
            table = csv.DictWriter(file, list(ASKED[0]))
            table.writeheader()
            table.writerows(ASKED)
    else:
        pq.write_table(pa.Table.from_pylist(ASKED), path)
    found = list(read(str(path)))
    assert [(d.text[: d.prompt], d.text[d.prompt :], d.label) for d in found] == [tuple(r.values()) for r in ASKED]


def test_parquet_holds_messages(tmp_path):
    import pyarrow as pa
    import pyarrow.parquet as pq

    pq.write_table(pa.Table.from_pylist([{"messages": TALK, "text": None}]).drop(["text"]), tmp_path / "a.parquet")
    (found,) = read(str(tmp_path / "a.parquet"))
    assert list(found.messages) == TALK


def test_a_conversation_in_which_nothing_answers_stops_prepare(tmp_path):
    path = write_jsonl(tmp_path / "a.jsonl", [{"messages": TALK}])
    marked = "{% for m in messages %}{% if m.role == 'model' %}{% generation %}{{ m.content }}{% endgeneration %}{% endif %}x{% endfor %}"
    (tmp_path / "t.jinja").write_text(marked)
    with pytest.raises(UserError, match=r"a\.jsonl, 'user: Who.*\{% generation %\}.* did not match"):
        prepare(str(path), tmp_path / "c", template=str(tmp_path / "t.jinja"), vocab_size=300, progress="off")
    assert not (tmp_path / "c").exists()


def test_the_template_travels_with_the_corpus(tmp_path, tokenizer):  # noqa: F811
    tokenizer.save(tmp_path / "t")
    (tmp_path / "t" / "chat_template.jinja").write_text(CHATML)
    path = write_jsonl(tmp_path / "a.jsonl", [{"messages": TALK}])
    c = prepare(str(path), tmp_path / "c", tokenizer=str(tmp_path / "t"), held_out=0, progress="off")
    assert c.tokenizer.template == CHATML
    assert c.train.text(0).startswith("<|im_start|>user\nWho are you?<|im_end|>\n")
    assert c.train.answers(0)[-1] == 0, "its last turn has ended before"
    plain = prepare(str(path), tmp_path / "p", tokenizer=str(tmp_path / "t"), template="plain", held_out=0, progress="off")
    assert plain.train.text(0).startswith("user: Who are you?\n")
    with pytest.raises(UserError, match=r"template was .*now None"):
        prepare(str(path), tmp_path / "p", tokenizer=str(tmp_path / "t"), held_out=0, progress="off")


def test_what_is_held_out_never_reaches_the_tokenizer(tmp_path, corpus, records):
    held = {corpus.held_out.text(i) for i in range(len(corpus.held_out))}
    assert held
    kept = [r for r in ASKED if r["prompt"] + r["completion"] not in held]
    kept += [r for r in records[60:90] if parts(r["messages"], corpus.tokenizer).text not in held]
    kept += [r for r in records[90:] if r["text"] not in held]
    other = prepare(str(write_jsonl(tmp_path / "t.jsonl", kept)), tmp_path / "o", vocab_size=400, held_out=0, progress="off")
    assert other.tokenizer.sha256 == corpus.tokenizer.sha256


def test_plain_corpora_tell_nothing(tmp_path):
    path = write_jsonl(tmp_path / "a.jsonl", [{"text": "a b"}, {"text": "c d"}])
    c = open_or_prepare(path, tmp_path / "cache", tokenizer="bytes", progress="off")
    assert not c.train.supervised
    assert c.train.answers(0) is None
    assert c.rows(2, 0, 1, seed=0).part is None
    assert c.train.language(0) is None
    assert not list(c.folder.glob("*.part")) + list(c.folder.glob("*.lang"))


NAMED = [{"text": f"{text} {i}.", key: name} for i in range(20) for text, key, name in (
    ("Hello there", "language", "en"), ("Bonjour à tous", "lang", "fr-fr"), ("Quelque chose", "none", ""))]  # fmt: skip


def test_languages_have_ids_and_rows_tell_them(tmp_path, monkeypatch):
    monkeypatch.setattr("maskdial.data.survey.UNIT", 500)
    path = write_jsonl(tmp_path / "a.jsonl", NAMED)
    for number in range(2):
        prepare_shard([str(path)], tmp_path / "c", Options(vocab_size=300, held_out=0.2), number, 2, workers=1, progress="off")
    c = merge(tmp_path / "c")
    assert len(c.train.shards) == 2
    assert sorted(c.vocab.languages) == ["en", "fr-fr", "und"]
    assert set(c.vocab.languages.values()) <= c.vocab.special
    named = {r["text"]: r.get("language") or r.get("lang") or "und" for r in NAMED}
    stream = []
    for i in range(len(c.train)):
        assert c.train.language(i) == named[c.train.text(i)]
        stream += [c.vocab.languages[c.train.language(i)]] * (len(c.train.document(i)) + 1)
    windows = c.num_windows(10)
    for packing in ("joined", "isolated"):
        rows = c.rows(10, 0, windows, seed=0, packing=packing, shuffle=False)
        assert rows.language.tolist() == stream[: 10 * windows]
    rows = c.rows(10, 0, 20, seed=0, pairs="next")
    assert rows.language.dtype == np.int32
    pieces = [p for pair in c.train.plan(10, "next").pairs(np.arange(20), 0) for p in pair.parts]
    edges = np.flatnonzero(np.diff(rows.part.astype(int), prepend=1)).tolist()
    assert [c.vocab.languages[c.train.language(p.document)] for p in pieces] == rows.language[edges].tolist()
    assert load(c.folder / "tokenizer").vocab.languages == c.vocab.languages


def test_a_given_tokenizer_s_own_language_tokens_are_found(tmp_path, tokenizer):  # noqa: F811
    path = write_jsonl(tmp_path / "a.jsonl", NAMED)
    tokenizer.save(tmp_path / "t")
    lacking = prepare(str(path), tmp_path / "c", tokenizer=str(tmp_path / "t"), held_out=0, progress="off")
    assert lacking.rows(8, 0, 1, seed=0).language is None
    assert any("no token for the language en, fr-fr, und" in w for w in notices(lacking.manifest))
    grown = prepare(str(path), tmp_path / "g", tokenizer=str(tmp_path / "t"), grow=["languages"], held_out=0, progress="off")
    assert sorted(grown.manifest["tokenizer"]["added"]) == ["<lang:en>", "<lang:fr-fr>", "<lang:und>"]
    assert grown.rows(8, 0, 1, seed=0).language is not None
    own = load(tmp_path / "t")
    own._engine.add_special_tokens(["en", "[fr-fr]"])
    own = type(own)(own._engine, "own")
    assert own.speak(["en", "fr-fr", "MASK"]) == {}
    assert own.vocab.languages == {"en": own._engine.token_to_id("en"), "fr-fr": own._engine.token_to_id("[fr-fr]")}, "[MASK] is none"
