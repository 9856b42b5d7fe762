"""Tokens that a tokenizer lacks, added in the open: every one is printed, nothing is reused in silence."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from maskdial.data.specials import GROUPS
from maskdial.data.tokenizer import Tokenizer
from maskdial.errors import nearest
from maskdial.interop.guest import NAMED, guest
from maskdial.vocab import FIM_SPELLINGS, MODE_SPELLINGS, SENTINEL_SPELLINGS


def grow(
    tokenizer: Any, model: Any = None, sentinels: int = 100, roles: Sequence[str] = ("mask", "pad"), modes: bool = False, fim: bool = False
) -> dict[str, int]:
    """Add the special tokens that are missing to a Hugging Face tokenizer (or a `tokenizers.Tokenizer`), and embeddings to a model.

    `roles` are mask, pad, bos, eos, eod, cls, sep, unk, start; `sentinels` how many <extra_id_k> there shall be; `modes` UL2's
    three, `fim` the four of fill-in-the-middle. Prints and returns spelling → id of what was added; what is there stays. The
    model's embeddings grow to the tokenizer's size and never shrink; its config learns a new padding id if it had none.
    `ValueError` for an unknown role, `TypeError` for one of maskdial's own tokenizers, which have every token.
    """
    if isinstance(tokenizer, Tokenizer):
        raise TypeError("maskdial's tokenizers grow by themselves: tokenizer.grow('sentinels')")
    vocab = guest(tokenizer).vocab
    for role in roles:
        if role not in GROUPS or role in ("sentinels", "modes", "fim"):
            raise ValueError(f"no special token is called {role!r}: {nearest(role, set(GROUPS) - {'sentinels', 'modes', 'fim'})}")
    named = {role: GROUPS[role][0] for role in roles if role in NAMED and getattr(vocab, role) is None}
    others = [GROUPS[role][0] for role in roles if role not in NAMED and getattr(vocab, role) is None]
    others += [SENTINEL_SPELLINGS[0].format(k) for k in range(len(vocab.sentinels), sentinels)]
    for wanted, have, spellings in ((modes, vocab.modes, MODE_SPELLINGS), (fim, vocab.fim, FIM_SPELLINGS)):
        others += [spelled[0] for name, spelled in spellings.items() if wanted and name not in have]
    _add(tokenizer, named, others)
    after = dict(tokenizer.get_vocab())
    added = {spelling: after[spelling] for spelling in [*named.values(), *others]}
    print("\n".join(f"added {spelling} as {id}" for spelling, id in added.items()) or "nothing to add")
    if model is not None:
        _widen(model, max(after.values()) + 1, vocab.pad if "pad" not in named else after[named["pad"]])
    return added


def _add(tokenizer: Any, named: dict[str, str], others: list[str]) -> None:
    from tokenizers import AddedToken

    def token(spelling: str) -> AddedToken:
        return AddedToken(spelling, special=True, normalized=False)

    if not hasattr(tokenizer, "add_special_tokens") or not hasattr(tokenizer, "pad_token"):
        tokenizer.add_special_tokens([token(s) for s in [*named.values(), *others]])
        return
    if named:
        tokenizer.add_special_tokens({f"{role}_token": token(spelling) for role, spelling in named.items()})
    tokenizer.add_tokens([token(s) for s in others], special_tokens=True)


def _widen(model: Any, size: int, pad: int | None) -> None:
    have = model.get_input_embeddings().weight.shape[0]
    if size > have:
        model.resize_token_embeddings(size)
        print(f"embeddings: {have:,} → {size:,} rows")
    if pad is not None and model.config.pad_token_id is None:
        model.config.pad_token_id = pad
        print(f"config.pad_token_id: {pad}")
