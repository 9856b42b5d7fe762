"""The notebook of the docs, run and written by hand: `python -m tests.explore.notebook`.

It keeps what things say in words: a widget or a drawing in a notebook that nobody has trusted yet is not shown.
"""

from __future__ import annotations

import ast
import json
from pathlib import Path
from typing import Any

FILE = Path(__file__).parents[2] / "docs" / "explorer.ipynb"
#: (what is said, the code beneath it)
PARTS = (
    (
        "# A sample in a notebook\n\nAfter `pip install maskdial[notebook]`, `md.show` draws the explorer, and its dials turn. "
        "Run the cells to see it; what is kept here are the words.\n\n![BERT in the explorer](pictures/explorer-dark.png)",
        'import maskdial as md\n\nTEXT = "The cat sat on the mat."\nmd.show(TEXT, "bert")',
    ),
    ("Two streams: the source with its sentinels, and the answer that the decoder must write.", 'md.show(TEXT, "t5", rate=0.3, seed=1)'),
    (
        "SEE turned further than SCORE allows: every scored position can see its own answer.",
        'md.show(TEXT, "gpt", see={"visibility": "bidirectional"})',
    ),
    ("A sample draws itself, and holds the arrays.", 'one = md.sample(TEXT, "prefix-lm", force={"split": 3})\none'),
    ("−100 is silence: nothing is asked there.", 'one.column("target:token")'),
    ("An objective draws itself too.", 'md.objective("t5", rate=0.3)'),
)


def run(code: str, names: dict[str, Any]) -> str:
    """What the last expression of a cell says."""
    *body, last = ast.parse(code).body
    assert isinstance(last, ast.Expr), "a cell ends with something to show"
    exec(compile(ast.Module(body, []), "cell", "exec"), names)
    return repr(eval(compile(ast.Expression(last.value), "cell", "eval"), names))


def notebook() -> dict[str, Any]:
    names: dict[str, Any] = {}
    cells: list[dict[str, Any]] = []
    for count, (said, code) in enumerate(PARTS, 1):
        shown = {"output_type": "execute_result", "execution_count": count, "metadata": {}, "data": {"text/plain": run(code, names)}}
        cells += [
            {"cell_type": "markdown", "id": f"said-{count}", "metadata": {}, "source": said},
            {"cell_type": "code", "id": f"code-{count}", "metadata": {}, "source": code, "execution_count": count, "outputs": [shown]},
        ]
    kernel = {"name": "python3", "display_name": "Python 3", "language": "python"}
    return {"cells": cells, "metadata": {"kernelspec": kernel}, "nbformat": 4, "nbformat_minor": 5}


if __name__ == "__main__":
    FILE.write_text(json.dumps(notebook(), ensure_ascii=False, indent=1) + "\n", encoding="utf-8")
