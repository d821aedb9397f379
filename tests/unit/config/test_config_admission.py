"""A version's own bounds, classes of priority, and shedding: from the file to the workers."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from router import snapshot
from router.config import Config
from router.config.compile import compile_snapshot

CLASSES = {"classes": ["interactive", "normal", "batch"], "default": "normal"}


def config(of_v1: Any = None, limits: Any = None, server: Any = None) -> Config:
    v1 = {"endpoints": ["http://10.0.0.1:8000"], **({} if of_v1 is None else {"limits": of_v1})}
    route = {"name": "chat", "match": [{"path": "/x"}], "versions": {"v1": v1}}
    if limits is not None:
        route["limits"] = limits
    return Config.model_validate({"routes": [route], "server": server or {}})


def compiled(**parts: Any) -> snapshot.Route:
    return compile_snapshot(config(**parts), 1).routes[0]


def test_a_versions_bounds_reach_the_workers() -> None:
    (v1,) = compiled(of_v1={"maxInFlight": 8, "maxPending": 3}).versions
    assert v1.circuit == snapshot.Circuit(max_in_flight=8, max_pending=3)


def test_a_version_without_bounds_has_none() -> None:
    assert compiled().versions[0].circuit is None


def test_nobody_waits_for_a_bounded_version_unless_it_is_said_how_many() -> None:
    (v1,) = compiled(of_v1={"maxInFlight": 8}).versions
    assert v1.circuit == snapshot.Circuit(max_in_flight=8, max_pending=0)


def test_classes_reach_the_workers_in_their_order() -> None:
    assert compiled(limits={"priority": CLASSES}).limits.priority == snapshot.Priority(
        header="x-request-priority",
        classes=("interactive", "normal", "batch"),
        default="normal",
        forward=False,
    )


@pytest.mark.parametrize(
    ("wrong", "why"),
    [
        ({"default": "urgent"}, "not one of the classes"),
        ({"classes": ["normal", "batch", "batch"]}, "twice"),
        ({"classes": ["normal"]}, "at least 2"),
        ({"classes": [f"c{number}" for number in range(9)], "default": "c0"}, "at most 8"),
        ({"header": "no header"}, "header"),
    ],
)
def test_classes_that_make_no_sense_are_refused(wrong: dict[str, Any], why: str) -> None:
    with pytest.raises(ValidationError, match=why):
        config(limits={"priority": {**CLASSES, **wrong}})


@pytest.mark.parametrize("wrong", [{}, {"maxInFlight": 0}, {"maxInFlight": 1, "maxPending": -1}])
def test_bounds_that_make_no_sense_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        config(of_v1=wrong)


@pytest.mark.parametrize(
    ("said", "delay_s"),
    [({}, 0.5), ({"shedding": {"loopDelay": "1s"}}, 1.0), ({"shedding": "off"}, 0.0),
     ({"shedding": False}, 0.0)],
)  # fmt: skip
def test_how_late_the_loop_may_run_is_what_the_file_says(
    said: dict[str, Any], delay_s: float
) -> None:
    assert config(server=said).server.shed_delay_s == delay_s
