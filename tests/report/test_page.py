"""The report keeps its promises: self-contained, the same numbers everywhere, hostile text inert, the same bytes twice."""

from __future__ import annotations

import base64
import csv
import hashlib
import json
import os
import re
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from maskdial.errors import UserError
from maskdial.report import build
from maskdial.report.numbers import measured
from tests.report.fixture import CYCLE, make
from tests.report.tree import Node, parse

SECTIONS = ["glance", "fair", "text", "curves", "probes", "behaviour", "cards", "limits", "reproduce"]


def results(folder: Path) -> Any:
    return json.loads((folder / "results.json").read_text(encoding="utf-8"))


def edit(folder: Path, change: Any) -> None:
    found = results(folder)
    change(found)
    (folder / "results.json").write_text(json.dumps(found), encoding="utf-8")


def at(document: Any, pointer: str) -> Any:
    for key in pointer.strip("/").split("/"):
        document = document[key.replace("~1", "/").replace("~0", "~")]
    return document


def rows(table: Node) -> list[list[str]]:
    return [[c.text.strip() for c in row.children if isinstance(c, Node)] for body in table.all("tbody") for row in body.all("tr")]


def test_sections_stand_in_their_order(page):
    here = [n.attributes["id"] for n in page.all("section") if n.attributes.get("id") in SECTIONS]
    assert here == SECTIONS
    linked = [a.attributes["href"][1:] for a in page.all("nav")[0].all("a")]
    assert linked == SECTIONS


def test_nothing_is_fetched(page, folder):
    for node in page.walk():
        assert not node.attributes.get("src")
        if node.tag == "link":
            assert node.attributes["href"].startswith("data:")
    html = (folder / "report.html").read_text(encoding="utf-8")
    assert "@import" not in html
    assert not re.search(r"url\((?!#|&)", html)


def test_only_the_page_s_own_script_may_run(page):
    (script,) = page.all("script")
    policy = next(m.attributes["content"] for m in page.all("meta") if m.attributes.get("http-equiv") == "Content-Security-Policy")
    assert "default-src 'none'" in policy
    assert f"'sha256-{base64.b64encode(hashlib.sha256(script.text.encode()).digest()).decode()}'" in policy


def test_ids_are_unique_and_links_lead_somewhere(page):
    ids = Counter(n.attributes["id"] for n in page.walk() if "id" in n.attributes)
    assert [i for i, n in ids.items() if n > 1] == []
    for node in page.walk():
        for key in ("href", "aria-labelledby", "for"):
            value = node.attributes.get(key, "")
            wanted = [value[1:]] if key == "href" and value.startswith("#") else value.split() if key != "href" else []
            assert all(w in ids for w in wanted), (node.tag, key, value)


def test_every_chart_has_a_name_a_description_and_a_table(page):
    charts = page.all("svg", "chart")
    assert len(charts) == 5 * 4 + 7 + 1
    for svg in charts + page.all("svg", "sight"):
        assert svg.attributes["role"] == "img"
        title, description = (page.one(i).text for i in svg.attributes["aria-labelledby"].split())
        assert len(title) > 5
        assert len(description) > 20
    for svg in charts:
        assert svg.up("figure", "article").parent is not None
        assert svg.up("article").all("table") if svg.up("figure", "article").tag == "article" else True


def test_probe_plots_tables_and_results_agree(page, folder):
    found = results(folder)["objectives"]
    for probe in found["gpt"]["probes"]:
        box = page.one(f"probe-{probe}-box")
        (svg,) = box.all("svg", "chart")
        table = {row[0].replace(" ★", ""): row for row in rows(box.all("table")[0])}
        expected = {n: o["probes"][probe] for n, o in found.items() if "value" in o["probes"][probe]}
        assert set(table) == set(expected)
        drawn = [t.text.replace(" ★", "") for t in svg.all("text")]
        for name, one in expected.items():
            shown = measured(one["value"])
            assert table[name][1] == shown
            assert shown in drawn
            assert name in drawn
            assert f"{name} {shown}" in svg.all("desc")[0].text
            low, high = (float(v.replace("−", "-")) for v in table[name][2].split(" to "))
            assert low == pytest.approx(one["low"], abs=5e-3)
            assert high == pytest.approx(one["high"], abs=5e-3)


