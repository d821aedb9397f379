"""What is valid but hardly meant gets a warning that names the remedy."""

from __future__ import annotations

import pytest

from router.analysis.conditions import parse, warnings


@pytest.mark.parametrize(
    "text",
    [
        "default(result[0], 0) < 0.05",
        "len(result) > 1 and default(result[-1], 0) < 0.05",
        "isNil(result[0]) || result[0] < 1",
        "default(result.values[0] * 2, 0) < 0.05",
    ],
)
def test_default_of_an_index_does_not_rescue_an_empty_vector(text: str) -> None:
    (warning,) = warnings(parse(text))
    assert "does not rescue an empty vector" in warning
    assert "len(result) == 0 ||" in warning


def test_default_of_a_part_asks_the_whole_result() -> None:
    (warning,) = warnings(parse("default(result.rate, 0) < 0.05"))
    assert "asks the whole result" in warning


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("true", "true"),
        ("1 > 2", "false"),
        ("result > 1 || true", "true"),
        ("result > 1 and 1 == 2", "false"),
        ("let limit = 5; limit > 1", "true"),
        ("all([1, 2], # > 0)", "true"),
    ],
)
def test_a_condition_that_no_value_can_change_is_told(text: str, value: str) -> None:
    (warning,) = warnings(parse(text))
    assert f"is always {value}" in warning


@pytest.mark.parametrize(
    "text",
    [
        "result[0] >= 0.95",
        "default(result, 0) < 0.05",
        "isNil(result) || result < 1",
        "len(result) == 0 || result[0] < 0.01",
        "$env.result > 1",
        "result > 1 or false",
        "let limit = 0.05; result < limit",
        "1 % 0 == 1 and result > 1",
    ],
)
def test_an_honest_condition_gets_no_warning(text: str) -> None:
    assert warnings(parse(text)) == []
