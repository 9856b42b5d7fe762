"""Turns a matplotlib figure into an inline SVG that follows the page's theme, names itself and repeats byte for byte."""

from __future__ import annotations

import io
import re
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING, Any
from xml.etree import ElementTree as Tree

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# Figures are drawn with these stand-in colours; `themed` replaces each by the CSS variable it stands for.
INK, MUTED, RULE, DATA, SECOND, PAPER = "#000001", "#000002", "#000003", "#000004", "#000005", "#000006"
VARIABLES = {INK: "--ink", MUTED: "--muted", RULE: "--rule", DATA: "--data", SECOND: "--data-2", PAPER: "--paper"}

_SVG = "{http://www.w3.org/2000/svg}"
_LINK = "{http://www.w3.org/1999/xlink}href"
_SETTINGS: dict[str, Any] = {
    "svg.hashsalt": "maskdial", "svg.fonttype": "none", "font.size": 11, "font.family": "DejaVu Sans",
    "axes.edgecolor": RULE, "axes.labelcolor": MUTED, "xtick.color": RULE, "ytick.color": RULE, "xtick.labelcolor": MUTED,
    "ytick.labelcolor": MUTED, "text.color": INK, "axes.spines.top": False, "axes.spines.right": False,
    "axes.grid": True, "grid.color": RULE, "grid.linewidth": 0.6, "axes.axisbelow": True, "axes.linewidth": 0.8,
    "xtick.labelsize": 10.5, "ytick.labelsize": 10.5, "axes.labelsize": 10.5, "path.simplify": False,
}  # fmt: skip


@contextmanager
def canvas(width: float, height: float, left: float, right: float, top: float, bottom: float) -> Iterator[tuple[Figure, Axes]]:
    """A figure with one pair of axes; every length is in CSS pixels, margins included."""
    import matplotlib as mpl
    from matplotlib.figure import Figure as NewFigure

    settings: Any = {**mpl.rcParamsDefault, "backend": "svg", **_SETTINGS}
    with mpl.rc_context(settings):
        figure = NewFigure(figsize=(width / 72, height / 72), dpi=72)
        figure.patch.set_visible(False)
        axes = figure.add_axes((left / width, bottom / height, (width - left - right) / width, (height - top - bottom) / height))
        axes.patch.set_visible(False)
        yield figure, axes


def themed(figure: Figure, name: str, title: str, description: str) -> str:
    """The figure as `<svg role=img>` with a title, a description, the page's colours and ids that are unique to `name`."""
    out = io.StringIO()
    figure.savefig(out, format="svg", metadata={"Date": None, "Creator": None, "Format": None, "Type": None})
    root = Tree.fromstring(out.getvalue())
    for parent in list(root.iter()):
        # matplotlib's <style> addresses every element of the page it lands in, so it must go
        for child in [c for c in parent if c.tag.endswith(("metadata", "style"))]:
            parent.remove(child)
    _rename(root, name)
    for element in root.iter():
        _restyle(element)
    _prune(root)
    _, _, width, height = root.attrib["viewBox"].split()
    body = "".join(Tree.tostring(child, encoding="unicode") for child in root)
    return frame(name, title, description, float(width), float(height), body)


def frame(name: str, title: str, description: str, width: float, height: float, body: str, css: str = "chart") -> str:
    """An SVG element that a screen reader announces by its title and description."""
    return (
        f'<svg class="{css}" role="img" aria-labelledby="{name}-t {name}-d" viewBox="0 0 {width:g} {height:g}" '
        f'width="{width:g}" height="{height:g}"><title id="{name}-t">{escape(title)}</title>'
        f'<desc id="{name}-d">{escape(description)}</desc>{body}</svg>'
    )


def escape(text: str) -> str:
    """Text as it may stand in an element or an attribute."""
    for raw, safe in (("&", "&amp;"), ("<", "&lt;"), (">", "&gt;"), ('"', "&quot;"), ("'", "&#39;")):
        text = text.replace(raw, safe)
    return text


def _rename(root: Tree.Element, name: str) -> None:
    """Keeps only the ids that something points at, under names no other chart uses: all charts share one page."""
    used: dict[str, str] = {}
    for element in root.iter():
        found = [element.get(_LINK, "")[1:], *re.findall(r"url\(#([^)]+)\)", " ".join(element.attrib.values()))]
        for one in found:
            if one:
                used.setdefault(one, f"{name}-{len(used)}")
    for element in root.iter():
        identity = element.attrib.pop("id", None)
        if identity in used:
            element.set("id", used[identity])
        if (link := element.attrib.pop(_LINK, None)) is not None:
            element.set("href", "#" + used[link[1:]])
        for key, value in element.attrib.items():
            element.set(key, re.sub(r"url\(#([^)]+)\)", lambda m: f"url(#{used[m.group(1)]})", value))


def _restyle(element: Tree.Element) -> None:
    """Variables for stand-in colours, the page's font for matplotlib's, short coordinates, no namespace prefixes."""
    element.tag = element.tag.replace(_SVG, "")
    element.text = element.tail = None if element.tag not in ("text", "tspan") else element.text
    if element.tag in ("text", "tspan"):
        element.tail = None
    for key, value in list(element.attrib.items()):
        for stand_in, variable in VARIABLES.items():
            value = value.replace(stand_in, f"var({variable})")
        if key == "style":
            value = re.sub(r"font-family: [^;]*;? ?", "", value)
            value = re.sub(r"; stroke-linejoin: miter|; stroke-linecap: (butt|square)", "", value)
        if key in ("d", "x", "y", "width", "height", "transform"):
            form = ".4g" if key == "transform" else ".1f"
            value = re.sub(r"-?\d+\.\d+", partial(_rounded, form), value)
            value = re.sub(r"\s+", " ", value).strip()
        element.set(key, value)
    if element.get("transform", "").startswith("rotate(-0 "):
        del element.attrib["transform"]


def _rounded(form: str, number: re.Match[str]) -> str:
    return format(float(number.group()), form)


def _prune(element: Tree.Element) -> None:
    """Unwraps groups that carry nothing and drops empty ones, which halves the size of a chart."""
    kept: list[Tree.Element] = []
    for child in list(element):
        _prune(child)
        if child.tag == "g" and not child.attrib:
            kept.extend(child)
        elif child.tag != "defs" or len(child):
            kept.append(child)
    for child in list(element):
        element.remove(child)
    element.extend(kept)
