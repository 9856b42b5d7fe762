"""Which class of transformers a trained model is, and what of it that class has no place for."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from maskdial.errors import UserError
from maskdial.interop.shape import BodyConfig
from maskdial.interop.trial import sight, trial
from maskdial.model import ModelConfig
from maskdial.sample import Layout, Samples

#: what tells a person which objectives do
ABLE = "gpt, prefix-lm, fim, sft and mtp go out as Llama, bert, roberta, spanbert and dlm as EuroBERT, t5, bart, mass and pegasus as T5"
#: the class of a stack without a projection
TRUNK = "EuroBertModel"
#: how a class reads by itself
OWN = {"encoder": "both ways", "decoder": "left to right", "encoder-decoder": "left to right"}


@dataclass(frozen=True)
class Form:
    """The class, the layout that it reads by itself, what of the run is left out, and what whoever loads it must know."""

    classname: str
    reads: Layout
    left: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def trunk(self) -> bool:
        """Whether it gives states and no logits."""
        return self.classname == TRUNK


def form_of(run: Any) -> tuple[Form, Mapping[str, Samples]]:
    """The form of a run's model, with trial samples of its objective; `UserError` says why there is none and which runs have one."""
    samples = trial(run.objective, run.vocab)
    config = run.model.config
    ways = {member: sight(one) for member, one in samples.items()}
    if isinstance(config, BodyConfig):
        return Form(config.classname, config.reads, (), tuple(sights(config.reads, config.classname, ways))), samples
    why = refused(config, samples, ways)
    if why:
        raise UserError(f"{run.name} can't be exported: {why}", hint=ABLE, code="export.objective", where="run")
    left = [f"the head {h.name}" for h in config.extra_heads]
    if config.parts:
        left.append("the vector of second parts: texts are read as first parts")
    if config.generator is not None:
        said = "this is the discriminator's stack: its last states, before any head"
        return Form(TRUNK, "encoder", ("the generator", *left), (said,)), samples
    reads: Layout = "encoder-decoder" if config.shape == "encoder-decoder" else "encoder" if "both ways" in ways.values() else "decoder"
    classname = {"encoder": "EuroBertForMaskedLM", "decoder": "LlamaForCausalLM", "encoder-decoder": "T5ForConditionalGeneration"}[reads]
    return Form(classname, reads, tuple(left), tuple(sights(reads, classname, ways))), samples


def refused(config: ModelConfig, samples: Mapping[str, Samples], ways: Mapping[str, str]) -> str:
    """Why no class without code of its own computes a model; "" if one does."""
    two = config.shape == "encoder-decoder"
    for member, one in samples.items():
        who = f"its member {member}" if member else "it"
        if one.has("position2"):
            return f"{who} gives every token two positions, and the classes of transformers rotate by one"
        if not two and ways[member] == "otherwise":
            return f"{who} reads in an order of its own (several streams, blocks or drawn orders), which no class has by itself"
    if two and config.answer_both_ways:
        return "its answer looks both ways, and T5's decoder has distances for looking back alone"
    if two and config.positions != "relative":
        return "two stacks with rotary positions have no class: train with model.positions=relative, the default"
    if not two and config.positions != "rotary":
        return "a single stack with relative positions has no class: train with model.positions=rotary, the default"
    return ""


def sights(reads: Layout, classname: str, ways: Mapping[str, str]) -> list[str]:
    """What is said where samples were read otherwise than the class reads by itself."""
    if reads == "encoder-decoder":
        return []
    other: dict[str, list[str]] = {}
    for member, way in sorted(ways.items()):
        if way != OWN[reads]:
            other.setdefault(way, []).append(member)
    if not other:
        return []
    said = [way if len(members) == len(ways) else f"{way} ({', '.join(members)})" for way, members in other.items()]
    return [f"trained to read {', '.join(said)}; {classname} reads {OWN[reads]} unless it is given a 4-D attention_mask"]
