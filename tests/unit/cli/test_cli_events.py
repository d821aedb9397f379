"""`events`: one line an event, also across a restart of control."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from router.cli.client import AdminClient, Server
from router.cli.events import MAX_DELAY_S, follow
from router.cli.failures import ForeignError, RefusedError
from router.cli.sse import Event
from tests.support.admin_api import EVENTS, PROBLEM, CannedApi, canned_api, run

MOVED = (
    b'id: 7\nevent: weights.set\ndata: {"number": 7, "kind": "weights.set", "time": 1790000000.5, '
    b'"route": "chat", "actor": "alice", "generation": 12, "shares": {"v1": 95}}\n\n'
)
NEXT = b"id: 8\nevent: generation\ndata: {}\n\n"


@pytest.fixture
def api() -> Iterator[CannedApi]:
    with canned_api() as api:
        yield api


@pytest.fixture
def client(api: CannedApi) -> Iterator[AdminClient]:
    client = AdminClient(Server(api.url))
    yield client
    client.close()


@pytest.fixture
def naps(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """How long the command would have slept."""
    naps: list[float] = []
    monkeypatch.setattr("router.cli.events.clock.sleep", naps.append)
    return naps


def stream(api: CannedApi, content: bytes) -> None:
    api.answer("GET", "/events", content, media_type=EVENTS)


def end(api: CannedApi) -> None:
    api.refuse("GET", "/events", 401, title="A token is needed", detail="send one")


def test_an_event_is_one_line(api: CannedApi, naps: list[float]) -> None:
    stream(api, b": a comment\n\n" + MOVED + NEXT)
    end(api)
    result = run(api, "events")
    assert result.stdout == (
        "2026-09-21 14:13:20Z weights.set chat actor=alice generation=12 "
        'shares={"v1": 95}\ngeneration\n'
    )
    assert api.calls[0].headers["accept"] == EVENTS


def test_programs_get_a_document_a_line(api: CannedApi, naps: list[float]) -> None:
    stream(api, MOVED + b"data: not json\n\n")
    end(api)
    first, second, *_ = run(api, "events", "-o", "json").stdout.splitlines()
    assert json.loads(first)["event"] == "weights.set"
    assert json.loads(first)["data"]["generation"] == 12
    assert json.loads(second) == {"id": "7", "event": "message", "data": {"data": "not json"}}


def test_an_event_cannot_steer_the_terminal(api: CannedApi, naps: list[float]) -> None:
    stream(api, b'event: x\x1b[2J\ndata: {"route": "\\u001b[1A", "why": "a\\nb"}\n\n')
    end(api)
    assert run(api, "events").stdout == "x\\u001b[2J \\u001b[1A why=a\\nb\n"


def test_a_stream_that_ends_goes_on_after_the_last_event(api: CannedApi, naps: list[float]) -> None:
    stream(api, MOVED)
    stream(api, NEXT)
    end(api)
    result = run(api, "events")
    assert [call.headers["last-event-id"] for call in api.calls] == [None, "7", "8"]
    assert len(result.stdout.splitlines()) == 2
    assert result.stderr.startswith("the stream has ended; connecting again in 0.5 s\n")
    assert result.exit_code == 1
    assert "give a token" in result.stderr


def test_a_control_that_is_away_is_waited_for_longer_and_longer(
    api: CannedApi, client: AdminClient
) -> None:
    stream(api, MOVED)
    for _ in range(7):
        api.hang_up("GET", "/events")
    api.answer("GET", "/events", {"detail": "full"}, 503, PROBLEM)
    stream(api, NEXT)
    end(api)
    naps: list[float] = []
    with pytest.raises(RefusedError):
        list(follow(client, naps.append))
    assert naps == [0.5, 1, 2, 4, 8, MAX_DELAY_S, MAX_DELAY_S, MAX_DELAY_S, MAX_DELAY_S, 0.5]


def test_a_first_connection_that_fails_is_not_tried_again(
    api: CannedApi, client: AdminClient
) -> None:
    api.answer("GET", "/events", {"detail": "full"}, 503, PROBLEM)
    with pytest.raises(RefusedError):
        list(follow(client, pytest.fail))


@pytest.mark.parametrize("content", [b"data: " + b"x" * 2**21, b"data: x\n" * 2**18])
def test_an_event_without_end_is_not_kept(
    api: CannedApi, client: AdminClient, content: bytes
) -> None:
    stream(api, content)
    with pytest.raises(ForeignError, match="an event is longer than"):
        list(follow(client, pytest.fail))


def test_what_is_no_stream_of_events_is_told_so(api: CannedApi, client: AdminClient) -> None:
    api.answer("GET", "/events", {"an": "answer"})
    with pytest.raises(ForeignError, match="answered 200 with application/json"):
        list(follow(client, pytest.fail))


def test_ctrl_c_is_how_it_is_meant_to_end(api: CannedApi, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*_: object) -> Iterator[Event]:
        yield Event("1", "config", "{}")
        raise KeyboardInterrupt

    monkeypatch.setattr("router.cli.events.follow", interrupted)
    result = run(api, "events")
    assert (result.exit_code, result.stdout) == (0, "config\n")
