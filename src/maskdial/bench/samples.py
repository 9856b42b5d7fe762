"""Million body tokens a second that each recipe makes into samples: plain arrays out, fresh noise every call.

The epoch changes every call: repeating one batch would train the branch predictor and flatter the figure. A peer gets the same
rows in the same run; a copy of what is read and what must be said is the limit.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from itertools import count
from typing import Any

import numpy as np

from maskdial.mixture import Mixture
from maskdial.objective import Objective
from maskdial.rows import Rows
from maskdial.vocab import Vocab

SIZE = 32_000
#: calls before the first that counts (CPython writes what is called often anew in its first dozens, processors learn its branches):
#: so many, or as many as fit into so many seconds, and never fewer than three
WARM, WARM_SECONDS, WARM_LEAST = 50, 0.5, 3


def table(rows: int, length: int, vocab: Vocab) -> Rows:
    """Random rows with every column that a recipe may need."""
    g, total = np.random.default_rng(0), rows * length
    place = np.tile(np.arange(length), rows)
    return Rows(
        tokens=vocab.body[g.integers(0, len(vocab.body), total)], offsets=np.arange(rows + 1, dtype=np.int64) * length,
        index=np.arange(rows, dtype=np.uint64), segment=np.zeros(total, dtype=np.int32), word=(g.random(total) < 0.7).astype(np.uint8),
        sentence=(g.random(total) < 0.05).astype(np.uint8), part=(place >= length // 2).astype(np.uint8),
        language=np.full(total, 9, dtype=np.int32), label=(np.arange(rows) % 2).astype(np.int32),
    )  # fmt: skip


def seconds(call: Callable[[int], Any], calls: int, threads: int = 1) -> list[float]:
    """Seconds of each call, by each thread at the same time when there are several; every call gets a number of its own."""
    began = time.perf_counter()
    for i in range(WARM):
        if i < WARM_LEAST or time.perf_counter() - began < WARM_SECONDS:
            call(1_000_000 + i)
    number = count()

    def run(_: int) -> list[float]:
        made = []
        for _call in range(calls):
            start = time.perf_counter()
            call(next(number))
            made.append(time.perf_counter() - start)
        return made

    if threads == 1:
        return run(0)
    with ThreadPoolExecutor(threads) as pool:
        return [s for part in pool.map(run, range(threads)) for s in part]


def speed(million: float, took: list[float]) -> dict[str, float]:
    """Million tokens a second: of the median call, and of the quickest. Far apart, they tell that something disturbed the machine."""
    return {"mtok_s": million / statistics.median(took), "best_mtok_s": million / min(took)}


def recipes(
    wanted: Mapping[str, Objective | Mixture], rows: Rows, vocab: Vocab, calls: int, threads: int, provenance: bool
) -> Iterator[dict[str, Any]]:
    """One figure an objective: Mtok/s on one thread and, if asked, on several together; why not, where one refuses."""
    total = len(rows.tokens) / 1e6
    for name, made in wanted.items():

        def call(i: int, made: Objective | Mixture = made) -> Any:
            samples = made(rows, vocab, seed=0, epoch=i, provenance=provenance)
            return samples.read, samples.target, samples.origin if provenance else None

        try:
            found: dict[str, Any] = {"name": name, **speed(total, seconds(call, calls))}
            if threads > 1:
                found["threads"] = {str(threads): threads * total / statistics.median(seconds(call, calls, threads))}
        except ValueError as refusal:
            found = {"name": name, "refused": str(refusal)}
        yield found


def limit(rows: Rows, calls: int) -> dict[str, Any]:
    """Copying two arrays of the tokens' size: what is read and what must be said."""
    took = seconds(lambda i: (rows.tokens.copy(), rows.tokens.copy()), calls)
    return {"name": "numpy copy of read and target", **speed(len(rows.tokens) / 1e6, took), "peer": True}


def peers(rows: Rows, length: int, calls: int) -> Iterator[dict[str, Any]]:
    """Hugging Face's masked-LM collator end to end, its inner function, and whole words; nothing where transformers is absent."""
    try:
        import torch
        from tokenizers import Tokenizer
        from tokenizers.models import WordLevel
        from transformers import DataCollatorForLanguageModeling, PreTrainedTokenizerFast
    except ImportError:
        return
    before, total = torch.get_num_threads(), len(rows.tokens) / 1e6
    torch.set_num_threads(1)
    try:
        words = {f"w{i}": i for i in range(SIZE)} | {"[MASK]": 6, "[PAD]": 0}
        plain = Tokenizer(WordLevel(words, unk_token="w1"))
        tokenizer: Any = PreTrainedTokenizerFast(tokenizer_object=plain, mask_token="[MASK]", pad_token="[PAD]")  # type: ignore[no-untyped-call]
        collator = DataCollatorForLanguageModeling(tokenizer, mlm_probability=0.15)
        table = rows.tokens.reshape(-1, length)
        features = [{"input_ids": row.tolist()} for row in table]
        inner = torch.from_numpy(table.astype(np.int64))
        special = torch.zeros_like(inner, dtype=torch.bool)
        whole = seconds(lambda i: collator(features), calls)
        yield {"name": "Hugging Face MLM collator, end to end", **speed(total, whole), "peer": True}
        masked = seconds(lambda i: collator.torch_mask_tokens(inner.clone(), special_tokens_mask=special), calls)
        yield {"name": "Hugging Face MLM collator, inner function", **speed(total, masked), "peer": True}
        words_too = replace(collator, whole_word_mask=True, mask_replace_prob=1.0, random_replace_prob=0.0)
        spelled = [one | told for one, told in zip(features, spelling(rows, length), strict=True)]
        took = seconds(lambda i: words_too(spelled), min(calls, 5))
        yield {"name": "Hugging Face whole-word collator, end to end", **speed(total, took), "peer": True}
    finally:
        torch.set_num_threads(before)


def spelling(rows: Rows, length: int) -> Iterator[dict[str, Any]]:
    """What the whole-word collator wants of each row: where tokens lie in a text (a letter each, a blank before each word)."""
    assert rows.word is not None
    for word in rows.word.reshape(-1, length):
        end = np.cumsum(1 + word)
        yield {"offset_mapping": np.stack([end - 1, end], axis=1).tolist(), "special_tokens_mask": [0] * length}
