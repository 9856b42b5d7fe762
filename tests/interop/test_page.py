"""The page about guests: its snippets run, in order, as they stand."""

import re
from pathlib import Path

import pytest

from maskdial.data import prepare
from tests.interop.guests import TEXTS, fast, model

PAGE = Path(__file__).parents[2] / "docs" / "guests.md"
NEEDS = {"Trainer": "accelerate", "grain_dataset": "grain"}


@pytest.mark.filterwarnings("default")
def test_the_snippets_run(tmp_path, monkeypatch, capsys):
    pytest.importorskip("transformers")
    import maskdial as md

    monkeypatch.chdir(tmp_path)
    (tmp_path / "text.txt").write_text("\n\n".join(" ".join(TEXTS) for _ in range(60)))
    tokenizer = fast("roberta")
    names = {"texts": TEXTS, "tokenizer": tokenizer, "md": md, "data": [tokenizer(text) for text in TEXTS]}
    names["model"] = model("bert", size=len(tokenizer), pad=tokenizer.pad_token_id)
    md.hf.grow(tokenizer, names["model"], sentinels=8)
    names["folder"] = prepare(str(tmp_path / "text.txt"), tmp_path / "corpus", vocab_size=300, held_out=0.2, progress="off").folder
    ran = 0
    for n, snippet in enumerate(re.findall(r"```python\n(.*?)```", PAGE.read_text(), re.S)):
        missing = [package for word, package in NEEDS.items() if word in snippet and not _there(package)]
        if missing:
            continue
        exec(compile(snippet, f"guests.md, snippet {n}", "exec"), names)
        ran += 1
    assert ran >= 4
    assert names["added"]
    assert {"source_read", "answer_read", "target:token"} <= set(names["batch"])
    assert (names["batch"]["source_read"][:2].numpy() == names["arrays"]["source_read"]).all()


def _there(package):
    try:
        __import__(package)
    except ImportError:
        return False
    return True