def test_curves_tables_and_results_agree(page, folder):
    for name, result in results(folder)["objectives"].items():
        svg = next(s for s in page.all("svg", "chart") if s.all("title")[0].text.startswith(f"{name}: loss against tokens of text"))
        table = rows(svg.up("figure").all("table")[0])
        losses = {p["step"]: p["loss"] for p in result["curve"]}
        assert len(table) <= 40 + sum('held_out' in p for p in result["curve"])
        assert all(float(row[5]) == pytest.approx(losses[int(row[0].replace(",", ""))], rel=6e-3) for row in table)
        assert [int(row[0]) for row in table][-1] == result["curve"][-1]["step"]
        told = [float(n) for n in re.findall(r"\d+\.\d+", svg.all("desc")[0].text)]
        assert all(any(f == pytest.approx(float(row[i])) for row in table for i in (5, 6) if row[i] != "–") for f in told)
        # the line has as many corners as the table has rows
        corners = [p.attributes["d"].count("L") + 1 for p in svg.all("path") if "--data-2" in p.attributes.get("style", "")]
        assert corners == [len(table)]


def test_every_number_of_the_answer_stands_in_the_results(page, folder):
    found, answer = results(folder), page.one("answer")
    numbers = answer.all("data")
    assert len(numbers) >= 10
    pairs = [p for ps in found["differences"].values() for p in ps]
    counts = {"count:differences": len(pairs), "count:real": sum(p["real"] for p in pairs)}
    for number in numbers:
        path, shown = number.attributes["data-path"], float(number.text.replace("−", "-"))
        value = counts[path] if path in counts else at(found, path)
        places = len(number.text.partition(".")[2])
        assert shown == pytest.approx(value, abs=0.5000001 * 10**-places), path
    # and there are no other numbers: without them and the objectives' names no digit is left
    rest = answer.text
    for number in numbers:
        rest = rest.replace(number.text, "", 1)
    for name in found["objectives"]:
        rest = rest.replace(name, "")
    assert not re.search(r"\d", rest)


def test_the_answer_names_the_best_and_its_ties(page):
    answer = page.one("answer").text
    assert "No objective is best at everything." in answer
    assert "gpt predicts unseen text best" in answer
    assert "bert and bart guess hidden tokens best, tied" in answer
    assert "No difference from the baseline was found for t5 on bits per byte, infill and copying." in answer


def test_the_glance_table_stars_ties_and_hatches_what_does_not_apply(page):
    table = page.one("glance-table")
    stars = {r.attributes["data-name"]: {c.attributes["data-key"] for c in r.all("td", "value") if c.all("span", "star")}
             for r in table.all("tr") if "data-name" in r.attributes}  # fmt: skip
    assert stars["gpt"] == {"bits_per_byte", "topic"}
    assert stars["bert"] == {"cloze", "infill", "topic", "copying"}
    assert "bits_per_byte_documents" not in stars["gpt"], "the only one that answered is not the best of anything"
    # two neighbouring probes with one reason share a cell, and the reason stands below the table
    (hatched,) = [c for r in table.all("tr") if r.attributes.get("data-name") == "bert" for c in r.all("td", "na")]
    assert hatched.attributes["colspan"] == "2"
    note = hatched.all("a")[0].attributes["href"][1:]
    assert "predicts hidden tokens independently" in page.one(note).text


def test_a_best_that_is_not_past_its_baseline_gets_no_star(tmp_path):
    folder = make(tmp_path / "level", names=["gpt", "bert"], points=2)
    edit(folder, lambda found: [o["probes"]["cloze"].update(low=0.01) for o in found["objectives"].values()])
    page = parse(build(folder).read_text(encoding="utf-8"))
    cells = [c for c in page.one("glance-table").all("td", "value") if c.attributes["data-key"] == "cloze"]
    assert len(cells) == 2
    assert not [c for c in cells if c.all("span", "star")]
    assert all("no difference found from the baseline" in c.text for c in cells)


