"""In a notebook: the widget where there is anywidget, a picture elsewhere, and things that draw themselves."""

from __future__ import annotations

import importlib.util
import sys
from html.parser import HTMLParser
from typing import Any

import numpy as np
import pytest

import maskdial as md
from maskdial.errors import UserError
from maskdial.explore import widget
from maskdial.explore.answers import Answers
from maskdial.explore.meta import meta
from maskdial.html import of_sight
from tests.conftest import make_rows

TEXT = "The cat sat on <b>the</b> mat."


class Balanced(HTMLParser):
    """HTML whose elements close in order, with no script and no style."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.text = ""
        self.feed(text)
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert tag not in ("script", "style", "iframe", "object")
        assert not [name for name, _ in attrs if name == "style" or name.startswith("on")]
        self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None: ...

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data


@pytest.fixture
def bare(monkeypatch: pytest.MonkeyPatch) -> None:
    """As if anywidget were not installed."""
    found = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name, *rest: None if name == "anywidget" else found(name, *rest))


@pytest.mark.usefixtures("bare")
def test_without_anywidget_it_is_a_picture_that_does_not_move():
    made = md.show(TEXT, "t5", rate=0.3, seed=1)
    assert made.answer == Answers()({"objective": "t5", "text": TEXT, "options": {"rate": 0.3}, "seed": 1})
    shown = Balanced(made._repr_html_()).text
    assert "<b>the</b>" in shown
    assert "Answer position" in shown
    assert "pip install maskdial[notebook]" in shown
    assert made.answer["extra"]["summary"] in repr(made)


@pytest.mark.usefixtures("bare")
def test_what_cannot_be_shown_raises():
    for wrong in ({"objective": "gtp"}, {"rate": 3.0}, {"tokenizer": "/etc"}, {"hide": [99]}, {"text": ""}):
        with pytest.raises(UserError):
            md.show(**{"text": TEXT, "objective": "bert"} | wrong)


class Host:
    """What anywidget is to the widget, as far as it goes: traits that are set, messages in and out."""

    class AnyWidget:
        def __init__(self, **traits: Any) -> None:
            self.__dict__.update(traits)
            self.sent: list[Any] = []

        def on_msg(self, hear: Any) -> None:
            self.hear = hear

        def send(self, content: Any) -> None:
            self.sent.append(content)

        def _repr_mimebundle_(self, **_: Any) -> Any:
            return {"application/vnd.jupyter.widget-view+json": {"model_id": "x"}}, {}

    class Trait:
        def __init__(self, *_: Any, **__: Any) -> None: ...

        def tag(self, **_: Any) -> None: ...

    Dict = Unicode = Trait


def test_the_widget_answers_what_it_is_asked(monkeypatch):
    monkeypatch.setitem(sys.modules, "anywidget", Host)
    monkeypatch.setitem(sys.modules, "traitlets", Host)
    monkeypatch.setattr(importlib.util, "find_spec", lambda name, *rest: object())
    widget.explorer.cache_clear()
    try:
        made = md.show(TEXT, "bert", hide=[1])
    finally:
        widget.explorer.cache_clear()
    assert made.meta == meta()
    assert made.first["extra"]["request"]["hide"] == [1]
    assert "export default" in made._esm
    request = {"objective": "gpt", "text": "a b c"}
    made.hear(made, {"id": 7, "request": request}, [])
    made.hear(made, {"id": 8, "request": {"objective": "gpt", "text": ""}}, [])
    made.hear(made, "noise", [])
    assert made.sent == [{"id": 7, "answer": Answers()(request)}, {"id": 8, "answer": Answers()({"objective": "gpt", "text": ""})}]
    bundle, _ = made._repr_mimebundle_()
    assert set(bundle) == {"application/vnd.jupyter.widget-view+json", "text/html", "text/plain"}
    Balanced(bundle["text/html"])


@pytest.mark.slow
def test_the_widget_in_a_real_kernel(tmp_path):
    """A notebook that is executed: the live view, and what a converted one can still show."""
    pytest.importorskip("anywidget", reason="anywidget is not installed")
    nbformat = pytest.importorskip("nbformat", reason="nbformat is not installed")
    nbclient = pytest.importorskip("nbclient", reason="nbclient is not installed")
    pytest.importorskip("ipykernel", reason="ipykernel is not installed")
    source = 'import maskdial as md\nmd.show("The cat sat on the mat.", "t5", rate=0.3)'
    book = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(source)])
    nbclient.NotebookClient(book, timeout=120, kernel_name="python3").execute()
    data = book.cells[0].outputs[0]["data"]
    assert "application/vnd.jupyter.widget-view+json" in data
    assert "Answer position" in data["text/html"]


def test_things_draw_themselves():
    one = md.sample(TEXT, "t5", seed=1)
    shown = Balanced(one._repr_html_()).text
    assert "<b>the</b>" in shown
    assert repr(one) == one.show()
    assert "Objective(bert: rate=0.3" in repr(md.objective("bert", rate=0.3))
    assert "HIDE" in Balanced(md.objective("bert")._repr_html_()).text


def test_tables_of_samples_draw_themselves(vocab):
    table = md.objective("bert")(make_rows([40, 0, 7, *([5] * 20)]), vocab, seed=1)
    assert repr(table) == f"Samples('bert', 23 rows, {table.offsets[-1]:,} positions, {table.num_scored:,} scored)"
    shown = Balanced(table._repr_html_()).text
    assert "… 15 more" in shown
    assert "Sample('bert', row 0: 42 positions" in repr(table[0])
    assert table[0]._repr_html_() == table._repr_html_(), "without provenance there is no picture of one row"


def test_who_sees_whom_draws_itself():
    torch = pytest.importorskip("torch")
    from maskdial.visibility.attend import Visible

    seen = Visible.of(torch.arange(6)[None].repeat(2, 1), torch.zeros(2, 6, dtype=torch.int32))
    html = seen._repr_html_()
    Balanced(html)
    assert html.count("<rect") > 6
    assert "Visible(causal, 2×6×6), its first row" in html
    large = Visible.of(torch.arange(200)[None], torch.zeros(1, 200, dtype=torch.int32))
    assert "<svg" not in large._repr_html_()


def test_a_still_picture_shows_what_is_seen():
    def filled(visible: np.ndarray) -> int:
        return of_sight(visible, "x").count('fill="#05277D"')

    assert filled(np.ones((5, 5), bool)) == 5, "one run a row"
    assert filled(np.zeros((5, 5), bool)) == 0
