"""Ports for programs that cannot be asked which one the kernel gave them."""

from __future__ import annotations

import secrets
import socket
from typing import Final

# Kernels give away ports from 32768 (Linux) or 49152 (RFC 6335 §6) on: between the moment when one
# was found free and the moment when a program binds it, another process may have got it.
_FIRST: Final = 20_000
_LAST: Final = 32_000
_TRIES: Final = 100


def free_port() -> int:
    """A port of 127.0.0.1 that nobody has, and that no kernel gives to somebody else.

    Raises:
        OSError: a hundred of them are taken.
    """
    for _ in range(_TRIES):
        port = _FIRST + secrets.randbelow(_LAST - _FIRST)
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
    raise OSError(f"no free port between {_FIRST} and {_LAST} on 127.0.0.1")
