"""A console over a store that years have filled: 500 routes, 10 000 entries, pairs of a megabyte.

It is filled before the router starts, by the store's own writers.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Coroutine, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from router.audit.entry import Actor, Draft
from router.store import create_pair_store, create_store
from router.store.base import Commit
from router.store.pairs import KeptPair, Retention
from tests.support.consoles import PEOPLE, Console, tokens
from tests.support.engines import running_engine
from tests.support.routers import Document, document, route, running_router

ENTRIES: Final = 10_000
ROUTES: Final = tuple(f"route-{number:03}" for number in range(500))
NEEDLE: Final = "a needle in 10 000 straws"
_ACTOR: Final = Actor("on-call", "operator", "192.0.2.7")
_MEGABYTE: Final = 1_000_000


@contextmanager
def running_full_console(directory: Path) -> Iterator[Console]:
    """It serves for the time of the block."""
    location = f"sqlite://{directory}/state.db"
    _run(_fill(location))
    with running_engine("v1") as engine:
        versions = {"v1": engine.url, "v2": engine.url}
        every = [route(name, f"/{name}", **versions) for name in ROUTES]
        every[0]["shadow"] = {"version": "v2"}
        config = {**document(*every, workers=1), "auth": {"tokens": tokens(*PEOPLE)}}
        with running_router(directory, {**config, "store": location}) as router:
            router.wait_ready()
            console = Console(router, config)
            with console.api:
                yield console


def _run(work: Coroutine[Any, Any, None]) -> None:
    """In a thread of its own: a browser has this one's event loop."""
    failed: list[BaseException] = []

    def run() -> None:
        try:
            asyncio.run(work)
        except BaseException as error:  # raised again below
            failed.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    if failed:
        raise failed[0]


async def _fill(location: str) -> None:
    now = time.time()
    store = create_store(location)
    await store.open()
    try:
        for begin in range(0, ENTRIES, 1_000):
            drafts = [_draft(number, now) for number in range(begin, begin + 1_000)]
            revision = (await store.read()).revision
            await store.commit(Commit(revision=revision, entries=drafts))
    finally:
        await store.close()
    pairs = create_pair_store(location)
    await pairs.open()
    try:
        kept = Retention(max_pairs=100, max_age_s=1e9, max_bytes=1 << 30)
        lines = "".join(f"line {n} of an answer\n" for n in range(_MEGABYTE // 20))
        both = [(lines, lines.replace("7 of", "7 off")), ("w" * _MEGABYTE, "v" * _MEGABYTE)]
        written = [_pair(now, *texts) for texts in both]
        await pairs.keep(written, {}, {ROUTES[0]: kept}, now)
    finally:
        await pairs.close()


def _draft(number: int, now: float) -> Draft:
    reason = NEEDLE if number == ENTRIES // 3 else f"entry {number} of many"
    return Draft(
        time_s=now - ENTRIES + number,
        actor=_ACTOR,
        action="weights.set",
        route=ROUTES[number % len(ROUTES)],
        reason=reason,
        before={"weights": {"v1": 100, "v2": 0}},
        after={"weights": {"v1": 90, "v2": 10}},
    )


def _pair(now: float, primary: str, shadow: str) -> KeptPair:
    """As control records one, but that it would have cut the bodies."""
    difference: Document = {
        "field": "text",
        "same": False,
        "rule": "text.ratio",
        "score": 0.5,
        "largest": None,
        "place": "$.choices[0].message.content",
        "primary": "",
        "other": "",
    }
    request = {"method": "POST", "target": f"/{ROUTES[0]}", "fields": [], "body": _body({"n": 1})}
    document: Document = {
        "requestId": "r-1",
        "time": now,
        "generation": 1,
        "verdict": "mismatch",
        "rule": "text.ratio",
        "request": request,
        "primary": _answer("v1", primary),
        "shadow": {**_answer("v2", shadow), "differences": [difference], "error": ""},
    }
    return KeptPair(
        route=ROUTES[0],
        stable="v1",
        shadow="v2",
        verdict="mismatch",
        time_s=now,
        document=document,
    )


def _answer(version: str, text: str) -> Document:
    message = {"role": "assistant", "content": text}
    return {
        "version": version,
        "outcome": "answered",
        "reason": "",
        "status": 200,
        "fields": [],
        "body": _body({"choices": [{"index": 0, "message": message}]}),
        "tokens": [1, 1],
        "firstByteSeconds": 0.01,
        "firstTokenSeconds": None,
        "durationSeconds": 0.02,
    }


def _body(content: Any) -> Document:
    return {"length": len(str(content)), "sha256": "0" * 64, "json": content}