def test_a_bound_is_marked_and_not_called_worse(tmp_path):
    folder = make(tmp_path / "bound", names=["gpt", "bert"], points=2)
    edit(folder, lambda found: found["objectives"]["gpt"]["probes"]["bits_per_byte"].update(bound=True, value=9.5, low=9.4, high=9.6))
    page = parse(build(folder).read_text(encoding="utf-8"))
    (cell,) = [c for c in page.one("glance-table").all("td", "value") if c.attributes["data-key"] == "bits_per_byte"]
    assert cell.all("span", "num")[0].text == "≤ 9.50"
    assert "no difference found from the baseline" in cell.text
    assert "an upper bound" in page.one("glance").text
    plain = parse(build(make(tmp_path / "plain", names=["gpt"], points=2)).read_text(encoding="utf-8"))
    assert "an upper bound" not in plain.one("glance").text


def test_one_seed_is_said_and_three_are_not(page, tmp_path):
    assert "One seed: differences between runs are not measured" in page.all("p", "banner")[0].text
    three = parse(build(make(tmp_path / "three", names=["gpt", "bert"], seeds=3)).read_text(encoding="utf-8"))
    assert not three.all("p", "banner")


def test_fairness_marks_what_is_off(tmp_path):
    folder = make(tmp_path / "off", names=["gpt", "bert", "t5"])
    edit(folder, lambda found: found["objectives"]["bert"].update(parameters=1_200_000, seconds=90.0))
    fair = parse(build(folder).read_text(encoding="utf-8")).one("fair")
    off = [n.text for n in fair.all("small", "off")]
    assert len(off) == 2
    assert "more than the median" in off[0]
    assert "50 % more than the budget" in off[1]


def test_a_failed_objective_still_has_its_row(tmp_path):
    page = parse(build(make(tmp_path / "failed", failed="bart")).read_text(encoding="utf-8"))
    assert "failed at step 412" in page.one("glance-table").text
    assert "bart did not finish (failed at step 412: the loss was not finite)" in page.one("answer").text
    assert "Did not finish" in page.one("card-bart").text


@pytest.mark.parametrize("gone", ["gpt", "bart"])
def test_any_objective_may_be_missing(tmp_path, gone):
    folder = make(tmp_path / "fewer", names=[n for n in CYCLE if n != gone], points=4)
    assert gone not in [r.attributes.get("data-name") for r in parse(build(folder).read_text(encoding="utf-8")).all("tr")]


@pytest.mark.parametrize(
    "cut",
    [
        lambda r: [r.pop(k) for k in ("created", "command", "versions", "machine", "differences", "behaviour", "run")],
        lambda r: [o.pop(k) for o in r["objectives"].values() for k in ("curve", "by_seed", "peak_memory", "seconds", "flops")],
        lambda r: [o.update(probes={}) for o in r["objectives"].values()],
        lambda r: [o.update(failed="failed at step 1: out of memory", probes={}, curve=[]) for o in r["objectives"].values()],
        lambda r: [p.update(loss=float("nan")) for o in r["objectives"].values() for p in o["curve"]],
        lambda r: [p.update(low=None, baseline=None) for o in r["objectives"].values() for p in o["probes"].values() if "value" in p],
    ],
    ids=["facts", "measures", "probes", "all failed", "not finite", "no intervals"],
)  # fmt: skip
def test_what_is_missing_is_left_out_and_the_rest_stands(tmp_path, cut):
    folder = make(tmp_path / "bare", names=["gpt", "bert"], points=4)
    edit(folder, cut)
    (folder / "views.json").unlink()
    page = parse(build(folder).read_text(encoding="utf-8"))
    assert [n.attributes["id"] for n in page.all("section") if n.attributes.get("id") in SECTIONS] == SECTIONS


def test_two_builds_are_the_same_to_the_byte(folder, tmp_path):
    """In another process with another hash seed, and from a folder that already holds a report."""
    before = {p: p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}
    code = "import sys; from pathlib import Path; from maskdial.report import build; build(Path(sys.argv[1]))"
    environment = {**os.environ, "PYTHONHASHSEED": "77", "TZ": "Asia/Tokyo"}
    subprocess.run([sys.executable, "-c", code, str(folder)], check=True, env=environment)
    assert {p: p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()} == before


