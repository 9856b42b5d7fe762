"""A whole comparison on a tiny corpus: trained, questioned, written, taken up again, refused, failed in part."""

import json
import shlex
from pathlib import Path
from typing import Any

import pytest

import maskdial as md
from maskdial.cli import main
from maskdial.cli.compare import table as module_table
from maskdial.data.shards import open_or_prepare
from maskdial.errors import UserError
from maskdial.evaluate import compare as module
from maskdial.evaluate.asking import ask
from maskdial.evaluate.compare import Trained, compare, curve
from maskdial.evaluate.selection import Entry
from maskdial.evaluate.table import positions
from maskdial.train import RunResult, load
from maskdial.train.mixed_feed import MixedFeed

SMALL = {"model.d": 32, "model.layers": 2, "model.heads": 2, "model.ffn": 64, "length": 64, "rows": 4, "threads": 1}
CHOSEN = ["gpt,t5", "bart:permute=false,name=plain-bart", "bert"]
TEXT = "the list of items is sorted and returned when a key value pair exists in this map or set so that it can be read"
WORDS = TEXT.split(" ")


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """120 documents of some 60 words, in two classes."""
    folder = tmp_path_factory.mktemp("text")
    lines = []
    for i in range(120):
        words = [WORDS[(i * 7 + k * (3 + i % 5)) % len(WORDS)] for k in range(60)]
        words[::9] = ["number" if i % 2 else "string"] * len(words[::9])
        sentences = [" ".join(words[a : a + 10]).capitalize() + "." for a in range(0, 60, 10)]
        lines.append(json.dumps({"text": " ".join(sentences), "label": "odd" if i % 2 else "even"}))
    (folder / "text.jsonl").write_text("\n".join(lines) + "\n")
    return open_or_prepare(folder / "text.jsonl", folder / "cache", progress="off", vocab_size=300, held_out=0.2)


@pytest.fixture(scope="module")
def finished(corpus: Any, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Any]]:
    out = tmp_path_factory.mktemp("compare") / "out"
    return out, compare(CHOSEN, data=corpus, budget="6steps", out=out, progress="off", **SMALL)


def test_results_hold_what_was_measured(finished: tuple[Path, dict[str, Any]], corpus: Any) -> None:
    out, found = finished
    assert found == json.loads((out / "results.json").read_text())
    assert found["schema"] == "results/1"
    assert list(found["objectives"]) == ["gpt", "t5", "plain-bart", "bert"]
    assert found["budget"] == {"kind": "steps", "text": "6steps", "value": 6, "seeds": 1}
    assert found["corpus"]["fingerprint"] == corpus.fingerprint
    assert found["corpus"]["tokenizer"]["vocab_size"] == corpus.vocab.size
    for name, one in found["objectives"].items():
        assert one["steps"] == 6, name
        assert one["curve"][-1]["step"] == 6
        assert one["curve"][-1]["text_tokens"] == one["text_tokens"]
        assert one["positions"] >= one["scored_tokens"] > 0
        for probe in ("cloze", "infill", "repair", "topic", "copying"):
            v = one["probes"][probe]
            assert v["low"] <= v["value"] <= v["high"], (name, probe)
            assert v["n"] > 0
            assert one["by_seed"]["0"][probe] == v
    sizes = [one["parameters"] for one in found["objectives"].values()]
    assert max(sizes) <= 1.02 * min(sizes)
    assert found["objectives"]["plain-bart"]["options"] == {"permute": False}
    assert "not_applicable" in found["objectives"]["bert"]["probes"]["bits_per_byte"]
    assert len(found["differences"]["cloze"]) == 6
    assert len(found["differences"]["bits_per_byte"]) == 3
    assert {"a", "b", "difference", "low", "high", "real"} <= set(found["differences"]["cloze"][0])


def test_every_prompt_has_every_answer(finished: tuple[Path, dict[str, Any]]) -> None:
    behaviour = finished[1]["behaviour"]
    assert len(behaviour["prompts"]) == 24
    for p in behaviour["prompts"]:
        assert list(p["answers"]) == list(finished[1]["objectives"])
        assert all(("text" in a) != ("not_applicable" in a) for a in p["answers"].values())
    assert "value" in behaviour["errors"]["t5"]["infill"]
    assert "not_applicable" in behaviour["errors"]["t5"]["repair"]


