"""Copies of requests: what the shadow sees, what control is handed, and that no client notices."""

from __future__ import annotations

import asyncio
from collections import Counter
from typing import Any

import pytest

from router.link.messages import Pair
from router.snapshot import CredentialMode, Credentials, Role, Rule, Shadow, Version
from tests.support.dataplanes import RunningDataPlane, canary, route, version
from tests.support.raw import RawClient, chunked_post, get, post, wait_until
from tests.support.upstreams import (
    Call,
    Upstream,
    Upstreams,
    failing,
    resetting,
    saying,
)

CHAT = "/v1/chat/completions"
BODY = b'{"model":"llama","messages":[]}'


def shadow(name: str, *servers: Any, model: str | None = None) -> Version:
    return version(name, *servers, weight=0, role=Role.SHADOW, model=model)


class Mirrored:
    """A route with v1 stable and v2 its shadow, and the pairs that control would get."""

    def __init__(self, router: RunningDataPlane, v1: Upstream, v2: Upstream) -> None:
        self.router, self.v1, self.v2 = router, v1, v2
        self.pairs: list[Pair] = []
        router.plane.on_pair = self._take

    def _take(self, pair: Pair) -> bool:
        self.pairs.append(pair)
        return True

    def install(
        self, *, model: str | None = None, more: dict[str, Any] | None = None, **how: Any
    ) -> None:
        self.router.install(
            route(
                "chat",
                shadow("v2", self.v2, model=model),
                version("v1", self.v1),
                shadow=Shadow(version="v2", **how),
                **(more or {}),
            )
        )

    async def pair(self) -> Pair:
        await wait_until(lambda: self.pairs, "no pair comes")
        return self.pairs.pop(0)

    @property
    def outcomes(self) -> dict[str, int]:
        """How copies to v2 ended."""
        rows = self.router.values("model_shadow_requests_total")
        return {labels[2]: int(n) for labels, n in rows.items() if labels[1] == "v2"}

    @property
    def sampled(self) -> int:
        return int(self.router.values("router_shadow_sampled_total").get(("chat", "v2"), 0))

    async def wait_outcome(self, **wanted: int) -> None:
        await wait_until(lambda: self.outcomes == wanted, f"{self.outcomes} is not {wanted}")
        assert self.sampled == sum(wanted.values())


@pytest.fixture
async def mirrored(router: RunningDataPlane, upstreams: Upstreams) -> Mirrored:
    return Mirrored(router, await upstreams.named("v1"), await upstreams.named("v2"))


async def test_the_shadow_sees_the_request_and_the_client_sees_the_stable_answer(
    mirrored: Mirrored, client: RawClient
) -> None:
    mirrored.install()
    answer = await client.ask(post(CHAT, BODY, "X-Request-Id: r-1", "X-Color: blue"))
    assert answer.json()["server"] == "v1"
    pair = await mirrored.pair()
    seen = mirrored.v2.requests[0]
    assert seen.head.line == f"POST {CHAT} HTTP/1.1"
    assert seen.body == BODY
    assert (seen.field("x-shadow"), seen.field("x-request-id")) == ("true", "r-1")
    assert seen.field("x-color") == "blue"
    assert mirrored.v1.requests[0].field("x-shadow") is None
    assert (pair.route, pair.request_id, pair.target) == ("chat", "r-1", CHAT)
    assert pair.request == BODY
    assert ("x-color", "blue") in pair.fields
    assert (pair.primary.version, pair.primary.outcome, pair.primary.status) == (
        "v1",
        "answered",
        200,
    )
    assert (pair.shadow.version, pair.shadow.outcome, pair.shadow.status) == ("v2", "answered", 200)
    assert b'"v1"' in pair.primary.body
    assert b'"v2"' in pair.shadow.body
    assert pair.twin is None
    await mirrored.wait_outcome(answered=1)


async def test_what_a_shadow_answers_stands_in_no_live_family(
    mirrored: Mirrored, client: RawClient, router: RunningDataPlane
) -> None:
    mirrored.install()
    await client.ask(post(CHAT, BODY))
    await mirrored.pair()
    assert router.answers == {("chat", "v1", "stable", "200"): 1}
    assert not [key for key in router.values("model_request_duration_seconds") if "v2" in key]


