"""What was trained in a folder: its overview, and what each of its models says where the page points."""

from __future__ import annotations

from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from maskdial.errors import UserError
from maskdial.explore.request import TOKENS, Json, RequestError
from maskdial.explore.request import read as read_request
from maskdial.report.folder import Folder, read
from maskdial.report.numbers import duration, finite, half_width, stated
from maskdial.report.probes import asked
from maskdial.report.verdict import answer
from maskdial.sample import SILENT

if TYPE_CHECKING:
    from maskdial.evaluate.phrasing import Phrasing
    from maskdial.evaluate.scoring import Scorer
    from maskdial.explore.answers import Answers
    from maskdial.sample import Sample
    from maskdial.train import Run

#: how many of the likeliest tokens a model names
TOP = 5
#: the folder of a run that holds its tokenizer (`maskdial.train.folder` says the same, but brings torch along)
TOKENIZER = "tokenizer"


class Runs:
    """A folder of `maskdial compare`, or one run of `maskdial train`. `UserError` for another."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.comparison: Folder | None = None
        if (folder / "config.json").is_file():
            self.paths = {folder.resolve().name: folder}
            return
        self.comparison = read(folder)
        found = self.comparison.finished
        self.paths = {name: path for name, one in found.items() if (path := folder / str(one.get("run", ""))).is_dir() and one.get("run")}
        if not self.paths:
            raise UserError(f"{folder} holds no trained model", hint="the folders under runs/ are gone", code="explore.run")

    @cached_property
    def models(self) -> dict[str, Model]:
        """The trained models by name."""
        return {name: Model(path) for name, path in self.paths.items()}

    @property
    def tokenizer_path(self) -> str:
        """Where the first run keeps its tokenizer; in a comparison all have the same."""
        return str(next(iter(self.paths.values())) / TOKENIZER)

    @cached_property
    def tokenizer(self) -> tuple[Any, str]:
        """That tokenizer, with the path that names it on a command line."""
        from maskdial.data.tokenizer import load

        return load(self.tokenizer_path), self.tokenizer_path

    def overview(self, base: str) -> Json:
        """`runs/1`: a line for each run and, of a comparison, what it found."""
        if self.comparison is None:
            from maskdial.train.summary import summary

            found = summary(self.folder)
            rows = [{key: found[key] for key in ("objective", "step", "budget", "loss", "state", "corpus")}]
            return {"schema": "runs/1", "ok": True, "data": {"say": "", "runs": rows, "report": None}}
        rows = [self._row(name) for name in self.comparison.objectives]
        report = f"{base}report" if self.report() is not None else None
        return {"schema": "runs/1", "ok": True, "data": {"say": answer(self.comparison)[0], "runs": rows, "report": report}}

    def _row(self, name: str) -> Json:
        """One objective of a comparison, in words."""
        assert self.comparison is not None
        one = self.comparison.objectives[name]
        if one.get("failed"):
            return {"objective": name, "state": f"failed: {one['failed']}"}
        made: Json = {"objective": name, "state": "done", "parameters": f"{one.get('parameters', 0):,}",
                      "steps": f"{one.get('steps', 0):,}", "time": duration(one.get("seconds"))}  # fmt: skip
        for probe in asked(self.comparison):
            found = one.get("probes", {}).get(probe.name, {})
            if finite(found.get("value")):
                made[probe.label] = f"{stated(found)} {half_width(found.get('low'), found.get('high'), found['value'])}".strip()
        return made

    def report(self) -> str | None:
        """The comparison's page, if it was written."""
        page = self.folder / "report.html"
        return page.read_text(encoding="utf-8") if self.comparison is not None and page.is_file() else None

    # --- asking ---------------------------------------------------------------------------------------------------------

    def ask(self, answers: Answers, value: Any) -> Json:
        """`ask/1`: for the token at a row of a sample, the five likeliest of each model, or why it has none."""
        if not isinstance(value, dict) or set(value) - {"request", "stream", "row"}:
            raise RequestError("asking wants a request, a stream and a row", "", "request.field")
        one = answers.looked_at(read_request(value.get("request"), answers.tokenizers))
        span = pointed_at(one, value.get("stream"), value.get("row"))
        text = one.context["text"]
        models = [{"name": name, **model.told(text, span)} for name, model in self.models.items()]
        return {"schema": "ask/1", "ok": True, "data": {"token": text[slice(*span)], "models": models}}


def pointed_at(one: Sample, stream: Any, row: Any) -> tuple[int, int]:
    """The characters of the text that a row asks for, or stands for if it asks for nothing; `RequestError` when there are none."""
    from maskdial.view import parts

    where = {name: np.flatnonzero(at) for name, at in parts(one)}
    if stream not in where or isinstance(row, bool) or not isinstance(row, int) or not 0 <= row < len(where[stream]):
        raise RequestError("there is no such row", "row", "ask.row", low=0, high=TOKENS - 1)
    q, spans = int(where[stream][row]), one.context["spans"]
    token = int(one.answer[q] if one.target[q] != SILENT else one.place[q])
    if 0 <= token < len(spans) and spans[token][0] < spans[token][1]:
        return int(spans[token][0]), int(spans[token][1])
    raise RequestError("this row asks for no token of the text", "row", "ask.row", hint="choose one that stands for a word")


class Model:
    """One trained model, read when it is first asked."""

    def __init__(self, path: Path) -> None:
        self.path = path

    @cached_property
    def run(self) -> Run:
        from maskdial.train import load

        return load(self.path)

    @cached_property
    def asked(self) -> tuple[Phrasing, Scorer]:
        """The form in which it fills what is missing, and the model behind it."""
        from maskdial.evaluate.asking import forms_of
        from maskdial.evaluate.scoring import Scorer

        forms = forms_of(self.run)
        return forms.fit("fill"), Scorer(self.run.model, forms.layout, self.run.vocab.body)

    def told(self, text: str, span: tuple[int, int]) -> Json:
        """`{"top": [{"t", "p"}], "note"}`: the likeliest tokens at these characters, given all the rest that the objective can read;
        or `{"why"}` it can't be asked."""
        from maskdial.evaluate.abilities import NOTHING_HIDDEN, left_only

        phrasing, scorer = self.asked
        if phrasing.rewrites and not phrasing.shows:
            return {"why": NOTHING_HIDDEN}
        tokenizer, body = self.run.tokenizer, self.run.vocab.body
        ids, _, _, spans = tokenizer.encode_columns(text)
        hit = np.flatnonzero((spans[:, 0] < span[1]) & (spans[:, 1] > span[0]))
        if not len(hit):
            return {"why": "its tokenizer has nothing there"}
        length = int(self.run.config["train"]["length"])
        begin = max(0, min(int(hit[0]) - length // 2, len(ids) - length))
        gap = (int(hit[0]) - begin, int(hit[-1]) + 1 - begin)
        samples = phrasing.ask([ids[begin : begin + length]], [[gap]], [gap])
        asked_for = samples.answer[samples.target != SILENT].tolist()
        if gap[0] not in asked_for:
            return {"why": "it is never asked for the first token of a text"}
        scores = scorer.logits(samples)[asked_for.index(gap[0])][body].astype(np.float64)
        p = np.exp(scores - scores.max())
        p /= p.sum()
        top = [{"t": tokenizer.token(int(body[i])), "p": round(float(p[i]), 4)} for i in np.argsort(-p, kind="stable")[:TOP]]
        return {"top": top, "note": "" if phrasing.shows else left_only(phrasing)}