def test_samples_views_and_report_are_written(finished: tuple[Path, dict[str, Any]]) -> None:
    out, found = finished
    views = json.loads((out / "views.json").read_text())
    assert [v["name"] for v in views] == list(found["objectives"])
    assert {v["schema"] for v in views} == {"sample-view/1"}
    assert len({v["text"] for v in views}) == 1
    lines = [json.loads(line) for line in (out / "samples_t5.jsonl").read_text().splitlines()]
    cloze = [line for line in lines if line["probe"] == "cloze"]
    assert len(cloze) == found["objectives"]["t5"]["probes"]["cloze"]["n"]
    assert {"document", "text", "truth", "guess"} <= set(cloze[0])
    assert (out / "report.html").stat().st_size > 1000


def test_a_finished_comparison_is_taken_up_again(
    finished: tuple[Path, dict[str, Any]], corpus: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def never(*_: Any, **__: Any) -> None:
        raise AssertionError("asked again")

    out, found = finished
    monkeypatch.setattr(module, "evaluate", never)
    monkeypatch.setattr("maskdial.report.build", lambda folder: None)
    again = compare(CHOSEN, data=corpus, budget="6steps", out=out, progress="off", **SMALL)
    assert again == found


def test_other_settings_are_refused(finished: tuple[Path, dict[str, Any]], corpus: Any, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"other settings.*budget") as error:
        compare(["gpt"], data=corpus, budget="7steps", out=finished[0], progress="off", **SMALL)
    assert error.value.exit == 4
    (tmp_path / "mine.txt").write_text("precious")
    for overwrite in (False, True):
        with pytest.raises(UserError, match="no comparison") as error:
            compare(["gpt"], data=corpus, budget="7steps", out=tmp_path, overwrite=overwrite, progress="off", **SMALL)
        assert error.value.exit == 4
    assert (tmp_path / "mine.txt").read_text() == "precious"
    for bad in ({"budget": "soon"}, {"seeds": 0}, {"learning_rate": 3}):
        with pytest.raises(UserError) as error:
            compare(["gpt"], data=corpus, out=tmp_path / "new", progress="off", **{"budget": "2steps", **bad})  # type: ignore[arg-type]
        assert error.value.exit == 2
        assert not (tmp_path / "new").exists()


def test_a_failure_does_not_stop_the_others_and_seeds_are_pooled(corpus: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = module.train

    def sometimes(config: Any, objective: Any, *rest: Any, **more: Any) -> Any:
        if objective.name == "t5":
            raise RuntimeError("out of luck")
        return real(config, objective, *rest, **more)

    monkeypatch.setattr(module, "train", sometimes)
    monkeypatch.setattr("maskdial.report.build", lambda folder: None)
    found = compare(["t5,gpt"], data=corpus, budget="3steps", seeds=2, out=tmp_path / "out", progress="off", **SMALL)
    assert found["objectives"]["t5"]["failed"] == "seed 0: RuntimeError: out of luck"
    gpt = found["objectives"]["gpt"]
    assert gpt["seeds"] == [0, 1]
    one, two = (gpt["by_seed"][s]["bits_per_byte"]["value"] for s in "01")
    assert one != two
    assert gpt["probes"]["bits_per_byte"]["value"] == pytest.approx((one + two) / 2)
    assert (tmp_path / "out" / "runs" / "gpt-seed1" / "events.jsonl").is_file()
    monkeypatch.setattr(module, "train", real)  # what failed is tried again
    again = compare(["t5,gpt"], data=corpus, budget="3steps", seeds=2, out=tmp_path / "out", progress="off", **SMALL)
    assert "failed" not in again["objectives"]["t5"]
    assert again["objectives"]["gpt"] == gpt


def test_a_curve_keeps_its_sums() -> None:
    events = [{"event": "step", "step": i, "tokens": i, "scored": i, "flops": 1.0, "seconds": 1.0, "loss_sum": {"token": 2.0 * i},
               "loss_count": {"token": i}} for i in range(1, 501)]  # fmt: skip
    made = curve([{"event": "config"}, *events])
    assert len(made) <= 200
    assert made[-1]["step"] == 500
    assert all(p["loss"] == 2.0 for p in made)


def test_ask_does_what_the_objective_can(finished: tuple[Path, dict[str, Any]]) -> None:
    runs = finished[0] / "runs"
    gpt, bert, t5, bart = (load(runs / n) for n in ("gpt", "bert", "t5", "plain-bart"))
    assert ask(gpt, "The list of").task == "continue"
    assert ask(gpt, "The list of").text == ask(gpt, "The list of").text
    with pytest.raises(UserError, match="gpt cannot fill: it reads from the left only") as error:
        ask(gpt, "The ____ of")
    assert "continue" in error.value.hint
    assert ask(bert, "The list of items", hide=[1, 2]).task == "fill"
    filled = ask(t5, "The ____ of items is ____ and returned")
    assert (filled.task, len(filled.filled)) == ("fill", 2)
    assert filled.text.startswith("The")
    assert filled.text.endswith("and returned")
    assert ask(t5, "The list of").task == "continue"
    assert ask(bart, "The of list items").task == "repair"
    with pytest.raises(UserError, match="cannot repair"):
        ask(t5, "The list", task="repair")
    for prompt, hide in (("The list", [99]), ("", None), ("a ____ ____ b", None)):
        with pytest.raises(UserError):
            ask(t5, prompt, hide)
    with pytest.raises(UserError, match="nothing is hidden"):
        ask(bert, "The list of items")


@pytest.fixture(scope="module")
def others(corpus: Any, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Any]]:
    """Recipes over pairs, mixtures, two networks, two streams; and one that this corpus cannot train."""
    out = tmp_path_factory.mktemp("others") / "out"
    names = ["bert-nsp,unilm,ul2r,electra,xlnet,block-diffusion,sft"]
    return out, compare(names, data=corpus, budget="2steps", out=out, progress="off", **SMALL | {"model.ffn": 128})


def test_every_kind_of_recipe_compares(others: tuple[Path, dict[str, Any]]) -> None:
    out, found = others
    assert {n: bool(o.get("failed")) for n, o in found["objectives"].items()} == {n: n == "sft" for n in found["objectives"]}
    assert "part of each token" in found["objectives"]["sft"]["failed"]
    whole = {n: o for n, o in found["objectives"].items() if n != "sft"}
    sizes = [o["parameters"] for o in whole.values()]
    assert max(sizes) <= 1.04 * min(sizes)  # inner widths go in steps of 8, which is 2 % of so small a model
    for name, one in whole.items():
        assert 0 < one["text_tokens"] <= one["positions"] <= 2 * 4 * 64, name
        assert "value" in one["probes"]["cloze"], name
    assert found["objectives"]["block-diffusion"]["probes"]["bits_per_byte"]["bound"]
    assert "member" in found["objectives"]["ul2r"]["probes"]["bits_per_byte"]["note"]
    assert [v["name"] for v in json.loads((out / "views.json").read_text())] == list(found["objectives"])
    report = (out / "report.html").read_text()
    assert all(f'id="card-{name}"' in report for name in found["objectives"])
    lines = module_table(found).splitlines()
    assert [line.split()[0] for line in lines[1:8]] == list(found["objectives"])
    assert max(map(len, lines[:8])) < 130


def test_positions_of_a_mixture_are_those_it_reads(corpus: Any) -> None:
    mixed = md.mixture({"a": (md.objective("gpt"), 0.7), "b": (md.objective("t5"), 0.3)}, mode_tokens=False)
    result = RunResult(Path(), steps=5, seconds=0.0, text_tokens=0, scored_tokens=0, flops=0.0, parameters=0, loss=None)
    run = Trained(Entry("mixed", "gpt"), 0, Path(), result=result, rows=6, length=64)
    fed = MixedFeed(mixed.over(30), corpus, 64, seed=0, packing="joined").batches(0, 30)
    assert len({batch.member for batch in fed}) == 2
    assert positions(mixed, run, corpus.vocab) == sum(int((batch["segment"] >= 0).sum()) for batch in fed)
    gpt = MixedFeed(mixed, corpus, 64, seed=0, packing="joined").feeds["a"].batches(0, 30)
    assert positions(md.objective("gpt"), run, corpus.vocab) == sum(int((batch["segment"] >= 0).sum()) for batch in gpt)


def test_ask_every_kind_of_recipe(others: tuple[Path, dict[str, Any]], capsys: pytest.CaptureFixture[str]) -> None:
    runs = {name: load(others[0] / "runs" / name) for name in ("unilm", "ul2r", "xlnet", "block-diffusion", "electra")}
    done = {name: ask(run, "The list of").task for name, run in runs.items() if name != "electra"}
    assert set(done.values()) == {"continue"}
    for name in ("unilm", "ul2r", "xlnet", "electra"):
        said = ask(runs[name], "The ____ of items is ____ and returned")
        assert (said.task, len(said.filled)) == ("fill", 2), name
        assert ("asked as its member" in said.note) == (name in ("unilm", "ul2r"))
    with pytest.raises(UserError, match="block-diffusion cannot fill: it reads from the left and to the end of its block of 4"):
        ask(runs["block-diffusion"], "The ____ of")
    assert ask(runs["electra"], "The of list items", task="repair").task == "repair"
    assert command("ask", str(others[0] / "runs" / "ul2r"), "The list") == 0
    assert "ul2r cannot repair" in capsys.readouterr().err


def command(*words: str) -> int:
    """The command line's exit status."""
    with pytest.raises(SystemExit) as end:
        main(list(words))
    return int(end.value.code or 0)


def test_ask_on_the_command_line(finished: tuple[Path, dict[str, Any]], capsys: pytest.CaptureFixture[str]) -> None:
    t5 = str(finished[0] / "runs" / "t5")
    assert command("ask", t5, "The list of items is sorted", "--hide", "2,3", "--json") == 0
    said = json.loads(capsys.readouterr().out)
    assert said["schema"] == "ask/1"
    assert said["data"]["task"] == "fill"
    assert "trusts every token" in said["data"]["cannot"]["repair"]
    assert command("ask", t5, "The list", "--task", "repair") == 2
    out, errors = capsys.readouterr()
    assert out == ""
    assert "t5 cannot repair" in errors
    assert command("ask", str(finished[0]), "x") == 2


def test_compare_on_the_command_line(
    finished: tuple[Path, dict[str, Any]], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    found = finished[1]
    monkeypatch.setattr(module, "compare", lambda *_, **__: found)
    assert command("compare", "-o", "gpt", "--budget", "6steps") == 0
    table = capsys.readouterr().out
    assert f"{found['objectives']['gpt']['probes']['cloze']['value']:.3f}" in table
    assert command("compare", "--json") == 0
    assert json.loads(capsys.readouterr().out)["data"] == found
    failed = {**found, "objectives": {**found["objectives"], "t5": {"failed": "lost", "probes": {}}}}
    monkeypatch.setattr(module, "compare", lambda *_, **__: failed)
    assert command("compare") == 1
    assert "t5 failed: lost" in capsys.readouterr().out
    assert command("compare", "-o", "gtp") == 2
    given: dict[str, Any] = {}
    monkeypatch.setattr(module, "compare", lambda *_, **keywords: given.update(keywords) or found)
    assert command("compare", "model.preset=small", "length=256") == 0
    assert (given["model.preset"], given["length"]) == ("small", 256)
    assert command("compare", "length") == 2


def test_the_command_that_is_written_down_holds_every_setting() -> None:
    chosen = module.entries(["gpt", ("bert", {"rate": 0.3})])
    said = module.spelled(chosen, "a b.txt", "2Mtok", 3, {"model.preset": "small", "length": 64})
    assert shlex.split(said) == ["maskdial", "compare", "-o", "gpt", "-o", "bert:rate=0.3", "--data", "a b.txt", "--budget", "2Mtok",
                                 "--seeds", "3", "model.preset=small", "length=64"]  # fmt: skip