async def test_only_what_the_stable_version_answers_is_copied(
    router: RunningDataPlane, client: RawClient, upstreams: Upstreams
) -> None:
    v1, v2, v3 = [await upstreams.named(name) for name in ("v1", "v2", "v3")]
    versions = (shadow("v3", v3), canary("v2", v2, weight=50), version("v1", v1, weight=50))
    router.install(route("chat", *versions, shadow=Shadow(version="v3")))
    for _ in range(10):
        await client.ask(post(CHAT, BODY))
    await wait_until(lambda: len(v3.requests) == 5)
    assert (len(v1.requests), len(v2.requests)) == (5, 5)


async def test_a_share_of_the_requests_is_copied(mirrored: Mirrored, client: RawClient) -> None:
    mirrored.install(percent_bp=2_500)
    for _ in range(400):
        await client.ask(post(CHAT, BODY))
    # 6 standard deviations of a binomial with 400 draws of 25 %
    assert 48 <= mirrored.sampled <= 152
    await mirrored.wait_outcome(answered=mirrored.sampled)


async def test_some_copies_are_answered_by_the_stable_version_once_more(
    mirrored: Mirrored, client: RawClient, router: RunningDataPlane
) -> None:
    mirrored.install(noise_bp=10_000, credentials=Credentials(mode=CredentialMode.STRIP))
    await client.ask(post(CHAT, BODY, "Authorization: Bearer secret"))
    pair = await mirrored.pair()
    assert pair.twin is not None
    assert (pair.twin.version, pair.twin.outcome) == ("v1", "answered")
    first, second = mirrored.v1.requests
    assert (first.field("x-shadow"), second.field("x-shadow")) == (None, "true")
    # Stable's own server wants stable's own credentials.
    assert second.field("authorization") == "Bearer secret"
    assert mirrored.v2.requests[0].field("authorization") is None
    rows = router.values("model_shadow_requests_total")
    assert rows == {("chat", "v2", "answered"): 1, ("chat", "v1", "answered"): 1}


async def test_the_model_is_named_as_the_shadow_calls_it(
    mirrored: Mirrored, client: RawClient
) -> None:
    mirrored.install(model="llama-next")
    await client.ask(post(CHAT, BODY))
    await mirrored.pair()
    assert mirrored.v1.requests[0].json()["model"] == "llama"
    assert mirrored.v2.requests[0].json()["model"] == "llama-next"
    assert mirrored.v2.requests[0].field("content-length") == str(len(mirrored.v2.requests[0].body))


