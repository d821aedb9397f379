"""Keep-alive connections to one origin: idle ones to take, new ones to wait for.

The connection idle shortest is taken first, so the others grow old and are closed, before the
server closes them (`idle`).  Taking and giving back touch one list end; nothing is scanned for a
request.
"""

import asyncio
import ssl
from collections.abc import Callable
from typing import Final, Protocol

from router.dataplane.upstream.connection import Connection
from router.dataplane.upstream.idle import IdleTime
from router.dataplane.upstream.secure import Complaints, UpstreamContext, why_not
from router.snapshot import Endpoint
from router.tls import TlsError

SWEEP_S: Final = 0.5
MAX_IDLE: Final = 1024
STALE_WITHIN_S: Final = 0.05
"""So soon the end of an idle connection is noticed that was under way when it was used."""


class ConnectUser(Protocol):
    """Who waits for a new connection."""

    def on_connected(self, connection: Connection) -> None:
        """It is there."""
        ...

    def on_connect_failed(self, reason: str, *, timeout: bool) -> None:
        """It could not be made; `reason` is the system's words."""
        ...


class PendingConnection:
    """A connection being made; `abandon` when nobody waits for it any longer."""

    __slots__ = ("user",)

    def __init__(self, user: ConnectUser) -> None:
        self.user: ConnectUser | None = user

    def abandon(self) -> None:
        """Let the connection, if it comes, go to the pool."""
        self.user = None


class Pool:
    """The connections to one origin (host, port and TLS settings).

    `idle_time` is how long they are kept idle, and what was learned of that.
    """

    def __init__(self, endpoint: Endpoint, now: Callable[[], float], idle_time: IdleTime) -> None:
        self.name: Final = f"{endpoint.host}:{endpoint.port}"
        self._endpoint = endpoint
        self._tls: Final = UpstreamContext(endpoint.tls, self.name) if endpoint.https else None
        self._complaints: Final = Complaints(self.name)
        self._idle: list[Connection] = []
        self._all: set[Connection] = set()
        self._connecting: set[asyncio.Task[None]] = set()
        self._closed = False
        self._now: Final = now
        self.idle_time: Final = idle_time

    def sibling(self) -> "Pool":
        """Another pool to the same origin, for those whose requests must not take from this."""
        return Pool(self._endpoint, self._now, self.idle_time)

    def take(self) -> Connection | None:
        """An idle connection, or None."""
        idle = self._idle
        while idle:
            connection = idle.pop()
            transport = connection.transport
            if transport is None or transport.is_closing():
                self.learn_close(connection)
            elif self.idle_time.learned and self._is_too_old(connection):
                # The sweep comes twice a second, which is too late for some servers.
                self._discard_oldest(len(idle))
                connection.discard()
            else:
                return connection
        return None

    def _is_too_old(self, connection: Connection) -> bool:
        return self._now() - connection.idle_since > self.idle_time.limit_s

    def connect(self, user: ConnectUser, timeout_s: float) -> PendingConnection:
        """Begin to make a new connection."""
        pending = PendingConnection(user)
        task = asyncio.get_running_loop().create_task(self._connect(pending, timeout_s))
        self._connecting.add(task)
        task.add_done_callback(self._connecting.discard)
        return pending

    async def _connect(self, pending: PendingConnection, timeout_s: float) -> None:
        endpoint = self._endpoint
        try:
            async with asyncio.timeout(timeout_s):
                _, connection = await asyncio.get_running_loop().create_connection(
                    lambda: Connection(self),
                    endpoint.host,
                    endpoint.port,
                    ssl=await self._tls.get() if self._tls is not None else None,
                    server_hostname=(endpoint.tls.server_name or endpoint.host)
                    if endpoint.https
                    else None,
                )
        except TimeoutError:
            if pending.user is not None:
                pending.user.on_connect_failed(f"no connection in {timeout_s:g} s", timeout=True)
            return
        except (OSError, ValueError, TlsError) as error:
            reason = self._reason(error)
            if pending.user is not None:
                pending.user.on_connect_failed(reason, timeout=False)
            return
        self._all.add(connection)
        if pending.user is not None:
            pending.user.on_connected(connection)
        else:
            self.give_back(connection)

    def _reason(self, error: Exception) -> str:
        if not isinstance(error, ssl.SSLError):
            return str(error)
        reason = why_not(error)
        self._complaints.tell(reason)
        return reason

    def lost(self, error: Exception | None) -> None:
        """A connection ended by this; in TLS 1.3 a server refuses us only behind the handshake."""
        if isinstance(error, ssl.SSLError):
            self._complaints.tell(why_not(error))

    def give_back(self, connection: Connection) -> None:
        """Keep a connection for the next request."""
        if self._closed or len(self._idle) >= MAX_IDLE:
            connection.discard()
            return
        connection.idle_since = self._now()
        self._idle.append(connection)

    def forget(self, connection: Connection) -> None:
        """A connection has closed."""
        self._all.discard(connection)
        if connection.user is None and connection in self._idle:
            self._idle.remove(connection)
            self.learn_close(connection)  # those that we close do not stand there any more

    def learn_close(self, connection: Connection) -> None:
        """The server has closed a connection while it was idle."""
        now = self._now()
        self.idle_time.closed(now - connection.idle_since, now)

    def learn_stale(self, connection: Connection, sent_at: float) -> None:
        """A connection was lost without an answer to a request sent then (monotonic time, s).

        Only at once it was closing when the request was written; later the server has died at it.
        """
        now = self._now()
        if now - sent_at < STALE_WITHIN_S:
            self.idle_time.closed(sent_at - connection.idle_since, now)

    def sweep(self) -> None:
        """Close what has been idle for too long; the oldest stand first."""
        self.idle_time.recover(self._now())
        stale = 0
        for connection in self._idle:
            if not self._is_too_old(connection):
                break
            stale += 1
        if stale:
            self._discard_oldest(stale)

    def _discard_oldest(self, count: int) -> None:
        for connection in self._idle[:count]:
            connection.discard()
        del self._idle[:count]

    def close(self) -> None:
        """Take no connection back any more; requests still running finish on theirs."""
        self._closed = True
        for connection in self._idle:
            connection.discard()
        self._idle.clear()

    def statistics(self) -> tuple[int, int, int]:
        """(idle, busy, connecting) now."""
        return len(self._idle), len(self._all) - len(self._idle), len(self._connecting)
