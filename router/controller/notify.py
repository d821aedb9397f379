"""Notifications: people are told of every change of a rollout's phase.

Never waited for: each receiver has a bounded queue of its own and is tried again with back-off;
what does not fit, or is refused again and again, is counted and dropped.  What is queued when
control dies is lost; the audit trail has it all.  No log names a receiver's URL: it may be a
secret.
"""

import asyncio
import logging
from collections import deque
from collections.abc import Awaitable, Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Final

from router.config.models import Notification
from router.config.models.outside import NotificationFormat
from router.controller.secrets import SecretError, read_env, read_file, read_headers
from router.controller.webhooks import WebhookError, Webhooks
from router.telemetry import families
from router.telemetry.recorder import Series

log: Final = logging.getLogger(__name__)

MAX_QUEUED: Final = 1_000
ATTEMPTS: Final = 6
FIRST_RETRY_S: Final = 1.0
"""Doubles with each attempt: the last one is made half a minute after the first."""

DELIVERED, FAILED, DROPPED = "delivered", "failed", "dropped"


@dataclass(frozen=True, slots=True, kw_only=True)
class News:
    """A route has come into another phase; times in seconds since 1970 UTC."""

    time_s: float
    route: str
    phase: str
    reason: str | None
    text: str
    canary: str | None
    stable: str
    weight: float

    def as_json(self) -> dict[str, Any]:
        """The generic form."""
        return {
            "time": self.time_s,
            "route": self.route,
            "phase": self.phase,
            "reason": self.reason,
            "text": self.text,
            "canary": self.canary,
            "stable": self.stable,
            "weight": self.weight,
        }

    def as_slack(self) -> dict[str, Any]:
        """One line of text."""
        mark = {"Healthy": "✅", "Degraded": "🔴", "Paused": "⏸"}.get(self.phase, "▶")
        why = f" ({self.reason})" if self.reason else ""
        return {"text": f"{mark} *{self.route}* is {self.phase}{why}: {self.text}"}


class _Receiver:
    """One receiver's queue, and the task that empties it."""

    def __init__(self, settings: Notification) -> None:
        self.settings = settings
        self.queue: Final[deque[News]] = deque()
        self.task: asyncio.Task[None] | None = None

    def wants(self, news: News) -> bool:
        return not self.settings.routes or news.route in self.settings.routes


class Notifier:
    """Everybody who is told."""

    def __init__(
        self, webhooks: Webhooks, rest: Callable[[float], Awaitable[None]] = asyncio.sleep
    ) -> None:
        self._webhooks: Final = webhooks
        self._rest: Final = rest
        self._receivers: dict[str, _Receiver] = {}
        self._counts: Final[dict[tuple[str, str], int]] = {}

    def configure(self, notifications: Iterable[Notification]) -> None:
        """Tell these from now on.

        What is queued for a receiver goes to where it is by then; of one that is not among them
        any more it is dropped.
        """
        before, self._receivers = self._receivers, {}
        for settings in notifications:
            receiver = before.pop(settings.name, None) or _Receiver(settings)
            receiver.settings = settings
            self._receivers[settings.name] = receiver
            for result in (DELIVERED, FAILED, DROPPED):
                self._counts.setdefault((settings.name, result), 0)
        for gone in before.values():
            if gone.task is not None:
                gone.task.cancel()
        for key in [key for key in self._counts if key[0] not in self._receivers]:
            del self._counts[key]

    def tell(self, news: News) -> None:
        """Queue it for everybody who wants it; returns at once."""
        for receiver in self._receivers.values():
            if not receiver.wants(news):
                continue
            if len(receiver.queue) >= MAX_QUEUED:
                self._count(receiver, DROPPED)
                continue
            receiver.queue.append(news)
            if receiver.task is None or receiver.task.done():
                receiver.task = asyncio.get_running_loop().create_task(self._empty(receiver))

    async def close(self) -> None:
        """Stop; what is queued is lost."""
        tasks = [r.task for r in self._receivers.values() if r.task is not None]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def series(self) -> Iterator[Series]:
        """What became of the notifications."""
        for key, number in self._counts.items():
            yield Series(families.NOTIFICATIONS.name, key, number)

    async def _empty(self, receiver: _Receiver) -> None:
        while receiver.queue:
            news = receiver.queue.popleft()
            self._count(receiver, DELIVERED if await self._deliver(receiver, news) else FAILED)

    async def _deliver(self, receiver: _Receiver, news: News) -> bool:
        for attempt in range(ATTEMPTS):
            if attempt:
                await self._rest(FIRST_RETRY_S * 2 ** (attempt - 1))
            problem = await self._post(receiver.settings, news)
            if problem is None:
                return True
            log.warning("notification %s: %s", receiver.settings.name, problem)
        return False

    async def _post(self, settings: Notification, news: News) -> str | None:
        """What went wrong, without the URL."""
        slack = settings.format is NotificationFormat.SLACK
        document = news.as_slack() if slack else news.as_json()
        try:
            url, headers = _url(settings), read_headers(settings.headers)
            reply = await self._webhooks.post(url, document, headers, settings.timeout_s)
        except SecretError as error:
            return str(error)
        except WebhookError as error:
            return f"not delivered: {error}"
        return None if reply.is_success else f"not delivered: HTTP {reply.status}"

    def _count(self, receiver: _Receiver, result: str) -> None:
        key = (receiver.settings.name, result)
        if key in self._counts:
            self._counts[key] += 1


def _url(settings: Notification) -> str:
    if settings.url is not None:
        return settings.url
    if settings.url_env is not None:
        return read_env(settings.url_env)
    assert settings.url_file is not None, "a notification has one URL"
    return read_file(settings.url_file)
