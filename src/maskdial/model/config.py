"""The size and shape of a model: presets, the heads beside `token`, and how two stacks get the parameters of one."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

Shape = Literal["single", "encoder-decoder"]

#: width, layers, attention heads and inner width (SwiGLU) of one stack. `tiny` is about 1 M parameters with 2.2 k ids,
#: `base` is 124 M with GPT-2's 50,257.
PRESETS: dict[str, dict[str, int]] = {
    "tiny": {"d": 128, "layers": 4, "heads": 4, "ffn": 336},
    "small": {"d": 384, "layers": 6, "heads": 6, "ffn": 1024},
    "base": {"d": 768, "layers": 12, "heads": 12, "ffn": 2048},
}
SIZES = ("d", "layers", "heads", "ffn")
#: A generator's share of its discriminator's attention heads and inner width (Clark et al. 2020, table 6).
GENERATOR_SHARE = {"base": 1 / 3}


class ExtraHead(BaseModel):
    """A head beside `token`, as `maskdial.sample.Head` asks for it: another token, one of `classes`, or yes and no."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    name: str
    kind: Literal["token", "class", "binary"]
    classes: int = Field(default=2, ge=2)
    form: Literal["plain", "boundary", "module", "drawn"] = "plain"
    reach: int = Field(default=0, ge=0, description="a module's depth: it reads the token this far ahead; 0 reads the trunk alone")
    places: int = Field(default=20, ge=1, description="boundary: how many tokens of a span can be asked (SpanBERT, section 3.2)")


class ModelConfig(BaseModel):
    """Everything needed to build a model; `model_dump(mode="json")` and `ModelConfig(**value)` are the round trip.

    Sizes left out come from `preset`. For `encoder-decoder` the sizes of a single stack are shared out between two
    stacks so that the number of parameters stays (within 2 %), unless `source_layers` says that they already are.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    vocab_size: int = Field(ge=2)
    shape: Shape = "single"
    preset: str | None = "tiny"
    d: int = Field(ge=2, description="width of the residual stream")
    layers: int = Field(ge=1, description="layers of the only or the answer stack")
    heads: int = Field(ge=1, description="attention heads")
    ffn: int = Field(ge=1, description="inner width of SwiGLU")
    source_layers: int = Field(default=0, ge=0, description="layers of the source stack; 0 for a single stack")
    positions: Literal["rotary", "relative"] = "rotary"
    rotary_base: float = Field(default=10_000.0, gt=1.0)
    buckets: int = Field(default=32, ge=4, description="relative positions: buckets (T5, section 2.1)")
    max_distance: int = Field(default=128, ge=8, description="relative positions: from here on one bucket")
    norm_eps: float = Field(default=1e-6, gt=0.0)
    extra_heads: tuple[ExtraHead, ...] = ()
    parts: int = Field(default=0, ge=0, description="learnt vectors for the `part` column (BERT's segments); 0 for none")
    answer_both_ways: bool = Field(default=False, description="two stacks: the answer looks ahead too (conditional masked LM)")
    generator: float | None = Field(default=None, gt=0, le=1, description="ELECTRA: the generator's share of heads and inner width")

    @model_validator(mode="before")
    @classmethod
    def _fill(cls, given: Any) -> Any:
        if not isinstance(given, dict):
            return given
        value = {k: v for k, v in given.items() if v is not None or k == "preset"}
        preset = value.setdefault("preset", "tiny")
        if preset is not None:
            if preset not in PRESETS:
                raise ValueError(f"unknown preset {preset!r}: known are {', '.join(PRESETS)}")
            value = {**PRESETS[preset], **value}
        if value.get("shape") == "encoder-decoder":
            value.setdefault("positions", "relative")
            if "source_layers" not in value and all(isinstance(value.get(k), int) for k in SIZES):
                value |= share_out(value["d"], value["layers"], value["ffn"])
        forms = [h.get("form") if isinstance(h, dict) else h.form for h in value.get("extra_heads", ())]
        if "drawn" in forms:
            value.setdefault("generator", GENERATOR_SHARE.get(str(preset), 1 / 4))
        return value

    @model_validator(mode="after")
    def _check(self) -> ModelConfig:
        if self.d % self.heads or (self.d // self.heads) % 2:
            raise ValueError(f"d = {self.d} must be heads = {self.heads} times an even head width")
        if (self.source_layers > 0) != (self.shape == "encoder-decoder"):
            raise ValueError("source_layers belongs to shape 'encoder-decoder'")
        single = [h.name for h in self.extra_heads if h.form != "plain"]
        if single and self.shape != "single":
            raise ValueError(f"the head {single[0]!r} is read off a single stack: it does not go with shape 'encoder-decoder'")
        depths = sorted(h.reach for h in self.extra_heads if h.form == "module" and h.reach)
        if depths != list(range(1, len(depths) + 1)):
            raise ValueError(f"sequential modules build on one another: their reaches must be 1, 2, …, not {depths}")
        if sum(h.form == "drawn" for h in self.extra_heads) != (self.generator is not None):
            raise ValueError("a generator belongs to exactly one head of form 'drawn'")
        return self

    @property
    def head_width(self) -> int:
        return self.d // self.heads

    @property
    def reduced(self) -> ModelConfig:
        """The generator's stack: the same depth, fewer heads of the same width and an inner layer that much narrower."""
        heads = max(1, round(self.heads * (self.generator or 1.0)))
        ffn = max(8, 8 * round(self.ffn * heads / self.heads / 8))
        plain = {"extra_heads": (), "generator": None, "parts": 0}
        return self.model_copy(update={"d": heads * self.head_width, "heads": heads, "ffn": ffn, **plain})


def share_out(d: int, layers: int, ffn: int) -> dict[str, int]:
    """Layers and inner width of two stacks that weigh what one stack of `layers` × (4 d² + 3 d · ffn) does.

    Half the layers each (the source gets the odd one); cross attention, 4 d² a layer of the answer, is paid for by a
    narrower SwiGLU in all of them.
    """
    source, answer = (layers + 1) // 2, max(1, layers // 2)
    one = layers * (4 * d * d + 3 * d * ffn)
    width = rounded((one - 4 * d * d * (source + 2 * answer)) / (3 * d * (source + answer)))
    if width < 1:
        raise ValueError(f"two stacks of width {d} cannot be paid for by one with ffn = {ffn}: set source_layers, layers and ffn")
    return {"source_layers": source, "layers": answer, "ffn": width}


def rounded(width: float) -> int:
    """An inner width that matrix products like: a multiple of 8, where that is not coarse."""
    grain = 8 if width >= 64 else 1
    return round(width / grain) * grain
