"""Language tokens: how tokenizers spell them, and which ones a corpus needs."""

from __future__ import annotations

from collections.abc import Callable, Iterable

#: What a document is called that names no language in a corpus where others do (ISO 639-2: undetermined).
UNNAMED = "und"
#: How a language's token is spelled in the tokenizers that maskdial makes, then in published ones (NLLB and mBART, fairseq,
#: T5's form, Whisper, M2M-100).
SPELLINGS = ("<lang:{}>", "{}", "[{}]", "<{}>", "<|{}|>", "__{}__")


def spelled(names: Iterable[str], special: Callable[[str], bool]) -> dict[str, str]:
    """Name → spelling of the languages that a tokenizer has a special token for."""
    found = ((name, next((s for form in SPELLINGS if special(s := form.format(name))), None)) for name in names)
    return {name: spelling for name, spelling in found if spelling is not None}
