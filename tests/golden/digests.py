"""A digest of every recipe's samples: what a changed draw, kernel or default would change.

    python -m tests.golden.digests            prints them as JSON
    python -m tests.golden.digests --write    pins them in digests.json; say in the CHANGELOG whose samples changed, and why

A run that was begun before a digest changed goes on with other samples, and nobody can make the old ones again.
"""

from __future__ import annotations

import hashlib
import json
import sys
from pathlib import Path
from typing import Any

import numpy as np

import maskdial as md
from maskdial import rng
from maskdial.data.shuffle import permute
from maskdial.sample import Rows
from tests.laws.cases import CASES, IDS

FILE = Path(__file__).with_name("digests.json")
LENGTHS = [0, 1, 2, 3, 8, 31, 64, 127, 200]
VOCAB = md.Vocab(size=640, pad=0, bos=1, eos=2, eod=3, cls=4, sep=5, mask=6, unk=7, start=8, sentinels=range(639, 499, -1),
                 languages={"en": 9, "de": 10}, modes={"R": 11, "S": 12, "X": 13},
                 fim={"prefix": 14, "middle": 15, "suffix": 16, "pad": 17}, reserved=range(18, 100))  # fmt: skip


def rows(packing: str, documents: int) -> Rows:
    """Rows with every column a recipe may need, by arithmetic alone: no generator's stream is promised for ever."""
    at = [np.arange(n) for n in LENGTHS]
    segment = [i * documents // max(1, len(i)) for i in at]
    inside = [i - np.searchsorted(s, s) for i, s in zip(at, segment, strict=True)]  # places in their document
    part = [(3 * i > np.bincount(s, minlength=documents)[s]).astype(np.uint8) for i, s in zip(inside, segment, strict=True)]
    return md.rows(
        [100 + (i * 7919 + n * 104_729) % 400 for n, i in enumerate(at)], index=[n * n * 977 for n in range(len(at))], segment=segment,
        word=[(i * 13 % 5 < 3).astype(np.uint8) for i in at], sentence=[(i % 9 == 0).astype(np.uint8) for i in at], part=part,
        language=[9 + s % 2 for s in segment], label=[n % 2 for n in range(len(at))], packing=packing,
    )  # fmt: skip


def digest(name: str, options: dict[str, Any]) -> str:
    """Of what a model reads and is asked, both packings, two seeds and epochs; what is refused is part of it."""
    made = hashlib.sha256()
    for packing, documents in (("joined", 1), ("isolated", 3)):
        for number in (0, 1):
            try:
                s = md.objective(name, **options)(rows(packing, documents), VOCAB, seed=number, epoch=2 * number)
            except ValueError as fault:
                made.update(type(fault).__name__.encode())
                continue
            heads = [f"{column}:{head.name}" for head in s.heads for column in ("target", "weight")]
            for column in ("read", "position", "segment", "stream", "order", *sorted(s.extras), *heads):
                values = np.ascontiguousarray(s.column(column))
                made.update(column.encode() + values.astype(values.dtype.newbyteorder("<")).tobytes())
            made.update(s.offsets.astype("<i8").tobytes())
    return made.hexdigest()[:16]


def of(values: Any, kind: str) -> str:
    return hashlib.sha256(np.ascontiguousarray(values).astype(kind).tobytes()).hexdigest()[:16]


def below() -> dict[str, str]:
    """What recipes stand on: keys of the noise, the corpus's shuffle, a mixture's turns, the chances that ELECTRA's generator draws by."""
    from maskdial.model.generator_discriminator import chances

    electra, ul2 = md.objective("electra")(rows("joined", 1), VOCAB).batch().torch(), md.objective("ul2")
    return {
        "noise": of(rng.keys(3, "bert", 2, np.arange(999, dtype=np.uint64)), "<u8"),
        "shuffle": of(permute(np.arange(1009), 1009, 5, 2), "<i8"),
        "turns of ul2": of([list(ul2.members).index(ul2.member_of(n)) for n in range(999)], "<i8"),
        "chances of electra": of(chances(electra).numpy(), "<f8"),
    }


def digests() -> dict[str, str]:
    """Of every recipe in every named mode, and of what they stand on."""
    return below() | {key: digest(*case) for key, case in zip(IDS, CASES, strict=True)}


def main() -> None:
    text = json.dumps(digests(), indent=1) + "\n"
    if "--write" in sys.argv:
        FILE.write_text(text)
    else:
        print(text, end="")


if __name__ == "__main__":
    main()
