"""The end of idle TLS connections that were told to close, when the process wants to end.

A TLS connection closes when the other side has said goodbye, too (RFC 8446 §6.1).  Clients that
keep idle connections in a pool read none of them and say nothing for minutes.  Nobody loses
anything when such a connection is cut, provided that everything written has arrived.

Only those that were idle before: a client that has just been sent an answer may still be reading
it, even if its kernel has all of it, and some libraries drop what is unread when a connection ends.
"""

import fcntl
import struct
import termios
from collections.abc import Iterable
from typing import Any


def hang_up(connections: Iterable[Any]) -> None:
    """Cut those of these connections (uvicorn's, or ours) that have nothing left to send."""
    for connection in connections:
        transport = connection.transport
        if transport is not None and transport.is_closing() and not _unsent(transport):
            transport.abort()


def _unsent(transport: Any) -> bool:
    """Whether anything waits here or in the kernel, which counts what is not acknowledged.

    The transport below the TLS one has a buffer of its own that cannot be asked for; something is
    in it only while the kernel's is full.
    """
    sock = transport.get_extra_info("socket")
    if transport.get_write_buffer_size() or sock is None:
        return True
    try:
        (queued,) = struct.unpack("i", fcntl.ioctl(sock.fileno(), termios.TIOCOUTQ, b"\0" * 4))
    except OSError:  # closed a moment ago
        return True
    return bool(queued)
