"""Notifications over real sockets: delivered once, tried again, bounded, and silent about URLs."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from router.config.models import Notification
from router.controller import notify
from router.controller.notify import ATTEMPTS, MAX_QUEUED, News, Notifier
from router.controller.webhooks import Webhooks
from tests.support.raw import message, wait_until
from tests.support.upstreams import (
    Call,
    Replies,
    Upstream,
    Upstreams,
    resetting,
    saying,
    started_upstreams,
)

pytestmark = pytest.mark.anyio

PATH = "/services/T000/S3CR3T"
OK = saying(message("HTTP/1.1 200 OK", "Content-Length: 2", body=b"ok"))


@pytest.fixture(autouse=True)
def no_proxies(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)


class Rests:
    """How long was rested between attempts; a rest ends when the test lets it."""

    def __init__(self) -> None:
        self.lengths: list[float] = []
        self.free = asyncio.Event()
        self.free.set()

    async def __call__(self, seconds: float) -> None:
        self.lengths.append(seconds)
        await self.free.wait()


@pytest.fixture
def rests() -> Rests:
    return Rests()


@pytest.fixture
async def upstreams() -> AsyncIterator[Upstreams]:
    async with started_upstreams() as started:
        yield started


@pytest.fixture
async def notifier(rests: Rests) -> AsyncIterator[Notifier]:
    webhooks = Webhooks()
    made = Notifier(webhooks, rests)
    yield made
    await made.close()
    await webhooks.aclose()


def to(server: Upstream, name: str = "team", **more: Any) -> Notification:
    document = {"name": name, "url": f"{server.url}{PATH}", "timeout": "5s", **more}
    return Notification.model_validate(document)


def news(text: str = "v2 gets 5 %", **more: Any) -> News:
    fields: dict[str, Any] = {
        "time_s": 1_000.5,
        "route": "chat",
        "phase": "Progressing",
        "reason": None,
        "text": text,
        "canary": "v2",
        "stable": "v1",
        "weight": 5.0,
    }
    return News(**(fields | more))


def counts(notifier: Notifier, name: str = "team") -> dict[str, float]:
    return {row.labels[1]: row.value for row in notifier.series() if row.labels[0] == name}


async def settled(notifier: Notifier, delivered: int = 0, failed: int = 0) -> None:
    def is_settled() -> bool:
        found = counts(notifier)
        return (found["delivered"], found["failed"]) == (delivered, failed)

    await wait_until(is_settled, "nothing becomes of the notifications")


async def test_news_are_posted_as_json(notifier: Notifier, upstreams: Upstreams) -> None:
    server = await upstreams.start(replies=OK)
    notifier.configure([to(server)])
    notifier.tell(news())
    await settled(notifier, delivered=1)
    (request,) = server.requests
    assert request.head.line == f"POST {PATH} HTTP/1.1"
    assert request.field("content-type") == "application/json"
    assert request.json() == {
        "time": 1000.5,
        "route": "chat",
        "phase": "Progressing",
        "reason": None,
        "text": "v2 gets 5 %",
        "canary": "v2",
        "stable": "v1",
        "weight": 5.0,
    }


@pytest.mark.parametrize(
    ("phase", "reason", "text"),
    [
        ("Healthy", "Promoted", "✅ *chat* is Healthy (Promoted): why"),
        ("Degraded", "AnalysisFailed", "🔴 *chat* is Degraded (AnalysisFailed): why"),
        ("Paused", "ManualPause", "⏸ *chat* is Paused (ManualPause): why"),
        ("Progressing", None, "▶ *chat* is Progressing: why"),
    ],
)
async def test_slack_gets_one_line(
    notifier: Notifier, upstreams: Upstreams, phase: str, reason: str | None, text: str
) -> None:
    server = await upstreams.start(replies=OK)
    notifier.configure([to(server, format="slack")])
    notifier.tell(news("why", phase=phase, reason=reason))
    await settled(notifier, delivered=1)
    assert server.requests[0].json() == {"text": text}


async def test_news_come_in_their_order(notifier: Notifier, upstreams: Upstreams) -> None:
    server = await upstreams.start(replies=OK)
    notifier.configure([to(server)])
    for number in range(20):
        notifier.tell(news(str(number)))
    await settled(notifier, delivered=20)
    assert [each.json()["text"] for each in server.requests] == [str(n) for n in range(20)]


async def test_only_the_routes_that_a_receiver_wants(
    notifier: Notifier, upstreams: Upstreams
) -> None:
    server = await upstreams.start(replies=OK)
    notifier.configure([to(server, routes=["embed"])])
    notifier.tell(news())
    notifier.tell(news(route="embed"))
    await settled(notifier, delivered=1)
    assert [each.json()["route"] for each in server.requests] == ["embed"]


async def silent(call: Call) -> None:
    await call.read_request()


@pytest.mark.parametrize(
    ("broken", "said"),
    [
        (saying(message("HTTP/1.1 403 Forbidden", "Content-Length: 0")), "HTTP 403"),
        (saying(b"garbage\r\n\r\n", then_close=True), "broke off"),
        (resetting, "not delivered: "),
        (silent, "did not answer in 0.3 s"),
    ],
)
async def test_what_fails_is_tried_again_with_back_off_and_its_url_is_not_logged(
    notifier: Notifier,
    upstreams: Upstreams,
    rests: Rests,
    caplog: pytest.LogCaptureFixture,
    broken: Replies,
    said: str,
) -> None:
    caplog.set_level(logging.INFO)
    seen = 0

    async def replies(call: Call) -> None:
        nonlocal seen
        seen += 1
        await (broken if seen < 4 else OK)(call)

    server = await upstreams.start(replies=replies)
    impatient = "0.3" in said
    notifier.configure([to(server, timeout="300ms" if impatient else "5s")])
    notifier.tell(news())
    await settled(notifier, delivered=1)
    # On a busy machine a good answer may take longer than 300 ms too, and is asked for again.
    assert rests.lengths[: 3 if impatient else None] == [1.0, 2.0, 4.0]
    assert said in caplog.text
    for secret in (PATH, str(server.port)):
        assert secret not in caplog.text


async def test_what_is_refused_again_and_again_is_counted_and_the_next_one_is_tried(
    notifier: Notifier, upstreams: Upstreams, rests: Rests
) -> None:
    async def replies(call: Call) -> None:
        body = await call.read_request()
        await call.answer(status="500 Oops" if b"bad" in body else "200 OK")

    server = await upstreams.start(replies=replies)
    notifier.configure([to(server)])
    notifier.tell(news("bad"))
    notifier.tell(news("good"))
    await settled(notifier, delivered=1, failed=1)
    assert len(server.requests) == ATTEMPTS + 1
    assert rests.lengths == [1.0, 2.0, 4.0, 8.0, 16.0]


async def test_a_queue_is_bounded_and_what_does_not_fit_is_counted(
    notifier: Notifier, upstreams: Upstreams, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(notify, "MAX_QUEUED", 3)
    server = await upstreams.start()
    notifier.configure([to(server)])
    notifier.tell(news("0"))
    call = await server.next_call()  # on its way: not in the queue any more
    for number in range(1, 6):
        notifier.tell(news(str(number)))
    assert counts(notifier) == {"delivered": 0, "failed": 0, "dropped": 2}
    server.replies = OK
    await call.answer()
    await settled(notifier, delivered=4)
    assert [each.json()["text"] for each in server.requests] == ["0", "1", "2", "3"]
    assert MAX_QUEUED == 1_000


async def test_a_slow_receiver_keeps_nobody_else_waiting(
    notifier: Notifier, upstreams: Upstreams
) -> None:
    slow, fast = await upstreams.start("slow"), await upstreams.start("fast", OK)
    notifier.configure([to(slow, "slow"), to(fast)])
    notifier.tell(news())
    await settled(notifier, delivered=1)
    assert counts(notifier, "slow")["delivered"] == 0


async def test_what_is_queued_goes_to_where_the_receiver_is_by_then(
    notifier: Notifier, upstreams: Upstreams, rests: Rests
) -> None:
    rests.free.clear()
    gone, found = upstreams.refusing(), await upstreams.start("found", OK)
    notifier.configure([to(gone)])
    notifier.tell(news("0"))
    notifier.tell(news("1"))
    await wait_until(lambda: rests.lengths == [1.0], "nobody tries")
    notifier.configure([to(found)])
    rests.free.set()
    await settled(notifier, delivered=2)
    assert [each.json()["text"] for each in found.requests] == ["0", "1"]


async def test_an_unchanged_receiver_keeps_its_queue_and_its_counts(
    notifier: Notifier, upstreams: Upstreams
) -> None:
    server = await upstreams.start()
    notifier.configure([to(server)])
    notifier.tell(news("0"))
    notifier.tell(news("1"))
    await (await server.next_call()).answer()
    notifier.configure([to(server), to(server, "other")])
    await (await server.next_call()).answer()
    await settled(notifier, delivered=2)


async def test_a_receiver_that_is_gone_is_told_nothing_more(
    notifier: Notifier, upstreams: Upstreams
) -> None:
    server = await upstreams.start()
    notifier.configure([to(server)])
    notifier.tell(news("0"))
    notifier.tell(news("1"))
    call = await server.next_call()
    await call.read_request()
    notifier.configure([])
    await call.wait_closed()
    assert server.waiting == 0
    assert list(notifier.series()) == []


async def test_the_url_comes_from_the_environment_or_a_file_anew_for_each_attempt(
    notifier: Notifier,
    upstreams: Upstreams,
    rests: Rests,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    server = await upstreams.start(replies=OK)
    file = tmp_path / "url"
    document = {"timeout": "5s", "name": "team"}
    rests.free.clear()
    notifier.configure([Notification.model_validate({**document, "urlFile": str(file)})])
    notifier.tell(news("from a file"))
    await wait_until(lambda: rests.lengths == [1.0], "nobody tries")
    assert f"cannot read {file}" in caplog.text
    file.write_text(f"{server.url}{PATH}\n")
    rests.free.set()
    await settled(notifier, delivered=1)
    monkeypatch.setenv("SLACK_URL", f"{server.url}{PATH}")
    notifier.configure([Notification.model_validate({**document, "urlEnv": "SLACK_URL"})])
    notifier.tell(news("from the environment"))
    await settled(notifier, delivered=2)
    assert PATH not in caplog.text


@pytest.mark.parametrize(
    "url", ["S3CR3T", "ftp://h/S3CR3T", "http://[::1/S3CR3T", "http://h:x/S3CR3T"]
)
async def test_a_url_that_is_none_is_not_shown(
    notifier: Notifier, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, url: str
) -> None:
    monkeypatch.setenv("SLACK_URL", url)
    notifier.configure([Notification.model_validate({"name": "team", "urlEnv": "SLACK_URL"})])
    notifier.tell(news())
    await settled(notifier, failed=1)
    assert "url: is no http:// or https:// URL" in caplog.text
    assert "S3CR3T" not in caplog.text


async def test_closing_does_not_wait_for_anybody(notifier: Notifier, upstreams: Upstreams) -> None:
    server = await upstreams.start()
    notifier.configure([to(server)])
    notifier.tell(news())
    call = await server.next_call()
    await call.read_request()
    await notifier.close()
    await call.wait_closed()
