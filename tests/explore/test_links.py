"""A link holds a state: what goes in comes out, whatever the objective; what can't be read is named and harms nothing."""

from __future__ import annotations

import base64
import json
import time
import zlib
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from maskdial.explore.answers import Answers
from maskdial.explore.links import LONGEST, decode, encode
from maskdial.explore.request import RequestError, canonical, members, names, read
from maskdial.explore.texts import EXAMPLES, FIRST
from maskdial.recipes import Option, find
from tests.cli.run import maskdial

NUMBERS = st.one_of(st.integers(0, 40), st.floats(0, 1, allow_subnormal=False))
WHOLE = st.characters(exclude_categories=["Cs"])
TEXTS = st.one_of(st.sampled_from([e["text"] for e in EXAMPLES]), st.text(WHOLE, max_size=60).filter(str.strip))
QUICK = settings(max_examples=15, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow])


def values(option: Option) -> st.SearchStrategy[Any]:
    """Any value that an option takes."""
    low, high = option.dial.low, option.dial.high
    kinds: dict[Any, st.SearchStrategy[Any]] = {
        bool: st.booleans(), type(None): st.none(), int: st.integers(int(low or 0), int(min(high or 64, 64))),
        float: st.floats(low or 0, high if high is not None else (low or 0) + 8, allow_subnormal=False),
    }  # fmt: skip
    return st.one_of(*(st.just(kind) if isinstance(kind, str) else kinds[kind] for kind in option.types))


@st.composite
def requests(draw: st.DrawFn, name: str) -> dict[str, Any]:
    """Any request for a recipe."""
    recipe = find(name)
    own = {n: values(option) for n, option in recipe.options.items()}
    own |= {"frame": st.booleans(), "part": st.integers(0, 9), "label": st.integers(0, 1)}
    own |= {"member": st.sampled_from(members(name))} if members(name) else {}
    own |= {"compat": st.sampled_from(sorted(recipe.about.modes))} if recipe.about.modes else {}
    own["see"] = st.one_of(
        st.sampled_from([{"visibility": v} for v in ("causal", "bidirectional", "prefix")]),
        st.integers(0, 20).map(lambda k: {"visibility": "prefix", "split": k}),
    )
    options = draw(st.fixed_dictionaries({}, optional=own))
    value = st.one_of(NUMBERS, st.lists(NUMBERS, max_size=4), st.text(WHOLE, max_size=6))
    forced = st.dictionaries(st.sampled_from(["split", "spans", "cuts"]), value)
    return {
        "objective": name, "options": options, "text": draw(TEXTS), "tokenizer": draw(st.sampled_from(["words", "bytes"])),
        "seed": draw(st.integers(0, 2**53 - 1)), "hide": draw(st.none() | st.lists(st.integers(0, 40), max_size=5)), "force": draw(forced),
        "second": draw(st.none() | st.just({"objective": "bert", "options": {"rate": 0.5, "see": {"visibility": "causal"}}})),
    }  # fmt: skip


@pytest.mark.parametrize("name", names())
def test_what_goes_into_a_link_comes_out(name):
    @QUICK
    @given(requests(name))
    def check(value):
        asked = read(value)
        link = encode(asked, {"row": "answer.7", "step": "3"})
        if link is None:
            return
        found = decode("http://127.0.0.1:1/" + link)
        assert canonical(found.request.plain()) == canonical(asked.plain())
        assert found.ignored == ()
        assert dict(found.page) == {"row": "answer.7", "step": "3"}

    check()


def test_a_link_gives_the_very_sample_again():
    answers = Answers()
    for name in ("prefix-lm", "t5", "ul2", "bert-nsp"):
        options = {"see": {"visibility": "prefix", "split": 4}}
        first = answers({"objective": name, "text": EXAMPLES[1]["text"], "seed": 3, "options": options})
        again = answers(decode(first["extra"]["code"]["link"]).request.plain())
        assert again == first


