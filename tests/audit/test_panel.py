"""The explorer's panel: the data of `--data` is audited under the recipe that the page stands at, and a row opens in Explore."""

import json

import pytest
from starlette.testclient import TestClient

import maskdial as md
from maskdial.explore import server
from maskdial.explore.answers import Answers
from maskdial.explore.audited import Data
from tests.cli.run import maskdial
from tests.explore.conftest import TOKEN

PASS = {"x-maskdial-token": TOKEN}


@pytest.fixture(scope="module")
def notes(tmp_path_factory):
    file = tmp_path_factory.mktemp("panel") / "notes.txt"
    file.write_text("\n\n".join(f"The cat number {i} sat on the mat. It was warm, so it slept for {i} hours." for i in range(80)))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("maskdial.data.cache.cache_folder", lambda: file.parent / "cache")
        yield file


def test_the_page_audits_the_data_that_it_was_started_with(notes):
    app = server.application(TOKEN, Answers(), None, Data(str(notes)))
    asks = TestClient(app, base_url="http://127.0.0.1:8123")
    assert asks.get("/api/meta").json()["features"] == {"run": False, "data": True}
    found = asks.post("/api/audit", json={"objective": "bert", "options": {"rate": 0.3}}, headers=PASS).json()
    own = md.audit(notes, md.objective("bert", rate=0.3)).to_json()
    assert found == {"schema": "audit/1", "ok": True, **json.loads(json.dumps(own))}
    assert all({"name", "level", "count", "rows", "say", "why"} <= set(one) for one in found["checks"])
    listed = {row["index"] for row in found["rows"]}
    assert all(set(one["rows"]) <= listed for one in found["checks"]), "a row that a check names can be opened"
    text = found["rows"][0]["text"]
    opened = asks.post("/api/sample", json={"objective": "bert", "text": text, "options": {"rate": 0.3}}, headers=PASS).json()
    assert opened["data"][0]["text"] == text

    leaking = asks.post("/api/audit", json={"objective": "gpt", "options": {"see": {"visibility": "bidirectional"}}}, headers=PASS).json()
    assert {one["name"] for one in leaking["checks"] if one["level"] == "fail"} == {"sight leak"}
    for wrong in ({"objective": "brt"}, {"objective": "bert", "options": {"rate": 7}}, []):
        assert asks.post("/api/audit", json=wrong, headers=PASS).json()["ok"] is False
    assert asks.post("/api/audit", json={"objective": "bert"}).status_code == 403, "only the page of this launch may ask"


def test_without_data_there_is_no_panel():
    asks = TestClient(server.application(TOKEN, Answers()), base_url="http://127.0.0.1:8123")
    assert asks.get("/api/meta").json()["features"]["data"] is False
    assert asks.post("/api/audit", json={"objective": "bert"}, headers=PASS).status_code == 404


def test_data_that_is_not_there_is_said_before_a_page_opens(tmp_path):
    status, out, said = maskdial("explore", "--no-browser", "--data", tmp_path / "none.txt")
    assert (status, out) == (2, "")
    assert "none.txt" in said
    status, _, said = maskdial("explore", "--data", "notes.txt", "--export", tmp_path / "page.html")
    assert status == 2
