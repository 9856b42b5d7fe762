"""Reading settings from a command line."""

from __future__ import annotations

from maskdial.errors import UserError


def pairs(words: list[str], option: str) -> dict[str, str]:
    """KEY=VALUE words as a dict."""
    made = {}
    for word in words:
        key, sign, value = word.partition("=")
        if not sign or not key:
            raise UserError(f"{option} wants KEY=VALUE, got {word!r}", code="usage.pair")
        made[key.strip().replace("-", "_")] = value.strip()
    return made


def positions(text: str | None) -> list[int] | None:
    """`2,3,8` as numbers."""
    if text is None:
        return None
    try:
        return [int(word) for word in text.replace(" ", ",").split(",") if word]
    except ValueError:
        raise UserError(f"--hide wants token numbers such as 2,3,8, got {text!r}", code="usage.hide") from None
