"""`routes ROUTE`: what is left of a version that has lost its traffic."""

from __future__ import annotations

import time

from tests.support.admin_api import canned_api, route, run, version

WARM_UNTIL = 1_790_000_600.0


def lines_of(**old: object) -> list[str]:
    """What is told of a route whose old side is like this."""
    sides = [version("v2", "stable", 100), version("v1", "preview", 0, **old)]
    with canned_api() as api:
        api.answer("GET", "/routes/chat", route(stable="v2", versions=sides))
        result = run(api, "routes", "chat")
    assert result.exit_code == 0, result.output
    return result.stdout.splitlines()


def test_a_drain_without_a_bound_is_told_with_its_streams() -> None:
    assert "v1: 3 streams draining, no new requests" in lines_of(inFlight=3)


def test_a_drain_with_a_bound_tells_the_time_that_is_left() -> None:
    # Half a minute more than is told, for a test that is slow.
    lines = lines_of(inFlight=3, drainUntil=time.time() + 3_630)
    (line,) = [line for line in lines if line.startswith("v1: 3 streams")]
    assert line.startswith("v1: 3 streams draining, no new requests; they end in 1h")
    assert line.endswith("Z")


def test_a_version_on_which_nothing_runs_does_not_drain() -> None:
    lines = lines_of(inFlight=0, drainUntil=time.time() + 3_630)
    assert not any("drain" in line for line in lines)


def test_a_version_that_is_kept_warm_is_told_with_its_time() -> None:
    lines = lines_of(warmUntil=WARM_UNTIL)
    assert "v1: kept ready for the traffic until 2026-09-21 14:23:20Z" in lines


def test_a_version_of_a_router_that_tells_neither_is_told_as_before() -> None:
    assert not any(line.startswith("v1: ") for line in lines_of())
