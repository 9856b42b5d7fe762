"""Small corpora that several tests share."""

import json
from pathlib import Path

import pytest

from maskdial.data import prepare

#: larger real text that is not everywhere
SHARED = Path(__file__).parents[2] / ".." / "shared" / "data"
needs_languages = pytest.mark.skipif(
    not (SHARED / "multilingual.jsonl.gz").is_file(), reason="the larger real text is not on this machine"
)

TOPICS = ("rivers", "engines", "birds", "music")


def write_jsonl(path, records):
    path.write_text("".join(json.dumps(r, ensure_ascii=False) + "\n" for r in records), encoding="utf-8")
    return path


@pytest.fixture(scope="session")
def records():
    """240 distinct documents of some sentences each, with labels and titles."""
    made = []
    for i in range(240):
        topic = TOPICS[i % 4]
        text = " ".join(f"Sentence {j} of document {i} is about {topic}, isn't it? It's 3.{j} long." for j in range(1 + i % 7))
        made.append({"text": text, "label": topic, "title": f"{topic} {i}"})
    return made


@pytest.fixture(scope="session")
def text_file(tmp_path_factory, records):
    return write_jsonl(tmp_path_factory.mktemp("text") / "small.jsonl", records)


@pytest.fixture(scope="session")
def corpus(tmp_path_factory, text_file):
    return prepare(str(text_file), tmp_path_factory.mktemp("corpus") / "c", vocab_size=400, held_out=0.2, progress="off")


@pytest.fixture
def small_shards(monkeypatch):
    """Shards of 8 KB of text: about ten of `text_file`."""
    monkeypatch.setattr("maskdial.data.survey.UNIT", 8192)


@pytest.fixture
def folder_of():
    """Every file of a folder and its bytes."""

    def read(folder):
        return {p.relative_to(folder).as_posix(): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}

    return read
