"""A real server in this process, and an exported page: each made once."""

from __future__ import annotations

import re
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple
from urllib.request import urlopen

import pytest

from maskdial.explore import server
from maskdial.explore.answers import Answers
from maskdial.explore.export import export

#: one of each shape: left only, all, a prefix, two streams, pairs with a class head, two networks
SIX = ("gpt", "bert", "prefix-lm", "t5", "bert-nsp", "electra")
TOKEN = "a-token-of-this-launch"


class Live(NamedTuple):
    """A server that answers at `url`; pages carry `token`."""

    url: str
    token: str

    @property
    def address(self) -> tuple[str, int]:
        host, _, port = self.url.removeprefix("http://").rstrip("/").partition(":")
        return host, int(port)


def serving(app: Any) -> Iterator[Live]:
    """`maskdial explore` without its command line, in a thread."""
    at, made = server.listen(), server.server(app)
    at.listen()
    running = threading.Thread(target=made.run, kwargs={"sockets": [at]}, daemon=True)
    running.start()
    url = f"http://{server.HOST}:{at.getsockname()[1]}/"
    urlopen(url, timeout=30).close()
    yield Live(url, TOKEN)
    made.should_exit = True
    running.join(10)


@pytest.fixture(scope="module")
def live() -> Iterator[Live]:
    yield from serving(server.application(TOKEN, Answers()))


@pytest.fixture(scope="session")
def exported(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A page with six recipes."""
    return export(tmp_path_factory.mktemp("exported") / "page.html", SIX)


def carried(page: str, name: str) -> str:
    """The text of a data script of a page."""
    found = re.search(rf'<script type="application/json" id="maskdial-{name}">(.*?)</script>', page, re.DOTALL)
    assert found, name
    return found[1]
