"""Draw many samples of a recipe and hold every claim against them; write the faithfulness tables."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np

from maskdial.conform import decoders, encoders, mixtures, seq2seq
from maskdial.conform.claim import Claim, Drawn, Tally, verdicts
from maskdial.errors import nearest
from maskdial.mixture import Mixture
from maskdial.objective import Objective
from maskdial.recipes import find, objective
from maskdial.rows import Rows
from maskdial.vocab import Vocab

#: body tokens of a row unless a claim is about another length, and tokens drawn at a time
LENGTH, AT_ONCE = 64, 1 << 19
#: ids in all, of which 400 are ordinary, so that each of them is drawn often
IDS = 640
Claims = Callable[[Mapping[str, Any], int, Vocab], Iterator[Claim]]
CLAIMS: dict[str, Claims] = {
    **encoders.CLAIMS, **seq2seq.CLAIMS, **decoders.CLAIMS, **mixtures.CLAIMS,
}  # fmt: skip


def table(count: int, length: int, first: int, vocab: Vocab) -> Rows:
    """Rows of random ordinary ids: words of two tokens, four sentences a row, the second half of each row part 1."""
    numbers = np.arange(first, first + count, dtype=np.uint64)
    tokens = vocab.body[np.random.default_rng(first).integers(0, len(vocab.body), count * length)]
    place = np.tile(np.arange(length), count)
    start = max(1, length // seq2seq.SENTENCES)
    return Rows(
        tokens=tokens, offsets=np.arange(count + 1, dtype=np.int64) * length, index=numbers, segment=np.zeros(len(tokens), np.int32),
        word=(place % 2 == 0).astype(np.uint8), sentence=((place % start == 0) & (place // start < seq2seq.SENTENCES)).astype(np.uint8),
        part=(place >= length // 2).astype(np.uint8), language=np.full(len(tokens), next(iter(vocab.languages.values())), np.int32),
        label=(numbers % 2).astype(np.int32),
    )  # fmt: skip


def settings(made: Objective | Mixture) -> dict[str, Any]:
    """Every option of an objective, defaults and a compatibility mode's among them."""
    defaults = {n: option.default for n, option in find(made.name).options.items()}
    chosen = {n: made.options.get(n, value) for n, value in defaults.items()}
    return chosen | ({"shares": made.shares} if isinstance(made, Mixture) else {})


def conform(
    name: str, options: Mapping[str, Any] | None = None, draws: int = 1_000_000, length: int = LENGTH, seed: int = 0,
    progress: Callable[[int, int], None] | None = None,
) -> dict[str, Any]:  # fmt: skip
    """Every claim of a recipe against `draws` samples: {"recipe", "options", "draws", "length", "claims": [...], "holds"}.

    `ValueError` for an unknown recipe or option, or a recipe that claims nothing.
    """
    if name not in CLAIMS:
        find(name)  # an unknown name says which is near
        raise ValueError(f"{name} makes no claims to check: {nearest(name, CLAIMS)}")
    options, vocab = dict(options or {}), Vocab.with_every_role(IDS)
    made = objective(name, **options)
    by_length: dict[int, list[Tally]] = {}
    for claim in CLAIMS[name](settings(made), length, vocab):
        by_length.setdefault(claim.length or length, []).append(Tally(claim))
    done, total = 0, draws * len(by_length)
    for size, tallies in by_length.items():
        at_once = max(1, AT_ONCE // max(1, size))
        wanted = max(1, draws * min(size, length) // size)
        for first in range(0, wanted, at_once):
            rows = table(min(at_once, wanted - first), size, first, vocab)
            drawn = Drawn(made, rows, vocab, made.draw(rows, vocab, seed))
            for tally in tallies:
                tally.add(drawn)
            if progress is not None:
                progress(done + (first + len(rows)) * draws // wanted, total)
        done += draws
    claims = verdicts([tally for tallies in by_length.values() for tally in tallies])
    return {
        "recipe": name, "options": options, "draws": draws, "length": length, "claims": claims, "holds": all(c["holds"] for c in claims),
    }  # fmt: skip


def everything() -> list[tuple[str, dict[str, Any]]]:
    """Each recipe as it is and in each of its compatibility modes."""
    return [(name, options) for name in CLAIMS for options in ({}, *({"compat": mode} for mode in find(name).about.modes))]
