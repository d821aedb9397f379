"""Listening sockets, made before any process starts: what is wrong with an address shows at once.

Each worker slot has a socket of its own in one SO_REUSEPORT group.  The supervisor keeps them all
open: when a worker dies, connections that the kernel already assigned to its socket wait for the
successor and are not reset.
"""

import errno
import socket
from dataclasses import dataclass
from typing import Any, Final, cast

from router.errors import ConfigError

SocketAddress = tuple[Any, ...]

BACKLOG: Final = 2048
"""Connections that may wait while a worker is restarted; the kernel caps it at somaxconn."""

UNSENT_BYTES: Final = 128 * 1024
"""What the kernel may hold for a connection beyond its peer's window (TCP_NOTSENT_LOWAT).

Without it a send buffer grows to 4 MB (tcp_wmem): 500 slow readers of 2 MB answers made a worker
copy 1 GB into the kernel at once, and the others' p99 went from 6 to 75 ms.  HAProxy calls it
tune.notsent-lowat.client.
"""


@dataclass(frozen=True, slots=True)
class Listening:
    """One address, with a socket for each process that accepts on it."""

    sockets: tuple[socket.socket, ...]

    @property
    def url(self) -> str:
        """Where it is reached, with the port that the kernel chose where it was to choose."""
        return f"http://{self._authority}"

    @property
    def secure_url(self) -> str:
        """The same, where TLS is spoken."""
        return f"https://{self._authority}"

    @property
    def _authority(self) -> str:
        host, port = self.sockets[0].getsockname()[:2]
        return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"

    def close(self) -> None:
        """Let go; processes that inherited a socket keep theirs."""
        for sock in self.sockets:
            sock.close()


def listen(
    what: str, host: str, port: int, count: int = 1, *, write_timeout_s: float = 0.0
) -> Listening:
    """Open `count` sockets on one address.

    With a `write_timeout_s` the kernel resets a connection whose other end has acknowledged nothing
    of what was sent for so long, or has let nothing more be sent: a peer that has vanished without
    a word, and one that reads nothing, even after we have closed.

    Raises:
        ConfigError: the name does not resolve, or the address cannot be had.
    """
    family, address = _resolve(what, host, port)
    if port and count > 1:
        # SO_REUSEPORT would let us share the port with another router of the same user, and
        # requests would go to either; a plain socket finds out whether it is free.
        _open(what, family, address, shared=False).close()
    sockets = [_open(what, family, address, shared=count > 1)]
    taken = sockets[0].getsockname()
    sockets += [_open(what, family, taken, shared=True) for _ in range(count - 1)]
    for sock in sockets:  # what is accepted inherits these (tcp(7))
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NOTSENT_LOWAT, UNSENT_BYTES)
        if write_timeout_s:
            milliseconds = round(write_timeout_s * 1000)
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, milliseconds)
        sock.listen(BACKLOG)
    return Listening(tuple(sockets))


def _resolve(what: str, host: str, port: int) -> tuple[int, SocketAddress]:
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    except (socket.gaierror, UnicodeError) as error:
        reason = error.strerror if isinstance(error, socket.gaierror) else "not a host name"
        raise ConfigError(f"{what}: cannot resolve {host!r}: {reason}") from None
    # IPv4 first: `localhost` means 127.0.0.1 to most clients that do not try both.
    family, _, _, _, address = min(found, key=lambda entry: entry[0] != socket.AF_INET)
    return family, cast(SocketAddress, address)  # (int, bytes) only without IPv6 support


def _open(what: str, family: int, address: SocketAddress, *, shared: bool) -> socket.socket:
    # With the protocol named, asyncio sets TCP_NODELAY on what it accepts (uvloop always does).
    sock = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if shared:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        if family == socket.AF_INET6:
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, int(address[0] != "::"))
        sock.bind(address)
    except OSError as error:
        sock.close()
        raise ConfigError(f"{what}: cannot listen on {_name(address)}: {_why(error)}") from None
    sock.setblocking(False)
    return sock


def _name(address: SocketAddress) -> str:
    host, port = address[:2]
    return f"[{host}]:{port}" if ":" in str(host) else f"{host}:{port}"


def _why(error: OSError) -> str:
    match error.errno:
        case errno.EADDRINUSE:
            return "the port is in use"
        case errno.EACCES:
            return "not permitted (ports below 1024 need a privilege)"
        case _:
            return error.strerror or str(error)
