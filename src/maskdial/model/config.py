"""The size and shape of a model: presets, and how two stacks get the parameters of one."""

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


class ExtraHead(BaseModel):
    """A head beside `token`: another token (`token+2`), one of `classes`, or yes and no."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    name: str
    kind: Literal["token", "class", "binary"]
    classes: int = Field(default=2, ge=2)


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
        return value

    @model_validator(mode="after")
    def _check(self) -> ModelConfig:
        if self.d % self.heads or (self.d // self.heads) % 2:
            raise ValueError(f"d = {self.d} must be heads = {self.heads} times an even head width")
        if (self.source_layers > 0) != (self.shape == "encoder-decoder"):
            raise ValueError("source_layers belongs to shape 'encoder-decoder'")
        return self

    @property
    def head_width(self) -> int:
        return self.d // self.heads

    def flops(self, rows: int, length: int, scored: int, source_length: int = 0) -> float:
        """Floating-point operations of one training step, forward and backward, a multiply-add as two.

        6 a parameter of a matrix and position that passes it (Kaplan et al. 2020, section 2.1), each stream's positions
        through its own stack; 12 · width a pair of positions in attention, all pairs counted; the vocabulary at scored
        positions only. It is the same for every implementation: what our last layer skips is not subtracted.
        """
        d2, ffn = self.d * self.d, 3 * self.d * self.ffn

        def stack(layers: int, length: int) -> float:
            return layers * rows * length * (6.0 * (4 * d2 + ffn) + 12.0 * self.d * length)

        total = stack(self.layers, length) + 6.0 * self.vocab_size * self.d * scored
        if self.source_layers:
            cross = length * (6.0 * 2 * d2 + 12.0 * self.d * source_length) + source_length * 6.0 * 2 * d2
            total += stack(self.source_layers, source_length) + self.layers * rows * cross
        return total


def share_out(d: int, layers: int, ffn: int) -> dict[str, int]:
    """Layers and inner width of two stacks that weigh what one stack of `layers` × (4 d² + 3 d · ffn) does.

    Half the layers each (the source gets the odd one); cross attention, 4 d² a layer of the answer, is paid for by a
    narrower SwiGLU in all of them.
    """
    source, answer = (layers + 1) // 2, max(1, layers // 2)
    one = layers * (4 * d * d + 3 * d * ffn)
    left = (one - 4 * d * d * (source + 2 * answer)) / (3 * d * (source + answer))
    grain = 8 if left >= 64 else 1
    width = round(left / grain) * grain
    if width < 1:
        raise ValueError(f"two stacks of width {d} cannot be paid for by one with ffn = {ffn}: set source_layers, layers and ffn")
    return {"source_layers": source, "layers": answer, "ffn": width}
