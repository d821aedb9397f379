"""A port for a program that cannot be asked which one it got."""

from __future__ import annotations

import socket

from loadtests.ports import free_port

EPHEMERAL = 32_768
"""Linux gives away ports from here on where nobody has changed it."""


def test_it_is_free_and_no_kernel_gives_it_to_somebody_else() -> None:
    port = free_port()
    assert 1024 < port < EPHEMERAL
    with socket.create_server(("127.0.0.1", port)):
        assert all(free_port() != port for _ in range(100))
