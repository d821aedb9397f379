"""Whatever becomes of an example's text, it is taken, or refused with a message and its place."""

from __future__ import annotations

import contextlib
import shutil
from pathlib import Path

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from router.config import ConfigProblems, check, compile_snapshot, load

EXAMPLES = Path(__file__).parents[2] / "config"
TEXTS = [file.read_text() for file in sorted(EXAMPLES.glob("*.yaml"))]
PROPERTY = settings(deadline=None, max_examples=150, suppress_health_check=[HealthCheck.too_slow])

# What comes in the place of a few characters.
NOISE = st.sampled_from(
    ["", " ", "  ", "\n", "\t", ":", ": ", "- ", "{", "}", "[", "]", '"', "'", "#", "&a ", "*a",
     "<<: *a\n", "<<: 1\n", "!!python/object:os.system ", "!!int ", "? ", "|\n", "---\n", "...\n",
     "%YAML 9.9\n", "null", "~", "-1", "1e999", ".nan", "0x10", "9" * 400, "\x00", "\x85", "\ufeff",
     "\U0001f600", "a" * 5_000, "../../etc/passwd", "/dev/null", "http://u:p@h", "$..a[", "(a+)+$",
     "a{99999999999}", "(" * 1_500 + ")" * 1_500]
)  # fmt: skip
WAYS = st.sampled_from(["put", "cut", "copy", "move"])
EDITS = st.lists(
    st.tuples(WAYS, st.integers(0), st.integers(0), NOISE),
    min_size=1,
    max_size=4,
)


def edited(text: str, edits: list[tuple[str, int, int, str]]) -> str:
    """Put something between characters, or cut, copy or move a line."""
    for how, one, other, put in edits:
        lines = text.splitlines(keepends=True)
        place = one % max(1, len(lines))
        if how == "put" or not lines:
            at = one % (len(text) + 1)
            text = text[:at] + put + text[at + other % 4 :]
            continue
        line = lines[place] if how == "copy" else lines.pop(place)
        if how != "cut":
            lines.insert(other % (len(lines) + 1), line)
        text = "".join(lines)
    return text


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file beside what the examples name."""
    folder = tmp_path_factory.mktemp("configuration")
    for name in ("analysis", "rollouts"):
        shutil.copytree(EXAMPLES / name, folder / name)
    return folder / "router.yaml"


@PROPERTY
@given(st.sampled_from(TEXTS), EDITS)
@example(TEXTS[0], [("put", 0, 0, "\x00")])
def test_a_mutated_example_is_taken_or_refused_with_its_place(
    file: Path, text: str, edits: list[tuple[str, int, int, str]]
) -> None:
    file.write_text(edited(text, edits), encoding="utf-8")
    (report,) = check([file]).files
    for problem in (*report.problems, *report.warnings):
        assert problem.message
        assert problem.file
        assert problem.line or "is empty" in problem.message, problem
    if report.problems:
        with pytest.raises(ConfigProblems):
            load(file)
    else:
        compile_snapshot(load(file), 1)


@PROPERTY
@given(st.binary(max_size=300), st.sampled_from(TEXTS), st.integers(0))
def test_no_bytes_are_too_strange_to_refuse(file: Path, noise: bytes, text: str, at: int) -> None:
    content = text.encode()
    place = at % (len(content) + 1)
    for written in (noise, content[:place] + noise + content[place:]):
        file.write_bytes(written)
        (report,) = check([file]).files
        assert all(problem.message and problem.file for problem in report.problems)
        with contextlib.suppress(ConfigProblems):
            load(file)


def doubling(levels: int) -> str:
    """Mappings that are merged in twice each time: `levels` lines for 2^levels ways."""
    lines = ["x0: &x0 {a: 1}"]
    lines += [f"x{n}: &x{n} {{<<: [*x{n - 1}, *x{n - 1}]}}" for n in range(1, levels + 1)]
    return "\n".join(lines) + "\n"


def test_a_key_is_looked_for_once_in_a_mapping_that_is_merged_in_many_ways(file: Path) -> None:
    # 2^16 ways for each of 600 keys: it comes back only because each mapping is seen once.
    keys = ", ".join(f"k{number}: 1" for number in range(600))
    file.write_text(doubling(16) + f"y: &y {{{keys}}}\nroutes:\n- {{name: a, <<: [*x16, *y]}}\n")
    (report,) = check([file]).files
    assert [p.field for p in report.problems].count("routes[0].k599") == 1


def test_thousands_of_unknown_keys_are_all_named_with_their_lines(file: Path) -> None:
    file.write_text("".join(f"k{number}: 1\n" for number in range(5_000)))
    (report,) = check([file]).files
    unknown = [problem for problem in report.problems if problem.field]
    assert [(p.line, p.field) for p in unknown] == [(n + 1, f"k{n}") for n in range(5_000)]
