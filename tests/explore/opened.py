"""The explorer's page as a person opens it: from its server, or from disk."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from tests.explore.browsing import Visit


class Real(Visit):
    """A page as it is opened by a person: from its server, or from disk. What it fetches from elsewhere is a complaint."""

    def __init__(self, browser: Any, url: str, link: str = "", **context: Any) -> None:
        self.context = browser.new_context(**{"viewport": {"width": 1280, "height": 900}, "reduced_motion": "reduce"} | context)
        self.asked, self.said, self.url = [], [], url
        self.page = self.context.new_page()
        self.page.on("console", lambda message: self.said.append(message.text) if message.type in ("error", "warning") else None)
        self.page.on("pageerror", lambda error: self.said.append(str(error)))
        self.page.on("request", self.watched)
        self.page.goto(url + link)
        self.page.get_by_test_id("maskdial").wait_for()

    def watched(self, request: Any) -> None:
        if not request.url.startswith((self.url, "blob:")):
            self.said.append(request.url)
        if request.method == "POST":
            self.asked.append(request.post_data_json)

    def shown(self) -> dict[str, Any]:
        """The document that the page shows."""
        self.get("code-json").click()
        text = self.get("code").inner_text()
        self.get("code-link").click()
        return dict(json.loads(text))

    def follow(self, name: str, rest: str = "") -> None:
        """Follow a link within the page."""
        self.at(name, rest)
        self.settle()

    @property
    def is_file(self) -> bool:
        return self.url.startswith("file:")


def axe() -> Path | None:
    """axe-core's script, named by MASKDIAL_AXE."""
    found = os.environ.get("MASKDIAL_AXE", "")
    return Path(found) if found and Path(found).is_file() else None
