"""The colours of meaning: 3:1 against the page, 4.5:1 for words, and told apart by every kind of colour vision (ΔE2000 ≥ 20)."""

from __future__ import annotations

import re
from itertools import combinations

import numpy as np
import pytest

from maskdial.explore.module import FRONT

CSS = (FRONT / "explorer.css").read_text(encoding="utf-8")
PAIRS = {name: colours for name, *colours in re.findall(r"--([\w-]+): light-dark\((#\w{6}), (#\w{6})\)", CSS)}
THEMES = ("light", "dark")
#: what carries a meaning in a picture; the page itself is one of them, for what is hidden is paper
MEANINGS = ("paper", "two-way", "one-way", "scored", "corrupted")
#: Machado, Oliveira & Fernandes 2009, severity 1, in linear sRGB
VISION = {
    "normal": np.eye(3),
    "protan": [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]],
    "deutan": [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]],
    "tritan": [[1.255528, -0.076749, -0.178779], [-0.078411, 0.930809, 0.147602], [0.004733, 0.691367, 0.303900]],
}
LEAST, WORST = 20.0, {"light": 28.6, "dark": 23.7}


def linear(colour: str) -> np.ndarray:
    parts = np.array([int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)])
    return np.where(parts <= 0.04045, parts / 12.92, ((parts + 0.055) / 1.055) ** 2.4)


def contrast(a: str, b: str) -> float:
    light, dark = sorted((float(linear(c) @ [0.2126, 0.7152, 0.0722]) for c in (a, b)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


def lab(rgb: np.ndarray) -> np.ndarray:
    """CIELAB (D65) of linear sRGB."""
    xyz = np.array([[0.4124564, 0.3575761, 0.1804375], [0.2126729, 0.7151522, 0.0721750], [0.0193339, 0.1191920, 0.9503041]]) @ rgb
    t = xyz / [0.95047, 1.0, 1.08883]
    f = np.where(t > (6 / 29) ** 3, np.cbrt(t), t / (3 * (6 / 29) ** 2) + 4 / 29)
    return np.array([116 * f[1] - 16, 500 * (f[0] - f[1]), 200 * (f[1] - f[2])])


def delta(one: np.ndarray, two: np.ndarray) -> float:
    """CIEDE2000 (Sharma, Wu & Dalal 2005)."""
    (l1, a1, b1), (l2, a2, b2) = one, two
    mean = (np.hypot(a1, b1) + np.hypot(a2, b2)) / 2
    g = 0.5 * (1 - np.sqrt(mean**7 / (mean**7 + 25**7)))
    a1, a2 = a1 * (1 + g), a2 * (1 + g)
    c1, c2 = np.hypot(a1, b1), np.hypot(a2, b2)
    h1, h2 = (np.degrees(np.arctan2(b, a)) % 360 for a, b in ((a1, b1), (a2, b2)))
    turn = 0.0 if c1 * c2 == 0 else (h2 - h1 + 180) % 360 - 180
    dl, dc, dh = l2 - l1, c2 - c1, 2 * np.sqrt(c1 * c2) * np.sin(np.radians(turn) / 2)
    lm, cm = (l1 + l2) / 2, (c1 + c2) / 2
    hm = h1 + h2 if c1 * c2 == 0 else (h1 + turn / 2) % 360
    t = 1 - 0.17 * cos(hm - 30) + 0.24 * cos(2 * hm) + 0.32 * cos(3 * hm + 6) - 0.20 * cos(4 * hm - 63)
    sl = 1 + 0.015 * (lm - 50) ** 2 / np.sqrt(20 + (lm - 50) ** 2)
    sc, sh = 1 + 0.045 * cm, 1 + 0.015 * cm * t
    rt = -2 * np.sqrt(cm**7 / (cm**7 + 25**7)) * np.sin(np.radians(60 * np.exp(-(((hm - 275) / 25) ** 2))))
    return float(np.sqrt((dl / sl) ** 2 + (dc / sc) ** 2 + (dh / sh) ** 2 + rt * (dc / sc) * (dh / sh)))


def cos(degrees: float) -> float:
    return float(np.cos(np.radians(degrees)))


def as_seen(colour: str, vision: str) -> np.ndarray:
    return lab(np.clip(np.array(VISION[vision]) @ linear(colour), 0, 1))


@pytest.mark.parametrize(
    ("one", "two", "wanted"),
    [
        ((50.0, 2.6772, -79.7751), (50.0, 0.0, -82.7485), 2.0425),
        ((50.0, -1.3802, -84.2814), (50.0, 0.0, -82.7485), 1.0),
        ((50.0, 2.5, 0.0), (73.0, 25.0, -18.0), 27.1492),
        ((2.0776, 0.0795, -1.135), (0.9033, -0.0636, -0.5514), 0.9082),
        ((60.2574, -34.0099, 36.2677), (60.4626, -34.1751, 39.4387), 1.2644),
    ],
)
def test_the_measure_agrees_with_its_published_data(one, two, wanted):
    assert delta(np.array(one), np.array(two)) == pytest.approx(wanted, abs=1e-4)
    assert delta(np.array(two), np.array(one)) == pytest.approx(wanted, abs=1e-4)


@pytest.mark.parametrize("theme", THEMES)
def test_meanings_are_told_apart_by_everybody(theme):
    side = THEMES.index(theme)
    found = {
        (vision, a, b): delta(as_seen(PAIRS[a][side], vision), as_seen(PAIRS[b][side], vision))
        for vision in VISION
        for a, b in combinations(MEANINGS, 2)
    }
    worst = min(found, key=lambda key: found[key])
    assert found[worst] >= LEAST, worst
    assert found[worst] == pytest.approx(WORST[theme], abs=0.1), "the figure that is written down"


@pytest.mark.parametrize("theme", THEMES)
@pytest.mark.parametrize("name", [*MEANINGS[1:], "hidden-line"])
def test_marks_stand_out_from_the_page(name, theme):
    side = THEMES.index(theme)
    assert contrast(PAIRS[name][side], PAIRS["paper"][side]) >= 3


@pytest.mark.parametrize("theme", THEMES)
@pytest.mark.parametrize("ground", ["paper", "soft"])
@pytest.mark.parametrize("name", ["ink", "muted", "link"])
def test_words_can_be_read(name, ground, theme):
    side = THEMES.index(theme)
    assert contrast(PAIRS[name][side], PAIRS[ground][side]) >= 4.5


def test_every_other_colour_is_made_of_these():
    rest = re.sub(r"--[\w-]+: light-dark\([^)]*\);", "", CSS)
    assert re.findall(r"#[0-9A-Fa-f]{3,8}\b", rest) == []
    assert re.findall(r"\b(?:rgba?|hsla?|oklch)\(", rest) == ["rgb("], "the veil behind a dialog"
