"""What things look like as HTML without script and without style: in a notebook, in a first page, wherever nothing may run.

Colours are presentation attributes on white ground, so that the picture needs no style sheet and no leave from a content policy.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from maskdial.picture import scored_positions, sentence
from maskdial.report.strips import Strip, kinds_in, picture, strips
from maskdial.report.svg import escape
from maskdial.sample import SILENT
from maskdial.view import intervals_of, view

if TYPE_CHECKING:
    from maskdial.objective import Objective
    from maskdial.sample import Sample, Samples

#: a class of the picture → how it is painted
PAINT = {
    "two": 'fill="#05277D"', "two flat": 'fill="#05277D"', "one": 'fill="url(#maskdial-hatch)"', "one flat": 'fill="#5598D3"',
    "dot": 'fill="none" stroke="#6B6B6B" stroke-width="1.6" stroke-linecap="round"', "bar": 'fill="#DB6309"',
    "self": 'fill="#fff" stroke="#15181E" stroke-width="0.8"', "block": 'fill="none" stroke="#6B6B6B" stroke-width="0.8"',
    "lines": 'fill="none" stroke="#fff" stroke-width="0.7"',
}  # fmt: skip
GROUND = (
    '<defs><pattern id="maskdial-hatch" width="4" height="4" patternUnits="userSpaceOnUse" patternTransform="rotate(45)">'
    '<rect width="4" height="4" fill="#5598D3"/><rect width="1.3" height="4" fill="#fff" opacity="0.75"/></pattern></defs>'
    '<rect width="100%" height="100%" fill="#fff"/>'
)
LEGEND = "█ dark: both see each other · ▒ hatched: sees it, is not seen by it · dot: not visible · ▲ orange bar: scored"
#: more positions than this are told, not drawn
DRAWN = 96
#: rows of a table of samples
SHOWN = 8


def of_sample(one: Sample) -> str:
    """A sample: its strips, who looks at whom, one row in words."""
    if not one.table.has("origin"):
        return of_samples(one.table)
    return of_view(view(one), sentence(one, scored_positions(one)))


def of_view(seen: dict[str, Any], said: str) -> str:
    """A `sample-view/1` with one sentence under it."""
    name = str(seen["objective"])
    count = sum(len(stream["tokens"]) for stream in seen["streams"])
    drawn = _painted(picture(name, seen)) + f"<p><small>{LEGEND}</small></p>" if count <= DRAWN else ""
    letters = " · ".join(f"{letter} {told}" for _, letter, told in kinds_in([seen]))
    parts = [f"<p><b>{escape(name)}</b> {escape(_settings(seen['params']))}</p>", *(_strip(strip) for strip in strips(seen)),
             f"<p><small>{escape(letters)}</small></p>" if letters else "", drawn]  # fmt: skip
    return f'<div class="still">{"".join(parts)}<p data-testid="row-sentence">{escape(said)}</p></div>'


def of_samples(table: Samples) -> str:
    """A table of samples: how much each of its first rows reads and asks."""
    lengths = np.diff(table.offsets)
    first = [table[i] for i in range(min(SHOWN, len(table)))]
    asked = [sum(int((target != SILENT).sum()) for target in one.targets.values()) for one in first]
    rows = [[str(i), f"{table.body[i]:,}", f"{lengths[i]:,}", f"{asked[i]:,}"] for i in range(len(first))]
    more = f"<p>… {len(table) - SHOWN:,} more</p>" if len(table) > SHOWN else ""
    return f"<div>{_table(repr(table), ['row', 'tokens of text', 'positions read', 'scored'], rows)}{more}</div>"


def of_objective(one: Objective) -> str:
    """An objective: its three dials and its settings."""
    about, rows = one.about, [["SEE", one.visibility]]
    if about:
        rows = [["HIDE", about.corruption], *rows, ["SCORE", about.target], ["from", about.source], ["good for", about.good_for]]
    rows += [[name, str(value)] for name, value in one.options.items()]
    return f"<div>{_table(one.name, None, rows)}</div>"


def of_sight(visible: NDArray[np.bool_], said: str) -> str:
    """Who looks at whom (row looks at column), for one row of a batch."""
    n, m = visible.shape
    if n != m or n > DRAWN:
        return f"<p>{escape(said)}</p>"
    tokens = [{"t": str(i)} for i in range(n)]
    seen = {"streams": [{"id": "source", "tokens": tokens}],
            "attn": [{"id": "source.self", "q": "source", "k": "source", "rows": intervals_of(visible)}]}  # fmt: skip
    return f"<div>{_painted(picture('visible', seen))}<p><small>{LEGEND}</small></p><p>{escape(said)}</p></div>"


def _settings(params: dict[str, Any]) -> str:
    return " ".join(f"{name}={value}" for name, value in params.items())


def _painted(svg: str) -> str:
    """The picture's classes as presentation attributes."""
    painted = re.sub(r'class="([^"]+)"', lambda found: PAINT.get(found.group(1), ""), svg)
    return painted.replace("</desc>", "</desc>" + GROUND, 1).replace("<text ", '<text font-size="10" font-family="sans-serif" ')


def _strip(strip: Strip) -> str:
    """One stream: what is read, what happened to it, what must be said, where loss falls."""
    read = [token.text for token in strip.tokens]
    rows = [["reads", *read]]
    if any(token.letter for token in strip.tokens):
        rows.append(["changed", *(token.letter for token in strip.tokens)])
    heads = max((len(token.targets) for token in strip.tokens), default=0)
    for head in range(heads if strip.asks else 0):
        rows.append(["must say", *(token.targets[head] or "·" for token in strip.tokens)])
    if strip.asks:
        rows.append(["scored", *("▲" if token.scored else "" for token in strip.tokens)])
    more = f"<p>… and {strip.left_out} more</p>" if strip.left_out else ""
    return _table(strip.label, None, rows) + more


def _table(caption: str, header: list[str] | None, rows: list[list[str]]) -> str:
    head = f"<thead><tr>{''.join(f'<th scope=col>{escape(cell)}</th>' for cell in header)}</tr></thead>" if header else ""
    lines = [
        f"<tr><th scope=row>{escape(first)}</th>{''.join(f'<td>{escape(cell)}</td>' for cell in rest)}</tr>" for first, *rest in rows
    ]
    return f"<table><caption>{escape(caption)}</caption>{head}<tbody>{''.join(lines)}</tbody></table>"
