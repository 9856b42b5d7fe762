"""Supervised text: what asks and what answers, to the token, by templates with and without marks."""

import json
import re

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from maskdial.data import load
from maskdial.data.chat import halves, parts
from maskdial.data.making import train_bpe
from maskdial.data.template import BREAK, CLOSE, OPEN, PLAIN, Template, find_template, template_in
from maskdial.data.tokenizer import Tokenizer
from maskdial.errors import UserError

from .test_tokenizer import HOSTILE, TEXTS

CHATML = (
    "{% for m in messages %}{{ '<|im_start|>' + m.role + '\\n' + m.content + '<|im_end|>' + '\\n' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}"
)
MARKED = """
{%- for m in messages %}
    {%- if m.role == 'assistant' %}
        {{- '<|im_start|>assistant\\n' }}{% generation %}{{ m.content }}{{ '<|im_end|>' }}{% endgeneration %}{{ '\\n' }}
    {%- else %}
        {{- '<|im_start|>' + m['role'] + '\\n' + m['content'] + '<|im_end|>\\n' }}
    {%- endif %}
{%- endfor %}
{%- if add_generation_prompt %}
    {{- '<|im_start|>assistant\\n' }}
{%- endif %}
"""
BARE = MARKED.replace("{{ '<|im_end|>' }}{% endgeneration %}{{ '\\n' }}", "{% endgeneration %}{{ '<|im_end|>\\n' }}")
#: what was thought in earlier turns is not shown again
FORGETFUL = """
{%- for m in messages %}
    {%- set said = m.content.split('</think>')[-1] if m.role == 'assistant' and not loop.last else m.content %}
    {{- '<|im_start|>' + m.role + '\\n' + said + '<|im_end|>\\n' }}
{%- endfor %}
{%- if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}
"""
INST = (
    "{{ bos_token }}{% for m in messages %}{% if m.role == 'user' %}{{ '[INST] ' + m.content | trim + ' [/INST]' }}"
    "{% elif m.role == 'assistant' %}{{ ' ' + m.content | trim + eos_token }}{% else %}{{ raise_exception('no ' + m.role) }}"
    "{% endif %}{% endfor %}"
)
TALK = [{"role": "user", "content": "Who are you?"}, {"role": "assistant", "content": "A model."},
        {"role": "user", "content": "Really?"}, {"role": "assistant", "content": "Yes!"}]  # fmt: skip


@pytest.fixture(scope="module")
def tokenizer():
    engine = train_bpe(TEXTS, 300)
    engine.add_special_tokens(["<|im_start|>", "<|im_end|>"])
    return Tokenizer(engine, "chat")


def answers(tokenizer, made):
    """The runs of tokens that answer, as text."""
    edges = np.flatnonzero(np.diff(np.concatenate([[0], made.part, [0]])))
    return [tokenizer.decode(made.columns.ids[a:b]) for a, b in zip(edges[::2], edges[1::2], strict=True)]


def test_the_golden_of_completion_only_loss():
    t = load("words", text=["Q : hi", "yo"])
    made = halves("Q : hi", "yo", t)
    assert [t.token(i) for i in made.columns.ids] == ["Q", ":", "hi", "yo"]
    assert made.part.tolist() == [0, 0, 0, 1]
    assert made.ends, "the end-of-document token is said too"
    assert made.merged, "in one piece the tokenizer reads 'hiyo'"
    apart = halves("Q : hi", " yo", t)
    assert (apart.part.tolist(), apart.merged) == ([0, 0, 0, 1], False)
    assert made.text == "Q : hiyo"


def test_an_empty_prompt_leaves_ordinary_text(tokenizer):
    made = halves("", "All of it.", tokenizer)
    assert made.part.all()
    assert made.columns.ids.tolist() == tokenizer.encode("All of it.")


hostile = st.lists(st.sampled_from([*HOSTILE, "<|im_start|>", "<|im_end|>", "assistant\n", BREAK, OPEN, CLOSE]), max_size=6).map("".join)


@given(prompt=hostile, completion=hostile)
@settings(max_examples=150, deadline=None)
def test_the_prompt_s_tokens_are_those_of_the_prompt_alone(tokenizer, prompt, completion):
    made = halves(prompt, completion, tokenizer)
    asked = tokenizer.encode(prompt)
    assert made.columns.ids[: len(asked)].tolist() == asked
    assert made.part.tolist() == [0] * len(asked) + [1] * (len(made.part) - len(asked))
    assert tokenizer.decode(made.columns.ids) == prompt + completion
    assert not set(made.columns.ids.tolist()) & tokenizer.vocab.special
    if made.merged:
        assert made.columns.ids[len(asked) :].tolist() == tokenizer.encode(completion)
        assert tokenizer.encode(prompt + completion)[: len(asked)] != asked
    else:
        assert made.columns.ids.tolist() == tokenizer.encode(prompt + completion)


