"""The widget in a real notebook: JupyterLab in chromium, with this Python as its kernel."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.error import URLError
from urllib.request import urlopen

import pytest

from tests.explore.browsing import chromium, needs_chromium
from tests.explore.notebook import FILE, notebook

LAB = shutil.which("jupyter-lab")
TOKEN = "of-this-test"
CELL = 'import maskdial as md\n\nmd.show("The cat sat on the mat .", "bert")'
ALL_SCORED = "[...document.querySelectorAll('.column')].every((one) => one.dataset.scored === 'true')"
NO_LAB = "no jupyter-lab on the PATH (pip install jupyterlab, in any environment)"


@pytest.fixture
def lab(tmp_path: Path) -> Iterator[str]:
    """A JupyterLab that knows nothing but this Python's widgets; its kernel is this Python. It opens `cat.ipynb`."""
    pytest.importorskip("anywidget", reason="anywidget is not installed")
    pytest.importorskip("ipykernel", reason="ipykernel is not installed")
    kernel = {"argv": [sys.executable, "-m", "ipykernel_launcher", "-f", "{connection_file}"], "display_name": "here", "language": "python"}
    cell = {"cell_type": "code", "id": "cat", "execution_count": None, "metadata": {}, "outputs": [], "source": CELL}
    opened = {"cells": [cell], "metadata": {"kernelspec": {"name": "here", "display_name": "here"}}, "nbformat": 4, "nbformat_minor": 5}
    (tmp_path / "kernels" / "here").mkdir(parents=True)
    (tmp_path / "kernels" / "here" / "kernel.json").write_text(json.dumps(kernel), encoding="utf-8")
    (tmp_path / "cat.ipynb").write_text(json.dumps(opened), encoding="utf-8")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    its = {name: str(tmp_path) for name in ("JUPYTER_CONFIG_DIR", "JUPYTER_DATA_DIR", "JUPYTER_RUNTIME_DIR", "IPYTHONDIR")}
    running = subprocess.Popen(
        [str(LAB), "--no-browser", "--allow-root", f"--ServerApp.port={port}", "--ServerApp.port_retries=0",
         f"--ServerApp.root_dir={tmp_path}", f"--IdentityProvider.token={TOKEN}",
         "--LabApp.check_for_updates_class=jupyterlab.NeverCheckForUpdate"],
        env={**os.environ, **its, "JUPYTER_PATH": str(Path(sys.prefix) / "share" / "jupyter")},
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    url = f"http://127.0.0.1:{port}"
    try:
        wait_for(f"{url}/api?token={TOKEN}", until=time.monotonic() + 300)
        yield f"{url}/lab/tree/cat.ipynb?token={TOKEN}"
    finally:
        running.terminate()
        running.wait(20)


def wait_for(url: str, until: float) -> None:
    while True:
        try:
            urlopen(url, timeout=30).close()
            return
        except URLError:
            assert time.monotonic() < until, "JupyterLab does not answer"
            time.sleep(0.5)


@pytest.mark.slow
@needs_chromium
@pytest.mark.skipif(LAB is None, reason=NO_LAB)
def test_a_dial_turns_in_a_real_notebook(lab):
    with chromium() as browser:
        page = browser.new_page(viewport={"width": 1280, "height": 1400})
        said: list[str] = []
        page.on("console", lambda message: said.append(f"{message.text} {message.location}") if message.type == "error" else None)
        page.on("pageerror", lambda error: said.append(str(error)))
        page.goto(lab)
        page.locator(".jp-Notebook .cm-content").first.click(timeout=300_000)
        page.keyboard.press("Control+Enter")
        sentence = page.get_by_test_id("row-sentence")
        sentence.wait_for(timeout=300_000)
        read = page.get_by_test_id("strip-source").locator(".read")
        before, rate = read.all_inner_texts(), page.get_by_test_id("dial-rate")
        assert len(before) == 7
        assert rate.input_value() == "0.15"
        assert "sees all 7 positions" in sentence.inner_text()
        assert page.locator(".readout dt").first.bounding_box()["height"] < 40, "a notebook's own styles stay out"
        picture(page, "before")
        rate.fill("1")
        page.wait_for_function(ALL_SCORED)
        assert read.all_inner_texts() != before
        page.get_by_test_id("dial-see").fill("0")
        page.wait_for_function("document.querySelector('[data-testid=row-sentence]').textContent.includes(' of 7 positions: 0–')")
        picture(page, "after")
        keys_are_ours(page)
        page.get_by_test_id("view-table").click()
        page.get_by_test_id("code-json").scroll_into_view_if_needed()
        picture(page, "below")
        assert page.get_by_test_id("error").count() == page.get_by_test_id("crash").count() == 0
        assert said == []


def test_the_notebook_of_the_docs_says_what_is_so():
    text = FILE.read_text(encoding="utf-8")
    assert json.loads(text) == notebook(), "run `python -m tests.explore.notebook`"
    assert len(text.encode()) < 200_000


def keys_are_ours(page: Any) -> None:
    """Keys that mean something to the notebook too (x cuts a cell, arrows leave it) act in the picture, and only there."""
    page.locator(".cell[tabindex='0']").first.focus()
    for key in ("Control+Home", "ArrowDown", "ArrowDown", "x", "r"):
        page.keyboard.press(key)
    page.wait_for_function("document.querySelector('[data-testid=seed]').value === '1'")
    assert page.locator(".jp-CodeCell").count() == 1
    assert page.get_by_test_id("row-sentence").inner_text().startswith("Position 2 ")


def picture(page: Any, name: str) -> None:
    """A screenshot, if MASKDIAL_PICTURES names a folder."""
    if folder := os.environ.get("MASKDIAL_PICTURES"):
        page.screenshot(path=f"{folder}/notebook-{name}.png")
