"""Text to tokens: `maskdial prepare` against Hugging Face `datasets.map`, with the same tokenizer and number of processes.

    python benchmarks/prepare.py TEXT.jsonl.gz [--tokenizer DIR] [--workers 2] [--runs 3] [--json FILE]

Each side reads the file, encodes every document and leaves its result on disk, in a process of its own; the two take turns, and
medians of wall time are compared (of processor time too, which other work on the machine disturbs less). Ours also finds words
and sentences, splits off held-out documents, looks for duplicates and takes digests; theirs keeps the ids alone. Without
--tokenizer a byte-level BPE of 8,192 ids is trained first, outside the timing.
Peers need: pip install -c constraints.txt -e '.[hf]'
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

THEIRS = """
import sys
from datasets import load_dataset
from transformers import PreTrainedTokenizerFast
text, tokenizer, workers, out = sys.argv[1:]
fast = PreTrainedTokenizerFast(tokenizer_file=tokenizer + "/tokenizer.json")
table = load_dataset("json", data_files=text, split="train", cache_dir=out + "/cache")
encode = lambda batch: {"input_ids": fast(batch["text"], add_special_tokens=False, return_attention_mask=False)["input_ids"]}
table = table.map(encode, batched=True, num_proc=int(workers), remove_columns=table.column_names)
table.save_to_disk(out + "/c")
print(sum(map(len, table["input_ids"])) + len(table))
"""
OURS = """
import json, subprocess, sys
text, tokenizer, workers, out = sys.argv[1:]
words = [sys.executable, "-m", "maskdial", "prepare", text, "--tokenizer", tokenizer, "--workers", workers, "--out", out + "/c"]
data = json.loads(subprocess.run([*words, "--json", "--progress", "off"], stdout=subprocess.PIPE, check=True).stdout)["data"]
print(data["train"]["tokens"] + data["held_out"]["tokens"])
"""


def timed(code: str, text: Path, tokenizer: Path, workers: int) -> tuple[float, float, int]:
    """(seconds, processor seconds, tokens) of one run in a folder that is thrown away."""
    with tempfile.TemporaryDirectory() as out:
        quiet = os.environ | {"HF_DATASETS_OFFLINE": "1", "HF_DATASETS_DISABLE_PROGRESS_BARS": "1", "TOKENIZERS_PARALLELISM": "false"}
        began, before = time.perf_counter(), resource.getrusage(resource.RUSAGE_CHILDREN)
        done = subprocess.run([sys.executable, "-c", code, str(text), str(tokenizer), str(workers), out], stdout=subprocess.PIPE, text=True,
                              check=True, env=quiet)  # fmt: skip
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        used = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
        return time.perf_counter() - began, used, int(done.stdout.split()[-1])


def main() -> None:
    """Take turns, print a table, write JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("text", type=Path)
    parser.add_argument("--tokenizer", type=Path)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as home:
        tokenizer = given.tokenizer or trained(given.text, Path(home))
        wall: dict[str, list[float]] = {"maskdial": [], "datasets": []}
        used: dict[str, list[float]] = {"maskdial": [], "datasets": []}
        tokens = {}
        for _ in range(given.runs):
            for name, code in (("maskdial", OURS), ("datasets", THEIRS)):
                took, cpu, tokens[name] = timed(code, given.text.resolve(), tokenizer.resolve(), given.workers)
                wall[name].append(took)
                used[name].append(cpu)
    for name in wall:
        took, cpu = statistics.median(wall[name]), statistics.median(used[name])
        print(f"{name:9} {took:7.2f} s  {cpu:7.2f} s of processors  {tokens[name] / took / 1e6:6.2f} Mtok/s  {tokens[name]:,} tokens  "
              f"(runs: {', '.join(f'{s:.2f}' for s in wall[name])})")  # fmt: skip
    kinds = {"wall": wall, "processors": used}
    ratios = {what: statistics.median(f["datasets"]) / statistics.median(f["maskdial"]) for what, f in kinds.items()}
    print(", ".join(f"ratio of {what} {ratio:.2f}" for what, ratio in ratios.items()))
    if given.json:
        found = {"workers": given.workers, "wall": wall, "processors": used, "tokens": tokens, "ratios": ratios}
        given.json.write_text(json.dumps(found, indent=1))


def trained(text: Path, home: Path) -> Path:
    """A tokenizer trained on some of the text."""
    from itertools import islice

    from maskdial.data import read
    from maskdial.data.tokenizer import train

    train((d.text for d in islice(read(str(text)), 0, None, 10)), 8192).save(home / "tokenizer")
    return home / "tokenizer"


if __name__ == "__main__":
    main()