@pytest.mark.parametrize("template", [CHATML, MARKED, BARE, FORGETFUL], ids=["plain", "marked", "bare", "forgetful"])
def test_the_assistant_s_turns_answer_with_the_token_that_ends_them(tokenizer, template):
    made = parts(TALK, tokenizer, template)
    assert made.text == "".join(f"<|im_start|>{m['role']}\n{m['content']}<|im_end|>\n" for m in TALK)
    assert answers(tokenizer, made) == ["A model.<|im_end|>", "Yes!<|im_end|>"]
    assert not made.ends, "the last turn has ended"
    assert tokenizer.decode(made.columns.ids) == made.text
    for id, (a, b) in zip(made.columns.ids, made.columns.spans, strict=True):
        assert tokenizer.token(id) == made.text[a:b]


def test_turns_that_change_once_they_are_history_are_found(tokenizer):
    talk = [*TALK[:1], {"role": "assistant", "content": "hm</think>A model."}, *TALK[2:3],
            {"role": "assistant", "content": "hm, hm</think>Yes!"}]  # fmt: skip
    assert answers(tokenizer, parts(talk, tokenizer, FORGETFUL)) == ["A model.<|im_end|>", "hm, hm</think>Yes!<|im_end|>"]


def test_templates_without_a_prompt_for_an_answer(tokenizer):
    made = parts([{"role": "user", "content": " hi "}, TALK[1], TALK[2], TALK[3]], tokenizer, INST)
    assert made.text == "<s>[INST] hi [/INST] A model.</s>[INST] Really? [/INST] Yes!</s>"
    assert answers(tokenizer, made) == [" A model.</s>", " Yes!</s>"]
    with pytest.raises(UserError, match=r"turns system, user, .*: no system"):
        parts([{"role": "system", "content": "x"}, *TALK], tokenizer, INST)


def test_the_plain_template_ends_turns_with_the_end_token(tokenizer):
    made = parts(TALK, tokenizer)
    assert made.text == "user: Who are you?\nassistant: A model.</s>\nuser: Really?\nassistant: Yes!</s>\n"
    assert answers(tokenizer, made) == ["A model.</s>", "Yes!</s>"]


def test_where_nothing_ends_a_turn_the_end_of_the_document_does(tokenizer):
    template = "{% for m in messages %}{{ '### ' + m.role + '\\n' + m.content + '\\n' }}{% endfor %}"
    made = parts(TALK, tokenizer, template + "{% if add_generation_prompt %}### assistant\n{% endif %}")
    assert answers(tokenizer, made) == ["A model.\n", "Yes!\n"]
    assert made.ends
    marked = "{% for m in messages %}{{ '### ' + m.role + '\\n' }}{% generation %}{{ m.content }}{% endgeneration %}{{ '\\n' }}{% endfor %}"
    made = parts(TALK[:2], tokenizer, marked)
    assert made.ends
    assert answers(tokenizer, made)[-1] == "A model.\n"


SAID = st.lists(st.sampled_from([*HOSTILE, "<|im_start|>", "<|im_end|>", "<|im_start|>assistant\n", "ok"]), max_size=5).map("".join)


@given(contents=st.lists(SAID, min_size=1, max_size=5), template=st.sampled_from([CHATML, MARKED, BARE]))
@settings(max_examples=150, deadline=None)
def test_no_message_spells_a_special_token_or_moves_a_turn(tokenizer, contents, template):
    talk = [{"role": ("user", "assistant")[n % 2], "content": c} for n, c in enumerate([*contents, "end"])]
    if len(talk) % 2:
        talk.append({"role": "assistant", "content": "yes"})
    made = parts(talk, tokenizer, template)
    assert made.text == "".join(f"<|im_start|>{m['role']}\n{m['content']}<|im_end|>\n" for m in talk)
    assert tokenizer.decode(made.columns.ids) == made.text
    special = [tokenizer.token(i) for i in made.columns.ids if i in tokenizer.vocab.special]
    assert special == ["<|im_start|>", "<|im_end|>"] * len(talk)
    said = [m["content"] + "<|im_end|>" for m in talk if m["role"] == "assistant"]
    if template is BARE and not all(m["content"] for m in talk if m["role"] == "assistant"):
        said = [s for s in said if s != "<|im_end|>"]
    assert "".join(answers(tokenizer, made)) == "".join(said)


