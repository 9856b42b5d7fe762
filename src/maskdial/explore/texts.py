"""What the explorer opens with: example texts, and the sample of a first visit."""

from __future__ import annotations

from typing import Any

CAT = "The cat sat on the mat because it was warm and quiet."
EXAMPLES: tuple[dict[str, str], ...] = (
    {"id": "cat", "title": "A cat", "text": CAT},
    {"id": "story", "title": "Three sentences", "text": "The river rose in the night. By noon the bridge was gone. We crossed in a boat."},
    {"id": "question", "title": "A question and its answer", "text": "Which planet is the largest? Jupiter is the largest planet."},
    {"id": "code", "title": "Code", "text": "def area(width, height):\n    return width * height\n"},
    {"id": "scripts", "title": "Several scripts", "text": "Ein Fluß 🌊, une rivière, река, नदी, 河流 and נהר."},
)

#: A first visit teaches without a click: a prefix in the middle of its dial has both kinds of sight.
FIRST: dict[str, Any] = {
    "objective": "prefix-lm", "options": {"see": {"visibility": "prefix", "split": 5}}, "text": CAT, "second": None, "tokenizer": "words",
    "seed": 0, "hide": None, "force": {},
}  # fmt: skip
