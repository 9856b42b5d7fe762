"""A run as a folder that transformers loads, without code of ours: weights, config, tokenizer, generation settings, a card.

The folder is written aside, loaded again and held against the run's own logits and ids before it gets its name.
"""

from __future__ import annotations

import shutil
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from maskdial.errors import UserError, nearest
from maskdial.interop.body import Body
from maskdial.interop.classes import quiet, settings_of, transformers
from maskdial.interop.form import Form, form_of
from maskdial.interop.init import KEY
from maskdial.interop.mapping import config_for, outward
from maskdial.interop.model_card import card
from maskdial.interop.shape import BodyConfig, shape_of
from maskdial.sample import Samples
from maskdial.train import Run, load

#: an export whose logits differ by more of the largest one is refused
CLOSE = 1e-4
#: texts whose ids must be equal
TEXTS = ("The quick brown fox.", "  two  spaces,\n\na line\tand a tab ", "Ünïcödé 漢字 🙂 हिन्दी", "x = f(3.14)[1:-2]  # 100%")


@dataclass(frozen=True)
class Export:
    """What was written. `difference` is the largest one between a logit (or state) of the folder and the run's, `largest` the largest
    of them all; `left` is what the class has no place for, `notes` what whoever loads it must know."""

    path: Path
    classname: str
    objective: str
    step: int
    parameters: int
    difference: float
    largest: float
    left: tuple[str, ...]
    notes: tuple[str, ...]


def export(run: Run | str | Path, folder: str | Path, to: str = "hf") -> Export:
    """Write a run's newest checkpoint into `folder`, which must be new or empty.

    `UserError`: exit 4 when the folder holds something, 2 when the run has no class in transformers (with the reason, and runs that
    have one), 1 when what was written does not compute the same.
    """
    if to != "hf":
        raise UserError(f"there is no format {to!r}", hint=nearest(to, ("hf",)), code="export.format", where="to")
    run, folder = run if isinstance(run, Run) else load(run), Path(folder)
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise UserError(f"{folder} is not empty", hint="name a new folder", code="out.exists", where="dir", exit=4)
    form, samples = form_of(run)
    with aside(folder) as here, quiet():
        body = written(run, form, samples)
        body.save_pretrained(here)
        write_tokenizer(run, form, here)
        difference, largest = held(run, form, samples, here)
        parameters = sum(p.numel() for p in body.parameters())
        made = Export(folder, form.classname, run.name, run.step, parameters, difference, largest, form.left, form.notes)
        (here / "README.md").write_text(card(run, form, made), encoding="utf-8")
    return made


@contextmanager
def aside(folder: Path) -> Iterator[Path]:
    """A folder beside `folder` that takes its place when all went well, and is gone otherwise."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    here = folder.with_name(f".{folder.name}.tmp-{uuid.uuid4().hex[:8]}")
    try:
        here.mkdir()
        yield here
        if folder.exists():
            folder.rmdir()
        here.rename(folder)
    finally:
        shutil.rmtree(here, ignore_errors=True)


def written(run: Run, form: Form, samples: Mapping[str, Samples]) -> Any:
    """The class of transformers with the run's parameters and settings for `generate`."""
    package, model, ids = transformers(), run.model, special(run, form, samples)
    if isinstance(model, Body):
        body = model.body
        for name, id in ids.items():
            if getattr(body.config, name, None) is None:
                setattr(body.config, name, id)
    else:
        ids |= {} if model.source is not None else {"max_position_embeddings": int(run.config["train"]["length"])}
        ids |= {"mask_token_id": run.vocab.mask} if form.reads == "encoder" else {}
        config = config_for(model.config, form.classname, ids)
        if not (form.trunk or model.config.parts):  # the way back (maskdial.interop.init): a trunk and parts have none
            plain = model.config.model_copy(update={"extra_heads": ()})
            setattr(config, KEY, {"objective": run.name, "step": run.step, "model": plain.model_dump(mode="json")})
        with torch.device("meta"):
            body = getattr(package, form.classname)(config)
        body.load_state_dict(outward(model, form.classname), strict=False, assign=True)
        body.tie_weights()
    if body.can_generate():
        kept = {name: id for name, id in ids.items() if name in ("pad_token_id", "bos_token_id", "eos_token_id", "decoder_start_token_id")}
        body.generation_config = package.GenerationConfig(**kept)
    return body


