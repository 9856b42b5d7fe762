"""Text on disk as `Evidence`: it is read exactly as training reads it."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from maskdial.audit.check import many
from maskdial.audit.row import Evidence
from maskdial.audit.sources import of_recipe
from maskdial.data.cache import cache_folder, open_or_prepare
from maskdial.data.corpus import Corpus
from maskdial.data.notices import left_out
from maskdial.errors import UserError
from maskdial.progress import Mode
from maskdial.recipes import objective as find
from maskdial.rows import Rows
from maskdial.rows import rows as make_rows
from maskdial.train.config import TrainConfig


def corpus_of(source: str, tokenizer: str | Path | None, progress: Mode) -> Corpus:
    """The corpus of a path, prepared once into the cache where training finds it too."""
    given = {} if tokenizer is None else {"tokenizer": str(tokenizer)}
    return open_or_prepare(source, progress=progress, **given)


def dataset_of(path: Path) -> Any:
    """A dataset of token ids that `save_to_disk` wrote (of several splits, train or the first); None for anything else."""
    if (splits := path / "dataset_dict.json").is_file():
        names = json.loads(splits.read_text(encoding="utf-8"))["splits"]
        return dataset_of(path / ("train" if "train" in names else names[0]))
    info = path / "dataset_info.json"
    if not (path / "state.json").is_file() or not info.is_file():
        return None
    if "input_ids" not in (json.loads(info.read_text(encoding="utf-8")).get("features") or {}):
        return None
    try:
        from datasets import load_from_disk
    except ImportError as error:
        raise UserError(f"{path} is a dataset of token ids", hint="pip install 'maskdial[hf]'", code="data.extra",
                        where=str(path)) from error  # fmt: skip
    return load_from_disk(str(path))


def of_corpus(
    corpus: Corpus, *, name: str, objective: Any, rows: int, epochs: int, seed: int, raw: int | None = None, packing: Any = "joined"
) -> Evidence:
    """The first rows of a corpus under a recipe: a supervised record is a row of its own, any other row a window."""
    part = corpus.train
    objective = objective or find("sft" if part.supervised else "gpt")
    alone = raw is None and part.supervised and objective.pairs is None
    if alone:
        table = records(corpus, min(rows, part.num_documents))
    else:
        plan = getattr(objective, "plan", None) or ({"pairs": objective.pairs} if objective.pairs else {})
        length = TrainConfig.model_fields["length"].default
        raw = raw or max(1, min(objective.room(length, vocab=corpus.vocab).raw, part.num_tokens))
        count = min(rows, corpus.num_windows(raw, **plan))
        table = corpus.rows(raw, 0, count, seed=seed, packing=packing, **plan)
    made = of_recipe(name, table, objective, corpus.vocab, epochs, seed)
    made.windows = not alone
    made.notes.append(f"{corpus.name}: {many(part.num_documents, 'document')} to train on, tokenizer {corpus.tokenizer.name}")
    made.left_out = left_out(corpus.manifest)
    if not part.supervised:
        some = range(min(rows, part.num_documents))
        made.changed = (sum(len(part.text(i).encode()) != part.num_bytes(i) for i in some), len(some))
    return made


def records(corpus: Corpus, count: int) -> Rows:
    """The first supervised records, a row each with its end-of-document token."""
    part, vocab = corpus.train, corpus.vocab
    end = vocab.eod if vocab.eod is not None else vocab.eos
    tokens = [[*part.document(i).tolist(), end] for i in range(count)]
    starts = [part.columns(i) for i in range(count)]
    columns = {name: [[*pair[n].tolist(), 0] for pair in starts] for n, name in enumerate(("word", "sentence"))}
    answers = [found for i in range(count) if (found := part.answers(i)) is not None]
    return make_rows(tokens, part=answers, **columns)  # type: ignore[arg-type]


def run_of(path: Path, of: Callable[..., Evidence]) -> Evidence:
    """What a run was trained on, row by row as it read it. `UserError` when its corpus is not at hand."""
    from maskdial.train.run import load

    run = load(path)
    name, fingerprint, settings = run.config["corpus"]["name"], run.corpus_fingerprint, run.config["train"]
    for folder in sorted((cache_folder() / "corpora").glob("*/")):
        try:
            corpus = Corpus.open(folder)
        except UserError:
            continue  # being made, or damaged: not the one that was trained on
        if corpus.fingerprint == fingerprint:
            return of(corpus, objective=run.objective, seed=settings["seed"], raw=run.config["corpus"]["raw"],
                      packing=settings.get("packing", "joined"))  # fmt: skip
    raise UserError(f"the text that {path} was trained on ({name}, fingerprint {fingerprint[:12]}) is not in the cache", code="audit.run",
                    hint=f"audit the corpus folder itself: maskdial audit DIR -o {run.name}", where=str(path))  # fmt: skip