def test_what_the_page_writes_is_read():
    found = decode("#v=1&o=t5&p.final_sentinel=false&p.mean_length=2&p.rate=0.3&p.see=prefix:4&t=a+%2B+b%2C+%E2%82%AC&seed=7&tok=bytes"
                   "&hide=2,3"
                   "&f.spans=%5B%5B1%2C2%5D%5D&row=answer.7&step=4&view=table&theme=dark&screen=compare&b.o=bert&b.p.rate=0.4")  # fmt: skip
    assert found.ignored == ()
    assert found.request.plain() == {
        "objective": "t5",
        "options": {"final_sentinel": False, "mean_length": 2.0, "rate": 0.3, "see": {"visibility": "prefix", "split": 4}},
        "text": "a + b, €",
        "second": {"objective": "bert", "options": {"rate": 0.4}}, "tokenizer": "bytes", "seed": 7, "hide": [2, 3],
        "force": {"spans": [[1, 2]]},
    }  # fmt: skip


def test_what_cannot_be_read_is_named_and_the_rest_is_taken():
    found = decode("#v=9&o=bert&p.rate=0.3&p.foo=1&p.mask=7&tok=/etc/passwd&seed=x&hide=a&zz=1&b.p.rate=1&ex=none")
    assert sorted(found.ignored) == ["b.p.rate", "ex", "hide", "p.foo", "p.mask", "seed", "tok", "v", "zz"]
    assert found.request.plain() | {"text": ""} == read({"objective": "bert", "options": {"rate": 0.3}, "text": "x"}).plain() | {"text": ""}


def test_a_long_text_is_packed_and_a_very_long_one_has_no_link():
    many = read({"objective": "gpt", "text": "over and over again, " * 100})
    link = encode(many)
    assert link is not None
    assert "&z=" in link
    assert len(link) < 200
    assert decode(link).request == many
    noise = "".join(chr(0x4E00 + (i * 7919) % 20000) for i in range(1500))
    assert encode(read({"objective": "gpt", "text": noise})) is None


def test_a_bomb_does_not_go_off():
    packer = zlib.compressobj(9, zlib.DEFLATED, -15)
    bomb = packer.compress(b"a" * 5_000_000) + packer.flush()
    start = time.perf_counter()
    with pytest.raises(RequestError, match="4,000"):
        decode("#v=1&o=gpt&z=" + base64.urlsafe_b64encode(bomb).decode())
    assert time.perf_counter() - start < 1


@settings(max_examples=200, deadline=None, derandomize=True)
@given(st.text(st.sampled_from("vopbztf.=&#%+:,01a-{}[]\"'é\ud800"), max_size=80))
def test_nothing_that_can_be_written_breaks_the_reader(text):
    try:
        found = decode("#" + text)
    except RequestError:
        return
    assert read(found.request.plain()) == found.request


def test_links_stay_short():
    assert encode(read(FIRST)) == "#v=1&o=prefix-lm&p.see=prefix:5"
    assert LONGEST == 2000


def test_the_command_line_writes_and_reads_links():
    words = ["show", "It's a cat & a dog", "-o", "t5", "--set", "rate=0.4", "--seed", "3", "--visibility", "prefix:2"]
    words += ["--force", "spans=1:2"]
    status, link, _ = maskdial(*words, "--link")
    assert status == 0
    assert link == "#v=1&o=t5&p.rate=0.4&p.see=prefix:2&t=It's+a+cat+%26+a+dog&seed=3&f.spans=1:2\n"
    plain = json.loads(maskdial(*words, "--json")[1])["data"][0]
    status, out, err = maskdial("show", "--from-link", "http://127.0.0.1:5/" + link.strip() + "&p.foo=1", "--json")
    assert (status, err) == (0, "ignored: p.foo\n")
    assert json.loads(out)["data"][0]["streams"] == plain["streams"]
    assert len(json.loads(maskdial("show", "--from-link", "#o=gpt&t=a+b&b.o=bert", "--json")[1])["data"]) == 2
    assert maskdial("show", "--from-link", "#o=gpt&t=")[0] == 2