def special(run: Run, form: Form, samples: Mapping[str, Samples]) -> dict[str, Any]:
    """Special tokens' ids as a config names them: where a text or an answer ends, what pads, what an answer starts with."""
    v = run.vocab
    ends = v.get("eos") if form.reads != "decoder" or v.eod is None else v.eod
    made = {"pad_token_id": v.pad if v.pad is not None else ends, "bos_token_id": v.bos, "eos_token_id": ends}
    if form.reads == "encoder-decoder":
        batch = next(iter(samples.values())).batch("encoder-decoder")
        made["decoder_start_token_id"] = int(batch["answer_read"][0, 0])
    return made


def write_tokenizer(run: Run, form: Form, folder: Path) -> None:
    """Files that AutoTokenizer loads, and those that maskdial does; `UserError` unless both give the same ids."""
    own, v = run.tokenizer, run.vocab
    named = dict(own.spellings)
    if form.reads == "decoder" and v.eod is not None:
        named["eos_token"] = own.token(v.eod)
    inputs = ["input_ids", "attention_mask"]
    kind = transformers().PreTrainedTokenizerFast
    try:
        made = kind(tokenizer_file=str(run.path / "tokenizer" / "tokenizer.json"), model_input_names=inputs,
                    model_max_length=int(run.config["train"]["length"]), clean_up_tokenization_spaces=False, **named)  # fmt: skip
        made.save_pretrained(folder)
        own.save(folder)
        theirs = transformers().AutoTokenizer.from_pretrained(folder)
    except Exception as error:  # the libraries raise plain Exception
        raise UserError(f"the tokenizer {own.name} can't be exported: {error}", code="export.tokenizer", where="run") from error
    for text in TEXTS:
        if [*theirs(text, add_special_tokens=False)["input_ids"]] != own.encode(text):
            raise UserError(f"the tokenizer {own.name} can't be exported: transformers reads {text!r} otherwise",
                            hint="train on a corpus whose tokenizer is none of words and bytes, which are for looking",
                            code="export.tokenizer", where="run")  # fmt: skip


@torch.no_grad()
def held(run: Run, form: Form, samples: Mapping[str, Samples], folder: Path) -> tuple[float, float]:
    """Load the folder again and compare: the largest difference, the largest number. `UserError` when they are not the same function."""
    body = getattr(transformers(), form.classname).from_pretrained(folder, dtype=torch.float32).eval()
    pairs = [both(run, form, body, one) for one in samples.values()]
    difference, largest = (max(values) for values in zip(*pairs, strict=True))
    if not difference <= CLOSE * largest:
        raise UserError(f"{form.classname} differs from the run by {difference:.2g} of {largest:.2g}: it is not the same function",
                        code="export.different", where="run", exit=1)  # fmt: skip
    return difference, largest


def both(run: Run, form: Form, body: Any, samples: Samples) -> tuple[float, float]:
    """The largest difference and number over one batch, read as the samples say and as first parts."""
    batch: Any = samples.batch(run.objective.layout).torch()
    for name in [n for n in batch if n.endswith("part")]:
        del batch[name]
    real = batch["answer_segment" if form.reads == "encoder-decoder" else "segment"] >= 0
    ours, theirs = computed(run, form, body, batch)
    return float((ours - theirs)[real].abs().max()), float(ours[real].abs().max())


def computed(run: Run, form: Form, body: Any, batch: Any) -> tuple[Tensor, Tensor]:
    """The run's logits (a trunk's: states) and the folder's."""
    if form.trunk:
        return run.model.features(batch), body(batch["read"].long(), attention_mask=(batch["segment"] >= 0).long()).last_hidden_state
    model = run.model
    config = model.config
    if not isinstance(config, BodyConfig):
        config = shape_of(body.config.model_type, form.classname, form.reads, settings_of(body.config.to_dict()))
    return model(batch), Body(config, body)(batch)
