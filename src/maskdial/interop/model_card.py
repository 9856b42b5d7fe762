"""README.md of an exported folder: what the model is, where it comes from, how it is used."""

from __future__ import annotations

import json
import shlex
from typing import TYPE_CHECKING, Any

from maskdial.interop.form import Form
from maskdial.train import Run, TrainConfig
from maskdial.train.config import differences

if TYPE_CHECKING:
    from maskdial.interop.export import Export

PIPELINES = {"encoder": "fill-mask", "decoder": "text-generation", "encoder-decoder": "text2text-generation"}
AUTO = {"encoder": "AutoModelForMaskedLM", "decoder": "AutoModelForCausalLM", "encoder-decoder": "AutoModelForSeq2SeqLM"}
#: settings that a command has options of its own for
OPTIONS = ("budget", "deterministic", "init")


def card(run: Run, form: Form, made: Export) -> str:
    """The text."""
    c, said = run.config, explained(run)
    head = ["library_name: transformers", f"pipeline_tag: {'feature-extraction' if form.trunk else PIPELINES[form.reads]}",
            "tags: [maskdial, pretraining]"]  # fmt: skip
    facts = {
        "objective": f"{run.name}{spelled(c['objective']['options'])}" + (f": {said}" if said else ""),
        "class": f"`{form.classname}`, {made.parameters:,} parameters",
        "trained": f"{run.step:,} steps of {c['train']['rows']} rows of {c['train']['length']} positions",
        "command": f"`{command(c)}`",
        "corpus": f"{c['corpus']['name']}, fingerprint `{c['corpus']['fingerprint']}`",
        "checked": f"largest difference from the run's own numbers {made.difference:.1e}, largest number {made.largest:.2f}",
        "left out": "; ".join(form.left) or "nothing",
        "frame": framed(run),
    }
    table = [f"| {name} | {value} |" for name, value in facts.items()]
    lines = ["---", *head, "---", "", f"# {run.name}, by maskdial", "", "| | |", "|---|---|", *table, ""]
    lines += [f"{note[0].upper()}{note[1:]}." for note in form.notes] + [""] * bool(form.notes)
    return "\n".join([*lines, "```python", *usage(form), "```", ""])


def explained(run: Run) -> str:
    """The objective's formula in a line, where it has one."""
    about = getattr(run.objective, "about", None)
    return str(getattr(about, "formula", "") or "")


def spelled(options: Any) -> str:
    """Options that are plain, as a command spells them."""
    plain = {k: v for k, v in options.items() if isinstance(v, str | int | float | bool)}
    return ":" + ",".join(f"{k}={v}" for k, v in plain.items()) if plain else ""


def command(config: Any) -> str:
    """The command that trains such a run."""
    train, objective = config["train"], config["objective"]
    words = ["maskdial", "train", "-o", objective["name"] + spelled(objective["options"]), "--data", config["corpus"]["name"],
             "--budget", config["budget"]["asked"]]  # fmt: skip
    words += ["--init", train["init"]] * bool(train["init"]) + ["--deterministic"] * train["deterministic"]
    usual = TrainConfig().decided(objective["layout"], published="guest" in config["model"]).model_dump(mode="json")
    for line in differences(usual, train):
        name, value = line.split(":")[0], train
        for part in name.split("."):
            value = value[part]
        if name not in OPTIONS:
            words.append(f"{name}={value if isinstance(value, str) else json.dumps(value)}")
    return shlex.join(words)


def framed(run: Run) -> str:
    """The tokens that stood around a text; the tokenizer adds none by itself."""
    objective = run.objective
    if hasattr(objective, "members"):
        return "as each member of the mixture frames its texts; the tokenizer adds no token by itself"
    head, tail, _ = objective.frame_roles(run.vocab)
    ids = [run.vocab.get(role) if role and ":" not in role else None for role in (head, tail)]
    before, after = (run.tokenizer.token(id) if id is not None else "" for id in ids)
    return f"`{before} text {after}`".replace("` ", "`").replace(" `", "`") + "; the tokenizer adds no token by itself"


SIGHT = """
# positions 0 … k - 1 see one another, the rest what lies before them: 0 where visible, the lowest number elsewhere
ids, k = tokenizer("Return the number of items", return_tensors="pt").input_ids, 3
seen = torch.ones(ids.shape[1], ids.shape[1]).tril().bool()
seen[:k, :k] = True
sight = torch.zeros(seen.shape).masked_fill(~seen, torch.finfo(torch.float32).min)
print(model(ids, attention_mask=sight[None, None]).logits.shape)"""
GENERATE = """
inputs = tokenizer("Return the number of", return_tensors="pt")
print(tokenizer.decode(model.generate(**inputs, max_new_tokens=40)[0]))"""


def usage(form: Form) -> list[str]:
    """How it is loaded."""
    auto, wide = "AutoModel" if form.trunk else AUTO[form.reads], bool(form.notes) and not form.trunk
    lines = ["import torch"] * wide + [f"from transformers import {auto}, AutoTokenizer", ""]
    lines += ['tokenizer = AutoTokenizer.from_pretrained("DIR")', f'model = {auto}.from_pretrained("DIR")']
    return [*lines, *(SIGHT if wide else GENERATE if form.reads != "encoder" else "").splitlines()]
