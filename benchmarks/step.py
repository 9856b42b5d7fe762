"""One training step: ours against Hugging Face's classes, at equal size and precision, in one run on this machine.

    python benchmarks/step.py [--threads 2] [--rounds 7] [--json FILE]

Vocabulary 8,192, width 256, 4 layers, 4 heads, 16 × 256 tokens, fp32, forward + backward + AdamW step (torch's, fused) on both
sides. Rounds alternate between the two, and the ratio of their best times is reported, since machines are noisy. T5 counts
source and answer tokens. Without transformers only our side is measured, and the table says so.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import sys
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import torch

from maskdial.batch import Batch
from maskdial.model import ModelConfig, build, loss
from maskdial.sample import SILENT, Head

V, D, LAYERS, HEADS, ROWS, LENGTH, ANSWER = 8192, 256, 4, 4, 16, 256, 58
TARGETS = {"bert": 1.7, "gpt2": 1.2, "t5": 1.3}
Step = Callable[[], float]


def columns(rows: int, length: int, causal: bool, rng: np.random.Generator) -> dict[str, np.ndarray]:
    """read, position, segment and order."""
    count = np.tile(np.arange(length, dtype=np.int32), (rows, 1))
    return {"read": rng.integers(0, V, (rows, length)).astype(np.int32), "position": count,
            "segment": np.zeros_like(count), "order": count if causal else 0 * count}  # fmt: skip


def our_batch(kind: str) -> Batch:
    """The same shapes and scored shares as the peers get: 15 % (bert), all but one a row (gpt2), the whole answer (t5)."""
    rng = np.random.default_rng(0)
    made = Batch()
    if kind == "t5":
        made.update({f"source_{k}": v for k, v in columns(ROWS, LENGTH, False, rng).items()})
        made.update({f"answer_{k}": v + (k == "order") for k, v in columns(ROWS, ANSWER, True, rng).items()})
    else:
        made.update(columns(ROWS, LENGTH, kind == "gpt2", rng))
    length = ANSWER if kind == "t5" else LENGTH
    target = rng.integers(0, V, (ROWS, length)).astype(np.int32)
    if kind == "bert":
        target[rng.random(target.shape) >= 0.15] = SILENT
    if kind == "gpt2":
        target[:, -1] = SILENT
    made["target:token"], made["weight:token"] = target, (target != SILENT).astype(np.float32)
    made.layout, made.heads, made.body_tokens = "encoder", (Head(),), ROWS * LENGTH
    return made.torch()


def ours(kind: str) -> tuple[Step, int]:
    """A step of ours and its parameters, without the embedding."""
    if kind == "t5":
        config = ModelConfig(vocab_size=V, shape="encoder-decoder", preset=None, d=D, layers=LAYERS, source_layers=LAYERS,
                             heads=HEADS, ffn=512)  # fmt: skip
    else:
        config = ModelConfig(vocab_size=V, preset=None, d=D, layers=LAYERS, heads=HEADS, ffn=680)
    model, batch = build(config), our_batch(kind)
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-4, fused=True)

    def step() -> float:
        optimizer.zero_grad()
        total = loss(model, batch).total()
        total.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        return float(total.detach())

    return step, model.num_parameters - V * D


def theirs(kind: str) -> tuple[Step, int]:
    """The same with Hugging Face's class as it comes (its own loss, no dropout)."""
    import transformers as hf

    batch = our_batch(kind)
    target = batch["target:token"].long()
    inputs: dict[str, Any]
    if kind == "bert":
        size = {"hidden_size": D, "num_hidden_layers": LAYERS, "num_attention_heads": HEADS, "intermediate_size": 4 * D}
        still = {"hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.0}
        model = hf.BertForMaskedLM(hf.BertConfig(vocab_size=V, **size, **still))
        inputs = {"input_ids": batch["read"].long(), "labels": target}
    elif kind == "gpt2":
        model = hf.GPT2LMHeadModel(hf.GPT2Config(vocab_size=V, n_embd=D, n_layer=LAYERS, n_head=HEADS, n_positions=LENGTH,
                                                 resid_pdrop=0.0, embd_pdrop=0.0, attn_pdrop=0.0))  # fmt: skip
        inputs = {"input_ids": batch["read"].long(), "labels": batch["read"].long()}
    else:
        model = hf.T5ForConditionalGeneration(hf.T5Config(vocab_size=V, d_model=D, num_layers=LAYERS, num_decoder_layers=LAYERS,
                                                          num_heads=HEADS, d_kv=D // HEADS, d_ff=512, dropout_rate=0.0,
                                                          feed_forward_proj="gated-silu", tie_word_embeddings=True,
                                                          pad_token_id=0, decoder_start_token_id=0, use_cache=False))  # fmt: skip
        inputs = {"input_ids": batch["source_read"].long(), "labels": target}
    model.train()
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-4, fused=True)

    def step() -> float:
        optimizer.zero_grad()
        total = model(**inputs).loss
        total.backward()
        optimizer.step()
        return float(total.detach())

    return step, sum(p.numel() for p in model.parameters()) - V * D


def seconds(steps: dict[str, Step], rounds: int) -> dict[str, float]:
    """The best time of each step, rounds alternating."""
    best = dict.fromkeys(steps, float("inf"))
    for number in range(rounds + 1):
        for name, step in steps.items():
            start = time.perf_counter()
            step()
            if number:
                best[name] = min(best[name], time.perf_counter() - start)
    return best


def main() -> None:
    """Measure, print a table, write JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--json", help="write the figures here")
    given = parser.parse_args()
    torch.set_num_threads(given.threads)
    torch.manual_seed(0)
    peers = importlib.util.find_spec("transformers") is not None
    if not peers:
        print("transformers is not installed: only our side is measured (pip install 'maskdial[hf]' for the ratios)", file=sys.stderr)
    made = []
    print(f"{'peer':6}{'ours tok/s':>12}{'theirs tok/s':>14}{'ratio':>8}{'target':>8}{'parameters beside the embedding':>36}")
    for kind in TARGETS:
        tokens = ROWS * (LENGTH + (ANSWER if kind == "t5" else 0))
        steps, sizes = {}, {}
        steps["ours"], sizes["ours"] = ours(kind)
        if peers:
            steps["theirs"], sizes["theirs"] = theirs(kind)
        best = seconds(steps, given.rounds)
        speed = {name: tokens / value for name, value in best.items()}
        ratio = speed["ours"] / speed["theirs"] if peers else None
        made.append({"peer": kind, "tokens_per_second": speed, "ratio": ratio, "target": TARGETS[kind], "parameters": sizes})
        their, shown = (f"{speed['theirs']:,.0f}", f"{ratio:.2f}") if peers else ("skipped", "–")
        print(f"{kind:6}{speed['ours']:>12,.0f}{their:>14}{shown:>8}{TARGETS[kind]:>8}{' / '.join(f'{n:,}' for n in sizes.values()):>36}")
    if given.json:
        with open(given.json, "w", encoding="utf-8") as file:
            json.dump({"threads": given.threads, "torch": torch.__version__, "steps": made}, file, indent=1)


if __name__ == "__main__":
    main()
