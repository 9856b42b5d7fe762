"""Masked LM from scratch against causal LM first and masked LM from its parameters, at the same number of text tokens in all.

    python benchmarks/two_phases.py [TEXT] [--ktok 1000] [--share 0.5] [--seeds 3] [--json FILE] [key=value …]

After "Should we still pretrain encoders with masked language modeling?" (arXiv 2507.00994), which found the two phases better at
equal budget. Both arms answer the same questions about held-out text; values are pooled over seeds, each seed's stand beside them.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from pathlib import Path
from typing import Any

import maskdial as md
from maskdial.data import open_or_prepare
from maskdial.evaluate.items import Items
from maskdial.evaluate.results import Findings, evaluate, summary
from maskdial.train import TrainConfig, load, train


def questioned(phases: list[tuple[str, int]], seed: int, corpus: Any, items: Items, settings: list[str]) -> Findings:
    """Train one phase after another, (objective, thousand tokens) each from the last one's parameters, and question the last."""
    with tempfile.TemporaryDirectory() as home:
        before: dict[str, Any] = {}
        for number, (name, ktok) in enumerate(phases):
            folder = Path(home) / str(number)
            config = TrainConfig().with_overrides(settings).with_overrides({"budget": f"{ktok}ktok", "seed": seed} | before)
            train(config, md.objective(name), corpus, folder, progress="off")
            before = {"init": str(folder)}
        return evaluate(load(folder).model, md.objective(phases[-1][0]), items)


def main() -> None:
    """Train, ask, print a table, write JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("text", nargs="?", default="pydocs")
    parser.add_argument("--ktok", type=int, default=1000, help="thousand text tokens in all")
    parser.add_argument("--share", type=float, default=0.5, help="of the causal phase")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--json", type=Path)
    parser.add_argument("--set", nargs="*", default=[], help="settings of both arms, key=value")
    given = parser.parse_args()
    corpus = open_or_prepare(given.text)
    items, first = Items(corpus), round(given.ktok * given.share)
    arms = {"bert": [("bert", given.ktok)], "gpt, then bert": [("gpt", first), ("bert", given.ktok - first)]}
    found: dict[str, list[Findings]] = {arm: [] for arm in arms}
    for seed in range(given.seeds):
        for arm, phases in arms.items():
            found[arm].append(questioned(phases, seed, corpus, items, given.set))
            print(f"seed {seed}: {arm} done", flush=True)
    probes = list(found["bert"][0].probes)
    table = {arm: {p: summary([f.probes[p] for f in made]) | {"seeds": [summary([f.probes[p]]).get("value") for f in made]}
                   for p in probes} for arm, made in found.items()}  # fmt: skip
    for probe in probes:
        if all("value" not in by[probe] for by in table.values()):
            continue
        print(probe)
        for arm, by in table.items():
            one = by[probe]
            each = ", ".join(f"{value:.3f}" for value in one["seeds"])
            print(f"  {arm:15} {one['value']:.3f} ({one['low']:.3f} to {one['high']:.3f}; baseline {one['baseline']:.3f}; seeds {each})")
    if given.json:
        given.json.write_text(json.dumps({"ktok": given.ktok, "share": given.share, "arms": table}, indent=1))


if __name__ == "__main__":
    main()
