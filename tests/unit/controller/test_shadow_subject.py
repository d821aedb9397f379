"""Who is compared with whom, and from when on anew."""

from __future__ import annotations

from typing import Any

import pytest
from msgspec.structs import replace

from router.config import Config
from router.config.models import Route
from router.controller.shadow.subject import Subject, still_tells, subject_of
from router.link.messages import Captured, Pair
from router.rollouts.phases import Phase
from router.rollouts.rollout import Rollout
from router.rollouts.spec import SetShadow
from router.rollouts.state import RouteState, ShadowOverride

STATE = RouteState(stable="v1", weights={"v1": 10_000})


def route(shadow: str | None = "v2") -> Route:
    document: dict[str, Any] = {
        "name": "chat",
        "match": [{"path": "/chat"}],
        "release": "v1",
        "versions": {name: {"endpoints": ["http://127.0.0.1:8000"]} for name in ("v1", "v2", "v3")},
    }
    if shadow is not None:
        document["shadow"] = {"version": shadow}
    return Config.model_validate({"routes": [document]}).routes[0]


def rollout(
    target: str = "v2", *, number: int = 1, attempt: int = 1, at_s: float = 50.0, **more: Any
) -> Rollout:
    return Rollout(
        number=number,
        attempt=attempt,
        target=target,
        release=target,
        started_s=at_s,
        attempt_s=at_s,
        step_s=at_s,
        progress_s=at_s,
        steps_digest="",
        **more,
    )


def override(version: str = "v2", since_s: float = 70.0) -> ShadowOverride:
    return ShadowOverride(
        version=version, percent_bp=1_000, holder="ann", reason="a test", since_s=since_s
    )


def pair(*, primary: str = "v1", shadow: str = "v2", time_s: float = 100.0) -> Pair:
    return Pair(
        route="chat",
        request_id="id-1",
        time_s=time_s,
        generation=1,
        method="POST",
        target="/chat",
        fields=[],
        request=b"",
        primary=Captured(primary, "answered"),
        shadow=Captured(shadow, "answered"),
    )


def test_a_route_without_a_shadow_has_no_subject() -> None:
    assert subject_of(route(None), STATE) is None


def test_a_configured_shadow_is_compared_from_ever_on() -> None:
    assert subject_of(route(), STATE) == Subject(stable="v1", shadow="v2")


def test_a_new_attempt_is_a_new_subject() -> None:
    first = subject_of(route(), replace(STATE, rollout=rollout()))
    again = subject_of(route(), replace(STATE, rollout=rollout(attempt=2, at_s=60.0)))
    later = subject_of(route(), replace(STATE, rollout=rollout(number=2, at_s=80.0)))
    assert first == Subject(stable="v1", shadow="v2", attempt=(1, 1), begun_s=50.0)
    assert again == Subject(stable="v1", shadow="v2", attempt=(1, 2), begun_s=60.0)
    assert later == Subject(stable="v1", shadow="v2", attempt=(2, 1), begun_s=80.0)


def test_a_rollout_of_another_version_is_no_concern_of_the_shadow() -> None:
    state = replace(STATE, rollout=rollout("v3"))
    assert subject_of(route(), state) == Subject(stable="v1", shadow="v2")


def test_a_person_who_sets_the_shadow_again_begins_anew() -> None:
    first = subject_of(route(None), replace(STATE, shadow=override()))
    again = subject_of(route(None), replace(STATE, shadow=override(since_s=71.0)))
    assert first == Subject(stable="v1", shadow="v2", begun_s=70.0)
    assert again == Subject(stable="v1", shadow="v2", begun_s=71.0)


@pytest.mark.parametrize("at_s", [60.0, 80.0])
def test_an_attempt_and_a_person_both_begin_anew(at_s: float) -> None:
    state = replace(STATE, rollout=rollout(at_s=at_s), shadow=override())
    found = subject_of(route(), state)
    assert found == Subject(stable="v1", shadow="v2", attempt=(1, 1), begun_s=max(at_s, 70.0))


@pytest.mark.parametrize(
    "late",
    [
        pair(primary="v0"),
        pair(shadow="v3"),
        pair(primary="v2", shadow="v1"),
        pair(time_s=49.9),
    ],
)
def test_a_pair_of_an_earlier_subject_is_told_apart(late: Pair) -> None:
    subject = Subject(stable="v1", shadow="v2", attempt=(1, 1), begun_s=50.0)
    assert subject.has(pair(time_s=50.0))
    assert not subject.has(late)


# -- what may still be told --------------------------------------------------------------------

STEP = SetShadow(percent_bp=5_000)
COPYING = replace(STATE, rollout=rollout(shadow=STEP))


def test_what_was_seen_is_told_while_it_is_compared() -> None:
    subject = subject_of(route(None), COPYING)
    assert subject is not None
    assert still_tells(subject, route(None), COPYING)


def test_what_was_seen_is_still_told_when_the_copies_have_ended() -> None:
    subject = subject_of(route(None), COPYING)
    assert subject is not None
    weighted = replace(COPYING, weights={"v1": 9_500, "v2": 500})
    ended = replace(STATE, rollout=rollout(shadow=STEP, phase=Phase.HEALTHY))
    assert subject_of(route(None), weighted) is None
    assert still_tells(subject, route(None), weighted)
    assert still_tells(subject, route(None), ended)


def test_what_a_person_had_compared_is_still_told_when_the_shadow_was_taken_away() -> None:
    subject = subject_of(route(None), replace(STATE, shadow=override()))
    assert subject is not None
    assert still_tells(subject, route(None), STATE)


def test_the_next_attempt_is_not_judged_by_the_last_one_even_before_its_first_pair() -> None:
    subject = subject_of(route(None), COPYING)
    assert subject is not None
    not_yet_copying = replace(STATE, rollout=rollout(attempt=2, at_s=90.0))
    copying = replace(STATE, rollout=rollout(attempt=2, at_s=90.0, shadow=STEP))
    assert not still_tells(subject, route(None), not_yet_copying)
    assert not still_tells(subject, route(None), copying)


def test_a_first_attempt_is_not_judged_by_what_was_compared_before_it() -> None:
    subject = subject_of(route(None), replace(STATE, shadow=override()))
    assert subject is not None
    assert not still_tells(subject, route(None), replace(STATE, rollout=rollout()))
