"""Gates over real sockets: what opens one, what keeps it shut, and when it is asked again."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from router.clock import ManualClock
from router.config import Config, initial_state
from router.config.models import Route
from router.config.rollout import rollout_spec
from router.controller.gates import Gates
from router.controller.webhooks import Webhooks
from router.rollouts.events import GateAnswer, Observation, Tick
from router.rollouts.machine import advance
from router.rollouts.state import RouteState
from tests.support.raw import message, wait_until
from tests.support.upstreams import (
    Call,
    Replies,
    Upstream,
    Upstreams,
    closing,
    resetting,
    saying,
    started_upstreams,
)

pytestmark = pytest.mark.anyio

SECRET = "s3cr3t-token"
PATH = "/hooks/T0P-S3CR3T"


@pytest.fixture(autouse=True)
def no_proxies(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)


@pytest.fixture
async def upstreams() -> AsyncIterator[Upstreams]:
    async with started_upstreams() as started:
        yield started


@pytest.fixture
async def gates() -> AsyncIterator[Gates]:
    webhooks = Webhooks()
    made = Gates(webhooks, ManualClock())
    yield made
    await made.close()
    await webhooks.aclose()


def route(*hooks: dict[str, Any]) -> Route:
    """A route whose rollout asks these first; they confirm the rollout unless they say else."""
    strategy = {
        "gates": [{"type": "confirmRollout", "timeout": "5s", **hook} for hook in hooks],
        "canary": {"steps": [{"setWeight": 5}, {"pause": {}}]},
    }
    versions = {name: {"endpoints": ["http://127.0.0.1:1"]} for name in ("v1", "v2")}
    document = {
        "name": "chat",
        "match": [{"path": "/"}],
        "versions": versions,
        "release": "v2",
        "strategy": strategy,
    }
    return Config.model_validate({"routes": [document]}).routes[0]


def hook(server: Upstream, **more: Any) -> dict[str, Any]:
    return {"url": f"{server.url}{PATH}", **more}


def waiting(configured: Route) -> RouteState:
    """The state of a route whose rollout has come to its first gate."""
    state = msgspec.structs.replace(initial_state(configured), stable="v1", weights={"v1": 10_000})
    return advance(rollout_spec(configured), state, Tick(Observation(applied=True)), 1_000.0).state


async def answer(gates: Gates, configured: Route, state: RouteState | None = None) -> GateAnswer:
    """Look until there is an answer."""
    state = state or waiting(configured)
    gates.look(configured, state)
    await wait_until(lambda: bool(gates.look(configured, state)), "no answer comes")
    (only,) = gates.look(configured, state).values()
    return only


def status(line: str, words: bytes = b"") -> Replies:
    return saying(message(f"HTTP/1.1 {line}", f"Content-Length: {len(words)}", body=words))


async def test_a_2xx_answer_opens_a_gate(gates: Gates, upstreams: Upstreams) -> None:
    server = await upstreams.start(replies=status("204 No Content"))
    assert await answer(gates, route(hook(server))) == GateAnswer(open=True, message="HTTP 204")


async def test_the_question_names_route_versions_and_step(
    gates: Gates, upstreams: Upstreams, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GATE_TOKEN", SECRET)
    server = await upstreams.start(replies=status("200 OK"))
    headers = [{"name": "authorization", "env": "GATE_TOKEN"}]
    await answer(gates, route(hook(server, headers=headers, metadata={"team": "ml"})))
    (asked,) = server.requests
    assert asked.head.line == f"POST {PATH} HTTP/1.1"
    assert (asked.field("authorization"), asked.field("content-type")) == (
        SECRET,
        "application/json",
    )
    assert asked.json() == {
        "type": "confirmRollout",
        "id": "chat-1-confirmRollout-1",
        "route": "chat",
        "canary": "v2",
        "stable": "v1",
        "phase": "Progressing",
        "step": 1,
        "weight": 0,
        "metadata": {"team": "ml"},
    }


async def dripping(call: Call) -> None:
    await call.start()
    while True:
        await call.send_chunk(b"x")
        await asyncio.sleep(0)


async def silent(call: Call) -> None:
    await call.read_request()


@pytest.mark.parametrize(
    ("replies", "said"),
    [
        (status("403 Forbidden", b"not in  the\nfreeze"), "HTTP 403: not in the freeze"),
        (status("503 Service Unavailable"), "HTTP 503"),
        (status("302 Found"), "HTTP 302"),  # a redirect would take the headers elsewhere
        (saying(b"\x00\x01 garbage\r\n\r\n", then_close=True), "no answer: broke off"),
        (closing, "no answer: broke off"),
        (resetting, "no answer: "),
        (silent, "no answer: did not answer in 0.05 s"),
        (dripping, "no answer: did not answer in 0.05 s"),
        (status("200 OK", b"x" * 1_100_000), "no answer: answers with more than 1048576 bytes"),
    ],
)
async def test_everything_else_keeps_it_shut_and_shows_no_secret(
    gates: Gates,
    upstreams: Upstreams,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    replies: Replies,
    said: str,
) -> None:
    caplog.set_level(logging.INFO)
    monkeypatch.setenv("GATE_TOKEN", SECRET)
    server = await upstreams.start(replies=replies)
    headers = [{"name": "authorization", "env": "GATE_TOKEN"}]
    timeout = "50ms" if "0.05" in said else "5s"
    found = await answer(gates, route(hook(server, headers=headers, timeout=timeout)))
    assert not found.open
    assert found.message.startswith(said)
    for text in (found.message, caplog.text):
        assert SECRET not in text
        assert PATH not in text
        assert str(server.port) not in text


async def test_a_refused_connection_is_a_no(gates: Gates, upstreams: Upstreams) -> None:
    found = await answer(gates, route(hook(upstreams.refusing())))
    assert not found.open
    assert found.message.startswith("no answer: cannot be reached: ")
    assert PATH not in found.message


async def test_a_server_that_repeats_the_token_does_not_put_it_into_the_trail(
    gates: Gates, upstreams: Upstreams, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GATE_TOKEN", SECRET)
    server = await upstreams.start(replies=status("401 Unauthorized", f"bad {SECRET}!".encode()))
    headers = [{"name": "authorization", "env": "GATE_TOKEN"}]
    found = await answer(gates, route(hook(server, headers=headers)))
    assert found.message == "HTTP 401: bad *****!"


async def test_a_missing_secret_is_a_no_that_names_the_variable(
    gates: Gates, upstreams: Upstreams
) -> None:
    server = await upstreams.start(replies=status("200 OK"))
    headers = [{"name": "authorization", "env": "NOT_SET_ANYWHERE"}]
    found = await answer(gates, route(hook(server, headers=headers)))
    assert found == GateAnswer(
        open=False, message="no answer: environment variable NOT_SET_ANYWHERE is not set"
    )
    assert server.requests == []


async def test_a_secret_that_no_header_can_hold_is_a_no(
    gates: Gates, upstreams: Upstreams, tmp_path: Path
) -> None:
    (tmp_path / "token").write_text(f"{SECRET}\nx-admin: yes")
    server = await upstreams.start(replies=status("200 OK"))
    headers = [{"name": "authorization", "file": str(tmp_path / "token")}]
    found = await answer(gates, route(hook(server, headers=headers)))
    assert not found.open
    assert "has a line break" in found.message
    assert SECRET not in found.message


async def test_a_closed_gate_is_asked_again_after_its_interval_and_an_open_one_never(
    gates: Gates, upstreams: Upstreams
) -> None:
    server = await upstreams.start(replies=status("403 Forbidden"))
    configured = route(hook(server, interval="10s"))
    state = waiting(configured)
    await answer(gates, configured, state)
    clock = gates._clock
    assert isinstance(clock, ManualClock)
    clock.advance(9.9)
    gates.look(configured, state)
    clock.advance(0.1)
    server.replies = status("200 OK")
    opened = asyncio.Event()
    gates.on_answer = opened.set
    assert not next(iter(gates.look(configured, state).values())).open
    await asyncio.wait_for(opened.wait(), 5)  # whoever drives it is woken
    clock.advance(1_000)
    assert next(iter(gates.look(configured, state).values())).open
    assert len(server.requests) == 2


async def test_a_slow_gate_is_asked_once_however_often_one_looks(
    gates: Gates, upstreams: Upstreams
) -> None:
    server = await upstreams.start()
    configured = route(hook(server))
    state = waiting(configured)
    clock = gates._clock
    assert isinstance(clock, ManualClock)
    for _ in range(5):
        assert gates.look(configured, state) == {}
        clock.advance(60)
    call = await server.next_call()
    await call.answer()
    await answer(gates, configured, state)
    assert len(server.requests) == 1


async def test_all_webhooks_of_a_kind_have_to_agree(gates: Gates, upstreams: Upstreams) -> None:
    yes = await upstreams.start("yes", status("200 OK"))
    no = await upstreams.start("no", status("409 Conflict"))
    other = await upstreams.start("other", status("500 Oops"))
    hooks = (hook(yes), hook(no), hook(other, type="confirmPromotion"))
    assert await answer(gates, route(*hooks)) == GateAnswer(open=False, message="HTTP 409")
    assert (len(yes.requests), len(other.requests)) == (1, 0)


async def test_an_answer_to_a_question_that_nobody_has_any_more_is_forgotten(
    gates: Gates, upstreams: Upstreams
) -> None:
    server = await upstreams.start()
    configured = route(hook(server))
    gates.look(configured, waiting(configured))
    call = await server.next_call()
    await call.read_request()
    at_rest = RouteState(stable="v2", weights={"v2": 10_000})
    assert gates.look(configured, at_rest) == {}
    await call.wait_closed()  # it does not wait for the answer either
    assert gates._questions == {}


async def test_routes_that_are_gone_ask_nobody(gates: Gates, upstreams: Upstreams) -> None:
    server = await upstreams.start()
    configured = route(hook(server))
    gates.look(configured, waiting(configured))
    call = await server.next_call()
    await call.read_request()
    gates.keep({"embed"})
    await call.wait_closed()
    assert gates._questions == {}
