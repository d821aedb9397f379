"""YAML that keeps its lines and holds no surprise."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from router.config import ConfigProblems
from router.config import source as source_module
from router.config.source import MAX_BYTES, read_source, read_sources, resolve

Write = Callable[..., str]


def only_problem(file: str) -> tuple[int, str]:
    with pytest.raises(ConfigProblems) as refused:
        read_source(file)
    (problem,) = refused.value.problems
    assert problem.file == file
    return problem.line, problem.message


def test_an_unquoted_scalar_stays_as_it_was_written(write: Write) -> None:
    text = "release: 1.10\non: [502]\noff: off\ndigest: 0123\nempty:\nquoted: ''\n1.0: no\n"
    assert read_source(write(text)).value == {
        "release": "1.10",
        "on": ["502"],
        "off": "off",
        "digest": "0123",
        "empty": None,
        "quoted": "",
        "1.0": "no",
    }


def test_a_document_of_unknown_fields_gets_yaml_types(write: Write) -> None:
    text = "{a: 1, b: 1.5, c: true, d: [~, 'x'], e: '1', f: .inf, g: on, h: {i: -0}, j: False}"
    assert resolve(read_source(write(text)).value) == {
        "a": 1,
        "b": 1.5,
        "c": True,
        "d": [None, "x"],
        "e": "1",
        "f": float("inf"),
        "g": "on",
        "h": {"i": 0},
        "j": False,
    }


def test_every_value_has_its_line(write: Write) -> None:
    source = read_source(write("a:\n- b: 1\n  c:\n    d: [1,\n      2]\n"))
    assert source.locate(("a",)) == (1, ("a",))
    assert source.locate(("a", 0, "c", "d", 1)) == (5, ("a", 0, "c", "d", 1))
    assert source.locate(("a", 0, "missing")) == (2, ("a", 0, "missing"))
    assert source.locate(("a", 0, "b", "inside")) == (2, ("a", 0, "b"))


def test_an_alias_has_the_line_of_what_it_stands_for(write: Write) -> None:
    source = read_source(write("x: &x\n  deep: 1\na: *x\nb:\n  <<: *x\n  own: 2\n"))
    assert source.value["a"] == {"deep": "1"}
    assert source.value["b"] == {"deep": "1", "own": "2"}
    assert source.locate(("a", "deep")) == (2, ("a", "deep"))
    assert source.locate(("b", "deep")) == (2, ("b", "deep"))


def test_the_first_of_several_merged_mappings_wins_and_ones_own_keys_win_over_all(
    write: Write,
) -> None:
    text = "a: &a {x: 1, y: 1}\nb: &b {x: 2, z: 2}\nc: {<<: [*a, *b], y: 3}\n"
    assert read_source(write(text)).value["c"] == {"x": "1", "y": "3", "z": "2"}


def test_a_key_written_twice_is_a_problem_in_the_second_ones_line(write: Write) -> None:
    source = read_source(write("a:\n  b: 1\n  b: 2\n"))
    (problem,) = source.problems
    assert (problem.line, problem.field) == (3, "a.b")
    assert problem.message == "is written twice (first in line 2)"


@pytest.mark.parametrize(
    ("text", "line", "message"),
    [
        ("a: 1\nb: c: d\n", 2, "not valid YAML: mapping values are not allowed"),
        ("a: [1,\nb: 2\n", 3, "(while parsing a flow sequence, begun in line 1)"),
        ("a: 1\nb: *x\n", 2, "not valid YAML: found undefined alias"),
        ("a:\n\t- b\n", 2, "not valid YAML: found character"),
        ("a: 1\nb: \x01\n", 2, "not valid YAML: "),
        ("", 0, "is empty"),
        ("# nothing\n", 0, "is empty"),
        ("a: 1\n---\nb: 2\n", 3, "a second document begins here"),
        ("a: &a [*a]\n", 1, "an alias stands inside what it stands for"),
        ("[" * 100_000, 1, "nested more than 64 levels deep"),
    ],
)
def test_what_is_not_one_yaml_document_is_refused_with_its_line(
    write: Write, text: str, line: int, message: str
) -> None:
    found_line, found = only_problem(write(text))
    assert found_line == line
    assert message in found


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a: !!python/object/apply:os.system [x]\n", "has the tag"),
        ("a: !secret x\n", "has the tag !secret"),
        ("? [a, b]\n: c\n", "a key must be a single word"),
        ("a: {<<: 5}\n", "can only merge mappings"),
    ],
)
def test_what_has_no_meaning_here_is_a_problem(write: Write, text: str, message: str) -> None:
    (problem,) = read_source(write(text)).problems
    assert problem.line == 1
    assert message in problem.message


def test_aliases_that_multiply_are_refused(write: Write) -> None:
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 12)]
    _, message = only_problem(write("\n".join(lines)))
    assert "once aliases are expanded" in message


def test_aliases_that_nest_are_refused(write: Write) -> None:
    lines = ["- &a0 [x]"] + [f"- &a{n} [*a{n - 1}]" for n in range(1, 100)]
    _, message = only_problem(write("\n".join(lines)))
    assert message == "nested more than 64 levels deep"


def test_a_file_that_is_not_there_is_refused(tmp_path: Path) -> None:
    assert only_problem(str(tmp_path / "no.yaml")) == (
        0,
        "cannot be read: No such file or directory",
    )
    assert only_problem(str(tmp_path)) == (0, "cannot be read: Is a directory")


def test_a_file_that_is_not_utf_8_is_refused(tmp_path: Path) -> None:
    (tmp_path / "x.yaml").write_bytes(b"a: 1\nb: \xff\n")
    assert only_problem(str(tmp_path / "x.yaml")) == (2, "is not UTF-8 text")


def test_a_byte_order_mark_is_forgiven(tmp_path: Path) -> None:
    (tmp_path / "x.yaml").write_bytes(b"\xef\xbb\xbfa: 1\n")
    assert read_source(str(tmp_path / "x.yaml")).value == {"a": "1"}


def test_a_file_larger_than_the_bound_is_refused(tmp_path: Path) -> None:
    with (tmp_path / "x.yaml").open("wb") as stream:
        stream.truncate(MAX_BYTES + 1)
    assert only_problem(str(tmp_path / "x.yaml")) == (0, "is larger than 16 MiB")


def test_a_file_may_hold_several_documents_where_they_are_wanted(write: Write) -> None:
    sources = read_sources(write("a: 1\n---\nb: 2\n---\n"))
    assert [source.value for source in sources[:2]] == [{"a": "1"}, {"b": "2"}]


def test_without_libyaml_the_python_parser_reads_the_same(
    write: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = write("a: &a\n- b: on\n  c: [1, 'x']\nd: *a\n")
    fast = read_source(file)
    monkeypatch.setattr(source_module, "_Composer", source_module.PythonComposer)
    slow = read_source(file)
    assert (slow.value, slow.locate(("d", 0, "c", 1))) == (
        fast.value,
        fast.locate(("d", 0, "c", 1)),
    )
    assert only_problem(write("[" * 1000)) == (
        1,
        "not valid YAML: nested more than 64 levels deep",
    )
