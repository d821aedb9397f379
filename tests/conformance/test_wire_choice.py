"""Which route, which version, which endpoint answers."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable

import pytest

from router.snapshot import (
    Balance,
    HeaderCondition,
    HeaderMatch,
    HeaderRoute,
    Route,
    Rule,
    StickyKind,
    StickySource,
)
from tests.support.dataplanes import RunningDataPlane, canary, route, version
from tests.support.raw import RawClient, chunked_post, get, post
from tests.support.upstreams import Upstream, Upstreams, next_call_of

CHAT = "/v1/chat/completions"


async def server_of(client: RawClient, request: bytes) -> str:
    """Which model server answers a request; the header agrees with it."""
    answer = await client.ask(request)
    assert answer.status == 200, answer.body
    server: str = answer.json()["server"]
    assert answer.field("x-model-version") == server
    return server


@pytest.fixture
async def v1(upstreams: Upstreams) -> Upstream:
    return await upstreams.named("v1")


@pytest.fixture
async def v2(upstreams: Upstreams) -> Upstream:
    return await upstreams.named("v2")


# -- split -------------------------------------------------------------------------------------


async def test_five_percent_of_forty_requests_is_exactly_two(
    router: RunningDataPlane, client: RawClient, v1: Upstream, v2: Upstream
) -> None:
    router.install(route("chat", canary("v2", v2, weight=5), version("v1", v1, weight=95)))
    for _ in range(3):
        counts = Counter([await server_of(client, get()) for _ in range(40)])
        assert counts == {"v1": 38, "v2": 2}


async def test_the_split_is_exact_over_many_clients_at_once(
    router: RunningDataPlane, v1: Upstream, v2: Upstream
) -> None:
    router.install(route("chat", canary("v2", v2, weight=25), version("v1", v1, weight=75)))
    clients = [await router.connect() for _ in range(20)]
    servers = await asyncio.gather(*(server_of(client, get()) for client in clients))
    assert Counter(servers) == {"v1": 15, "v2": 5}


@pytest.mark.parametrize("weight", [0, 100])
async def test_a_version_without_weight_gets_nothing(
    router: RunningDataPlane, client: RawClient, v1: Upstream, v2: Upstream, weight: int
) -> None:
    router.install(
        route("chat", canary("v2", v2, weight=weight), version("v1", v1, weight=100 - weight))
    )
    servers = {await server_of(client, get()) for _ in range(10)}
    assert servers == {"v2" if weight else "v1"}


async def test_routes_are_split_independently(
    router: RunningDataPlane, client: RawClient, v1: Upstream, v2: Upstream
) -> None:
    versions = (canary("v2", v2, weight=50), version("v1", v1, weight=50))
    router.install(
        route("one", *versions, rules=(Rule(path_prefix="/one"),)),
        route("two", *versions, rules=(Rule(path_prefix="/two"),), order=1),
    )
    for _ in range(4):
        first = [await server_of(client, get("/one")), await server_of(client, get("/two"))]
        assert first[0] == first[1]


# -- sticky ------------------------------------------------------------------------------------

Keyed = Callable[[str], bytes]

STICKY: dict[str, tuple[StickySource, Keyed]] = {
    "header": (
        StickySource(kind=StickyKind.HEADER, name="x-session-id"),
        lambda key: get("/", f"X-Session-Id: {key}"),
    ),
    "cookie": (
        StickySource(kind=StickyKind.COOKIE, name="session"),
        lambda key: get("/", f"Cookie: a=1; session={key}; b=2"),
    ),
    "body": (
        StickySource(kind=StickyKind.BODY, name="user"),
        lambda key: post(CHAT, {"messages": [{"user": "decoy"}], "user": key}),
    ),
    "chunked body": (
        StickySource(kind=StickyKind.BODY, name="user"),
        lambda key: chunked_post(CHAT, chunks=[b'{"user', b'": "%b"}' % key.encode(), b""]),
    ),
    "bearer": (
        StickySource(kind=StickyKind.API_KEY),
        lambda key: get("/", f"Authorization: Bearer {key}"),
    ),
    "api key": (
        StickySource(kind=StickyKind.API_KEY),
        lambda key: get("/", f"X-Api-Key: {key}"),
    ),
}


@pytest.mark.parametrize("kind", STICKY)
async def test_a_sticky_key_stays_on_its_version(
    router: RunningDataPlane, v1: Upstream, v2: Upstream, kind: str
) -> None:
    source, keyed = STICKY[kind]

    def chat(weight: float) -> Route:
        versions = canary("v2", v2, weight=weight), version("v1", v1, weight=100 - weight)
        return route("chat", *versions, sticky=(source,))

    async def ask_all() -> dict[str, str]:
        client = await router.connect()
        return {key: await server_of(client, keyed(key)) for key in keys}

    keys = [f"user-{number}" for number in range(40)]
    router.install(chat(50))
    first = await ask_all()
    assert set(first.values()) == {"v1", "v2"}
    assert await ask_all() == first

    router.install(chat(75))
    raised = await ask_all()
    assert all(raised[key] == "v2" for key in keys if first[key] == "v2")
    router.install(chat(100))
    assert set((await ask_all()).values()) == {"v2"}


async def test_a_request_without_its_key_is_split_by_weight(
    router: RunningDataPlane, client: RawClient, v1: Upstream, v2: Upstream
) -> None:
    source = StickySource(kind=StickyKind.BODY, name="user")
    versions = canary("v2", v2, weight=50), version("v1", v1, weight=50)
    router.install(route("chat", *versions, sticky=(source,)))
    servers = [await server_of(client, post(CHAT, {"input": n})) for n in range(10)]
    assert Counter(servers) == {"v1": 5, "v2": 5}


async def test_the_first_sticky_source_with_a_value_decides(
    router: RunningDataPlane, client: RawClient, v1: Upstream, v2: Upstream
) -> None:
    sources = (
        StickySource(kind=StickyKind.HEADER, name="x-session-id"),
        StickySource(kind=StickyKind.BODY, name="user"),
    )
    versions = canary("v2", v2, weight=50), version("v1", v1, weight=50)
    router.install(route("chat", *versions, sticky=sources))
    by_header = [
        await server_of(client, post(CHAT, {"user": str(n)}, "X-Session-Id: one"))
        for n in range(20)
    ]
    assert len(set(by_header)) == 1
    by_body = {await server_of(client, post(CHAT, {"user": str(n)})) for n in range(20)}
    assert by_body == {"v1", "v2"}


async def test_a_sticky_key_in_a_body_of_two_reads_is_found(
    router: RunningDataPlane, client: RawClient, v1: Upstream, v2: Upstream
) -> None:
    source = StickySource(kind=StickyKind.BODY, name="user")
    versions = canary("v2", v2, weight=50), version("v1", v1, weight=50)
    router.install(route("chat", *versions, sticky=(source,)))
    for number in range(6):
        request = post(CHAT, {"user": f"user-{number}", "padding": "x" * 100})
        whole = await server_of(client, request)
        await client.send(request[:-60])
        await asyncio.sleep(0.005)
        await client.send(request[-60:])
        assert (await client.read_answer()).json()["server"] == whole


# -- header routes -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("match", "value", "hit", "miss"),
    [
        (HeaderMatch.EXACT, "always", "X-Canary: always", "X-Canary: Always"),
        (HeaderMatch.PREFIX, "team-", "X-Canary: team-a", "X-Canary: ateam-"),
        (HeaderMatch.REGEX, "a|b+", "X-Canary: bbb", "X-Canary: abb"),
        (HeaderMatch.PRESENT, "", "X-Canary: whatever", "X-Other: 1"),
    ],
)
async def test_a_header_route_goes_to_its_version_whatever_the_weights(
    router: RunningDataPlane,
    client: RawClient,
    v1: Upstream,
    v2: Upstream,
    match: HeaderMatch,
    value: str,
    hit: str,
    miss: str,
) -> None:
    condition = HeaderCondition(name="x-canary", match=match, value=value)
    header_route = HeaderRoute(conditions=(condition,), version="v2")
    versions = canary("v2", v2, weight=0), version("v1", v1)
    router.install(route("chat", *versions, header_routes=(header_route,)))
    for _ in range(3):
        assert await server_of(client, get("/", hit)) == "v2"
        assert await server_of(client, get("/", miss)) == "v1"
        assert await server_of(client, get("/")) == "v1"


# -- route match -------------------------------------------------------------------------------


def one_version(name: str, upstream: Upstream, *rules: Rule, order: int = 0) -> Route:
    return route(name, version(upstream.name, upstream), rules=rules, order=order)


async def test_an_exact_path_is_matched_before_a_prefix_and_a_long_one_before_a_short_one(
    router: RunningDataPlane, client: RawClient, upstreams: Upstreams
) -> None:
    exact, long, short = [await upstreams.named(name) for name in ("exact", "long", "short")]
    router.install(
        one_version("short", short, Rule(path_prefix="/v1")),
        one_version("long", long, Rule(path_prefix="/v1/chat"), order=1),
        one_version("exact", exact, Rule(path=CHAT), order=2),
    )
    assert await server_of(client, get(CHAT)) == "exact"
    assert await server_of(client, get(CHAT + "?x=1")) == "exact"
    assert await server_of(client, get("/v1/chat/other")) == "long"
    assert await server_of(client, get("/v1/chatter")) == "short"
    assert await server_of(client, get("/v1")) == "short"
    assert (await client.ask(get("/v1x"))).status == 404


async def test_the_model_in_the_body_decides_the_route(
    router: RunningDataPlane, client: RawClient, upstreams: Upstreams
) -> None:
    a, b, other = [await upstreams.named(name) for name in ("a", "b", "other")]
    router.install(
        one_version("other", other, Rule(path=CHAT)),
        one_version("a", a, Rule(path=CHAT, model="model-a"), order=1),
        one_version("b", b, Rule(path=CHAT, model="model-b"), order=2),
    )
    # One connection and one head: only the body differs.
    for model in ("model-a", "model-b", "model-x", "model-b", "model-a", "model-y"):
        expected = {"model-a": "a", "model-b": "b"}.get(model, "other")
        assert await server_of(client, post(CHAT, {"model": model})) == expected
    decoys = b'"messages": [{"model": "model-b"}], "x": "\\"model\\": \\"model-b\\""'
    nested = b'{%b, "model": "model-a"}' % decoys
    assert await server_of(client, post(CHAT, nested)) == "a"
    assert await server_of(client, post(CHAT, {"messages": []})) == "other"
    escaped = b'{"model": "model-\\u0061"}'
    assert await server_of(client, post(CHAT, escaped)) == "a"


async def test_the_model_in_a_long_body_is_found_before_the_body_has_come(
    router: RunningDataPlane, client: RawClient, upstreams: Upstreams
) -> None:
    a, b = await upstreams.start("a"), await upstreams.start("b")
    router.install(
        one_version("a", a, Rule(path=CHAT, model="model-a")),
        one_version("b", b, Rule(path=CHAT, model="model-b"), order=1),
    )
    body = b'{"model": "model-b", "image": "' + b"x" * 3_000_000 + b'"}'
    request = post(CHAT, body)
    await client.send(request[:1_500_000])
    call = await b.next_call()
    await client.send(request[1_500_000:])
    assert await call.read_request() == body
    await call.answer()
    assert (await client.read_answer()).field("x-router-route") == "b"


async def test_the_model_in_a_form_may_come_behind_the_file(
    router: RunningDataPlane, client: RawClient, upstreams: Upstreams
) -> None:
    a, b = await upstreams.named("a"), await upstreams.named("b")
    path = "/v1/audio/transcriptions"
    router.install(
        one_version("a", a, Rule(path=path, model="whisper-a")),
        one_version("b", b, Rule(path=path, model="whisper-b"), order=1),
    )
    for model in ("whisper-b", "whisper-a"):
        body = (
            b'--XX\r\nContent-Disposition: form-data; name="file"; filename="a.wav"\r\n\r\n'
            b'\x00\r\n--X\r\nname="model"\r\n\r\nfake\r\n'
            b'--XX\r\nContent-Disposition: form-data; name="model"\r\n\r\n'
            + model.encode()
            + b"\r\n--XX--\r\n"
        )
        kind = 'multipart/form-data; boundary="XX"'
        assert await server_of(client, post(path, body, kind=kind)) == model[-1]


async def test_the_model_in_a_path_decides_the_route(
    router: RunningDataPlane, client: RawClient, upstreams: Upstreams
) -> None:
    a, b = await upstreams.named("a"), await upstreams.named("b")
    router.install(
        one_version(
            "a",
            a,
            Rule(path_prefix="/v2/models", model="a"),
            Rule(path_prefix="/v1/models", model="a"),
        ),
        one_version("b", b, Rule(path_prefix="/v2/models", model="b"), order=1),
    )
    assert await server_of(client, post("/v2/models/a/infer", b"\x00binary")) == "a"
    assert await server_of(client, post("/v2/models/b/versions/3/infer", b"{}")) == "b"
    assert await server_of(client, get("/v2/models/b")) == "b"
    assert await server_of(client, post("/v1/models/a:predict", b"{}")) == "a"


async def test_methods_and_headers_decide_between_routes(
    router: RunningDataPlane, client: RawClient, upstreams: Upstreams
) -> None:
    posts, tagged, rest = [await upstreams.named(name) for name in ("posts", "tagged", "rest")]
    tag = HeaderCondition(name="x-tag", match=HeaderMatch.EXACT, value="1")
    router.install(
        one_version("rest", rest, Rule(path_prefix="/")),
        one_version("tagged", tagged, Rule(path_prefix="/", headers=(tag,)), order=1),
        one_version("posts", posts, Rule(path_prefix="/", methods=("POST",)), order=2),
    )
    assert await server_of(client, post("/x", b"")) == "posts"
    assert await server_of(client, get("/x")) == "rest"
    assert await server_of(client, get("/x", "X-Tag: 1")) == "tagged"
    assert await server_of(client, get("/x", "X-Tag: 2")) == "rest"


# -- the list of models ------------------------------------------------------------------------


async def test_the_models_of_all_routes_are_listed(
    router: RunningDataPlane, client: RawClient, v1: Upstream
) -> None:
    router.install(
        one_version(
            "a", v1, Rule(path=CHAT, model="model-a"), Rule(path="/v1/embeddings", model="model-a")
        ),
        one_version("b", v1, Rule(path=CHAT, model="org/model-b"), order=1),
        one_version("c", v1, Rule(path="/health"), order=2),
    )
    answer = await client.ask(get("/v1/models"))
    assert answer.field("content-type") == "application/json"
    listed = answer.json()
    assert listed["object"] == "list"
    assert [model["id"] for model in listed["data"]] == ["model-a", "org/model-b"]
    assert all(model["object"] == "model" for model in listed["data"])
    assert (await client.ask(get("/v1/models/org/model-b"))).json()["id"] == "org/model-b"
    assert (await client.ask(get("/v1/models", method="HEAD"))).status == 200
    missing = await client.ask(get("/v1/models/nothing"))
    assert (missing.status, missing.error["code"]) == (404, "model_not_found")
    assert v1.requests == []


async def test_the_models_are_listed_where_routes_match_a_prefix_and_a_model(
    router: RunningDataPlane, client: RawClient, v1: Upstream
) -> None:
    router.install(one_version("a", v1, Rule(path_prefix="/v1", model="model-a")))
    answer = await client.ask(get("/v1/models"))
    assert (answer.status, [model["id"] for model in answer.json()["data"]]) == (200, ["model-a"])


async def test_a_route_may_answer_for_the_list_of_models(
    router: RunningDataPlane, client: RawClient, v1: Upstream
) -> None:
    router.install(one_version("a", v1, Rule(path="/v1/models"), Rule(path=CHAT, model="m")))
    assert await server_of(client, get("/v1/models")) == "v1"


# -- endpoints ---------------------------------------------------------------------------------


@pytest.mark.parametrize("balance", list(Balance))
async def test_requests_one_after_the_other_reach_every_endpoint(
    router: RunningDataPlane, client: RawClient, upstreams: Upstreams, balance: Balance
) -> None:
    servers = [await upstreams.named(f"e{number}") for number in range(3)]
    router.install(route("chat", version("v1", *servers), balance=balance))
    for _ in range(60):
        assert (await client.ask(get())).status == 200
    counts = [len(server.requests) for server in servers]
    assert sum(counts) == 60
    if balance is Balance.P2C:
        assert min(counts) > 0
    else:
        assert counts == [20, 20, 20]


@pytest.mark.parametrize("count", [2, 12])
async def test_the_endpoint_with_the_fewest_requests_in_flight_is_chosen(
    router: RunningDataPlane, client: RawClient, upstreams: Upstreams, count: int
) -> None:
    servers = [await upstreams.start(f"e{number}") for number in range(count)]
    router.install(route("chat", version("v1", *servers)))
    busy = []
    for _ in range(count - 1):
        waiting = await router.connect()
        await waiting.send(get("/long"))
        busy.append(await next_call_of(*servers))
    (free,) = set(servers) - {server for server, _ in busy}
    for _ in range(3):
        await client.send(get("/short"))
        await (await free.next_call()).answer()
        assert (await client.read_answer()).status == 200
    for _, call in busy:
        await call.answer()


@pytest.mark.parametrize("count", [2, 12])
@pytest.mark.parametrize("end", ["client gone", "reset", "broken", "5xx", "answered"])
async def test_a_request_that_ended_in_any_way_weighs_on_no_endpoint(
    router: RunningDataPlane, client: RawClient, upstreams: Upstreams, count: int, end: str
) -> None:
    servers = [await upstreams.start(f"e{number}") for number in range(count)]
    router.install(route("chat", version("v1", *servers)))
    leaving = await router.connect()
    await leaving.send(post("/files", b"x"))
    _, call = await next_call_of(*servers)
    await call.read_request()
    if end == "client gone":
        leaving.reset()
        await call.wait_closed()
    elif end == "reset":
        call.reset()
    elif end == "broken":
        await call.send(b"nonsense\r\n\r\n")
    else:
        await call.answer(status="200 OK" if end == "answered" else "500 Oh")
    call.finish()
    await router.wait_idle()

    chosen = []
    turn = 2 if count == 2 else 16  # among many, a turn is eight requests
    for _ in range(turn * count):
        await client.send(get("/next"))
        server, call = await next_call_of(*servers)
        chosen.append(server.name)
        await call.answer()
        assert (await client.read_answer()).status == 200
    shares = Counter(chosen)
    assert len(shares) == count
    assert min(shares.values()) >= turn // 2
