"""The explorer in a notebook: the same module through anywidget, and a picture that does not move where there is none."""

from __future__ import annotations

import importlib.util
from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any

from maskdial.errors import UserError
from maskdial.explore.answers import Answers
from maskdial.explore.meta import meta
from maskdial.explore.module import module
from maskdial.explore.page import still
from maskdial.explore.request import Json


class Still:
    """An answer that only shows itself."""

    def __init__(self, answer: Json) -> None:
        self.answer = answer

    def __repr__(self) -> str:
        return plain(self.answer)

    def _repr_html_(self) -> str:
        return still(self.answer) + "<p><small>pip install maskdial[notebook] for dials that turn</small></p>"


def show(
    text: str, objective: str = "prefix-lm", tokenizer: str = "words", hide: Sequence[int] | None = None,
    force: Mapping[str, Any] | None = None, seed: int = 0, **options: Any,
) -> Any:  # fmt: skip
    """The explorer with this text under this objective: a widget in a notebook that has `anywidget`, else a picture.

    `options` are the recipe's, and `see={"visibility": "prefix", "split": 5}`, `frame`, `member`, `part`, `label`, `compat`. `UserError`
    (exit 2) for what can't be shown.
    """
    answers = Answers()
    first = answers({"objective": objective, "text": text, "options": options, "tokenizer": tokenizer, "seed": seed,
                     "hide": None if hide is None else list(hide), "force": dict(force or {})})  # fmt: skip
    if not first["ok"]:
        error = first["error"]
        raise UserError(error["message"], hint=error["hint"], code=error["code"], where=error["where"])
    if importlib.util.find_spec("anywidget") is None:
        return Still(first)
    return explorer()(answers, first)


def plain(answer: Json) -> str:
    """The sample in words, for a terminal."""
    said = [line for sentences in answer["extra"]["sentences"].values() for line in sentences]
    return "\n".join([answer["extra"]["summary"], *said, answer["extra"]["leak"]["say"]])


@cache
def explorer() -> Any:
    """The widget's class; made when it is first wanted, since anywidget is an extra."""
    import anywidget
    import traitlets

    class Explorer(anywidget.AnyWidget):  # type: ignore[misc]
        """Asks come as custom messages `{id, request}` and are answered `{id, answer}`."""

        _esm = module()
        meta = traitlets.Dict().tag(sync=True)
        first = traitlets.Dict().tag(sync=True)
        text = traitlets.Unicode(None, allow_none=True).tag(sync=True)

        def __init__(self, answers: Answers, first: Json) -> None:
            super().__init__(meta=meta(), first=first)
            self._answers = answers
            self.on_msg(self._asked)

        def _asked(self, _: Any, content: Any, buffers: Any) -> None:
            if isinstance(content, dict) and "request" in content:
                self.send({"id": content.get("id"), "answer": self._answers(content["request"])})

        def __repr__(self) -> str:
            return plain(self.first)

        def _repr_mimebundle_(self, **kwargs: Any) -> Any:
            """The live widget, and beside it what a saved or converted notebook can still show."""
            made = super()._repr_mimebundle_(**kwargs)
            bundle, *rest = made if isinstance(made, tuple) else (made,)
            bundle = (bundle or {}) | {"text/html": still(self.first), "text/plain": plain(self.first)}
            return (bundle, *rest) if rest else bundle

    return Explorer
