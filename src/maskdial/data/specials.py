"""The special tokens of the tokenizers that maskdial makes, and the copy of a tokenizer that can't produce any."""

from __future__ import annotations

import hashlib
import json
import re
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from maskdial.vocab import FIM_SPELLINGS, MODE_SPELLINGS, SENTINEL_SPELLINGS, SPELLINGS

if TYPE_CHECKING:
    import tokenizers

SENTINELS = 130

#: Spellings by what `grow` calls them: one a role, or a whole group.
GROUPS: dict[str, tuple[str, ...]] = {
    **{role: (spellings[0],) for role, spellings in SPELLINGS.items()},
    "modes": tuple(s[0] for s in MODE_SPELLINGS.values()),
    "fim": tuple(s[0] for s in FIM_SPELLINGS.values()),
    "sentinels": tuple(SENTINEL_SPELLINGS[0].format(k) for k in range(SENTINELS)),
}


def all_specials() -> list[str]:
    """The spelling of every special token, in the order of their ids."""
    return [spelling for group in GROUPS.values() for spelling in group]


def spelled(spellings: list[str]) -> re.Pattern[str]:
    """Finds text that spells a special token; the longest spelling wins."""
    return re.compile("|".join(re.escape(s) for s in sorted(spellings, key=lambda s: (-len(s), s))) or r"(?!)")


def body_engine(engine: tokenizers.Tokenizer, reserved: frozenset[int]) -> tuple[tokenizers.Tokenizer, NDArray[np.int32] | None]:
    """A copy of a tokenizer that knows no special token, and the table from its ids to the original's (None: the same).

    Special tokens live in two places: in the list of added tokens, which is matched before anything else, and often in
    the model's own vocabulary, where text can reach them too. They leave the first and are respelt in the second.
    """
    from tokenizers import Tokenizer

    text = engine.to_str()
    data = json.loads(text)
    secret = hashlib.sha256(text.encode()).hexdigest()
    hidden = {s: f"\U0010fffe{secret}{id}" for id in sorted(reserved) if (s := engine.id_to_token(id)) is not None}
    data["added_tokens"] = [t for t in data["added_tokens"] if t["id"] not in reserved]
    data["post_processor"] = data["truncation"] = data["padding"] = None
    _respell(data["model"], hidden)
    copy = Tokenizer.from_str(json.dumps(data))
    original = engine.get_vocab(with_added_tokens=True)
    back = {new: old for old, new in hidden.items()}
    pairs = [(id, original[back.get(token, token)]) for token, id in copy.get_vocab(with_added_tokens=True).items()]
    if all(id == other for id, other in pairs):
        return copy, None
    table = np.zeros(max(id for id, _ in pairs) + 1, dtype=np.int32)
    for id, other in pairs:
        table[id] = other
    return copy, table


def _respell(model: dict[str, Any], hidden: dict[str, str]) -> None:
    """Give tokens of the model's vocabulary spellings that no text has; ids stay."""
    if "dropout" in model:
        model["dropout"] = None  # random merges would make two runs differ
    vocab = model["vocab"]
    if isinstance(vocab, list):
        model["vocab"] = [[hidden.get(piece, piece), score] for piece, score in vocab]
        return
    needed: set[str] = set()
    for merge in model.get("merges", ()):
        left, right = merge.split(" ") if isinstance(merge, str) else merge
        needed |= {left, right, left + right}
    names = {old: new for old, new in hidden.items() if old not in needed}
    model["vocab"] = {names.get(token, token): id for token, id in vocab.items()}
    if model.get("unk_token") in names:
        model["unk_token"] = names[model["unk_token"]]
