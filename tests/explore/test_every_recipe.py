"""The acceptance checks that depend on the recipe, for every recipe, on both hosts."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from maskdial.explore.export import export
from maskdial.explore.request import canonical, names
from tests.explore.browsing import chromium, needs_chromium
from tests.explore.opened import Real

pytestmark = [needs_chromium, pytest.mark.slow]


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with chromium() as made:
        yield made


@pytest.mark.parametrize("host", ["served", "exported"])
def test_every_recipe_has_its_loss_and_its_link(browser, live, tmp_path, host):
    url = live.url if host == "served" else export(tmp_path / "all.html").resolve().as_uri()
    made, fresh = Real(browser, url), Real(browser, url)
    for name in names():
        made.follow(name)
        for stream in made.shown()["streams"]:
            weights = [any(head[i] > 0 for head in stream["loss"]) for i in range(len(stream["tokens"]))]
            assert made.attributes("scored", stream["id"]) == [str(one).lower() for one in weights], name
        made.get("dial-see").fill("0")
        made.settle()
        wanted, link = made.shown(), made.page.url
        fresh.page.goto("about:blank")
        fresh.page.goto(link)
        fresh.drawn(name)
        fresh.settle()
        assert canonical(fresh.shown()) == canonical(wanted), name
    assert made.said == fresh.said == []
    made.close()
    fresh.close()
