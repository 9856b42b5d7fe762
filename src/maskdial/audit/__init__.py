"""What data really supervises: `md.audit` reads anybody's rows, from outside or by a recipe, and says what is wrong with them.

    source → Evidence (rows, pass by pass) → checks → Audit
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from maskdial.audit import amount_checks, id_checks, label_checks, noise_checks, sight_checks  # noqa: F401 - they register themselves
from maskdial.audit.check import Finding
from maskdial.audit.outside import Labels
from maskdial.audit.sources import Source, of_path
from maskdial.audit.told import Audit
from maskdial.progress import Mode

__all__ = ["Audit", "Finding", "audit"]


def audit(
    source: Any, objective: Any = None, *, tokenizer: Any = None, vocab: Any = None, epochs: int = 2, rows: int = 256, seed: int = 0,
    rate: float | None = None, labels: Labels = "auto", progress: Mode = "off",
) -> Audit:  # fmt: skip
    """See what is supervised in `source` before a run is paid for.

    source     a path (text, JSONL, CSV, Parquet, a prepared corpus, a saved dataset, `hf:NAME`, a run's folder), read under the recipe
               `objective` (default: sft for supervised records, else gpt) as training would read it; `Samples`; batches or a
               DataLoader, read from outside; `(collator, features)`; a function that returns a new loader for each epoch (it may
               take `epoch` and `rank`: two ranks are compared then); a dataset with `input_ids`, and `labels` if it has any
    tokenizer  names the special ids of foreign batches (any that `md.hf.Collator` takes); for a path, its folder or file
    vocab      the special ids, where there is no tokenizer
    epochs     how often the source is read, if it can be read again: noise is compared between passes
    rows       how many rows of each pass are looked at
    rate       the share of tokens that should be hidden (default: the recipe's)
    labels     "auto" reads off the labels whether the model shifts them; "shifted": it does; "in_place": it does not

    `UserError` for a source that can't be read; `ValueError` for a setting out of range.
    """
    if isinstance(objective, str):
        from maskdial.recipes import objective as find

        objective = find(objective)
    if rate is not None and not 0 <= rate <= 1:
        raise ValueError(f"rate is a share from 0 to 1, not {rate}")
    path = isinstance(source, str | Path)
    reader = Source(objective, None if path else tokenizer, vocab, epochs, rows, seed, labels)
    evidence = of_path(source, reader, tokenizer, progress) if path else reader.read(source)
    evidence.rate = rate
    return Audit(evidence)
