"""The console's sources: what must not stand in them, whatever a browser would make of it."""

import re
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import PurePosixPath
from typing import Final

import pytest

STATIC: Final = files("router.admin.ui") / "static"

_MARKUP: Final = re.compile(
    r"\b(?:innerHTML|outerHTML|insertAdjacentHTML|createContextualFragment|DOMParser|setHTML\w*)\b"
    r"|document\.write|\beval\(|new Function\b"
)
_IMPORT: Final = re.compile(r"""(?:\bfrom|\bimport\()\s*["']([^"']+)["']""")
_COMMENT: Final = re.compile(r"/\*.*?\*/|^\s*//[^\n]*", re.DOTALL | re.MULTILINE)


def _found(folder: Traversable, path: PurePosixPath) -> dict[str, str]:
    texts: dict[str, str] = {}
    for each in folder.iterdir():
        here = path / each.name
        texts |= _found(each, here) if each.is_dir() else {str(here): each.read_text("utf-8")}
    return texts


SOURCES: Final = _found(STATIC, PurePosixPath())
MODULES: Final = sorted(name for name in SOURCES if name.endswith(".js"))


def test_the_modules_are_found() -> None:
    assert {"main.js", "dom.js", "pages/overview.js", "pages/route/actions.js"} <= set(MODULES)


@pytest.mark.parametrize("name", MODULES)
def test_no_module_makes_markup_or_code_of_a_text(name: str) -> None:
    code = _COMMENT.sub("", SOURCES[name])
    assert _MARKUP.findall(code) == []


@pytest.mark.parametrize("name", MODULES)
def test_every_import_is_a_file_of_the_console(name: str) -> None:
    for imported in _IMPORT.findall(SOURCES[name]):
        assert imported.startswith(("./", "../")), imported
        target: list[str] = list(PurePosixPath(name).parent.parts)
        for part in PurePosixPath(imported).parts:
            if part == "..":
                target.pop()
            else:
                target.append(part)
        assert "/".join(target) in SOURCES, f"{name} imports {imported}, which is not there"


@pytest.mark.parametrize("name", MODULES)
def test_every_module_says_what_it_is_for(name: str) -> None:
    assert SOURCES[name].startswith(("/**", "//")), name


def test_the_page_preloads_only_files_that_are_there() -> None:
    named = re.findall(r'(?:href|src)="([^"#][^":]*)"', SOURCES["index.html"])
    assert named
    assert [name for name in named if name not in SOURCES] == []


def test_every_class_that_colours_a_role_is_in_the_style_sheet() -> None:
    styles = SOURCES["app.css"]
    for role in ("stable", "canary", "preview", "shadow", "other"):
        assert f".role-{role} " in styles
