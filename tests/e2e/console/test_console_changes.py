"""What an audit entry says that it changed, in the browser that tells it."""

from __future__ import annotations

from typing import Any, Final

CHANGES: Final = """
async ([before, after]) => {
  const { changesOf } = await import(new URL("pages/audit/changes.js", document.baseURI).href);
  return changesOf(before, after).changes.map(({ path, before, after }) => [path, before, after]);
}
"""


def test_the_share_of_a_version_with_a_dot_in_its_name_is_percent(ask: Any) -> None:
    before = {"weights": {"llama-3.1": 100, "v2": 0}, "wanted": {"llama-3.1": 5}}
    after = {"weights": {"llama-3.1": 95, "v2": 5}, "wanted": {"llama-3.1": 7.25}}
    assert ask(CHANGES, [before, after]) == [
        ["weights.llama-3.1", "100 %", "95 %"],
        ["weights.v2", "0 %", "5 %"],
        ["wanted.llama-3.1", "5 %", "7.25 %"],
    ]


def test_names_with_dots_are_not_taken_for_places_within_each_other(ask: Any) -> None:
    before, after = {"a.b": 1, "a": {"b": 2}}, {"a.b": 2, "a": {"b": 1}}
    assert ask(CHANGES, [before, after]) == [["a.b", "1", "2"], ["a.b", "2", "1"]]


def test_texts_that_differ_only_late_are_told_where_they_differ(ask: Any) -> None:
    same = "the same " * 100
    ((path, before, after),) = ask(
        CHANGES, [{"reason": f"{same}until here"}, {"reason": f"{same}and here"}]
    )
    assert path == "reason"
    assert before.startswith("\u2026")
    assert after.startswith("\u2026")
    assert before.endswith("the same until here")
    assert after.endswith("the same and here")
    assert len(before) < 450


def test_a_long_text_that_differs_early_is_cut_at_its_end(ask: Any) -> None:
    long = "word " * 1_000
    ((_, before, after),) = ask(CHANGES, [{"reason": f"one {long}"}, {"reason": f"two {long}"}])
    assert before == f"one {long}"[:400] + "\u2026"
    assert after == f"two {long}"[:400] + "\u2026"


def test_times_within_one_second_are_told_apart(ask: Any) -> None:
    before, after = {"pausedUntil": 1_700_000_000.25}, {"pausedUntil": 1_700_000_000.5}
    assert ask(CHANGES, [before, after]) == [["pausedUntil", "1700000000.25", "1700000000.5"]]


def test_shares_that_are_told_alike_are_told_apart(ask: Any) -> None:
    before, after = {"shadow": {"percent": 0.001}}, {"shadow": {"percent": 0.002}}
    assert ask(CHANGES, [before, after]) == [["shadow.percent", "0.001", "0.002"]]


def test_what_is_the_same_is_not_told(ask: Any) -> None:
    state = {"weights": {"v1": 100}, "past": ["v0"], "since": 1.5, "note": "x" * 1_000}
    assert ask(CHANGES, [state, {**state, "past": ["v0"]}]) == []
    assert ask(CHANGES, [None, {"weights": {"v1": 100}}]) == [["weights.v1", "\u2013", "100 %"]]
