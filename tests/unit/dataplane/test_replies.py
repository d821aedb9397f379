"""What every error says about coming again: whether it is safe, and when."""

from __future__ import annotations

import pytest

from router.dataplane.replies import error_fields
from router.errors import ErrorCode

SAFE = {
    ErrorCode.REQUEST_TIMEOUT,
    ErrorCode.UPSTREAM_CONNECT,
    ErrorCode.CONNECT_TIMEOUT,
    ErrorCode.NO_HEALTHY_ENDPOINT,
    ErrorCode.OVERLOADED,
    ErrorCode.VERSION_OVERLOADED,
    ErrorCode.ROUTER_OVERLOADED,
    ErrorCode.DRAINING,
}
"""Errors of a request that no model server has worked on, and that may go well the next time."""


def fields_of(code: ErrorCode, *, safe: bool = True, retry_after_s: int = 1) -> dict[str, str]:
    lines = error_fields(code, safe=safe, retry_after_s=retry_after_s).decode().split("\r\n")
    assert lines.pop() == ""
    return dict(line.split(": ") for line in lines)


@pytest.mark.parametrize("code", ErrorCode)
def test_an_error_is_worth_another_try_only_if_no_model_server_has_worked_on_the_request(
    code: ErrorCode,
) -> None:
    assert fields_of(code)["x-should-retry"] == ("true" if code in SAFE else "false")


@pytest.mark.parametrize("code", ErrorCode)
def test_no_error_is_worth_another_try_where_that_is_not_safe(code: ErrorCode) -> None:
    assert fields_of(code, safe=False)["x-should-retry"] == "false"


@pytest.mark.parametrize("code", ErrorCode)
def test_exactly_the_503_say_when_to_come_again(code: ErrorCode) -> None:
    assert ("retry-after" in fields_of(code)) == (code.status == 503)


@pytest.mark.parametrize("code", [each for each in ErrorCode if each.status == 503])
def test_nobody_is_asked_to_come_again_sooner_than_in_a_second(code: ErrorCode) -> None:
    assert fields_of(code)["retry-after"] == "1"
    assert fields_of(code, retry_after_s=17)["retry-after"] == "17"


def test_no_two_errors_have_one_code() -> None:
    assert len({code.code for code in ErrorCode}) == len(ErrorCode)
