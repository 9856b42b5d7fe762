"""`pydocs`, the embedded corpus: the documentation that every Python carries.

The language reference's topics (`pydoc_data.topics`) and the docstrings of the standard library, read with `ast` so that
no module is ever run. About 4,500 documents and 2 MB of technical English on Python 3.11; other versions differ a little,
which is why a prepared corpus records its fingerprint. What stands before a text's first blank line (a summary, a headline)
counts as its prompt, so that supervised fine-tuning has something to be tried on; a text without one is all completion.
"""

from __future__ import annotations

import ast
import hashlib
import inspect
import sys
import sysconfig
import warnings
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path

from maskdial.data.document import Document

#: Changes when the rule below does, so that a cached corpus is made anew.
RULE = 2
#: Shorter docstrings ("Return self.") say nothing that a model could learn from.
MIN_CHARACTERS = 80
#: Not documentation of the library itself, or not there on every machine.
SKIPPED = frozenset({"site-packages", "dist-packages", "test", "tests", "idle_test", "turtledemo", "ensurepip", "__pycache__"})

Documented = ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef


def _document(text: str, label: str, title: str) -> Document:
    head, blank, rest = text.partition("\n\n")
    prompt = len(head) + len(blank) if rest.strip() else 0
    return Document(text=text, label=label, source="pydocs", title=title, language="en", prompt=prompt)


def _topics() -> Iterator[Document]:
    from pydoc_data.topics import topics

    for name in sorted(topics):
        yield _document(topics[name].strip("\n") + "\n", "language", name)


def _walk(node: Documented, name: str) -> Iterator[tuple[str, str]]:
    """(qualified name, docstring) of a node and of what is defined in it, in source order."""
    doc = node.body[0] if node.body else None
    if isinstance(doc, ast.Expr) and isinstance(doc.value, ast.Constant) and isinstance(doc.value.value, str):
        yield name, inspect.cleandoc(doc.value.value)
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            yield from _walk(child, f"{name}.{child.name}")


def _modules(root: Path) -> Iterator[tuple[str, Path]]:
    for file in sorted(root.rglob("*.py"), key=lambda f: f.relative_to(root).parts):
        parts = file.relative_to(root).with_suffix("").parts
        if not SKIPPED.intersection(parts) and not parts[0].startswith(("config-", "_sysconfigdata", "lib-")):
            yield ".".join(parts[:-1] if parts[-1] == "__init__" else parts), file


def _docstrings() -> Iterator[Document]:
    for module, file in _modules(Path(sysconfig.get_paths()["stdlib"])):
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                tree = ast.parse(file.read_bytes())
        except (SyntaxError, ValueError, OSError):
            continue  # lib2to3 and others ship files that are wrong on purpose
        for name, doc in _walk(tree, module):
            if len(doc) >= MIN_CHARACTERS:
                yield _document(doc + "\n", module.split(".")[0], name)


@lru_cache(maxsize=1)
def pydocs() -> tuple[Document, ...]:
    """The embedded corpus in a fixed order, each text once: topics by name, then docstrings by file and place."""
    seen: set[str] = set()
    kept: list[Document] = []
    for document in (*_topics(), *_docstrings()):
        if document.text not in seen:
            seen.add(document.text)
            kept.append(document)
    return tuple(kept)


def identity() -> str:
    """What decides the text, without reading it: the rule, and the Python that carries the documentation."""
    return f"pydocs/{RULE} {sys.version} {sysconfig.get_paths()['stdlib']}"


def fingerprint() -> str:
    """sha256 over every label, title and text, in order."""
    digest = hashlib.sha256()
    for d in pydocs():
        digest.update(f"{d.label}\0{d.title}\0{d.prompt}\0{d.text}\0".encode())
    return digest.hexdigest()
