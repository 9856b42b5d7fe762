"""A state as a link and back. All of it stands behind the `#`: it works from disk and reaches no server's log.

`#v=1&o=t5&p.rate=0.3&p.see=prefix:5&t=The+cat&seed=1&row=answer.7`: options `p.*`, forced decisions `f.*`, the right-hand side
of a comparison `b.*`; the text as it is (`t`), packed (`z`), or an example's id (`ex`). What equals the default is left out.
"""

from __future__ import annotations

import base64
import json
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote, unquote

from maskdial.explore.request import CHARACTERS, TOKENIZERS, Json, Request, RequestError, canonical, read
from maskdial.explore.texts import EXAMPLES, FIRST

#: longer links are not made: pass on the JSON instead
LONGEST = 2000
#: keys that belong to the page
PAGE = ("row", "step", "view", "theme", "screen")
#: texts that take more than this are packed where that is shorter
PACKED = 120


@dataclass(frozen=True)
class Link:
    """What a link says: the request, what belongs to the page, and the keys that could not be read."""

    request: Request
    page: Mapping[str, str] = field(default_factory=dict)
    ignored: tuple[str, ...] = ()


def encode(asked: Request, page: Mapping[str, str] | None = None) -> str | None:
    """The part of a link from `#` on; None when it is longer than 2,000 characters."""
    pairs = [("v", "1"), ("o", asked.objective), *_options("p.", asked.options), *_text(asked.text)]
    pairs += [("seed", str(asked.seed))] if asked.seed else []
    pairs += [("tok", asked.tokenizer)] if asked.tokenizer != "words" else []
    pairs += [("hide", ",".join(map(str, asked.hide)))] if asked.hide is not None else []
    pairs += [(f"f.{name}", _plain(value)) for name, value in asked.force.items()]
    pairs += [(key, page[key]) for key in PAGE if page and key in page]
    if asked.second:
        pairs += [("b.o", asked.second[0]), *_options("b.p.", asked.second[1])]
    made = "#" + "&".join(f"{_escaped(key)}={_escaped(value)}" for key, value in pairs)
    return made if len(made) <= LONGEST else None


def decode(link: str, tokenizers: tuple[str, ...] = TOKENIZERS) -> Link:
    """What a link (all of it, or from `#` on) says. What can't be read is named, and the rest is taken; `RequestError` when what is
    left makes no request."""
    given = dict(_pairs(link.partition("#")[2]))
    ignored = [] if given.pop("v", "1") == "1" else ["v"]
    page = {key: given.pop(key) for key in PAGE if key in given}
    value: Json = {"objective": given.pop("o", FIRST["objective"]), "options": {}, "force": {}}
    value["text"] = _read_text(given, ignored)
    if "b.o" in given:
        value["second"] = {"objective": given.pop("b.o"), "options": {}}
    for key, text in given.items():
        if not _take(value, key, text):
            ignored.append(key)
    if value.get("tokenizer", "words") not in tokenizers:
        del value["tokenizer"]
        ignored.append("tok")
    return Link(_readable(value, tokenizers, ignored), page, tuple(ignored))


def _readable(value: Json, tokenizers: tuple[str, ...], ignored: list[str]) -> Request:
    """The request without the dials that it can't have."""
    while True:
        try:
            return read(value, tokenizers)
        except RequestError as error:
            side, _, name = error.where.rpartition("options.")
            options = (value.get("second") or {}).get("options", {}) if side else value["options"]
            if not name or name not in options:
                raise
            del options[name]
            ignored.append(("b.p." if side else "p.") + name)


def _options(before: str, options: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    for name in sorted(options):
        yield before + name, _plain(options[name])


def _plain(value: Any) -> str:
    """A value as it stands in a link."""
    if isinstance(value, Mapping) and "visibility" in value:
        return str(value["visibility"]) + (f":{value['split']}" if "split" in value else "")
    # a text that would be read as something else stands in quotation marks
    return value if isinstance(value, str) and parsed(value) == value else canonical(value)


def parsed(text: str) -> Any:
    """A value of a link: JSON where it is, else a text."""
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None if text == "none" else text


def _text(text: str) -> Iterator[tuple[str, str]]:
    """How a text stands in a link; the first one needs no mention."""
    if text == FIRST["text"]:
        return
    if (example := next((e["id"] for e in EXAMPLES if e["text"] == text), None)) is not None:
        yield "ex", example
        return
    plain = _escaped(text)
    packer = zlib.compressobj(9, zlib.DEFLATED, -15)
    packed = base64.urlsafe_b64encode(packer.compress(text.encode()) + packer.flush()).decode().rstrip("=")
    yield ("z", packed) if PACKED < len(plain) > len(packed) else ("t", text)


def _read_text(given: dict[str, str], ignored: list[str]) -> str:
    found = {key: given.pop(key) for key in ("t", "z", "ex") if key in given}
    if "t" in found:
        return found["t"]
    if "z" in found:
        try:
            packed = base64.urlsafe_b64decode(found["z"] + "=" * (-len(found["z"]) % 4))
            # as much as a text may have, and one more, so that a longer one is refused and none can fill the memory
            return zlib.decompressobj(-15).decompress(packed, 4 * CHARACTERS + 4).decode()
        except (ValueError, zlib.error):
            ignored.append("z")
    if "ex" in found:
        known = {e["id"]: e["text"] for e in EXAMPLES}
        if found["ex"] in known:
            return known[found["ex"]]
        ignored.append("ex")
    return str(FIRST["text"])


def _take(value: Json, key: str, text: str) -> bool:
    """One key into the request's JSON; False when it is none of ours or holds no such value."""
    if key == "seed" and text.isdecimal() and len(text) < 17:
        value["seed"] = int(text)
    elif key == "tok":
        value["tokenizer"] = text
    elif key == "hide" and all(word.isdecimal() and len(word) < 9 for word in text.split(",") if text):
        value["hide"] = [int(word) for word in text.split(",") if text]
    elif key.startswith("f."):
        value["force"][key[2:]] = parsed(text)
    elif key.startswith("p."):
        value["options"][key[2:]] = seen(text) if key == "p.see" else parsed(text)
    elif key.startswith("b.p.") and "second" in value:
        value["second"]["options"][key[4:]] = seen(text) if key == "b.p.see" else parsed(text)
    else:
        return False
    return True


def seen(text: str) -> Json:
    """`prefix:5` as the SEE dial's setting."""
    visibility, colon, split = text.partition(":")
    return {"visibility": visibility, **({"split": int(split)} if colon and split.isdecimal() and len(split) < 9 else {})}


def _escaped(text: str) -> str:
    return quote(text, safe="-_.!~*'()").replace("%20", "+").replace("%2C", ",").replace("%3A", ":")


def _pairs(text: str) -> Iterator[tuple[str, str]]:
    for part in text.split("&"):
        key, _, value = part.partition("=")
        if key:
            yield unquote(key.replace("+", " ")), unquote(value.replace("+", " "))
