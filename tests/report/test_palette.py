"""The palette: every colour of meaning is at least 3:1 against the page, every colour of text 4.5:1, in both themes."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import maskdial.report

CSS = (Path(maskdial.report.__file__).parent / "templates" / "page.css").read_text(encoding="utf-8")
PAIRS = {name: (light, dark) for name, light, dark in re.findall(r"--([\w-]+): light-dark\((#\w{6}), (#\w{6})\)", CSS)}
THEMES = ("light", "dark")


def luminance(colour: str) -> float:
    parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    red, green, blue = (c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(a: str, b: str) -> float:
    light, dark = sorted((luminance(a), luminance(b)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


def mixed(colour: str, paper: str, share: float) -> str:
    return "#" + "".join(f"{round(int(colour[i : i + 2], 16) * share + int(paper[i : i + 2], 16) * (1 - share)):02x}" for i in (1, 3, 5))


@pytest.mark.parametrize("theme", THEMES)
@pytest.mark.parametrize("name", ["two-way", "one-way", "hidden-line", "scored", "corrupted", "data", "data-2"])
def test_marks_stand_out_from_the_page(name, theme):
    side = THEMES.index(theme)
    assert contrast(PAIRS[name][side], PAIRS["paper"][side]) >= 3


@pytest.mark.parametrize("theme", THEMES)
@pytest.mark.parametrize("name", ["ink", "muted", "link"])
@pytest.mark.parametrize("ground", ["paper", "soft"])
def test_text_can_be_read(name, ground, theme):
    side = THEMES.index(theme)
    assert contrast(PAIRS[name][side], PAIRS[ground][side]) >= 4.5


@pytest.mark.parametrize("theme", THEMES)
def test_ink_can_be_read_on_the_darkest_tint(theme):
    side = THEMES.index(theme)
    paper, ink = PAIRS["paper"][side], PAIRS["ink"][side]
    assert contrast(ink, mixed(PAIRS["one-way"][side], paper, 0.28)) >= 7


def test_the_pictures_use_only_the_palette():
    rest = CSS[CSS.index(":root[data-theme") :]
    assert not re.search(r"#[0-9A-Fa-f]{3,8}\b(?![^{]*\{)", re.sub(r"#[a-z][\w-]*", "", rest))
