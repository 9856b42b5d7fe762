"""From text to rows: documents → tokenizer → shards → shuffle → rows → loader. Never looks inside an objective.

The public names are loaded when they are first used, so that importing this package costs nothing.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from maskdial.data.build import merge, prepare
    from maskdial.data.cache import open_or_prepare
    from maskdial.data.corpus import Corpus, Part
    from maskdial.data.document import Document, Tally
    from maskdial.data.documents import read
    from maskdial.data.embedded import pydocs
    from maskdial.data.loader import Loader
    from maskdial.data.pairs import pair_rows
    from maskdial.data.second import pair_of
    from maskdial.data.storage import verify
    from maskdial.data.tokenizer import Tokenizer, load

HOME = {
    "Corpus": "corpus", "Part": "corpus", "open_or_prepare": "cache", "prepare": "build", "merge": "build",
    "verify": "shards", "Tokenizer": "tokenizer", "load": "tokenizer", "Document": "document", "Tally": "document",
    "read": "documents", "pydocs": "embedded", "Loader": "loader",
    "pair_rows": "pairs", "pair_of": "second",
}  # fmt: skip

__all__ = [
    "Corpus", "Document", "Loader", "Part", "Tally", "Tokenizer", "load", "merge", "open_or_prepare", "pair_of", "pair_rows", "prepare",
    "pydocs", "read", "verify",
]  # fmt: skip


def __getattr__(name: str) -> Any:
    if name not in HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{HOME[name]}"), name)
