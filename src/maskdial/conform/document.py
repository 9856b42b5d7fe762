"""The faithfulness tables as Markdown, with what the references do beside what we do."""

from __future__ import annotations

import tomllib
from collections.abc import Sequence
from importlib.resources import files
from typing import Any

from maskdial.recipes import find

HEAD = """# Faithfulness

What each recipe claims, held against its law over many draws; `maskdial conform --samples {draws} --markdown docs/faithfulness.md`
wrote this page. A frequency or a mean may be off by five standard errors of its law, a distribution must have a chi-square
probability of at least one in a million, an exact claim must hold in every draw. Where a reference implementation behaves
differently, its own behaviour stands above the table and, where there is one, the mode that reproduces it has a table of its own.
"""


def markdown(reports: Sequence[dict[str, Any]], draws: str) -> str:
    """The page: a section a recipe, a table a mode."""
    references = tomllib.loads(files("maskdial.conform").joinpath("references.toml").read_text(encoding="utf-8"))
    lines = [HEAD.format(draws=draws)]
    seen = ""
    for report in reports:
        name = report["recipe"]
        if name != seen:
            seen = name
            about = find(name).about
            lines.append(f"\n## {name}\n\n{about.source}. {about.formula[0].upper() + about.formula[1:]}.\n")
            lines += [f"- {line}" for line in references.get(name, ())]
        mode = report["options"].get("compat")
        title = f"compat=\"{mode}\": {find(name).about.modes[mode][1]}" if mode else "default"
        lines.append(f"\n**{title}** ({report['draws']:,} samples of {report['length']} tokens)\n")
        lines += ["| claim | law | found | tolerance | holds |", "|---|---|---|---|---|"]
        for c in report["claims"]:
            law = cell(c["law"] + (f" ({c['source']})" if c["source"] else ""))
            holds = "yes" if c["holds"] else "**no**"
            lines.append(f"| {cell(c['claim'])} | {law} | {cell(c['found'])} | {cell(c['tolerance'])} | {holds} |")
    return "\n".join(lines) + "\n"


def cell(text: str) -> str:
    """A text that stays in its cell."""
    return text.replace("|", "\\|")
