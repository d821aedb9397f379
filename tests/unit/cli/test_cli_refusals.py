"""Refusals say what happened and what to do; programs get the server's own document."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from tests.support.admin_api import OVERRIDE, PROBLEM, CannedApi, canned_api, route, run

CHANGE = ("weights", "chat", "v1=95", "v2=5", "--reason", "try v2")
PLACE = ("PUT", "/routes/chat/weights")
TOKEN = {"INFERENCE_ROUTER_TOKEN": "a-token"}
HELD = "held by alice since 2026-09-21 14:13:20Z until 2026-09-21 14:23:20Z: v2 looks slow"


@pytest.fixture
def api() -> Iterator[CannedApi]:
    with canned_api() as api:
        yield api


def refused(
    api: CannedApi, status: int, env: dict[str, str] | None = None, **problem: Any
) -> list[str]:
    api.refuse(*PLACE, status, **problem)
    result = run(api, *CHANGE, env=env)
    assert (result.exit_code, result.stdout) == (1, "")
    return result.stderr.splitlines()


def test_401_says_how_to_give_a_token(api: CannedApi) -> None:
    assert refused(api, 401, title="A token is needed", detail="send one") == [
        "A token is needed: send one",
        "give a token with --token-file FILE or INFERENCE_ROUTER_TOKEN",
    ]


def test_401_for_a_token_says_that_it_is_not_known(api: CannedApi) -> None:
    lines = refused(api, 401, env=TOKEN, title="A token is needed", detail="send one")
    assert lines[1] == (
        "the router does not know the token that was given; "
        "give a token with --token-file FILE or INFERENCE_ROUTER_TOKEN"
    )


def test_403_says_which_role_and_to_give_another_token(api: CannedApi) -> None:
    assert refused(
        api,
        403,
        env=TOKEN,
        type="urn:inference-router:forbidden",
        title="The token may not do this",
        detail="ci is viewer; this needs operator",
    ) == [
        "The token may not do this: ci is viewer; this needs operator",
        "give a token with --token-file FILE or INFERENCE_ROUTER_TOKEN that may",
    ]


def test_403_that_is_not_about_the_token_does_not_ask_for_another(api: CannedApi) -> None:
    lines = refused(api, 403, env=TOKEN, title="The call comes from elsewhere", detail="Host")
    assert lines == ["The call comes from elsewhere: Host"]


def test_409_shows_the_weights_and_who_holds_them(api: CannedApi) -> None:
    current = route(override=OVERRIDE)
    assert refused(api, 409, title="Not now", detail="alice holds it", current=current) == [
        "Not now: alice holds it",
        "now: chat v1 95 %, v2 5 % (generation 12)",
        HELD,
    ]


def test_412_shows_what_is_now_and_how_to_go_on(api: CannedApi) -> None:
    lines = refused(api, 412, title="It has changed", detail="in 12", current=route())
    assert lines[1:] == [
        "now: chat v1 95 %, v2 5 % (generation 12)",
        "if it is still right, repeat it with the generation that you have seen now",
    ]


def test_422_names_every_field_once(api: CannedApi) -> None:
    errors = [
        {"field": "weights", "message": "sum to 99 percent, not 100"},
        {"field": "weights.v3", "message": "unknown version; the route has v1, v2"},
    ]
    detail = "; ".join(f"{each['field']}: {each['message']}" for each in errors)
    assert refused(api, 422, title="It makes no sense", detail=detail, errors=errors) == [
        "It makes no sense",
        "  weights: sum to 99 percent, not 100",
        "  weights.v3: unknown version; the route has v1, v2",
    ]


def test_a_refused_configuration_is_told_line_by_line(api: CannedApi) -> None:
    lines = refused(api, 422, title="Cannot be used", detail="a.yaml:3 no\na.yaml:9 no")
    assert lines == ["Cannot be used: a.yaml:3 no", "a.yaml:9 no"]


@pytest.mark.parametrize("status", [429, 503])
def test_a_refusal_for_now_says_when_to_try_again(api: CannedApi, status: int) -> None:
    problem = {"title": "Busy", "detail": "later", "status": status}
    api.answer(*PLACE, problem, status, PROBLEM, retry_after="5")
    assert run(api, *CHANGE).stderr.splitlines() == ["Busy: later", "try again in 5 s"]


def test_a_problem_of_another_release_is_still_a_refusal(api: CannedApi) -> None:
    api.answer(*PLACE, {"detail": ["odd"], "errors": 7}, 418, PROBLEM)
    result = run(api, *CHANGE)
    assert (result.exit_code, result.stderr) == (1, "refused with 418: ['odd']\n")


def test_a_program_gets_the_problem_as_one_document(api: CannedApi) -> None:
    api.refuse(*PLACE, 409, title="Not now", detail="alice holds it", current=route())
    result = run(api, *CHANGE, "-o", "json")
    assert result.exit_code == 1
    assert json.loads(result.stdout)["current"]["name"] == "chat"
    assert result.stderr.startswith("Not now: alice holds it\n")


def test_what_others_wrote_cannot_steer_the_terminal(api: CannedApi) -> None:
    current = route(override={**OVERRIDE, "reason": "\x1b[2Jgone\u202e\x9b"})
    lines = refused(api, 409, title="Not\x1b]0;now\x07", detail="\x9b", current=current)
    assert lines[0] == r"Not\u001b]0;now\u0007: \u009b"
    assert lines[2].endswith(r"\u001b[2Jgone\u202e\u009b")


def test_a_document_for_programs_cannot_steer_the_terminal_either(api: CannedApi) -> None:
    api.refuse(*PLACE, 409, detail="\x9b\u202e\x7fä")
    result = run(api, *CHANGE, "-o", "json")
    assert not {"\x9b", "\u202e", "\x7f"} & set(result.stdout)
    assert json.loads(result.stdout)["detail"] == "\x9b\u202e\x7fä"
