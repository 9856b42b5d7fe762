"""A card as Markdown and as a box for the terminal."""

from __future__ import annotations

import re
import textwrap

from maskdial.report.folder import Json


def markdown(card: Json) -> str:
    """The card as Markdown, for `cards/NAME.md` and for pasting."""
    lines = [f"# {_plain(card['title'])}", "", *([f"*{_plain(card['formula'])}*", ""] if card["formula"] else [])]
    if card["measured"]:
        lines += [f"Run `{card['run']}`, {card['seeds']} seed{'s' if card['seeds'] != 1 else ''}. {_plain(card['note'])}".rstrip(), ""]
    elif card["note"]:
        lines += [_plain(card["note"]), ""]
    for field in card["fields"]:
        if not field["claims"]:
            continue
        lines += [f"## {field['label']}", ""]
        if field["id"] == "objective":
            lines += [f"- {dial.upper()}: {_plain(words)}" for dial, words in card["dials"].items()]
        if field["id"] == "training_sample" and card["example"]:
            width = max(len(line["label"]) for line in card["example"])
            lines += ["```text", *[f"{line['label']:<{width}}  {line['text']}" for line in card["example"]], "```", ""]
        lines += [f"- {_plain(claim['text'])} — {_origin(claim)}" for claim in field["claims"]] + [""]
    return "\n".join(lines).rstrip() + "\n"


def _plain(text: object) -> str:
    """Text in which Markdown and HTML find nothing to act on."""
    out = " ".join(str(text).split())
    for mark in "\\`*[]<>_#|":
        out = out.replace(mark, "\\" + mark if mark not in "<>" else {"<": "&lt;", ">": "&gt;"}[mark])
    return out


def _origin(claim: Json) -> str:
    if claim["tag"] == "measured":
        return f"*measured* (`{claim['path'].replace('`', '')}`{_bounds(claim)})"
    source = claim["source"]
    cite = f"[{_plain(source['cite'])}]({source['url']})" if source.get("url") else _plain(source["cite"])
    return f"*literature* ({cite}{', ' + _plain(source['where']) if source.get('where') else ''})"


def _bounds(claim: Json) -> str:
    low, high = claim.get("interval") or (None, None)
    return f", 95 % interval {low:.4g} to {high:.4g}" if low is not None and high is not None else ""


def terminal(card: Json, width: int = 92) -> str:
    """The card as a box of plain characters, `width` columns wide."""
    width = max(60, width)
    title = f" {_safe(card['title']).upper()} "
    mark = f" card v1 · run {_safe(card['run'])} · seeds {card['seeds']} " if card["measured"] else " card v1 · literature only "
    rule = "─" * max(1, width - 4 - len(title) - len(mark))
    lines = [f"┌─{title}{rule}{mark}─┐" if len(title) + len(mark) + 5 <= width else f"┌─{title}"[: width - 1] + "┐"]
    body: list[tuple[str, str]] = []
    for field in card["fields"]:
        body += _rows(field, card)
    for label, text in [*body, *([("", card["note"])] if card["note"] else [])]:
        lines += _boxed(label, text, width)
    return "\n".join([*lines, "└" + "─" * (width - 2) + "┘"])


def _rows(field: Json, card: Json) -> list[tuple[str, str]]:
    """A field as (label, text) rows; only its first row carries the label."""
    texts = [f"{claim['text']} [{_short(claim)}]" for claim in field["claims"]]
    if field["id"] == "objective":
        texts = [card["formula"], *texts, *(f"{dial.upper():<5} {words}" for dial, words in card["dials"].items())]
    if field["id"] == "training_sample":
        texts = [f"{line['label']}: {line['text']}" for line in card["example"]] + texts
    texts = [text for text in texts if text]
    return [(field["label"].upper() if i == 0 else "", text) for i, text in enumerate(texts)]


def _short(claim: Json) -> str:
    if claim["tag"] == "measured":
        # the objective's own place is named once, under EVIDENCE
        return "measured: " + re.sub(r"^results\.json#/objectives/[^/]+/", "…/", claim["path"])
    where = claim["source"].get("where")
    return f"literature: {claim['source']['cite']}{', ' + where if where else ''}"


def _boxed(label: str, text: str, width: int) -> list[str]:
    first = f"{label:<17} "
    wrapped = textwrap.wrap(_safe(text), width - 4 - len(first), break_on_hyphens=False) or [""]
    return [f"│ {first if i == 0 else ' ' * len(first)}{line:<{width - 4 - len(first)}} │" for i, line in enumerate(wrapped)]


def _safe(text: object) -> str:
    """Text that can't steer a terminal."""
    return "".join(c if c.isprintable() else " " for c in str(text))
