"""The joined module: one file without imports, small enough, and its parts stay parts."""

from __future__ import annotations

import re

import pytest

from maskdial.explore.module import FRONT, PARTS, module

FILES = sorted(FRONT.glob("*.js"))
_IMPORTED = re.compile(r'^import \{([^}]*)\} from "\./(\w+)\.js";$', re.MULTILINE)
_EXPORTED = re.compile(r"^export (?:async )?(?:function|class|const) (\w+)", re.MULTILINE)


def test_it_is_one_file_and_small():
    text = module()
    assert not re.search(r"^\s*import\b", text, re.MULTILINE)
    assert not re.search(r"\bimport\(|https?://(?!www\.w3\.org/)", text), "nothing comes from elsewhere"
    assert re.findall(r"\bexport\b *[\w{]+", text) == ["export{mount", "export default{render"]
    assert text.endswith("export default{render};")
    assert len(text.encode()) <= 120_000


def test_in_one_scope_every_name_is_there_once():
    declared = re.compile(r"^(?:export )?(?:async )?(?:function|class|const|let) (\w+)", re.MULTILINE)
    names = [name for file in FILES for name in declared.findall(file.read_text(encoding="utf-8"))]
    assert len(names) > 200
    assert sorted(names) == sorted(set(names))


def test_every_part_is_joined_once_after_what_it_imports():
    assert sorted(PARTS) == [file.stem for file in FILES]
    before = {"style"}
    for name in PARTS:
        imported = {found[1] for found in _IMPORTED.findall((FRONT / f"{name}.js").read_text(encoding="utf-8"))}
        assert imported <= before, name
        before.add(name)


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_what_a_part_imports_is_there_and_used(file):
    text = file.read_text(encoding="utf-8")
    for names, part in _IMPORTED.findall(text):
        for name in names.replace(" ", "").split(","):
            if part != "style":
                assert name in _EXPORTED.findall((FRONT / f"{part}.js").read_text(encoding="utf-8")), name
            assert len(re.findall(rf"\b{name}\b", text)) > 1, f"{name} is not used"
    assert len(_IMPORTED.findall(text)) == len(re.findall(r"^import\b", text, re.MULTILINE))


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_parts_are_written_so_that_they_can_be_joined(file):
    text = file.read_text(encoding="utf-8")
    assert not re.search(r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\(|new Function", text)
    assert not re.search(r"\S.*[;{,)] +//", text), "a comment has a line of its own"
    assert not re.search(r"`[^`]*\$\{[^}`]*`", text), "no template inside a template"
    assert not re.search(r"(?<=[(=,:])\s*/(?![/*])[^/\n]*\[ ", text), "no space in a regex's brackets"
    assert len(text.splitlines()) < 300


def test_every_export_is_wanted():
    texts = {file.stem: file.read_text(encoding="utf-8") for file in FILES}
    for part, text in texts.items():
        wanted = {name for names, of in (pair for other in texts.values() for pair in _IMPORTED.findall(other)) if of == part
                  for name in names.replace(" ", "").split(",")}  # fmt: skip
        assert set(_EXPORTED.findall(text)) <= wanted, part
