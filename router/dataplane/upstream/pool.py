"""Keep-alive connections to one origin: idle ones to take, new ones to wait for.

The connection idle shortest is taken first, so the others grow old and are closed.  Taking and
giving back touch one list end; nothing is scanned for a request.
"""

import asyncio
import ssl
from typing import Final, Protocol

from router.dataplane.upstream.connection import Connection
from router.snapshot import Endpoint, Tls

SWEEP_S: Final = 0.5
IDLE_SWEEPS: Final = 8
"""4 s: below the 5 s after which model servers on uvicorn close an idle connection."""
MAX_IDLE: Final = 1024


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
    """The connections to one origin (host, port and TLS settings)."""

    def __init__(self, endpoint: Endpoint) -> None:
        self.name: Final = f"{endpoint.host}:{endpoint.port}"
        self._endpoint = endpoint
        self._ssl: ssl.SSLContext | None = None
        self._idle: list[Connection] = []
        self._all: set[Connection] = set()
        self._connecting: set[asyncio.Task[None]] = set()
        self._closed = False
        self._sweeps = 0

    def sibling(self) -> "Pool":
        """Another pool to the same origin, for those whose requests must not take from this."""
        return Pool(self._endpoint)

    def take(self) -> Connection | None:
        """An idle connection, or None."""
        idle = self._idle
        while idle:
            connection = idle.pop()
            transport = connection.transport
            if transport is not None and not transport.is_closing():
                return connection
        return None

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
                    ssl=self._tls_context(endpoint.tls) if endpoint.https else None,
                    server_hostname=(endpoint.tls.server_name or endpoint.host)
                    if endpoint.https
                    else None,
                )
        except TimeoutError:
            if pending.user is not None:
                pending.user.on_connect_failed(f"no connection in {timeout_s:g} s", timeout=True)
            return
        except (OSError, ssl.SSLError, ValueError) as error:
            if pending.user is not None:
                pending.user.on_connect_failed(str(error), timeout=False)
            return
        self._all.add(connection)
        if pending.user is not None:
            pending.user.on_connected(connection)
        else:
            self.give_back(connection)

    def _tls_context(self, tls: Tls) -> ssl.SSLContext:
        if self._ssl is None:
            context = ssl.create_default_context(cafile=tls.ca_file)
            context.set_alpn_protocols(["http/1.1"])
            if not tls.verify:
                context.check_hostname = False
                context.verify_mode = ssl.CERT_NONE
            if tls.certificate_file is not None:
                context.load_cert_chain(tls.certificate_file, tls.key_file)
            self._ssl = context
        return self._ssl

    def give_back(self, connection: Connection) -> None:
        """Keep a connection for the next request."""
        if self._closed or len(self._idle) >= MAX_IDLE:
            connection.discard()
            return
        connection.idle_since = self._sweeps
        self._idle.append(connection)

    def forget(self, connection: Connection) -> None:
        """A connection has closed."""
        self._all.discard(connection)
        if connection.user is None and connection in self._idle:
            self._idle.remove(connection)

    def sweep(self) -> None:
        """Close what has been idle for `IDLE_SWEEPS` sweeps; the oldest stand first."""
        self._sweeps += 1
        stale = 0
        for connection in self._idle:
            if self._sweeps - connection.idle_since <= IDLE_SWEEPS:
                break
            stale += 1
        for connection in self._idle[:stale]:
            connection.discard()
        del self._idle[:stale]

    def close(self) -> None:
        """Take no connection back any more; requests still running finish on theirs."""
        self._closed = True
        for connection in self._idle:
            connection.discard()
        self._idle.clear()

    def statistics(self) -> tuple[int, int, int]:
        """(idle, busy, connecting) now."""
        return len(self._idle), len(self._all) - len(self._idle), len(self._connecting)
