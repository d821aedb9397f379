"""The clients: requests at a steady rate, whatever becomes of the earlier ones.

Three kinds: a question answered in one piece, a question answered as a stream, and the next turn
of a conversation, whose header keeps it on one version.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from random import Random
from typing import Any, Final

import httpx

from router.demo.scenario import PATH, STICKY_HEADER, Scenario

MAX_OPEN: Final = 256
"""Requests at a time; when so many wait, no more are sent, as real clients would lose patience."""

TIMEOUT_S: Final = 20.0
END_DEADLINE_S: Final = 5.0

_TURNS: Final = 4
_OPEN_CONVERSATIONS: Final = 6
_END_OF_STREAM: Final = b"data: [DONE]"
_WORDS: Final = ("why", "is", "the", "sky", "blue", "and", "how", "do", "tokens", "flow")


@dataclass(frozen=True, slots=True)
class Ask:
    """One request."""

    body: dict[str, Any]
    conversation: str | None = None

    @property
    def headers(self) -> dict[str, str]:
        """What a conversation sends with each of its turns."""
        return {STICKY_HEADER: self.conversation} if self.conversation else {}


@dataclass(slots=True)
class Tally:
    """What the clients saw."""

    sent: int = 0
    answered: int = 0
    failures: Counter[str] = field(default_factory=Counter)

    @property
    def failed(self) -> int:
        """Requests without a whole, good answer."""
        return self.failures.total()

    @property
    def open(self) -> int:
        """Requests that wait for their answer."""
        return self.sent - self.answered - self.failed


def asks(scenario: Scenario, random: Random) -> Iterator[Ask]:
    """Requests without an end; the same ones for the same seed."""
    mix = scenario.mix
    turns = _conversation_turns(random)
    kinds: list[Callable[[], Ask]] = [
        lambda: Ask(_body(scenario, random)),
        lambda: Ask(_body(scenario, random, stream=True)),
        lambda: Ask(_body(scenario, random), next(turns)),
    ]
    often = (mix.answers, mix.streams, mix.conversation_turns)
    while True:
        yield random.choices(kinds, often)[0]()


def _conversation_turns(random: Random) -> Iterator[str]:
    """The conversation that speaks next; each is over after some turns, and a new one begins."""
    left: dict[str, int] = {}
    while True:
        while len(left) < _OPEN_CONVERSATIONS:
            left[f"{random.getrandbits(64):016x}"] = _TURNS
        name = random.choice(list(left))
        yield name
        left[name] -= 1
        if not left[name]:
            del left[name]


def _body(scenario: Scenario, random: Random, *, stream: bool = False) -> dict[str, Any]:
    question = " ".join(random.choices(_WORDS, k=random.randint(20, 160)))
    body: dict[str, Any] = {
        "model": scenario.model,
        "messages": [{"role": "user", "content": question}],
        "max_tokens": random.randint(8, 32),
    }
    if stream:
        body |= {"stream": True, "stream_options": {"include_usage": True}}
    return body


class Traffic:
    """Sends a scenario's requests and keeps the tally."""

    def __init__(self, scenario: Scenario, url: str, random: Random) -> None:
        self.tally: Final = Tally()
        self._asks: Final = asks(scenario, random)
        self._interval_s: Final = 1 / scenario.requests_per_s
        self._url: Final = url + PATH
        self._open: Final[set[asyncio.Task[None]]] = set()

    async def run(self, stop: asyncio.Event) -> None:
        """Send until `stop`, then wait for what is open; what stays open counts as failed."""
        limits = httpx.Limits(max_connections=MAX_OPEN)
        async with httpx.AsyncClient(timeout=TIMEOUT_S, limits=limits, trust_env=False) as client:
            await self._send_steadily(client, stop)
            if self._open:
                await asyncio.wait(self._open, timeout=END_DEADLINE_S)
            for task in self._open:
                task.cancel()
            await asyncio.gather(*self._open, return_exceptions=True)

    async def _send_steadily(self, client: httpx.AsyncClient, stop: asyncio.Event) -> None:
        loop = asyncio.get_running_loop()
        due = loop.time()
        while not stop.is_set():
            if len(self._open) < MAX_OPEN:
                task = asyncio.create_task(self._send(client, next(self._asks)))
                self._open.add(task)
                task.add_done_callback(self._open.discard)
            due += self._interval_s
            with suppress(TimeoutError):
                async with asyncio.timeout_at(due):
                    await stop.wait()

    async def _send(self, client: httpx.AsyncClient, ask: Ask) -> None:
        self.tally.sent += 1
        try:
            await _read_whole_answer(client, self._url, ask)
        except asyncio.CancelledError:
            self.tally.failures["no answer"] += 1
        except httpx.HTTPError as error:
            self.tally.failures[_reason(error)] += 1
        else:
            self.tally.answered += 1


async def _read_whole_answer(client: httpx.AsyncClient, url: str, ask: Ask) -> None:
    """Send a request and read its whole answer.

    Raises:
        httpx.HTTPError: there was no good answer.
    """
    end = b""
    async with client.stream("POST", url, json=ask.body, headers=ask.headers) as answer:
        answer.raise_for_status()
        async for chunk in answer.aiter_raw():
            end = (end + chunk)[-64:]
    if ask.body.get("stream") and not end.rstrip().endswith(_END_OF_STREAM):
        raise httpx.RemoteProtocolError("stream without [DONE]")


def _reason(error: httpx.HTTPError) -> str:
    if isinstance(error, httpx.HTTPStatusError):
        return f"HTTP {error.response.status_code}"
    return str(error) or type(error).__name__
