"""A published folder's tensors, embeddings that grow, and whether a class's logits are what we take them for."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from maskdial.interop.body import Body
from maskdial.interop.classes import quiet


class Tensors:
    """The safetensors files of a folder, read a tensor at a time."""

    def __init__(self, folder: Path) -> None:
        self.files = sorted(folder.glob("*.safetensors"))

    def get(self, name: str) -> Tensor | None:
        """A tensor; None when there is none of that name."""
        from safetensors import safe_open

        for path in self.files:
            with safe_open(path, "pt") as file:
                if name in file.keys():  # noqa: SIM118  (not a dict)
                    found: Tensor = file.get_tensor(name)
                    return found
        return None

    def all(self) -> dict[str, Tensor]:
        """Every tensor."""
        from safetensors.torch import load_file

        return {name: value for path in self.files for name, value in load_file(path).items()}

    def apart(self, one: str, other: str) -> bool:
        """Whether two parameters that a class shares have values of their own here."""
        first, second = self.get(one), self.get(other)
        return first is not None and second is not None and not torch.equal(first, second)

    @property
    def sha256(self) -> str:
        """Digest of the files."""
        made = hashlib.sha256()
        for path in self.files:
            with path.open("rb") as file:
                made.update(hashlib.file_digest(file, "sha256").digest())
        return made.hexdigest()


def grow(body: Any, rows: int) -> None:
    """Give a class of transformers embeddings of `rows` rows; the new ones, and their biases, are the mean of the others."""
    before = body.get_input_embeddings().weight.shape[0]
    with quiet(), torch.no_grad(), torch.random.fork_rng(devices=[]):
        body.resize_token_embeddings(rows, mean_resizing=False)
        for table in (body.get_input_embeddings(), body.get_output_embeddings()):
            for values in (table.weight, getattr(table, "bias", None)):
                if values is not None:
                    values[before:] = values[:before].mean(0)


def modules(names: Iterable[str]) -> list[str]:
    """Parameters' names by the modules they belong to, two words deep."""
    return sorted({".".join(name.split(".")[:-1][:2]) or name for name in names})


@torch.no_grad()
def difference(model: Body) -> float:
    """How far our logits are from the class's own, under its own sight, as a share of the largest."""
    config, two = model.config, model.config.shape == "encoder-decoder"
    read_BS = (torch.arange(12).view(2, 6) + model.first) % config.vocab_size  # behind the padding id of those that count without it
    level_BS, rising_BS = torch.zeros(2, 6, dtype=torch.int64), torch.arange(6).expand(2, 6)
    columns = {"read": read_BS, "position": rising_BS, "segment": level_BS}
    given = {"input_ids": read_BS, "attention_mask": torch.ones_like(read_BS)}
    if two:
        given["decoder_input_ids"] = read_BS
        orders = {"source": level_BS, "answer": rising_BS + 1}
        batch = {f"{side}_{name}": x for side, order in orders.items() for name, x in {**columns, "order": order}.items()}
    else:
        batch = columns | {"order": rising_BS if config.own_sight == "causal" else level_BS}
    wanted = model.body(**given).logits
    return float((model(batch) - wanted).abs().max() / wanted.abs().max().clamp(min=1e-9))
