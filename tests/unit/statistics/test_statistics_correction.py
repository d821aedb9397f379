"""Holm's correction."""

from __future__ import annotations

import pytest

from router.statistics import holm


def test_the_smallest_is_multiplied_most_and_none_falls_below_the_one_before() -> None:
    # By hand: 0.005·4, 0.01·3, 0.03·2, and 0.04·1 raised to the 0.06 before it.
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])


def test_one_question_needs_no_correction() -> None:
    assert holm([0.04]) == [0.04]
    assert holm([]) == []


def test_no_p_value_exceeds_1() -> None:
    assert holm([0.6, 0.9, 0.7]) == [1.0, 1.0, 1.0]