def test_twelve_objectives_with_three_seeds_fit_into_a_megabyte(tmp_path):
    names = [*CYCLE, *(f"variant-{i}" for i in range(7))]
    assert build(make(tmp_path / "many", names=names, seeds=3, points=200)).stat().st_size < 1_000_000


HOSTILE = "<script>alert(1)</script><img src=x onerror=alert(2)>\"'`](javascript:alert(3))"


def test_hostile_text_is_inert(tmp_path):
    folder = make(tmp_path / "hostile", names=["gpt", "bert"], points=4)

    def poison(found: Any) -> None:
        found["objectives"][HOSTILE] = found["objectives"].pop("bert") | {"formula": HOSTILE}
        found["command"] = found["corpus"]["name"] = found["machine"]["cpu"] = HOSTILE
        found["objectives"]["gpt"]["probes"]["cloze"]["note"] = HOSTILE
        found["objectives"]["gpt"]["probes"]["repair"] = {"not_applicable": HOSTILE}
        for prompt in found["behaviour"]["prompts"]:
            prompt["text"] = prompt["truth"] = HOSTILE
            prompt["answers"] = {"gpt": {"text": HOSTILE}, HOSTILE: {"not_applicable": HOSTILE}}

    edit(folder, poison)
    views = json.loads((folder / "views.json").read_text(encoding="utf-8"))
    views[1]["objective"] = HOSTILE
    for view in views:
        view["text"] = HOSTILE
        for stream in view["streams"]:
            for token in stream["tokens"]:
                token["t"] = HOSTILE
    (folder / "views.json").write_text(json.dumps(views), encoding="utf-8")
    page = parse(build(folder).read_text(encoding="utf-8"))
    assert len(page.all("script")) == 1
    assert not page.all("img")
    assert not [n for n in page.walk() for k in n.attributes if k.startswith("on")]
    assert not [n for n in page.all("a") if n.attributes.get("href", "").startswith("javascript")]
    for card in (folder / "cards").iterdir():
        assert "<script" not in card.read_text(encoding="utf-8")
    assert {p.parent for p in folder.rglob("*.md")} == {folder / "cards"}


def test_the_csv_holds_every_probe(folder):
    with (folder / "results.csv").open(encoding="utf-8", newline="") as file:
        table = list(csv.DictReader(file))
    for name, result in results(folder)["objectives"].items():
        mine = {r["name"]: r for r in table if r["objective"] == name and r["kind"] == "probe"}
        for probe, one in result["probes"].items():
            if "value" in one:
                assert float(mine[probe]["value"]) == one["value"]
            else:
                assert one["not_applicable"] in mine[probe]["note"]
    assert sum(r["kind"] == "difference" for r in table) == sum(len(v) for v in results(folder)["differences"].values())


def test_the_vega_specifications_are_strict_json_with_their_data(folder):
    def refuse(name: str) -> None:
        raise AssertionError(name)

    found = {p.name: json.loads(p.read_text(encoding="utf-8"), parse_constant=refuse) for p in (folder / "charts").iterdir()}
    assert {"curves.vl.json", "tradeoff.vl.json", "probe-cloze.vl.json"} <= set(found)
    assert all(spec["data"]["values"] and "vega-lite" in spec["$schema"] for spec in found.values())


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (lambda f: f / "nowhere", "there is no folder"),
        (lambda f: (f / "results.json").unlink(), "holds no results.json"),
        (lambda f: (f / "results.json").write_text('{"schema": "results/1", "obj'), "not valid JSON"),
        (lambda f: (f / "results.json").write_text('{"schema": "results/9"}'), "'results/9'"),
        (lambda f: (f / "results.json").write_text("[]"), "schema None"),
        (lambda f: (f / "results.json").write_text('{"schema": "results/1", "objectives": {}}'), "nothing to report"),
        (lambda f: (f / "views.json").write_text("{}"), "list of sample views"),
    ],
)
def test_what_cannot_be_read_is_named(tmp_path, spoil, words):
    folder = make(tmp_path / "spoilt", names=["gpt"], points=2)
    other = spoil(folder)
    with pytest.raises(UserError, match=re.escape(words)):
        build(other if isinstance(other, Path) else folder)
    assert not (folder / "report.html").exists()
