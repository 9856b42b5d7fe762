"""maskdial: from one text, build, see, train and compare every language-model pretraining objective.

    text → documents → tokens → rows → corruption → target → visibility ⇒ Samples
    → Batch → Visible → model → heads → loss → report

objective = corruption × visibility × target: what is hidden, who may look at whom, where the loss falls.

    import maskdial as md
    md.sample("Thank you for inviting me to your party last week", "t5", hide=[2, 3, 8]).show()
"""

from __future__ import annotations

import sys
from importlib import import_module
from types import ModuleType
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

#: public name → where it lives; each is imported when first looked at, so that `import maskdial` stays light
_HOMES = {
    "Batch": "batch", "Decisions": "corruption.text", "Head": "sample", "Objective": "objective", "Rows": "rows",
    "SILENT": "sample", "Sample": "sample", "Samples": "sample", "Spans": "corruption.text", "UserError": "errors",
    "Vocab": "vocab", "audit": "audit", "compare": "evaluate.compare", "export": "interop.export", "load": "train", "mixture": "mixture",
    "objective": "recipes", "recipes": "recipes", "rows": "rows", "sample": "view", "show": "explore.widget", "train": "train",
    "grain_dataset": "interop.windows", "hf": "interop", "torch_dataset": "interop.windows",
}  # fmt: skip
__all__ = sorted([*_HOMES, "__version__"])  # pyright: ignore[reportUnsupportedDunderAll]

if TYPE_CHECKING:
    from maskdial.batch import Batch as Batch
    from maskdial.corruption.text import Decisions as Decisions
    from maskdial.corruption.text import Spans as Spans
    from maskdial.errors import UserError as UserError
    from maskdial.rows import Rows as Rows
    from maskdial.rows import rows as rows
    from maskdial.sample import SILENT as SILENT
    from maskdial.sample import Head as Head
    from maskdial.sample import Sample as Sample
    from maskdial.sample import Samples as Samples
    from maskdial.vocab import Vocab as Vocab


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'maskdial' has no attribute {name!r}")
    value = globals()[name] = getattr(import_module(f"maskdial.{_HOMES[name]}"), name)
    return value


class _Package(ModuleType):
    """`md.sample`, `md.objective`, `md.recipes` and `md.train` are functions although files of these names exist: importing
    such a file must not put the module in the function's place."""

    def __setattr__(self, name: str, value: object) -> None:
        if not (name in _HOMES and isinstance(value, ModuleType)):
            super().__setattr__(name, value)


sys.modules[__name__].__class__ = _Package


def __dir__() -> list[str]:
    return __all__
