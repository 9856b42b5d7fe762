"""The explorer's front end as one ES module: the hand-written parts in `front/`, joined.

A notebook takes a single file, and a page opened from disk can't import a second one. So the parts, each an ES module of its own,
lose their imports and exports and share one scope, in which every name is there once. The style sheet joins as `style.js`.
Comments and spaces that mean nothing stay behind; for that, no part holds a template inside a template or a space in a regex.
"""

from __future__ import annotations

import json
import re
from functools import cache
from pathlib import Path

FRONT = Path(__file__).parent / "front"
#: the parts, each after those that it imports
PARTS = (
    "dom", "sample", "store", "link", "ask", "strips", "canvas", "grid", "table", "row", "steps", "fields", "dials", "rail", "code",
    "states", "runs", "explore", "compare", "quiz", "audit", "help", "context", "app", "entry",
)  # fmt: skip
_LINK = re.compile(r'^import \{[^}]*\} from "\./\w+\.js";$|^export (?=(?:async )?function|class|const)', re.MULTILINE)
_COMMENT = re.compile(r"^ *(?:/\*.*?\*/|//[^\n]*)\n", re.MULTILINE | re.DOTALL)
#: a string, which stays as it is, or a sign with the spaces around it
_SIGN = re.compile(r'("(?:[^"\\\n]|\\.)*"|`(?:[^`\\]|\\.)*`)|\s*([(){}\[\],;:=<>?!&|*+-])\s*')
_STYLE_SIGN = re.compile(r'("[^"]*")|\s*([{};,>])\s*|(:) ')


@cache
def module() -> str:
    """The module's text: `export default { render }` for notebooks; on a page that carries `#maskdial-meta` it starts by itself."""
    style = json.dumps(_tight_style((FRONT / "explorer.css").read_text(encoding="utf-8")), ensure_ascii=False)
    return "\n".join([f"const STYLE={style};", *(_joined((FRONT / f"{name}.js").read_text(encoding="utf-8")) for name in PARTS)])


def _joined(text: str) -> str:
    text = _LINK.sub("", _COMMENT.sub("", text)).strip()
    return _SIGN.sub(lambda found: found[1] or found[2], text)


def _tight_style(text: str) -> str:
    text = _STYLE_SIGN.sub(lambda found: found[1] or found[2] or found[3], re.sub(r"/\*.*?\*/", "", text, flags=re.DOTALL))
    text = re.sub(r'="([a-z]+)"\]', r"=\1]", text)
    return re.sub(r"\b0(\.\d)", r"\1", text).replace(";}", "}").strip()
