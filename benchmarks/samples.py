"""Million body tokens a second that each recipe makes into samples: one thread, plain arrays out, fresh noise every call.

    python benchmarks/samples.py [--rows 128] [--length 512] [--calls 20] [--json]

The peer is the Hugging Face masked-LM collator on the same rows, end to end and its inner function, in the same run, when
transformers is installed. A copy of the tokens is printed as the limit. `epoch` changes every call: repeating one batch
would train the branch predictor and flatter the figure.
"""

import argparse
import json
import os
import statistics
import time

os.environ.setdefault("NUMBA_NUM_THREADS", "1")
os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np

import maskdial as md

VOCAB = 32_000


def timed(call, calls):
    """Median seconds of `calls` calls after three to warm up; the call gets its number."""
    for i in range(3):
        call(1_000_000 + i)
    seconds = []
    for i in range(calls):
        start = time.perf_counter()
        call(i)
        seconds.append(time.perf_counter() - start)
    return statistics.median(seconds)


def ours(rows, vocab, calls):
    """Mtok/s of every recipe, without and with provenance."""
    total = len(rows.tokens)
    for name in md.recipes():
        objective = md.objective(name)
        for provenance in (False, True):
            def call(i, objective=objective, provenance=provenance):
                samples = objective(rows, vocab, seed=0, epoch=i, provenance=provenance)
                return samples.read, samples.target

            yield name + (" + provenance" if provenance else ""), total / timed(call, calls) / 1e6


def peers(rows, length, calls):
    """Mtok/s of the Hugging Face MLM collator on the same rows."""
    try:
        import torch
        from tokenizers import Tokenizer
        from tokenizers.models import WordLevel
        from transformers import DataCollatorForLanguageModeling, PreTrainedTokenizerFast
    except ImportError:
        return
    torch.set_num_threads(1)
    words = {f"w{i}": i for i in range(VOCAB)}
    words |= {"[MASK]": 3, "[PAD]": 0}
    names = {"mask_token": "[MASK]", "pad_token": "[PAD]"}
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=Tokenizer(WordLevel({**words}, unk_token="w1")), **names)
    collator = DataCollatorForLanguageModeling(tokenizer, mlm_probability=0.15)
    ids = rows.tokens.reshape(-1, length)
    features = [{"input_ids": row.tolist()} for row in ids]
    inner = torch.from_numpy(ids.astype(np.int64))
    special = torch.zeros_like(inner, dtype=torch.bool)
    yield "HF MLM collator, end to end", len(rows.tokens) / timed(lambda i: collator(features), calls) / 1e6
    yield "HF MLM collator, inner function", (
        len(rows.tokens) / timed(lambda i: collator.torch_mask_tokens(inner.clone(), special_tokens_mask=special), calls) / 1e6
    )


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=128)
    parser.add_argument("--length", type=int, default=512)
    parser.add_argument("--calls", type=int, default=20)
    parser.add_argument("--json", action="store_true")
    a = parser.parse_args()
    g = np.random.default_rng(0)
    vocab = md.Vocab(size=VOCAB, pad=0, bos=1, eos=2, mask=3, sentinels=range(VOCAB - 1, VOCAB - 131, -1))
    body = [g.integers(10, VOCAB - 140, a.length) for _ in range(a.rows)]
    rows = md.rows(body, sentence=[(g.random(a.length) < 0.05).astype(np.uint8) for _ in body])
    found = {"copy of the tokens (the limit)": len(rows.tokens) / timed(lambda i: rows.tokens.copy(), a.calls) / 1e6}
    found |= dict(ours(rows, vocab, a.calls))
    found |= dict(peers(rows, a.length, a.calls))
    if a.json:
        print(json.dumps({name: round(rate, 2) for name, rate in found.items()}))
        return
    print(f"{a.rows} × {a.length} tokens, V = {VOCAB:,}, one thread, fresh noise every call, median of {a.calls}\n")
    for name, rate in found.items():
        print(f"{name:34} {rate:10,.1f} Mtok/s")
    if (peer := found.get("HF MLM collator, end to end")) is not None:
        print(f"\nbert / HF MLM collator end to end: {found['bert'] / peer:,.0f} ×")
    else:
        print("\nno peer measured: transformers is not installed (pip install -c constraints.txt -e '.[hf]')")


if __name__ == "__main__":
    main()
