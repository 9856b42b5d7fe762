"""`maskdial env`: versions and machine."""

from __future__ import annotations

from typing import Annotated

import typer


def env(json_: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False) -> None:
    """Print versions, the device and which extras are installed (for a bug report).

    Examples:

      maskdial env

      maskdial env --json

      maskdial env | head -3
    """
    import os
    import platform
    from importlib.metadata import PackageNotFoundError, version

    from maskdial.cli import answer

    found: dict[str, str] = {"python": platform.python_version(), "platform": platform.platform(), "cores": str(os.cpu_count())}
    for name in ("maskdial", "torch", "numpy", "numba", "tokenizers", "pyarrow", "sentencex", "transformers", "datasets", "tensorboard"):
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            found[name] = "not installed"
    import torch

    found["device"] = torch.cuda.get_device_name(0) if torch.cuda.is_available() else f"cpu, {torch.get_num_threads()} threads"
    if json_:
        answer("env/1", found)
    else:
        print("\n".join(f"{name:14} {value}" for name, value in found.items()))
