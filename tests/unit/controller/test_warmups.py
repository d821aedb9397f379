"""Warm-ups against real sockets: who is asked what, what counts as warm, and what is told."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from router.config import Config
from router.config.models import Route
from router.controller import warmups as module
from router.controller.warmups import ENDPOINTS, Warmups
from router.rollouts.events import WarmupOutcome
from router.rollouts.phases import Phase
from router.rollouts.rollout import Rollout, WarmupRef
from router.rollouts.stage import Stage
from router.rollouts.state import RouteState
from tests.support.certificates import (
    Authority,
    ServerCertificate,
    server_certificate,
    server_context,
)
from tests.support.raw import message, wait_until
from tests.support.upstreams import (
    Call,
    Replies,
    Upstream,
    Upstreams,
    closing,
    failing,
    naming,
    resetting,
    saying,
    started_upstreams,
)

pytestmark = pytest.mark.anyio

ID = "chat-1-warmup-1"


@pytest.fixture
async def upstreams() -> AsyncIterator[Upstreams]:
    async with started_upstreams() as started:
        yield started


@pytest.fixture
async def warmups() -> AsyncIterator[Warmups]:
    made = Warmups()
    yield made
    await made.close()


def route(
    *endpoints: str | Upstream,
    version: dict[str, Any] | None = None,
    connect: str = "5s",
    **warmup: Any,
) -> Route:
    """A blue-green route whose v2 has these endpoints."""
    asked = {"path": "/v1/chat/completions", "firstByte": "5s", **warmup}
    urls = [each.url if isinstance(each, Upstream) else each for each in endpoints]
    document = {
        "name": "chat",
        "match": [{"path": "/"}],
        "versions": {
            "v1": {"endpoints": ["http://127.0.0.1:1"]},
            "v2": {"endpoints": urls, **(version or {})},
        },
        "timeouts": {"connect": connect},
        "strategy": {"blueGreen": {"warmup": asked}},
    }
    return Config.model_validate({"routes": [document]}).routes[0]


async def outcome(warmups: Warmups, configured: Route, id_: str = ID) -> WarmupOutcome:
    """Run a warm-up to its end."""
    warmups.begin(id_, configured, "v2")
    await wait_until(lambda: id_ in warmups.outcomes("chat"), "there is no outcome")
    return warmups.outcomes("chat")[id_]


async def silent(call: Call) -> None:
    await call.read_request()


async def head_only(call: Call) -> None:
    """A stream that begins at once and has nothing to say."""
    await call.start(stream=True)


def listing(*models: str) -> Replies:
    """A server that lists these models and answers whatever else is asked."""

    async def reply(call: Call) -> None:
        if call.request.target.endswith("/v1/models"):
            await call.answer_json({"object": "list", "data": [{"id": each} for each in models]})
        else:
            await call.answer_json({"ok": True})

    return reply


# -- what is asked -----------------------------------------------------------------------------


async def test_every_endpoint_is_asked_as_often_as_configured(
    warmups: Warmups, upstreams: Upstreams
) -> None:
    servers = [await upstreams.named(name) for name in ("a", "b")]
    found = await outcome(warmups, route(*servers, requests=3))
    assert found == WarmupOutcome(ok=True, message="2 endpoints answered 3 requests each")
    assert [len(server.requests) for server in servers] == [3, 3]
    assert [len(server.connections) for server in servers] == [1, 1]


async def test_a_request_has_the_configured_method_path_and_json_body(
    warmups: Warmups, upstreams: Upstreams
) -> None:
    server = await upstreams.named()
    body = {"model": "llama", "messages": [{"role": "user", "content": "hä?"}], "max_tokens": 1}
    assert (await outcome(warmups, route(f"{server.url}/base", body=body))).ok
    (asked,) = server.requests
    assert asked.head.line == "POST /base/v1/chat/completions HTTP/1.1"
    assert asked.json() == body
    assert asked.field("content-type") == "application/json"
    assert asked.field("host") == f"127.0.0.1:{server.port}"


async def test_a_text_is_sent_as_it_is(warmups: Warmups, upstreams: Upstreams) -> None:
    server = await upstreams.named()
    assert (await outcome(warmups, route(server, body='{"model": 1', method="PUT"))).ok
    (asked,) = server.requests
    assert asked.head.line.startswith("PUT ")
    assert (asked.body, asked.field("content-type")) == (b'{"model": 1', None)


async def test_without_a_body_nothing_is_sent(warmups: Warmups, upstreams: Upstreams) -> None:
    server = await upstreams.named()
    assert (await outcome(warmups, route(server, method="GET", path="/health"))).ok
    (asked,) = server.requests
    assert asked.head.line == "GET /health HTTP/1.1"
    assert (asked.body, asked.field("content-type")) == (b"", None)


@pytest.mark.parametrize(
    ("body", "sent"),
    [
        ({"model": "llama", "n": 1}, {"model": "llama-0901", "n": 1}),
        ({"n": 1}, {"n": 1}),
        ([{"model": "llama"}], [{"model": "llama"}]),
    ],
)
async def test_a_body_names_the_model_as_its_servers_know_it(
    warmups: Warmups, upstreams: Upstreams, body: Any, sent: Any
) -> None:
    server = await upstreams.named()
    renamed = route(server, body=body, version={"model": "llama-0901"})
    assert (await outcome(warmups, renamed)).ok
    assert server.requests[0].json() == sent


async def test_a_name_is_asked_at_every_address_by_its_name(
    warmups: Warmups, upstreams: Upstreams, monkeypatch: pytest.MonkeyPatch
) -> None:
    server = await upstreams.named()
    refusing = "127.0.0.2"
    await resolving(monkeypatch, "127.0.0.1", refusing)
    found = await outcome(warmups, route(f"dns://models.example:{server.port}", requests=1))
    assert not found.ok
    assert found.message.startswith(
        f"dns://models.example:{server.port} ({refusing}): request 1 of 1: cannot be reached: "
    )
    await resolving(monkeypatch, "127.0.0.1")
    found = await outcome(warmups, route(f"dns://models.example:{server.port}/base"), "second")
    assert found.ok, found
    assert server.requests[-1].target == "/base/v1/chat/completions"
    assert server.requests[-1].field("host") == f"models.example:{server.port}"


async def resolving(monkeypatch: pytest.MonkeyPatch, *addresses: str) -> None:
    """Let `models.example` be these; what httpx looks up is an address, and stays one."""
    loop = asyncio.get_running_loop()
    real = type(loop).getaddrinfo

    async def getaddrinfo(host: Any, port: Any, **how: Any) -> Any:
        if host != "models.example":
            return await real(loop, host, port, **how)
        return [(2, 1, 6, "", (address, port)) for address in addresses]

    monkeypatch.setattr(loop, "getaddrinfo", getaddrinfo)


async def test_a_name_that_does_not_resolve_is_not_warm(
    warmups: Warmups, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def getaddrinfo(*_: Any, **__: Any) -> Any:
        raise OSError(-2, "Name or service not known")

    monkeypatch.setattr(asyncio.get_running_loop(), "getaddrinfo", getaddrinfo)
    found = await outcome(warmups, route("dns://models.example"))
    assert found == WarmupOutcome(
        ok=False, message="dns://models.example: does not resolve: Name or service not known"
    )


async def test_no_proxy_of_the_environment_stands_in_between(
    warmups: Warmups, upstreams: Upstreams, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTP_PROXY", upstreams.refusing().url)
    assert (await outcome(warmups, route(await upstreams.named()))).ok


async def test_one_endpoint_is_asked_one_thing_at_a_time_and_few_at_once(
    warmups: Warmups, upstreams: Upstreams
) -> None:
    servers = [await upstreams.start(str(number)) for number in range(ENDPOINTS + 2)]
    warmups.begin(ID, route(*servers, requests=2), "v2")

    def waiting() -> list[Upstream]:
        return [server for server in servers if server.waiting]

    await wait_until(lambda: len(waiting()) == ENDPOINTS, "too few are asked")
    assert all(len(server.requests) <= 1 for server in servers)
    left = 2 * len(servers)
    while left:
        await wait_until(lambda: bool(waiting()), "nobody is asked")
        assert len(waiting()) <= ENDPOINTS
        await (await waiting()[0].next_call()).answer()
        left -= 1
    await wait_until(lambda: ID in warmups.outcomes("chat"), "there is no outcome")
    assert warmups.outcomes("chat")[ID].ok


# -- what counts as warm -----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("replies", "why"),
    [
        (failing(), 'HTTP 500: {"error": {"message": "broken"}}'),
        (failing("404 Not Found"), 'HTTP 404: {"error": {"message": "broken"}}'),
        (saying(message("HTTP/1.1 302 Found", "Location: /", "Content-Length: 0")), "HTTP 302"),
        (saying(b"\x00\x01 garbage\r\n\r\n", then_close=True), "broke off (RemoteProtocolError)"),
        (
            saying(message("HTTP/1.1 200 OK", "Content-Length: 9", body=b"half"), then_close=True),
            "broke off (RemoteProtocolError)",
        ),
        (closing, "broke off (RemoteProtocolError)"),
        (resetting, "broke off: Connection reset by peer"),
    ],
)
async def test_an_answer_that_is_not_good_is_told_with_its_endpoint(
    warmups: Warmups, upstreams: Upstreams, replies: Replies, why: str
) -> None:
    server = await upstreams.start(replies=replies)
    found = await outcome(warmups, route(server, requests=2))
    assert not found.ok
    assert found.message == f"{server.url}: request 1 of 2: {why}"


@pytest.mark.parametrize("replies", [silent, head_only])
async def test_a_first_byte_that_comes_too_late_is_told(
    warmups: Warmups, upstreams: Upstreams, replies: Replies
) -> None:
    server = await upstreams.start(replies=replies)
    found = await outcome(warmups, route(server, firstByte="50ms"))
    assert found == WarmupOutcome(
        ok=False, message=f"{server.url}: request 1 of 1: no answer in 0.05 s"
    )


async def test_an_answer_without_an_end_is_told(
    warmups: Warmups, upstreams: Upstreams, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "MAX_ANSWER_S", 0.05)
    server = await upstreams.start()
    warmups.begin(ID, route(server), "v2")
    call = await server.next_call()
    await call.start()
    await call.send_chunk(b"once upon a time")
    await wait_until(lambda: ID in warmups.outcomes("chat"), "there is no outcome")
    assert warmups.outcomes("chat")[ID].message.endswith("did not end in 0.05 s")


async def test_of_a_long_answer_no_more_is_read_than_is_kept(
    warmups: Warmups, upstreams: Upstreams, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "MAX_ANSWER_BYTES", 1_000)
    server = await upstreams.start()
    warmups.begin(ID, route(server), "v2")
    call = await server.next_call()
    await call.start()
    with contextlib.suppress(OSError):
        while ID not in warmups.outcomes("chat"):
            await call.send_chunk(b"x" * 500)
            await asyncio.sleep(0)
    await wait_until(lambda: ID in warmups.outcomes("chat"), "there is no outcome")
    assert warmups.outcomes("chat")[ID].ok
    await call.wait_closed()


async def test_a_refused_connection_is_told(warmups: Warmups, upstreams: Upstreams) -> None:
    good, refusing = await upstreams.named(), upstreams.refusing()
    found = await outcome(warmups, route(good, refusing))
    assert found.message.startswith(f"{refusing.url}: request 1 of 1: cannot be reached: ")
    assert not found.ok


async def test_a_handshake_without_an_end_is_told(warmups: Warmups, upstreams: Upstreams) -> None:
    found = await outcome(warmups, route(upstreams.unreachable(), connect="250ms"))
    assert found.message.endswith("cannot be reached: no connection in time (timeouts.connect)")


async def test_the_first_failure_ends_it_and_leaves_the_others_alone(
    warmups: Warmups, upstreams: Upstreams
) -> None:
    slow, bad = await upstreams.start("slow"), await upstreams.start("bad")
    warmups.begin(ID, route(slow, bad, requests=5), "v2")
    hanging = await slow.next_call()
    await hanging.read_request()
    await (await bad.next_call()).answer(status="503 Service Unavailable", body=b"loading\nmodel")
    await wait_until(lambda: ID in warmups.outcomes("chat"), "there is no outcome")
    found = warmups.outcomes("chat")[ID]
    assert found.message == f"{bad.url}: request 1 of 5: HTTP 503: loading model"
    await hanging.wait_closed()
    assert (len(slow.requests), len(bad.requests)) == (1, 1)


async def test_a_later_request_counts_as_much_as_the_first(
    warmups: Warmups, upstreams: Upstreams
) -> None:
    server = await upstreams.start()
    warmups.begin(ID, route(server, requests=3), "v2")
    await (await server.next_call()).answer()
    await (await server.next_call()).answer(status="500 Oops", body=b"")
    await wait_until(lambda: ID in warmups.outcomes("chat"), "there is no outcome")
    assert warmups.outcomes("chat")[ID].message == f"{server.url}: request 2 of 3: HTTP 500"


# -- the list of models ------------------------------------------------------------------------


async def test_a_required_model_that_is_listed_is_fine(
    warmups: Warmups, upstreams: Upstreams
) -> None:
    server = await upstreams.start(replies=listing("other", "llama-0901"))
    configured = route(f"{server.url}/base", version={"model": "llama-0901"}, requireModel=True)
    assert (await outcome(warmups, configured)).ok
    assert server.requests[0].head.line == "GET /base/v1/models HTTP/1.1"


async def test_the_model_of_the_body_is_required_where_the_version_names_none(
    warmups: Warmups, upstreams: Upstreams
) -> None:
    server = await upstreams.start(replies=listing("other"))
    found = await outcome(warmups, route(server, body={"model": "llama"}, requireModel=True))
    assert found == WarmupOutcome(
        ok=False, message=f"{server.url}: /v1/models does not list 'llama'; it lists 'other'"
    )
    assert len(server.requests) == 1


async def test_of_many_other_models_a_few_are_told(warmups: Warmups, upstreams: Upstreams) -> None:
    server = await upstreams.start(replies=listing(*(f"m{number}" for number in range(9))))
    configured = route(server, version={"model": "llama"}, requireModel=True)
    found = await outcome(warmups, configured)
    assert found.message.endswith("it lists 'm0', 'm1', 'm2', 'm3', 'm4' and 4 more")


@pytest.mark.parametrize("answer", [naming("x"), saying(message("HTTP/1.1 204 None"))])
async def test_an_answer_that_is_no_list_of_models_is_not_warm(
    warmups: Warmups, upstreams: Upstreams, answer: Replies
) -> None:
    server = await upstreams.start(replies=answer)
    configured = route(server, version={"model": "llama"}, requireModel=True)
    found = await outcome(warmups, configured)
    assert found.message == f"{server.url}: /v1/models is no list of models"


async def test_a_model_that_nobody_names_cannot_be_required(
    warmups: Warmups, upstreams: Upstreams
) -> None:
    server = await upstreams.named()
    found = await outcome(warmups, route(server, requireModel=True))
    assert not found.ok
    assert "set versions.v2.model" in found.message
    assert server.requests == []


# -- TLS ---------------------------------------------------------------------------------------


@contextlib.asynccontextmanager
async def secure_server(certificate: ServerCertificate) -> AsyncIterator[tuple[int, list[Any]]]:
    """A server that answers 200; the port, and the names that clients asked for."""
    names: list[Any] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(asyncio.IncompleteReadError, OSError):
            while await reader.readuntil(b"\r\n\r\n"):
                writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
        writer.close()

    def remember(_sock: ssl.SSLObject, name: str | None, _context: ssl.SSLContext) -> None:
        names.append(name)

    certificate.context.sni_callback = remember
    server = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=certificate.context)
    try:
        yield server.sockets[0].getsockname()[1], names
    finally:
        server.close()


async def test_the_versions_authority_and_server_name_are_used(
    warmups: Warmups, tmp_path: Path
) -> None:
    certificate = server_certificate(tmp_path, "models.example")
    async with secure_server(certificate) as (port, names):
        tls = {"caFile": str(certificate.ca_file), "serverName": "models.example"}
        url = f"https://127.0.0.1:{port}"
        assert (await outcome(warmups, route(url, version={"tls": tls}))).ok
        assert names == ["models.example"]
        wrong = {**tls, "serverName": "other.example"}
        found = await outcome(warmups, route(url, version={"tls": wrong}), "wrong name")
        assert "its certificate is not trusted: Hostname mismatch" in found.message


async def test_a_certificate_is_verified_unless_the_version_says_otherwise(
    warmups: Warmups, tmp_path: Path
) -> None:
    async with secure_server(server_certificate(tmp_path, "127.0.0.1")) as (port, _):
        url = f"https://127.0.0.1:{port}"
        found = await outcome(warmups, route(url))
        assert "its certificate is not trusted" in found.message
        tls = {"verify": False}
        assert (await outcome(warmups, route(url, version={"tls": tls}), "unverified")).ok


async def test_our_own_certificate_is_shown_to_a_server_that_wants_one(
    warmups: Warmups, tmp_path: Path
) -> None:
    authority = Authority(tmp_path)
    server = server_context(authority.issue("server", "127.0.0.1"), clients=authority)
    own = authority.issue("client", "client")
    async with secure_server(ServerCertificate(authority.file, server)) as (port, _):
        tls = {
            "caFile": str(authority.file),
            "certificateFile": own.certificate,
            "keyFile": own.key,
        }
        url = f"https://127.0.0.1:{port}"
        assert (await outcome(warmups, route(url, version={"tls": tls}))).ok


async def test_a_file_of_tls_that_is_not_there_is_told(warmups: Warmups, tmp_path: Path) -> None:
    missing = str(tmp_path / "missing.pem")
    found = await outcome(
        warmups, route("https://127.0.0.1:1", version={"tls": {"caFile": missing}})
    )
    assert found.message == (
        f"version v2: cannot use its tls files ({missing}): No such file or directory"
    )


# -- begin, stop, keep -------------------------------------------------------------------------


async def test_a_known_warm_up_is_not_begun_twice(warmups: Warmups, upstreams: Upstreams) -> None:
    server = await upstreams.start()
    configured = route(server)
    for _ in range(3):
        warmups.begin(ID, configured, "v2")
    assert warmups.active == 1
    await (await server.next_call()).answer()
    await outcome(warmups, configured)
    warmups.begin(ID, configured, "v2")
    assert (len(server.requests), warmups.active) == (1, 0)


async def test_an_outcome_wakes_whoever_waits_for_it(
    warmups: Warmups, upstreams: Upstreams
) -> None:
    woken: list[str] = []
    warmups.on_outcome = woken.append
    await outcome(warmups, route(await upstreams.named()))
    assert woken == ["chat"]


async def test_a_stopped_warm_up_hangs_up_and_has_no_outcome(
    warmups: Warmups, upstreams: Upstreams
) -> None:
    server = await upstreams.start()
    warmups.begin(ID, route(server, requests=9), "v2")
    call = await server.next_call()
    await call.read_request()
    warmups.stop(ID)
    warmups.stop(ID)
    await call.wait_closed()
    assert not warmups.knows(ID, "chat")
    assert warmups.outcomes("chat") == {}


async def test_a_stopped_warm_up_may_begin_again(warmups: Warmups, upstreams: Upstreams) -> None:
    server = await upstreams.start()
    warmups.begin(ID, route(server), "v2")
    await server.next_call()
    warmups.stop(ID)
    server.replies = naming("v2")
    assert (await outcome(warmups, route(server))).ok


async def test_what_a_state_names_no_more_is_let_go(warmups: Warmups, upstreams: Upstreams) -> None:
    server = await upstreams.named()
    await outcome(warmups, route(server))
    hanging = await upstreams.start()
    warmups.begin("other", route(hanging), "v2")
    call = await hanging.next_call()
    await call.read_request()
    warmups.keep("chat", [ID])
    await call.wait_closed()
    assert set(warmups.outcomes("chat")) == {ID}
    warmups.keep_routes(["chat"])
    assert set(warmups.outcomes("chat")) == {ID}
    warmups.keep_routes([])
    assert (warmups.outcomes("chat"), warmups._ids, warmups._tasks) == ({}, {}, {})


async def test_a_route_that_has_no_warm_up_any_more_is_warm(warmups: Warmups) -> None:
    configured = route("http://127.0.0.1:1")
    plain = configured.model_copy(update={"strategy": None})
    assert await outcome(warmups, plain) == WarmupOutcome(
        ok=True, message="no warm-up is configured"
    )


async def test_a_version_that_is_gone_is_not_warm(warmups: Warmups) -> None:
    warmups.begin(ID, route("http://127.0.0.1:1"), "v9")
    await wait_until(lambda: ID in warmups.outcomes("chat"), "there is no outcome")
    assert warmups.outcomes("chat")[ID] == WarmupOutcome(
        ok=False, message="version v9 is not configured any more"
    )


async def test_a_defect_is_an_outcome_too(
    warmups: Warmups, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def broken(*_: Any) -> int:
        raise ZeroDivisionError("secret")

    monkeypatch.setattr(module, "_warm_up", broken)
    assert await outcome(warmups, route("http://127.0.0.1:1")) == WarmupOutcome(
        ok=False, message="a defect (ZeroDivisionError)"
    )


def warming(ok: bool | None = None, phase: Phase = Phase.PROGRESSING) -> RouteState:
    """The state of a route whose rollout to v2 waits for its warm-up, or has its outcome."""
    rollout = Rollout(
        number=1,
        target="v2",
        release="v2",
        started_s=1.0,
        attempt_s=1.0,
        step_s=1.0,
        progress_s=1.0,
        steps_digest="",
        phase=phase,
        stage=Stage.WARM_UP,
        warmup=WarmupRef(id=ID, ok=ok),
    )
    return RouteState(stable="v1", weights={"v1": 10_000}, rollout=rollout)


async def test_a_warm_up_that_a_state_names_and_nobody_runs_begins_again(
    warmups: Warmups, upstreams: Upstreams
) -> None:
    server = await upstreams.named()
    configured = route(server)
    for _ in range(3):
        assert warmups.look(configured, warming()) == {}
    await wait_until(lambda: bool(warmups.look(configured, warming())), "there is no outcome")
    assert warmups.look(configured, warming())[ID].ok
    assert len(server.requests) == 1


async def test_a_warm_up_whose_outcome_is_written_down_is_not_begun_again(
    warmups: Warmups, upstreams: Upstreams
) -> None:
    configured = route(await upstreams.start())
    assert warmups.look(configured, warming(ok=True)) == {}
    assert warmups.active == 0


@pytest.mark.parametrize(
    "after",
    [warming(phase=Phase.DEGRADED), RouteState(stable="v2", weights={"v2": 10_000})],
    ids=["aborted", "without a rollout"],
)
async def test_a_rollout_that_has_ended_stops_its_warm_up(
    warmups: Warmups, upstreams: Upstreams, after: RouteState
) -> None:
    server = await upstreams.start()
    configured = route(server)
    warmups.look(configured, warming())
    call = await server.next_call()
    await call.read_request()
    assert warmups.look(configured, after) == {}
    await call.wait_closed()
    assert warmups.active == 0
