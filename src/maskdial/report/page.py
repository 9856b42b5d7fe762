"""`build`: one self-contained page from a compare folder, and beside it the same numbers for other tools."""

from __future__ import annotations

import base64
import hashlib
import re
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from maskdial.report import charts, sections, strips
from maskdial.report.behaviour import behaviour
from maskdial.report.card_text import markdown
from maskdial.report.cards import card, check
from maskdial.report.folder import Folder, Json, read, slug, write
from maskdial.report.numbers import listed
from maskdial.report.probes import asked
from maskdial.report.tables import long_csv, specs
from maskdial.report.verdict import ONE_SEED, Number, Words, answer, sentence

if TYPE_CHECKING:
    from jinja2 import Environment

HERE = Path(__file__).parent / "templates"
CONTENTS = (
    ("glance", "At a glance"), ("fair", "Was it fair?"), ("text", "One text, every objective"), ("curves", "How training went"),
    ("probes", "What each learned"), ("behaviour", "Behaviour"), ("cards", "Evidence cards"), ("limits", "Limits"),
    ("reproduce", "Reproduce"),
)  # fmt: skip


def build(folder: Path, out: Path | None = None) -> Path:
    """Writes `report.html` (or `out`), and into the folder `results.csv`, `cards/*.md` and `charts/*.vl.json`."""
    folder = Path(folder)
    found = read(folder)
    cards = {name: check(card(name, found)) for name in found.objectives}
    path = out or folder / "report.html"
    write(path, render(found, cards))
    write(folder / "results.csv", long_csv(found))
    for name, made in cards.items():
        write(folder / "cards" / f"{slug(name)}.md", markdown(made))
    for name, spec in specs(found).items():
        write(folder / "charts" / name, spec)
    return path


def render(folder: Folder, cards: dict[str, Json]) -> str:
    """The page as text."""
    headline, sentences = answer(folder)
    return _page(
        "page.html.j2", title=_title(folder), results=folder.results, seeds=folder.seeds, run=folder.run, contents=CONTENTS,
        headline=headline, sentences=[_parts(words) for words in sentences], one_seed=ONE_SEED if folder.seeds == 1 else "",
        glance=sections.glance(folder), fairness=sections.fairness(folder), **_texts(folder), **_trained(folder),
        probes=_probes(folder), behaviour=behaviour(folder), cards=[(slug(name), made) for name, made in cards.items()],
        limits=sections.limits(folder), reproduce=sections.reproduce(folder), outputs=_outputs(folder),
    )  # fmt: skip


def render_card(made: Json) -> str:
    """One card as a page of its own."""
    return _page("card_page.html.j2", title=made["title"], card=made)


def _page(template: str, **context: Any) -> str:
    script = (HERE / "page.js").read_text(encoding="utf-8")
    # only this very script may run: text from a corpus or a model that slipped through as markup would still be inert
    allowed = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    style = (HERE / "page.css").read_text(encoding="utf-8")
    return _environment().get_template(template).render(script=script, allowed=allowed, style=style, **context)


@cache
def _environment() -> Environment:
    from jinja2 import Environment as New
    from jinja2 import FileSystemLoader, StrictUndefined
    from markupsafe import Markup

    made = New(loader=FileSystemLoader(HERE), autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    # only for what this package writes itself: its style, its script, and drawings that escape what they are given
    made.filters["svg"] = Markup
    made.filters["tight"] = lambda text: str(text).replace(" %", "\u00a0%")
    made.filters["place"] = _place
    return made


def _place(path: str) -> str:
    """Where a measured claim was read, without what is the same on the whole card."""
    if not path.startswith("results.json"):
        return path.partition("#")[0]
    return re.sub(r".*#(/objectives/[^/]*/?)?", "", path) or "all of it"


def _title(folder: Folder) -> str:
    return f"{len(folder.objectives)} pretraining objectives on {folder.results.get('corpus', {}).get('name', 'one corpus')}"


def _parts(words: Words) -> list[tuple[str, str]]:
    """(text, path) pairs; the path is empty for plain words."""
    return [(word.text, word.path) if isinstance(word, Number) else (word, "") for word in words]


def _texts(folder: Folder) -> Json:
    """The section that shows one text under every objective."""
    views = {name: folder.views[name] for name in folder.objectives if name in folder.views}
    shown = [
        {"name": name, "formula": folder.objectives[name].get("formula", ""), "strips": strips.strips(view),
         "picture": strips.picture(name, view), "said": strips.read_out(view)}
        for name, view in views.items()
    ]  # fmt: skip
    told = [str(view.get("text", "")) for view in views.values()]  # a pair's has a second text behind it
    text = max(told, key=told.count, default="")
    return {"texts": shown, "text": text, "kinds": strips.kinds_in(list(views.values())), "tradeoff": charts.tradeoff(folder)}


def _trained(folder: Folder) -> Json:
    """The section of training curves: for each objective a drawing against each measure of effort, and one table."""
    ends = {key: charts.reach(folder, key) for key, _, _ in charts.ACROSS}
    panels = []
    for name, result in folder.objectives.items():
        drawn = [
            (key, made.svg)
            for key, words, _ in charts.ACROSS
            if ends[key] and (made := charts.curve(name, result, key, words, ends[key]))
        ]
        header, rows = charts.curve_table(result)
        panels.append(
            {
                "name": name,
                "failed": result.get("failed"),
                "drawn": drawn,
                "header": header,
                "rows": rows,
                "all": len(result.get("curve", [])),
            }
        )
    across = [(key, short) for key, _, short in charts.ACROSS if ends[key]]
    return {"panels": panels, "across": across, "held_out": any(charts.held_out(o) for o in folder.objectives.values())}


def _probes(folder: Folder) -> list[Json]:
    return [
        {"probe": probe, "chart": chart, "sentence": sentence(folder, probe.name), "pairs": sections.pairwise(folder, probe.name),
         "notes": sections.notes(folder, probe.name)}
        for probe in asked(folder) for chart in [charts.dots(folder, probe)]
    ]  # fmt: skip


def _outputs(folder: Folder) -> str:
    cards = listed([f"{slug(name)}.md" for name in folder.objectives])
    return f"results.csv (every number, one a row), charts/*.vl.json (Vega-Lite specifications) and cards/ ({cards})"