async def test_credentials_are_replaced_by_those_of_the_environment(
    mirrored: Mirrored, client: RawClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SHADOW_KEY", "Bearer other")
    mirrored.install(credentials=Credentials(mode=CredentialMode.REPLACE, env="SHADOW_KEY"))
    await client.ask(post(CHAT, BODY, "Authorization: Bearer secret"))
    await mirrored.pair()
    assert mirrored.v2.requests[0].head.all("authorization") == ["Bearer other"]
    assert mirrored.v1.requests[0].field("authorization") == "Bearer secret"


async def test_without_the_configured_credentials_nothing_is_sent(
    mirrored: Mirrored, client: RawClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("SHADOW_KEY", raising=False)
    mirrored.install(credentials=Credentials(mode=CredentialMode.REPLACE, env="SHADOW_KEY"))
    await client.ask(post(CHAT, BODY))
    await mirrored.wait_outcome(dropped_credentials=1)
    assert mirrored.v2.requests == []


@pytest.mark.parametrize(
    "body", [b'{"model":"llama","store":true}', b'{"model":"llama", "store" : true, "n":1}']
)
async def test_a_completion_that_is_to_be_stored_is_not_copied(
    mirrored: Mirrored, client: RawClient, body: bytes
) -> None:
    mirrored.install()
    await client.ask(post(CHAT, body))
    await client.ask(post(CHAT, BODY))
    await mirrored.wait_outcome(answered=1)


@pytest.mark.parametrize(
    "request_",
    [
        post("/v1/responses", BODY),
        get("/v1/responses/r1"),
        post("/v1/files", b"x"),
        get("/v1/models/llama", method="DELETE"),
        post("/v1/load_lora_adapter", BODY),
    ],
    ids=["responses", "one response", "files", "delete", "adapter"],
)
async def test_calls_that_store_something_are_copied_only_if_the_route_says_so(
    mirrored: Mirrored, client: RawClient, request_: bytes
) -> None:
    mirrored.install()
    await client.ask(request_)
    assert mirrored.sampled == 0
    mirrored.install(stateful=True)
    await client.ask(request_)
    await mirrored.wait_outcome(answered=1)


async def test_rules_say_what_is_copied(mirrored: Mirrored, client: RawClient) -> None:
    rules = (Rule(path=CHAT, methods=("POST",), model="llama"), Rule(path_prefix="/v1/embeddings"))
    mirrored.install(rules=rules)
    for request in (
        post(CHAT, BODY),
        post(CHAT, BODY.replace(b"llama", b"other")),
        get(CHAT),
        post("/v1/embeddings", b"{}"),
        post("/v1/embeddingsx", b"{}"),
    ):
        await client.ask(request)
    await mirrored.wait_outcome(answered=2)
    assert sorted(seen.target for seen in mirrored.v2.requests) == [CHAT, "/v1/embeddings"]


async def test_a_retried_request_is_copied_once(
    router: RunningDataPlane, client: RawClient, upstreams: Upstreams
) -> None:
    broken, v1 = await upstreams.start("broken", resetting), await upstreams.named("v1")
    v2 = await upstreams.named("v2")
    mirrored = Mirrored(router, v1, v2)
    router.install(
        route("chat", shadow("v2", v2), version("v1", broken, v1), shadow=Shadow(version="v2"))
    )
    for _ in range(4):
        assert (await client.ask(post(CHAT, BODY))).json()["server"] == "v1"
    await mirrored.wait_outcome(answered=4)
    assert len(broken.requests) > 0


async def test_what_stable_answers_in_a_canarys_place_is_copied_as_any_other_of_its_requests(
    router: RunningDataPlane, client: RawClient, upstreams: Upstreams
) -> None:
    v1, v2 = await upstreams.named("v1"), await upstreams.start("v2", failing())
    v3 = await upstreams.named("v3")
    versions = (shadow("v3", v3), canary("v2", v2, weight=50), version("v1", v1, weight=50))
    router.install(route("chat", *versions, shadow=Shadow(version="v3"), breaker=None))
    for _ in range(10):
        assert (await client.ask(post(CHAT, BODY))).json()["server"] == "v1"
    await wait_until(lambda: len(v3.requests) == 10)
    assert len(v2.requests) == 5


# -- a shadow that misbehaves ------------------------------------------------------------------


async def test_a_shadow_that_hangs_ends_at_its_time_out_and_the_client_has_long_been_answered(
    mirrored: Mirrored, client: RawClient, upstreams: Upstreams, router: RunningDataPlane
) -> None:
    mirrored.v2.replies = None
    mirrored.install(timeout_s=30.0)
    assert (await client.ask(post(CHAT, BODY))).status == 200
    call = await mirrored.v2.next_call()
    await call.read_request()
    router.jump(30.1)
    pair = await mirrored.pair()
    assert (pair.shadow.outcome, pair.shadow.status) == ("timeout", 0)
    await call.wait_closed()
    await mirrored.wait_outcome(timeout=1)


@pytest.mark.parametrize(
    ("replies", "reason"),
    [(resetting, "reset"), (saying(b"garbage\r\n\r\n"), "protocol")],
    ids=["reset", "garbage"],
)
async def test_a_shadow_that_breaks_off_is_an_error_of_the_shadow_alone(
    mirrored: Mirrored, client: RawClient, replies: Any, reason: str
) -> None:
    mirrored.v2.replies = replies
    mirrored.install()
    assert (await client.ask(post(CHAT, BODY))).status == 200
    pair = await mirrored.pair()
    assert (pair.shadow.outcome, pair.shadow.reason) == ("error", reason)
    await mirrored.wait_outcome(error=1)


async def test_a_shadow_that_refuses_is_an_error_and_moves_no_live_request(
    router: RunningDataPlane, client: RawClient, upstreams: Upstreams
) -> None:
    v1, gone = await upstreams.named("v1"), upstreams.refusing()
    mirrored = Mirrored(router, v1, gone)
    mirrored.install()
    for number in range(5):
        assert (await client.ask(post(CHAT, BODY))).status == 200
        await wait_until(lambda n=number: sum(mirrored.outcomes.values()) > n)
    await mirrored.wait_outcome(error=3, dropped_unhealthy=2)
    assert all(each.healthy for each in router.plane.health().endpoints)
    router.jump(1.1)  # then it is asked again
    await client.ask(post(CHAT, BODY))
    await mirrored.wait_outcome(error=4, dropped_unhealthy=2)


async def test_a_shadow_that_answers_500_is_counted_as_an_error_and_compared(
    mirrored: Mirrored, client: RawClient
) -> None:
    mirrored.v2.replies = failing()
    mirrored.install()
    await client.ask(post(CHAT, BODY))
    pair = await mirrored.pair()
    assert (pair.shadow.outcome, pair.shadow.status) == ("answered", 500)
    await mirrored.wait_outcome(error=1)


async def test_beyond_concurrency_and_queue_copies_are_dropped_and_every_one_is_accounted_for(
    mirrored: Mirrored, client: RawClient, router: RunningDataPlane
) -> None:
    mirrored.v2.replies = None
    mirrored.install(max_concurrency=2, max_queue=3, timeout_s=10.0)
    for _ in range(9):
        assert (await client.ask(post(CHAT, BODY))).status == 200
    calls = [await mirrored.v2.next_call() for _ in range(2)]
    assert mirrored.outcomes == {"dropped_queue": 4}
    queued = [row.value for row in router.plane.gauges() if row.family == "router_shadow_queued"]
    assert queued == [3]
    await calls[0].answer()
    calls.append(await mirrored.v2.next_call())  # the next in the queue has its place
    calls[1].reset()
    calls.append(await mirrored.v2.next_call())
    router.jump(10.1)
    await mirrored.wait_outcome(dropped_queue=4, answered=1, error=1, timeout=3)
    assert mirrored.v2.waiting == 0


async def test_without_a_queue_what_finds_no_place_is_dropped_for_concurrency(
    mirrored: Mirrored, client: RawClient
) -> None:
    mirrored.v2.replies = None
    mirrored.install(max_concurrency=1, max_queue=0)
    await client.ask(post(CHAT, BODY))
    await client.ask(post(CHAT, BODY))
    assert mirrored.outcomes == {"dropped_concurrency": 1}
    await (await mirrored.v2.next_call()).answer()
    await mirrored.wait_outcome(dropped_concurrency=1, answered=1)


async def test_a_request_that_is_too_long_is_dropped_by_its_length_or_as_it_comes(
    mirrored: Mirrored, client: RawClient
) -> None:
    mirrored.install(max_body_bytes=100)
    long = b'{"prompt":"' + b"x" * 200 + b'"}'
    assert (await client.ask(post(CHAT, long))).status == 200
    assert (await client.ask(chunked_post(CHAT, chunks=[long[:90], long[90:], b""]))).status == 200
    await client.ask(post(CHAT, BODY))
    await mirrored.wait_outcome(dropped_size=2, answered=1)
    assert len(mirrored.v2.requests) == 1


async def test_an_answer_that_is_too_long_is_not_read_to_its_end(
    mirrored: Mirrored, client: RawClient
) -> None:
    async def endless(call: Call) -> None:
        await call.start()
        while not call.connection.closed:
            await call.send_chunk(b"x" * 1_000)

    mirrored.v2.replies = endless
    mirrored.install(max_response_bytes=10_000)
    assert (await client.ask(post(CHAT, BODY))).status == 200
    await mirrored.wait_outcome(dropped_response_size=1)
    await wait_until(lambda: mirrored.v2.open == 0)


async def test_an_hours_share_is_an_hours_share(
    mirrored: Mirrored, client: RawClient, router: RunningDataPlane
) -> None:
    mirrored.install(max_per_hour=2)
    for _ in range(5):
        await client.ask(post(CHAT, BODY))
    await mirrored.wait_outcome(answered=2, dropped_rate=3)
    router.jump(3_600)
    client = await router.connect()
    await client.ask(post(CHAT, BODY))
    await mirrored.wait_outcome(answered=3, dropped_rate=3)


async def test_a_version_without_a_usable_endpoint_gets_no_copies(
    mirrored: Mirrored, client: RawClient, router: RunningDataPlane
) -> None:
    mirrored.install()
    for each in router.plane.table.routes["chat"].versions["v2"].endpoints:
        each.probe_told(False, "broken")
    assert (await client.ask(post(CHAT, BODY))).status == 200
    await mirrored.wait_outcome(dropped_unhealthy=1)


# -- the client, the table and the worker go away ----------------------------------------------


async def test_a_client_that_goes_takes_its_copy_with_it(
    mirrored: Mirrored, client: RawClient
) -> None:
    mirrored.v1.replies = mirrored.v2.replies = None
    mirrored.install()
    await client.send(post(CHAT, BODY))
    await mirrored.v1.next_call()
    call = await mirrored.v2.next_call()
    await call.read_request()
    client.close()
    await call.wait_closed()
    await mirrored.wait_outcome(dropped_cancelled=1)
    assert mirrored.pairs == []


async def test_a_copy_may_outlive_its_client(mirrored: Mirrored, client: RawClient) -> None:
    mirrored.v1.replies = mirrored.v2.replies = None
    mirrored.install(keep=True)
    await client.send(post(CHAT, BODY))
    primary, call = await mirrored.v1.next_call(), await mirrored.v2.next_call()
    await primary.read_request()
    client.close()
    await primary.wait_closed()
    await call.answer()
    await mirrored.wait_outcome(answered=1)
    assert mirrored.pairs == []  # there are no two answers


async def test_copies_end_when_the_shadow_is_taken_away(
    mirrored: Mirrored, client: RawClient, router: RunningDataPlane
) -> None:
    mirrored.v2.replies = None
    mirrored.install(max_concurrency=1)
    for _ in range(3):
        await client.ask(post(CHAT, BODY))
    call = await mirrored.v2.next_call()
    await call.read_request()
    router.install(route("chat", shadow("v2", mirrored.v2), version("v1", mirrored.v1)))
    await call.wait_closed()
    await mirrored.wait_outcome(dropped_removed=3)
    await client.ask(post(CHAT, BODY))
    assert mirrored.sampled == 3


async def test_copies_go_on_while_weights_and_limits_move(
    mirrored: Mirrored, client: RawClient
) -> None:
    mirrored.v2.replies = None
    mirrored.install()
    await client.ask(post(CHAT, BODY))
    call = await mirrored.v2.next_call()
    mirrored.install(max_concurrency=7)
    await call.answer()
    await mirrored.wait_outcome(answered=1)


# -- bodies and streams --------------------------------------------------------------------------


async def test_a_body_that_streams_through_is_copied_whole(
    mirrored: Mirrored, client: RawClient
) -> None:
    body = b'{"model":"llama","prompt":"' + b"y" * 3_000_000 + b'"}'
    mirrored.install(model="llama-next")
    answer = await client.ask(
        chunked_post(CHAT, chunks=[body[:100], body[100:2_000_000], body[2_000_000:], b""])
    )
    assert answer.status == 200
    await mirrored.wait_outcome(answered=1)
    assert mirrored.v2.requests[0].body == body.replace(b"llama", b"llama-next")


async def test_a_pair_waits_for_both_answers_and_times_each_from_its_own_sending(
    mirrored: Mirrored, client: RawClient, router: RunningDataPlane
) -> None:
    mirrored.v1.replies = mirrored.v2.replies = None
    mirrored.install()
    await client.send(post(CHAT, BODY))
    primary, copied = await mirrored.v1.next_call(), await mirrored.v2.next_call()
    router.jump(1.0)
    await copied.start(stream=True)
    await copied.send_chunk(b'data: {"choices":[{"delta":{"content":"a"}}]}\n\n')
    await copied.send_chunk(b"data: [DONE]\n\n")
    await copied.end_chunks()
    await mirrored.wait_outcome(answered=1)
    assert mirrored.pairs == []
    router.jump(2.0)
    await primary.start(stream=True)
    await client.read_head()
    for piece in (b'data: {"choices":[{"delta":{"role":"assistant"}}]}\n\n', b"data: [DONE]\n\n"):
        await primary.send_chunk(piece)
        assert await client.read_chunk() == piece
    await primary.end_chunks()
    pair = await mirrored.pair()
    assert (pair.shadow.first_byte_s, pair.shadow.first_token_s) == (1.0, 1.0)
    assert (pair.primary.first_byte_s, pair.primary.first_token_s) == (3.0, None)
    assert (pair.shadow.duration_s, pair.primary.duration_s) == (1.0, 3.0)
    assert pair.shadow.body.endswith(b"data: [DONE]\n\n")
    assert pair.primary.body.startswith(b'data: {"choices"')


async def test_a_primary_that_fails_is_told_as_such(mirrored: Mirrored, client: RawClient) -> None:
    mirrored.v1.replies = resetting
    mirrored.install()
    assert (await client.ask(post(CHAT, BODY))).status == 502
    pair = await mirrored.pair()
    assert (pair.primary.outcome, pair.primary.reason) == ("error", "reset")
    assert pair.shadow.outcome == "answered"


async def test_a_long_request_is_left_out_of_its_pair_and_longer_answers_are_not_compared(
    mirrored: Mirrored, client: RawClient, router: RunningDataPlane
) -> None:
    # `naming` answers with what it was sent
    mirrored.install()
    await client.ask(post(CHAT, b"z" * 400_000))
    assert (await mirrored.pair()).request is None
    await client.ask(post(CHAT, b"z" * 600_000))
    await mirrored.wait_outcome(answered=2)
    await wait_until(lambda: router.values("router_shadow_pairs_dropped_total"))
    assert router.values("router_shadow_pairs_dropped_total") == {("chat", "size"): 1}
    assert mirrored.pairs == []


async def test_a_pair_that_control_does_not_take_is_counted(
    mirrored: Mirrored, client: RawClient, router: RunningDataPlane
) -> None:
    router.plane.on_pair = lambda _pair: False
    mirrored.install()
    await client.ask(post(CHAT, BODY))
    await mirrored.wait_outcome(answered=1)
    await wait_until(lambda: router.values("router_shadow_pairs_dropped_total"))
    assert router.values("router_shadow_pairs_dropped_total") == {("chat", "link"): 1}


async def test_sampling_and_dropping_close_their_account_under_faults_of_every_kind(
    router: RunningDataPlane, upstreams: Upstreams
) -> None:
    kinds = Counter[str]()

    async def moody(call: Call) -> None:
        await call.read_request()
        kind = ("answer", "reset", "500", "hang", "cut", "endless")[sum(kinds.values()) % 6]
        kinds[kind] += 1
        match kind:
            case "answer":
                await call.answer()
            case "reset":
                call.reset()
            case "500":
                await call.answer(status="500 Internal Server Error")
            case "cut":
                await call.start()
                await call.send_chunk(b"x")
                call.close()
            case "endless":
                await call.start()
                while not call.connection.closed:
                    await call.send_chunk(b"x" * 1_000)

    v1, v2 = await upstreams.named("v1"), await upstreams.start("v2", moody)
    mirrored = Mirrored(router, v1, v2)
    mirrored.install(
        max_concurrency=4, max_queue=8, max_response_bytes=5_000, timeout_s=5.0, noise_bp=5_000
    )
    clients = [await router.connect() for _ in range(8)]

    async def ask(client: RawClient) -> None:
        for _ in range(15):
            assert (await client.ask(post(CHAT, BODY))).status == 200

    await asyncio.gather(*(ask(each) for each in clients))
    settled = lambda: sum(mirrored.outcomes.values()) == mirrored.sampled  # noqa: E731 - a condition
    while not settled():
        router.jump(1.0)
        await asyncio.sleep(0.02)
    assert mirrored.sampled == 120
    assert {"answered", "error", "timeout", "dropped_queue", "dropped_response_size"} <= set(
        mirrored.outcomes
    )
    rows = router.values("model_shadow_requests_total")
    twins = sum(n for labels, n in rows.items() if labels[1] == "v1")
    assert twins == router.values("router_shadow_sampled_total")["chat", "v1"]
    assert not router.values("router_shadow_in_flight")
