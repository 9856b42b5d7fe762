"""Which objectives to compare, as words."""

import pytest

from maskdial.errors import UserError
from maskdial.evaluate.selection import Entry, entries, parse


def test_lists_options_and_names() -> None:
    found = parse(["gpt,bert", "bert:whole_word=true,name=wwm", "t5:mean-length=5"])
    assert [(e.name, e.recipe, dict(e.options)) for e in found] == [
        ("gpt", "gpt", {}), ("bert", "bert", {}), ("wwm", "bert", {"whole_word": "true"}), ("t5", "t5", {"mean_length": "5"}),
    ]  # fmt: skip
    assert found[2].objective().options == {"whole_word": True}
    assert found[3].objective().options == {"mean_length": 5.0}


def test_what_python_passes() -> None:
    found = entries(["gpt", ("bart", {"permute": False, "name": "b"}), Entry("x", "t5")])
    assert [(e.name, e.recipe) for e in found] == [("gpt", "gpt"), ("b", "bart"), ("x", "t5")]


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["gtp"], "no objective 'gtp': did you mean"),
        (["bert:rat=0.3"], "no option 'rat'.*rate"),
        (["bert:rate=7"], "rate='7'"),
        (["bert:rate"], "key=value"),
        (["gpt", "gpt"], "two objectives are called 'gpt'"),
        (["bert:name=../up"], "cannot name a folder"),
        ([","], "no objective"),
    ],
)
def test_mistakes_are_named(words: list[str], says: str) -> None:
    with pytest.raises(UserError, match=says) as error:
        parse(words)
    assert error.value.exit == 2
