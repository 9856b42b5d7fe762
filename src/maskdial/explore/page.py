"""A page of the explorer as text: what it needs as data, and the first sample already drawn, so that it teaches before any script."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Mapping
from typing import Any

from maskdial.explore.request import Json
from maskdial.html import of_view
from maskdial.report.svg import escape

ICON = (
    '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 16 16"><rect width="16" height="16" rx="3" fill="#05277D"/>'
    '<path d="M3 13V3M3 13h10M6 10h7M9 7h4" stroke="#fff" stroke-width="2" fill="none"/></svg>'
)
#: what a served page may load: itself
POLICY = "default-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; object-src 'none'"


def served(meta: Json, first: Json, token: str) -> str:
    """The page of the local server."""
    head = f'<meta name="maskdial-token" content="{escape(token)}"><link rel="icon" href="/ui/icon.svg">'
    return _page(head, first, {"meta": meta, "first": first}, '<script type="module" src="/ui/explorer.js"></script>')


def exported(meta: Json, first: Json, answers: Mapping[str, Json], module: str) -> str:
    """One file that works from disk: the module inside, and every answer that was computed by its request's key."""
    # the text of a script ends at its first end tag, whatever the language
    script = module.replace("</script", "<\\/script")
    allowed = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    policy = f"default-src 'none'; script-src 'sha256-{allowed}'; base-uri 'none'; form-action 'none'"
    head = f'<meta http-equiv="Content-Security-Policy" content="{policy}">'
    return _page(head, first, {"meta": meta, "first": first, "answers": answers}, f'<script type="module">{script}</script>')


def _page(head: str, first: Json, carried: Mapping[str, Any], script: str) -> str:
    data = "\n".join(f'<script type="application/json" id="maskdial-{name}">{as_data(value)}</script>' for name, value in carried.items())
    return f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<meta name="referrer" content="no-referrer">
<title>maskdial explorer</title>
{head}
</head>
<body>
<div id="maskdial">{still(first)}<noscript><p>The dials need JavaScript. <code>maskdial show</code> does not.</p></noscript></div>
{data}
{script}
</body>
</html>
"""


def still(answer: Json) -> str:
    """An answer as a picture that does not move, with the sentence of the row that is lit first."""
    if not answer["ok"]:
        return f'<p role="alert">{escape(answer["error"]["message"])}</p>'
    view, sentences = answer["data"][0], answer["extra"]["sentences"]
    asked = [
        (stream["id"], row)
        for stream in view["streams"]
        for row in range(len(stream["tokens"]))
        if any(head[row] > 0 for head in stream["loss"])
    ]
    stream, row = asked[len(asked) // 2] if asked else (view["streams"][0]["id"], 0)
    return of_view(view, sentences[stream][row])


def as_data(value: Any) -> str:
    """JSON that may stand in a script element: nothing in it can end the element or begin a comment."""
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    return text.replace("<", "\\u003c").replace("\u2028", "\\u2028").replace("\u2029", "\\u2029")
