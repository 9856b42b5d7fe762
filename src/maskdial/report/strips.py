"""One text under one objective as a reader sees it: strips of tokens, what each must say, and a picture of who looks at whom."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from maskdial.report.folder import Json, slug
from maskdial.report.numbers import listed, three
from maskdial.report.svg import escape, frame

#: kind → letter drawn on the token (so that colour is never alone) and words for it
KINDS = {
    "mask": ("M", "hidden behind [MASK]"), "random": ("R", "replaced by a random token"), "same": ("K", "chosen but kept"),
    "sentinel": ("S", "a sentinel that stands for a span"), "replaced": ("Δ", "replaced"), "moved": ("⇄", "moved"),
    "inserted": ("+", "inserted"), "deleted-marker": ("×", "deleted here"),
}  # fmt: skip
#: beyond these a strip says how many tokens it leaves out, and a picture draws no hatch
LONGEST, FINEST = 64, 40
#: about how wide a letter of a picture's label is
LETTER = 5.4
TWO_WAY, ONE_WAY, HIDDEN = "two", "one", "no"


@dataclass(frozen=True)
class Token:
    """One column of a strip: what is read, what happened to it, and what must be said there (empty: nothing is asked)."""

    text: str
    kind: str
    letter: str
    told: str
    targets: tuple[str, ...]
    scored: bool


@dataclass(frozen=True)
class Strip:
    label: str
    tokens: tuple[Token, ...]
    left_out: int
    asks: bool


def strips(view: Json) -> list[Strip]:
    """The streams of a view, each as a strip; a text that is there once more to be asked about as two. A second network's view
    comes last."""
    several = len(view["streams"]) > 1
    made = [_strip(stream, label, part) for stream in view["streams"] for label, part in _parts(stream, several)]
    return made + ([_strip(stream, "What the second network reads", slice(None)) for stream in second["streams"]]
                   if (second := view.get("second")) else [])  # fmt: skip


def _parts(stream: Json, several: bool) -> list[tuple[str, slice]]:
    """(label, which tokens): in one stream, places that come again are slots in which the answers stand (XLNet, GLM, blocks)."""
    places = [token.get("position") for token in stream["tokens"][: _until(stream)]]
    again = next((i for i, place in enumerate(places) if place is not None and place in places[:i]), None)
    if again is not None and not several:
        return [("Text", slice(again)), ("Answer slots", slice(again, None))]
    named = {"source": "Source" if several else "Input", "answer": "Answer"}.get(stream["id"])
    return [(named or str(stream.get("label", stream["id"])), slice(None))]


def _until(stream: Json) -> int:
    return min(len(stream["tokens"]), int(stream.get("pad_from", len(stream["tokens"]))))


def _strip(stream: Json, label: str, part: slice) -> Strip:
    tokens, heads = [], [str(name) for name in stream.get("heads", [])]
    here = range(_until(stream))[part]
    for i in here[:LONGEST]:
        token = stream["tokens"][i]
        targets = [head[i] for head in stream.get("targets", [])]
        weights = [head[i] for head in stream.get("loss", [])]
        said = tuple(spelled(t["t"]) if t else "" for t in targets)
        letter, told = KINDS.get(token.get("kind", "kept"), ("", ""))
        tokens.append(Token(spelled(token["t"]), token.get("kind", "kept"), letter, told, said, any(weights)))
    asks = any(t.scored for t in tokens)
    questions = f" · asked below, line by line: {listed(heads)}" if asks and len(heads) > 1 else ""
    return Strip(label + questions, tuple(tokens), len(here) - len(tokens), asks)


def spelled(text: str) -> str:
    """A token with its white space made visible; nothing is ever blank."""
    if text == "":
        return "∅"
    return text.replace("\n", "⏎").replace("\t", "⇥").replace(" ", "␣").replace("\u0120", "␣").replace("\u2581", "␣")


def kinds_in(views: list[Json]) -> list[tuple[str, str, str]]:
    """(kind, letter, words) for every kind of changed token that occurs, for the legend."""
    here = {token.get("kind") for view in views for stream in view["streams"] for token in stream["tokens"]}
    return [(kind, letter, told) for kind, (letter, told) in KINDS.items() if kind in here]


# --- who looks at whom ---------------------------------------------------------------------------------------------


def sight(view: Json) -> tuple[list[list[str]], list[tuple[str, int]]]:
    """One square over all streams (rows look, columns are looked at) and the streams' lengths.

    With two streams the source stands first and the answer second: an encoder–decoder is a prefix order with weights of
    its own, and drawn this way it can be compared with every single-stream objective.
    """
    sizes = [(s["id"], _until(s)) for s in view["streams"]]
    start, total = {}, 0
    for name, size in sizes:
        start[name], total = total, total + size
    sees = [[False] * total for _ in range(total)]
    for panel in view["attn"]:
        for q, runs in enumerate(panel["rows"][: dict(sizes)[panel["q"]]]):
            for low, high in runs:
                for k in range(low, min(high, dict(sizes)[panel["k"]])):
                    sees[start[panel["q"]] + q][start[panel["k"]] + k] = True
    cells = [[HIDDEN if not sees[q][k] else TWO_WAY if sees[k][q] else ONE_WAY for k in range(total)] for q in range(total)]
    return cells, sizes


def share_visible(view: Json) -> float:
    """The share of cells through which something is seen."""
    cells, _ = sight(view)
    total = sum(len(row) for row in cells)
    return sum(cell != HIDDEN for row in cells for cell in row) / total if total else 0.0


def picture(name: str, view: Json) -> str:
    """The small picture of who looks at whom, with an orange bar beside every scored row."""
    cells, sizes = sight(view)
    if not (count := len(cells)):
        return ""
    cell = 12.0 if count <= 12 else max(2.0, 190 / count)
    fine, several = count <= FINEST, len(sizes) > 1
    top = 14.0 if several else 0.5
    where = _places(sizes, cell, 5.0 if several else 0.0)
    side = where[-1] + cell
    wide = side + 8
    parts = [
        f'<g transform="translate(0 {top:g})">',
        *(_row(row, cells[row], where, cell, fine) for row in range(count)),
        _lines(sizes, cell, where, fine),
    ]
    parts += [f'<rect class="bar" x="{side + 3:.4g}" y="{where[row]:.4g}" width="4" height="{cell:.4g}"/>' for row in _scored(view)]
    parts.append("</g>")
    if several:
        free = 0.0
        for i, (stream, size) in enumerate(sizes):
            x = max(free, where[sum(n for _, n in sizes[:i])]) if size else free
            free = x + LETTER * (len(stream) + 1)
            parts.append(f'<text x="{x:.4g}" y="10">{escape(stream)}</text>')
        wide = max(wide, free)
    return frame(f"sight-{slug(name)}", f"{name}: who looks at whom", told(name, view), wide, side + top + 1, "".join(parts), "sight")


def _places(sizes: list[tuple[str, int]], cell: float, gap: float) -> list[float]:
    where, at = [], 0.5
    for _, size in sizes:
        where += [at + i * cell for i in range(size)]
        at += size * cell + gap
    return where


def _row(row: int, kinds: list[str], where: list[float], cell: float, fine: bool) -> str:
    """One row: runs of what is seen, a dot for each position that is hidden, a small square for the position itself."""
    out, start = [], 0
    for k in range(1, len(kinds) + 1):
        if k == len(kinds) or kinds[k] != kinds[start] or where[k] - where[k - 1] > cell + 0.1:
            if kinds[start] != HIDDEN:
                width, css = where[k - 1] + cell - where[start], kinds[start] + ("" if fine else " flat")
                out.append(f'<rect class="{css}" x="{where[start]:.4g}" y="{where[row]:.4g}" width="{width:.4g}" height="{cell:.4g}"/>')
            start = k
    if fine:
        y, inner = where[row] + cell / 2, cell * 0.42
        dots = "".join(f"M{where[k] + cell / 2:.4g} {y:.4g}h0" for k in range(len(kinds)) if kinds[k] == HIDDEN)
        out.append(f'<path class="dot" d="{dots}"/>' if dots else "")
        x, y = where[row] + (cell - inner) / 2, y - inner / 2
        out.append(f'<rect class="self" x="{x:.4g}" y="{y:.4g}" width="{inner:.4g}" height="{inner:.4g}"/>')
    return "".join(out)


def _lines(sizes: list[tuple[str, int]], cell: float, where: list[float], fine: bool) -> str:
    """Paper-coloured lines between the cells and a frame around each block of streams."""
    blocks, start = [], 0
    for _, size in sizes:
        if size:
            blocks.append((where[start], size))
        start += size
    frames = "".join(
        f'<rect class="block" x="{x:.4g}" y="{y:.4g}" width="{n * cell:.4g}" height="{m * cell:.4g}"/>'
        for x, n in blocks
        for y, m in blocks
    )
    if not fine:
        return frames
    across = "".join(f"M{x:.4g} {y + i * cell:.4g}h{n * cell:.4g}" for x, n in blocks for y, m in blocks for i in range(1, m))
    down = "".join(f"M{x + i * cell:.4g} {y:.4g}v{m * cell:.4g}" for x, n in blocks for y, m in blocks for i in range(1, n))
    return f'<path class="lines" d="{across}{down}"/>{frames}'


def _scored(view: Json) -> list[int]:
    """Rows of the square that bear loss."""
    rows, start = [], 0
    for stream in view["streams"]:
        size = _until(stream)
        rows += [start + i for i in range(size) if any(head[i] for head in stream.get("loss", []))]
        start += size
    return rows


def told(name: str, view: Json) -> str:
    """The picture in a sentence."""
    stats: dict[str, Any] = view.get("stats", {})
    streams = " and ".join(s["id"] for s in view["streams"])
    scored = stats.get("scored", 0)
    mean = (
        f"; a scored position sees {three(stats['mean_context_scored'])} positions on average" if stats.get("mean_context_scored") else ""
    )
    where = f" ({streams})" if len(view["streams"]) > 1 else ""
    positions = sum(len(s["tokens"]) for s in view["streams"])
    return (
        f"{positions} positions{where}; {100 * share_visible(view):.0f} % of the cells are visible; {scored} positions are scored{mean}."
    )


def _why(view: Json, leaks: int) -> str:
    """Why scored positions see their own answers, where the objective means it so."""
    kept = sum(token.get("kind") == "same" for stream in view["streams"] for token in stream["tokens"])
    if leaks and len(view["streams"]) > 1:
        return ", because the source still shows it"
    return ", because it was chosen but kept" if leaks and leaks == kept else ""


def read_out(view: Json) -> str:
    """The numbers of a view in a sentence."""
    stats = view.get("stats", {})
    leaks = int(stats.get("leaks", 0))
    own = {0: "None can see its own answer", 1: "1 can see its own answer"}.get(leaks, f"{leaks} can see their own answer")
    own += _why(view, leaks)
    member = f"Shown as its member {view['member']}: " if view.get("member") else ""
    said = f"{member}{stats.get('tokens', 0)} tokens of text, {stats.get('scored', 0)} scored"
    seen = f", each seeing {three(stats['mean_context_scored'])} positions on average" if stats.get("mean_context_scored") else ""
    return f"{said}{seen}. {own}."