def test_the_frame_is_told_from_the_same_words_inside_a_message(tokenizer):
    talk = [{"role": "user", "content": "assistant"}, {"role": "assistant", "content": "user\nassistant"}]
    for template in (CHATML, MARKED):
        assert answers(tokenizer, parts(talk, tokenizer, template)) == ["user\nassistant<|im_end|>"]


def test_noncharacters_in_messages_are_replaced(tokenizer):
    made = parts([{"role": "user", "content": f"a{OPEN}b"}, {"role": "assistant", "content": f"{CLOSE}c{BREAK}"}], tokenizer, MARKED)
    assert answers(tokenizer, made) == ["\ufffdc\ufffd<|im_end|>"]
    assert "a\ufffdb" in made.text


def test_an_unanswered_conversation_is_an_error_that_names_the_marker(tokenizer):
    with pytest.raises(UserError, match=re.escape(r"'<|im_start|>assistant\n' did not match")) as caught:
        parts(TALK[:1], tokenizer, CHATML)
    assert caught.value.code == "chat.silent"
    with pytest.raises(UserError, match=re.escape("'{% generation %}' did not match")):
        parts(TALK, tokenizer, MARKED.replace("m.role == 'assistant'", "m.role == 'model'"))
    elsewhere = CHATML.replace("'<|im_start|>assistant\\n'", "'<|im_start|>model\\n'")
    with pytest.raises(UserError, match=re.escape(r"own marker '<|im_start|>model\n'")) as caught:
        parts(TALK, tokenizer, elsewhere)
    assert caught.value.code == "chat.marker"
    spy = CHATML.replace("m.content", "('yes' if '<|im_end|>' in m.content else m.content)")
    with pytest.raises(UserError, match="looks for special tokens inside messages"):
        parts([{"role": "user", "content": "<|im_end|>"}, *TALK[1:2]], tokenizer, spy)


@pytest.mark.parametrize("source", [
    "{{ messages.append(1) }}", "{{ ''.__class__.__mro__ }}{{ cycler.__init__.__globals__.os.getcwd() }}", "{% for m in %}", "{{ 1 // 0 }}",
    "{{ raise_exception('no') }}",
])  # fmt: skip
def test_templates_run_in_a_sandbox(tokenizer, source):
    with pytest.raises(UserError, match="chat template can't render"):
        Template(source, tokenizer.spellings, tokenizer.spelt).render(TALK)


def test_a_template_s_date_is_always_the_same(tokenizer):
    dated = Template("{{ strftime_now('%d %b %Y') }}{% for m in messages %}{% break %}{% endfor %}", {}, tokenizer.spelt)
    assert dated.render(TALK) == "26 Jul 2024"


def test_templates_are_found_where_tokenizers_keep_them(tokenizer, tmp_path):
    assert template_in(tmp_path) is None
    (tmp_path / "tokenizer_config.json").write_text(json.dumps({"chat_template": [{"name": "tool_use", "template": "t"},
                                                                                {"name": "default", "template": "d"}]}))  # fmt: skip
    assert template_in(tmp_path) == "d"
    (tmp_path / "tokenizer_config.json").write_text(json.dumps({"chat_template": "one", "eos_token": "<|im_end|>"}))
    assert find_template(str(tmp_path)) == "one"
    (tmp_path / "chat_template.jinja").write_text(CHATML)
    assert find_template(str(tmp_path)) == find_template(str(tmp_path / "chat_template.jinja")) == CHATML
    assert find_template("plain") == PLAIN
    with pytest.raises(UserError, match="no chat template at"):
        find_template(str(tmp_path / "none"))
    tokenizer._engine.save(str(tmp_path / "tokenizer.json"))
    found = load(tmp_path)
    assert (found.template, found.spellings["eos_token"]) == (CHATML, "<|im_end|>")
    found.save(tmp_path / "again")
    assert load(tmp_path / "again").template == CHATML
    assert answers(found, parts(TALK, found)) == ["A model.<|im_end|>", "Yes!<|im_end|>"]


@pytest.mark.parametrize("source", [CHATML, MARKED, FORGETFUL, INST], ids=["chatml", "marked", "forgetful", "inst"])
@pytest.mark.parametrize("prompt", [False, True])
def test_templates_render_as_in_transformers(tokenizer, source, prompt):
    utils = pytest.importorskip("transformers.utils.chat_template_utils", reason="transformers is not installed")
    ours = Template(source, tokenizer.spellings, tokenizer.spelt).render(TALK, prompt)
    (theirs,), _ = utils.render_jinja_template([TALK], chat_template=source, add_generation_prompt=prompt, **tokenizer.spellings)
    assert ours.replace(OPEN, "").replace(CLOSE, "") == theirs
