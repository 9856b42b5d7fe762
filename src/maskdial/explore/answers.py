"""From a request to its answer: the sample, its view, and everything that is said of it."""

from __future__ import annotations

import sys
import threading
import traceback
from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from maskdial.errors import UserError
from maskdial.explore.links import encode
from maskdial.explore.quiz import Quiz
from maskdial.explore.request import TOKENIZERS, TOKENS, Json, Request, RequestError, read
from maskdial.explore.words import Told, summary
from maskdial.looking import tokenizer_for
from maskdial.mixture import Mixture
from maskdial.objective import Objective
from maskdial.recipes import objective as find_objective
from maskdial.view import parts, sample, view

if TYPE_CHECKING:
    from maskdial.sample import Sample

#: dials that set a decision, or something of the row
DECIDED = ("part", "label", "member")


class Answers:
    """Call it with a request's JSON. `trained` is a run's tokenizer, with the path that names it on a command line."""

    def __init__(self, trained: tuple[Any, str] | None = None) -> None:
        self.trained = trained
        self.tokenizers = (*TOKENIZERS, *(["run"] if trained else []))
        # one sample at a time: what a tokenizer adds for an objective is added once, and a burst must not multiply the work
        self._lock = threading.Lock()
        self._tokenizer = lru_cache(maxsize=16)(self._load)

    def __call__(self, value: Any) -> Json:
        """The answer, which says itself whether it is one."""
        return guarded(lambda: self.answer(read(value, self.tokenizers)))

    def answer(self, asked: Request) -> Json:
        """`{"ok": True, …}`; `RequestError` for what can't be shown."""
        ones = [self.looked_at(asked)] + ([self.looked_at(asked.other)] if asked.second else [])
        views = [view(one) for one in ones]
        told = [Told(one, seen) for one, seen in zip(ones, views, strict=True)]
        for seen, said in zip(views, told, strict=True):
            seen["warnings"] = [why] if (why := said.silent()) else []
        extra = self.extra(asked, told[0], views[0]) | {"summary": summary(told)}
        if asked.second:
            extra["second"] = self.extra(asked.other, told[1], views[1])
        return {"schema": "show/1", "ok": True, "data": views, "warnings": [w for seen in views for w in seen["warnings"]], "extra": extra}

    def extra(self, asked: Request, told: Told, seen: Json) -> Json:
        """What the page says about one sample."""
        sentences = dict(told.sentences)
        if (second := told.one.context.get("second")) is not None:
            sentences |= {f"second.{name}": said for name, said in Told(second, seen["second"]).sentences.items()}
        return {
            "request": asked.plain(), "stages": told.stages(), "sentences": sentences, "leak": told.leak,
            "quiz": Quiz(told, asked.seed).ten(), "code": {"link": encode(asked), **seen["code"]},
        }  # fmt: skip

    def looked_at(self, asked: Request) -> Sample:
        """The sample of one side of a request; what is refused concerns what was hidden or forced, else the dials."""
        try:
            with self._lock:
                return self.made(asked)
        except (ValueError, TypeError, KeyError, IndexError, OverflowError) as error:
            where = "hide" if asked.hide is not None else "force" if asked.force else "options"
            raise RequestError(str(error), where, "sample.refused") from error

    def made(self, asked: Request) -> Sample:
        """`md.sample` with every dial where the request has it."""
        own = {k: v for k, v in asked.options.items() if k not in (*DECIDED, "frame", "see")}
        made: Objective | Mixture = find_objective(asked.objective, **own)
        tokenizer = self._tokenizer(asked.tokenizer, asked.text, made.pairs is not None, getattr(made, "tail", None) == "language")
        spans = tokenizer.encode_columns(asked.text).spans
        length = len(spans)
        if length > TOKENS:
            raise too_long("tokens", length, int(spans[TOKENS - 1][1]))
        if wrong := [i for i in asked.hide or () if not 0 <= i < length]:
            raise RequestError(f"can't hide token {wrong[0]}: the text has {length}", "hide", "hide.range", low=0, high=length - 1)
        force = dict(asked.force) | {k: asked.options[k] for k in DECIDED if k in asked.options}
        made, force = turned(made, asked.options.get("see"), force, length)
        one = sample(asked.text, made, tokenizer, hide=asked.hide, force=force, seed=asked.seed, frame=asked.options.get("frame"))
        longest = max(int(at.sum()) for _, at in parts(one))
        if longest > TOKENS:
            raise too_long("positions in a stream", longest, int(spans[max(0, TOKENS * length // longest - 1)][1]))
        if asked.tokenizer == "run" and self.trained:
            one.context["load"] = self.trained[1]
        return one

    def _load(self, name: str, text: str, pairs: bool, language: bool) -> Any:
        """A tokenizer for a text; the words of a text are its vocabulary, and an objective may add to it."""
        if name == "run" and self.trained:
            return self.trained[0]
        return tokenizer_for(name, text, _Wants("next" if pairs else None, "language" if language else None))  # type: ignore[arg-type]


def too_long(what: str, size: int, cut: int) -> RequestError:
    """The text makes too many of something; its first `cut` characters fit."""
    message = f"{size:,} {what}; {TOKENS} can be shown"
    return RequestError(message, "text", "text.tokens", hint="shorten the text", low=1, high=TOKENS, cut=cut)


class _Wants:
    """The two things about an objective that its tokenizer depends on, so that one is kept for all that share them."""

    def __init__(self, pairs: str | None, tail: str | None) -> None:
        self.pairs, self.tail = pairs, tail


def turned(made: Objective | Mixture, see: Mapping[str, Any] | None, force: Json, length: int) -> tuple[Objective | Mixture, Json]:
    """The objective with its SEE dial turned. Where a drawn split decides both what is seen and what is asked (prefix-lm), the
    dial is that split."""
    if see is None:
        return made, force
    split = see.get("split")
    if split is None:
        return made.replace(visibility=see["visibility"]), force
    splits = isinstance(made, Objective) and not made.target.answers and any("split" in step.decisions for step in made.steps)
    if splits and made.visibility == "prefix":
        return made, {"split": min(split, length)} | force
    return made.replace(visibility=f"prefix:{split}"), force


def failure(error: UserError) -> Json:
    """What a page is told of a mistake."""
    told: Json = {"code": error.code, "message": error.message, "hint": error.hint, "where": error.where}
    told |= {key: getattr(error, key, None) for key in ("low", "high", "cut")}
    return {"schema": "show/1", "ok": False, "error": told}


def guarded(work: Callable[[], Json]) -> Json:
    """An answer whatever happens: a mistake is told, a fault is logged here and only numbered there."""
    try:
        return work()
    except UserError as error:
        return failure(error)
    except Exception:
        text = traceback.format_exc()
        number = f"{abs(hash(text)) % 10**6:06d}"
        print(f"error {number} while answering a request\n{text}", file=sys.stderr, flush=True)
        return failure(UserError("something went wrong while making this sample", code="unexpected",
                                 hint=f"the terminal that runs maskdial says what (error {number})"))  # fmt: skip
