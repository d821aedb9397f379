"""The console's comparison of two texts, in the browser that runs it."""

from __future__ import annotations

import random
from typing import Any, Final

import pytest

SEED: Final = 20_261_123
"""Pairs are drawn from it: a failure comes again."""

COMPARE: Final = """
async (pairs) => {
  const { diffTexts } = await import(new URL("diff.js", document.baseURI).href);
  return pairs.map(([left, right]) => diffTexts(left, right));
}
"""
ALIGN: Final = """
async (pairs) => {
  const { diffTokens } = await import(new URL("diff.js", document.baseURI).href);
  return pairs.map(([left, right]) => diffTokens(left, right));
}
"""


def drawn(pairs: int, longest: int, alphabet: str) -> list[tuple[list[str], list[str]]]:
    chance = random.Random(SEED)

    def some() -> list[str]:
        return chance.choices(alphabet, k=chance.randrange(longest))

    return [(some(), some()) for _ in range(pairs)]


def side(rows: list[dict[str, Any]], name: str) -> str:
    """A side's text, put together again; a line in many pieces goes on in the next row."""
    parts = [
        ("" if row.get("continued") else "\n") + "".join(span["text"] for span in row[name])
        for row in rows
        if row[name] is not None
    ]
    return "".join(parts).removeprefix("\n")


def common(left: list[str], right: list[str]) -> int:
    """The length of the longest common subsequence, by the textbook."""
    above = [0] * (len(right) + 1)
    for token in left:
        row = [0]
        for at, other in enumerate(right):
            row.append(above[at] + 1 if token == other else max(above[at + 1], row[at]))
        above = row
    return above[-1]


@pytest.mark.parametrize(
    ("many", "longest", "alphabet"), [(60, 40, "ab \n"), (8, 2_000, "abc \n\té😀")]
)
def test_both_sides_are_the_texts_that_were_compared(
    ask: Any, many: int, longest: int, alphabet: str
) -> None:
    pairs = [("".join(left), "".join(right)) for left, right in drawn(many, longest, alphabet)]
    for (left, right), found in zip(pairs, ask(COMPARE, pairs), strict=True):
        assert side(found["rows"], "left") == left
        assert side(found["rows"], "right") == right


def test_nothing_is_told_as_changed_that_need_not_be(ask: Any) -> None:
    pairs = drawn(300, 25, "abcd")
    for (left, right), runs in zip(pairs, ask(ALIGN, pairs), strict=True):
        same = [run for run in runs if run["kind"] == "same"]
        kept = [left[run["a"] : run["aEnd"]] for run in same]
        assert kept == [right[run["b"] : run["bEnd"]] for run in same]
        assert sum(map(len, kept)) == common(left, right)


def test_one_changed_word_of_a_long_line_is_found(ask: Any) -> None:
    words = [f"word{number}" for number in range(20_000)]
    other = [*words[:12_345], "another", *words[12_346:]]
    (found,) = ask(COMPARE, [(" ".join(words), " ".join(other))])
    changed = [
        (name, span["text"])
        for row in found["rows"]
        for name in ("left", "right")
        for span in row[name]
        if span["changed"]
    ]
    assert changed == [("left", "word12345"), ("right", "another")]
    assert found["differing"] == 1


def test_texts_of_a_megabyte_that_have_nothing_in_common_are_told_as_replaced(ask: Any) -> None:
    left, right = "left " * 250_000, "right " * 200_000
    (found,) = ask(COMPARE, [(left, right)])
    assert found["cut"]  # a million characters of each side are read
    assert side(found["rows"], "left") == left[:1_000_000]
    assert side(found["rows"], "right") == right[:1_000_000]
