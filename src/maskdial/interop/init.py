"""A published Hugging Face folder as the start of a run (`--init`): what fits it, its weights, what has changed.

A folder that `maskdial export` wrote becomes a model of ours again; any other stays the class that it is (`maskdial.interop.body`).
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from maskdial.data.tokenizer import load as load_tokenizer
from maskdial.errors import UserError
from maskdial.interop.body import Body, told
from maskdial.interop.classes import CLASSES, RELATIVE, config_of, quiet, settings_of, transformers
from maskdial.interop.mapping import inward
from maskdial.interop.shape import BodyConfig, shape_of
from maskdial.interop.trial import counted, trial
from maskdial.interop.weights import Tensors, difference, grow, modules
from maskdial.model import Model, ModelConfig
from maskdial.recipes import objective as recipe
from maskdial.recipes import recipes
from maskdial.sample import Layout
from maskdial.train import TrainConfig
from maskdial.train.init import Origin, fill, taking_sizes

#: config.json's key for what a folder was before it was exported
KEY = "maskdial"
#: how far a logit may be from the class's own, as a share of the largest
CLOSE = 1e-4


def opened(folder: Path, config: Mapping[str, Any]) -> Origin:
    """What starts from a folder with this config.json; `UserError` when its weights are not safe to read or its model is not known."""
    if not list(folder.glob("*.safetensors")):
        raise UserError(f"{folder} has no .safetensors file, and weights in other formats are pickles, which can run code",
                        hint="if you trust it: load it with transformers, then save_pretrained(NEW) and --init NEW",
                        code="init.weights", where="init")  # fmt: skip
    return Exported(folder, config) if isinstance(config.get(KEY), dict) else Published(folder, config)


class Start(Origin):
    """What both kinds of folder have."""

    def __init__(self, folder: Path, config: Mapping[str, Any]) -> None:
        super().__init__(folder)
        self.config, self.tensors = config, Tensors(folder)

    def same_tokenizer(self, tokenizer: Any) -> None:
        """`UserError` unless a corpus's tokenizer is the folder's, with nothing but tokens added behind."""
        own = load_tokenizer(self.folder)
        if tokenizer.sha256 == own.sha256:
            return
        size = own.vocab.size
        if tokenizer.vocab.size < size or any(tokenizer.token(id) != own.token(id) for id in range(size)):
            raise UserError(f"the corpus was made with another tokenizer than {self.folder}", code="init.tokenizer", where="data", exit=4,
                            hint=f"give the text itself, or: maskdial prepare TEXT --tokenizer {self.folder} --out DIR")  # fmt: skip

    def has_tokens(self, objective: Any, vocab: Any) -> None:
        """`UserError` that says how to add the tokens that an objective needs and the tokenizer lacks."""
        try:
            trial(objective, vocab)
        except ValueError as error:
            if "this vocabulary" not in str(error):
                return  # a trial's rows do not suit every objective; the corpus's will tell
            raise UserError(str(error).split(": ")[0], code="init.tokens", where="objective",
                            hint="add it, and the model grows by as many rows: maskdial train … --add mask (sentinels, modes, fim, …), or "
                            f"maskdial prepare TEXT --tokenizer {self.folder} --add mask --out DIR") from None  # fmt: skip


class Exported(Start):
    """A folder that `maskdial export` wrote: our own model."""

    def sized(self, config: TrainConfig) -> TrainConfig:
        return taking_sizes(config, self.config[KEY]["model"])

    def settled(self, config: TrainConfig, objective: Any, vocab: Any) -> TrainConfig:
        self.has_tokens(objective, vocab)
        return config.decided(objective.layout, objective.heads)

    def model(self, config: TrainConfig, objective: Any, corpus: Any) -> ModelConfig | None:
        self.same_tokenizer(corpus.tokenizer)
        return None

    def into(self, model: Model, objective: Any) -> str:
        said = self.config[KEY]
        try:
            found = inward(self.tensors.all(), ModelConfig(**said["model"]))
        except KeyError as error:
            raise UserError(f"{self.folder} lacks the parameter {error}", code="init.damaged", where="init", exit=1) from None
        fill(model, found, self.folder)
        return f"starts from {self.folder}: {said['objective']} at step {said['step']:,}, exported; rates and averages begin anew"


class Published(Start):
    """Someone else's model, continued as the class that it is."""

    def __init__(self, folder: Path, config: Mapping[str, Any]) -> None:
        super().__init__(folder, config)
        self.type = str(config["model_type"])
        if self.type not in CLASSES:
            raise UserError(f"{folder} is a {self.type} model, which maskdial does not continue", code="init.type", where="init",
                            hint=f"it continues {', '.join(CLASSES)}")  # fmt: skip
        #: the layout it was published with
        self.layout: Layout = next(iter(CLASSES[self.type]))

    def settled(self, config: TrainConfig, objective: Any, vocab: Any) -> TrainConfig:
        """AdamW, at a rate that does not undo what was learnt."""
        self.fits(objective)
        self.has_tokens(objective, vocab)
        refused = {
            "optimizer.name": config.optimizer.name == "muon" and "a published model goes on with adamw",
            "parallel": config.parallel == "fsdp" and "a published model is not cut into slices: parallel=ddp",
            "activation_checkpointing": config.activation_checkpointing and "blocks of a published model are kept",
        }
        for key, why in refused.items():
            if why:
                raise UserError(f"{key}: {why}", code="init.setting", where=key)
        return config.decided(objective.layout, objective.heads, published=True)

    def model(self, config: TrainConfig, objective: Any, corpus: Any) -> BodyConfig:
        """The class that reads as the objective does, else the published one under the sight that comes with the samples."""
        self.same_tokenizer(corpus.tokenizer)
        reads: Layout = objective.layout if objective.layout in CLASSES[self.type] else self.layout
        type, classname = CLASSES[self.type][reads]
        settings = told(type, classname, settings_of(self.config))
        rows = max(corpus.vocab.size, config_of(type, settings).vocab_size)
        settings |= {"vocab_size": rows} | ({"mask_token_id": corpus.vocab.mask} if type == "eurobert" else {})
        made = shape_of(type, classname, reads, settings, self.tensors.apart, self.tensors.sha256)
        self.holds(made, config, objective, corpus.vocab)
        return made

    def fits(self, objective: Any) -> None:
        """`UserError` when the objective asks for a stack or a head that the model has not."""
        two, hint = self.layout == "encoder-decoder", f"objectives that fit {self.type}: {', '.join(fitting(self.layout))}"
        name, extra = objective.name, [h.name for h in objective.heads if h.name != "token"]
        why = ""
        if two != (objective.layout == "encoder-decoder"):
            why = (f"{self.type} answers in a second stack, and {name} asks the one that reads" if two else
                   f"{name} answers in a second stack, and {self.type} has one: it has no decoder beside what reads")  # fmt: skip
        elif extra:
            why = f"{name} also asks {', '.join(extra)}, for which {CLASSES[self.type][self.layout][1]} has no head"
        if why:
            raise UserError(why, hint=hint, code="init.objective", where="objective")

    def holds(self, made: BodyConfig, config: TrainConfig, objective: Any, vocab: Any) -> None:
        """`UserError` when the samples want positions that the model has not."""
        settings, answer = config_of(made.type, made.settings), objective.room(config.length, vocab=vocab).answer
        most = None if made.type in RELATIVE else settings.max_position_embeddings
        most = most - settings.pad_token_id - 1 if most and "roberta" in made.type else most
        if most is not None and max(config.length, answer) > most:
            raise UserError(f"rows take up to {max(config.length, answer):,} positions, and {self.folder} has {most:,}",
                            hint="choose a smaller length=", code="init.length", where="length")  # fmt: skip
        counts = made.type == "bart"
        if counts and config.packing == "isolated":
            raise UserError("bart numbers the positions of a whole row, so documents can't be kept apart in one",
                            hint="packing=joined", code="init.packing", where="packing")  # fmt: skip
        for name, samples in trial(objective, vocab).items():
            why = ("gives every token two positions" if samples.has("position2") else
                   "numbers its positions itself" if counts and (samples.placed or not counted(samples)) else "")  # fmt: skip
            if why:
                raise UserError(f"{name or objective.name} {why}, and {made.type} has no place for that", code="init.objective",
                                where="objective", hint=f"objectives that fit others: {', '.join(fitting(self.layout))}")  # fmt: skip

    def into(self, model: Model, objective: Any) -> str:
        """Copy the published weights, bit for bit; says what grew, what began anew and what was left aside."""
        assert isinstance(model, Body)
        config = model.config
        body, fresh, left = self.loaded(config)
        notes = [f"starts from {self.folder}: {config.classname}; dropout is off, rates begin anew"]
        before = body.get_input_embeddings().weight.shape[0]
        if config.vocab_size > before:
            grow(body, config.vocab_size)
            notes.append(f"embeddings: {before:,} → {config.vocab_size:,} rows; the new ones start at the mean of the others")
        fill(model, dict(Body(config, body).named_parameters()), self.folder)
        if difference(model) > CLOSE:
            raise UserError(f"{config.classname} does more between its last states and its logits than a product and a sum",
                            code="init.class", where="init")  # fmt: skip
        if fresh:
            notes.append(f"begins anew, since the folder lacks it: {', '.join(fresh)}")
        if left:
            notes.append(f"left aside: {', '.join(left)}")
        return "\n".join([*notes, *self.turned(config, objective)])

    def turned(self, config: BodyConfig, objective: Any) -> list[str]:
        """What is said of a model that goes on reading otherwise than it was published."""
        way = "both ways" if self.layout == "encoder" else "left to right"
        if config.reads != self.layout:
            return [f"it read {way}; the same weights go on as {config.classname}, which reads as {objective.name} does"]
        if config.reads != objective.layout:
            return [f"{self.type} reads {way} by itself; under {objective.name} each batch says who may look at whom, and whoever loads an "
                    "export must give that 4-D mask too (its README.md says how)"]  # fmt: skip
        return []

    def loaded(self, config: BodyConfig) -> tuple[Any, list[str], list[str]]:
        """The class with the published weights, in fp32; the modules that the folder lacks, and those that have no place in the class.

        Only what stands behind a single stack may be lacking: it is drawn, always the same.
        """
        settings = config.settings | {"vocab_size": config_of(self.type, settings_of(self.config)).vocab_size}
        kind = getattr(transformers(), config.classname)
        with quiet(), torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            try:
                body, info = kind.from_pretrained(self.folder, config=config_of(config.type, settings), dtype=torch.float32,
                                                  use_safetensors=True, local_files_only=True, output_loading_info=True)  # fmt: skip
            except (RuntimeError, OSError, ValueError) as error:
                raise UserError(f"{self.folder} does not load as {config.classname}: {error}", code="init.damaged", where="init",
                                exit=1) from None  # fmt: skip
        lacking, prefix = sorted(info["missing_keys"]), f"{body.base_model_prefix}."
        inner = [name for name in lacking if name.startswith(prefix) or config.shape == "encoder-decoder"]
        if inner:
            raise UserError(f"{self.folder} lacks {inner[0]}" + (f" and {len(inner) - 1} more" if len(inner) > 1 else ""),
                            code="init.damaged", where="init", exit=1)  # fmt: skip
        return body, modules(lacking), modules(info["unexpected_keys"])


def fitting(layout: Layout) -> list[str]:
    """Names of objectives that ask tokens alone of models with as many stacks."""
    two = layout == "encoder-decoder"
    made = ((name, recipe(name)) for name in recipes())
    return [n for n, o in made if (o.layout == "encoder-decoder") == two and all(h.name == "token" for h in o.heads)]
