"""The one exception whose message is meant for the person at the terminal."""

from __future__ import annotations


class UserError(Exception):
    """Something the user can mend. `exit` is the command line's status (2 usage or config, 1 failed, 3 check, 4 refused to mix)."""

    def __init__(self, message: str, *, hint: str = "", code: str = "usage", where: str = "", exit: int = 2) -> None:
        super().__init__(message)
        self.message, self.hint, self.code, self.where, self.exit = message, hint, code, where, exit


def nearest(word: str, known: object) -> str:
    """`did you mean 'x'?` for the known name closest to `word`, or the list of known names."""
    from difflib import get_close_matches

    names = sorted(str(k) for k in known)  # type: ignore[attr-defined]
    close = get_close_matches(word, names, n=3, cutoff=0.5)
    close.sort(key=lambda name: sorted(name) != sorted(word))  # letters that changed places are the likelier slip
    return f"did you mean {close[0]!r}?" if close else f"known: {', '.join(names)}"
