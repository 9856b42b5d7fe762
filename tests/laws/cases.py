"""Every recipe in every named mode, found by discovery, and a few settings that reach other code."""

import maskdial as md
from maskdial.recipes import find

EXTRA = [
    ("bert", {"whole_word": True}), ("bert", {"whole_word": True, "count": "exact"}), ("bert", {"rate": 1.0}), ("bert", {"rate": 0.0}),
    ("t5", {"roll": True}), ("t5", {"roll": True, "layout": "complement"}), ("t5", {"rate": 0.4, "mean_length": 2.0}),
    ("t5", {"final_sentinel": True}), ("t5", {"rate": 0.9, "mean_length": 2.0, "overflow": "merge_tail"}),
    ("bart", {"infill": 0.0, "permute": False, "mask": 0.2}), ("bart", {"infill": 0.0, "permute": False, "delete": 0.3}),
    ("bart", {"infill": 0.0, "permute": False, "rotate": 1.0}), ("bart", {"infill": 0.0}), ("bart", {"permute": False}),
    ("bart", {"mask": 0.1, "delete": 0.1, "rotate": 0.5}), ("bart", {"infill": 0.0, "permute": False}),
    ("prefix-lm", {"split": 0.25}),
    ("t5", {"rate": 0.5}), ("t5-iid", {"style": "bert"}), ("t5-iid", {"style": "mass"}), ("t5-iid", {"rate": 0.5, "final_sentinel": True}),
    ("pegasus", {"strategy": "lead"}), ("pegasus", {"strategy": "random"}), ("mbart", {"infill": 0.0}),
    ("gpt", {"eod_loss": False, "reset_position": True, "reset_attention": True}), ("sft", {"mean": "example"}),
    ("fim", {"rate": 1.0, "level": "document"}), ("glm", {"task": "sentence"}), ("glm", {"task": "document"}),
    ("block-diffusion", {"block": 1}),
]  # fmt: skip
#: what is hidden follows from the text alone, whatever the seed
CHOSEN_BY_TEXT = [("pegasus", {}), ("pegasus", {"strategy": "lead"})]
CASES = [(name, {}) for name in md.recipes()]
CASES += [(name, {"compat": mode}) for name in md.recipes() for mode in find(name).about.modes]
CASES += EXTRA
IDS = [name + "".join(f"-{k}={v}" for k, v in options.items()) for name, options in CASES]
