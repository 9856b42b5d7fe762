"""How much memory `maskdial prepare` needs for much text: made-up words are written, prepared, and every process is watched.

    python benchmarks/prepare_memory.py [--gigabytes 2] [--tokenizer bytes] [--workers 2] [--folder DIR] [--json FILE]

Without --tokenizer one is trained, as `maskdial prepare` does. Reported are the largest sum over the command and its workers of what
each holds (proportional set size: a page that k of them share counts 1/k each), the largest single process, and the time.
"""

from __future__ import annotations

import argparse
import json
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np


def write(path: Path, size: int) -> None:
    """JSONL of about `size` bytes: documents of 100 to 400 words out of 50,000 by Zipf's law, no two documents alike."""
    rng = np.random.default_rng(0)
    letters = np.array(list("etaoinshrdlucmfwypvbgkjqxz"))
    words = np.array(["".join(rng.choice(letters, n)) for n in rng.integers(2, 11, 50_000)])
    share = 1 / np.arange(1, len(words) + 1)
    upto = np.cumsum(share / share.sum())
    written = 0
    with path.open("w") as out:
        while written < size:
            for count in rng.integers(100, 400, 1000):
                text = " ".join(words[np.searchsorted(upto, rng.random(count))])
                written += out.write(json.dumps({"text": text + "."}) + "\n")


def family(pid: int) -> list[int]:
    """A process and all that it started."""
    found = [pid]
    for one in found:
        for task in Path(f"/proc/{one}/task").glob("*/children"):
            found += [int(child) for child in task.read_text().split()]
    return found


def held(pid: int) -> int:
    """Bytes of a process, shared pages counted by their share; 0 once it has ended."""
    try:
        return 1024 * int(re.search(r"^Pss:\s+(\d+)", Path(f"/proc/{pid}/smaps_rollup").read_text(), re.MULTILINE)[1])  # type: ignore[index]
    except (OSError, TypeError):
        return 0


def main() -> None:
    parse = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parse.add_argument("--gigabytes", type=float, default=2.0)
    parse.add_argument("--tokenizer")
    parse.add_argument("--workers", type=int, default=2)
    parse.add_argument("--folder", type=Path)
    parse.add_argument("--json", type=Path)
    a = parse.parse_args()
    with tempfile.TemporaryDirectory(dir=a.folder) as folder:
        text = Path(folder, "text.jsonl")
        write(text, int(a.gigabytes * 1e9))
        words = [sys.executable, "-m", "maskdial", "prepare", str(text), "--out", f"{folder}/c", "--workers", str(a.workers)]
        words += ["--tokenizer", a.tokenizer] if a.tokenizer else []
        start, most, largest = time.time(), 0, 0
        command = subprocess.Popen([*words, "--progress", "off"])
        while command.poll() is None:
            each = [held(pid) for pid in family(command.pid)]
            most, largest = max(most, sum(each)), max(largest, *each)
            time.sleep(0.2)
        if command.returncode:
            raise SystemExit(command.returncode)
        found = {
            "bytes": text.stat().st_size, "tokenizer": a.tokenizer or "trained", "workers": a.workers, "seconds": time.time() - start,
            "most_bytes": most, "largest_process_bytes": largest,
        }  # fmt: skip
    print(f"{found['bytes'] / 1e9:.2f} GB of text: {most / 2**20:,.0f} MiB in all, {largest / 2**20:,.0f} MiB the largest process, "
          f"{found['seconds']:.0f} s")  # fmt: skip
    if a.json:
        a.json.write_text(json.dumps(found, indent=2) + "\n")


if __name__ == "__main__":
    main()
