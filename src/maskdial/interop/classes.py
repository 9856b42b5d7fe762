"""The published models that maskdial continues: which class of transformers reads which way, and what is alike in all of them."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from maskdial.errors import UserError
from maskdial.sample import Layout

#: model_type → layout → (model_type, class) that reads so by itself; the first layout is the one it was published with.
#: A twin of another type has the same weights under the same names: the same block, read the other way.
CLASSES: dict[str, dict[Layout, tuple[str, str]]] = {
    "bert": {"encoder": ("bert", "BertForMaskedLM"), "decoder": ("bert", "BertLMHeadModel")},
    "roberta": {"encoder": ("roberta", "RobertaForMaskedLM"), "decoder": ("roberta", "RobertaForCausalLM")},
    "xlm-roberta": {"encoder": ("xlm-roberta", "XLMRobertaForMaskedLM"), "decoder": ("xlm-roberta", "XLMRobertaForCausalLM")},
    "electra": {"encoder": ("electra", "ElectraForMaskedLM"), "decoder": ("electra", "ElectraForCausalLM")},
    "albert": {"encoder": ("albert", "AlbertForMaskedLM")},
    "modernbert": {"encoder": ("modernbert", "ModernBertForMaskedLM")},
    "eurobert": {"encoder": ("eurobert", "EuroBertForMaskedLM"), "decoder": ("llama", "LlamaForCausalLM")},
    "gpt2": {"decoder": ("gpt2", "GPT2LMHeadModel")},
    "llama": {"decoder": ("llama", "LlamaForCausalLM"), "encoder": ("eurobert", "EuroBertForMaskedLM")},
    "qwen2": {"decoder": ("qwen2", "Qwen2ForCausalLM")},
    "qwen3": {"decoder": ("qwen3", "Qwen3ForCausalLM")},
    "t5": {"encoder-decoder": ("t5", "T5ForConditionalGeneration")},
    "mt5": {"encoder-decoder": ("mt5", "MT5ForConditionalGeneration")},
    "bart": {"encoder-decoder": ("bart", "BartForConditionalGeneration")},
}
#: models that are told by a flag of their config that they read left to right
FLAGGED = ("bert", "roberta", "xlm-roberta", "electra")
#: models whose positions are distances
RELATIVE = ("t5", "mt5")
#: of a config.json: what says nothing about the model, or what a class decides by itself
IDLE = ("transformers_version", "architectures", "_name_or_path", "dtype", "torch_dtype", "id2label", "label2id", "model_type", "auto_map")


def transformers() -> Any:
    """The package; `UserError` that says how to get it."""
    try:
        import transformers as package
    except ImportError:
        raise UserError("this needs the package transformers", hint="pip install 'maskdial[hf]'", code="hf.missing", exit=1) from None
    return package


@contextmanager
def quiet() -> Iterator[None]:
    """transformers without its progress bars and reports; what matters of them is said in our words."""
    said = transformers().utils.logging
    level, bar = said.get_verbosity(), said.is_progress_bar_enabled()
    said.set_verbosity(logging.CRITICAL)
    said.disable_progress_bar()
    try:
        yield
    finally:
        said.set_verbosity(level)
        if bar:
            said.enable_progress_bar()


def settings_of(config: Mapping[str, Any]) -> dict[str, Any]:
    """What of a config.json makes the model."""
    return {name: value for name, value in config.items() if name not in IDLE}


def config_of(type: str, settings: Mapping[str, Any]) -> Any:
    """transformers' config of a model."""
    return transformers().CONFIG_MAPPING[type].from_dict({**settings, "model_type": type})
