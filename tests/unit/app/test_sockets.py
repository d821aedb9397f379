"""Listening sockets, and what is said when there are none to be had."""

from __future__ import annotations

import socket
from contextlib import suppress

import pytest

from router.app.sockets import UNSENT_BYTES, listen
from router.errors import ConfigError


def test_the_kernel_chooses_one_port_for_all_sockets_of_an_address() -> None:
    listening = listen("server.listen", "127.0.0.1", 0, count=3)
    ports = {sock.getsockname()[1] for sock in listening.sockets}
    assert len(ports) == 1
    assert listening.url == f"http://127.0.0.1:{ports.pop()}"
    listening.close()


def test_connections_wait_before_anybody_accepts() -> None:
    listening = listen("server.listen", "127.0.0.1", 0, count=2)
    port = listening.sockets[0].getsockname()[1]
    for _ in range(10):
        socket.create_connection(("127.0.0.1", port), timeout=1).close()
    listening.close()


def test_a_connection_whose_peer_takes_nothing_ends_with_the_write_timeout_in_the_kernel_too() -> (
    None
):
    listening = listen("server.listen", "127.0.0.1", 0, write_timeout_s=2.5)
    listener = listening.sockets[0]
    with socket.create_connection(listener.getsockname(), timeout=1):
        accepted, _ = listener.accept()
        with accepted:
            assert accepted.getsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT) == 2500
    listening.close()


def test_the_kernel_holds_little_for_a_client_that_reads_nothing() -> None:
    listening = listen("server.listen", "127.0.0.1", 0)
    listener = listening.sockets[0]
    with socket.socket() as client:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        client.connect(listener.getsockname())
        accepted, _ = listener.accept()
        with accepted:
            assert _fill(accepted) <= 2 * UNSENT_BYTES  # one write is always taken whole
    listening.close()


def _fill(sock: socket.socket) -> int:
    """Write until the kernel takes nothing more, or far too much; returns how much it took."""
    sock.setblocking(False)
    taken = 0
    with suppress(BlockingIOError):
        while taken < 16 * UNSENT_BYTES:
            taken += sock.send(bytes(UNSENT_BYTES))
    return taken


@pytest.mark.parametrize("count", [1, 2])
def test_a_port_in_use_is_said_in_one_line_even_if_it_is_our_own_kind(count: int) -> None:
    first = listen("server.listen", "127.0.0.1", 0, count=2)
    port = first.sockets[0].getsockname()[1]
    with pytest.raises(ConfigError) as refused:
        listen("server.listen", "127.0.0.1", port, count=count)
    assert str(refused.value) == (
        f"server.listen: cannot listen on 127.0.0.1:{port}: the port is in use"
    )
    first.close()


def test_a_port_is_free_again_at_once() -> None:
    first = listen("server.listen", "127.0.0.1", 0, count=2)
    port = first.sockets[0].getsockname()[1]
    with socket.create_connection(("127.0.0.1", port)):
        first.close()
    listen("server.listen", "127.0.0.1", port, count=2).close()


def test_a_name_that_does_not_resolve_is_said_in_one_line() -> None:
    with pytest.raises(ConfigError, match=r"server\.admin: cannot resolve 'no\.such\.invalid'"):
        listen("server.admin", "no.such.invalid", 0)


def test_an_address_of_another_machine_is_said_in_one_line() -> None:
    with pytest.raises(ConfigError, match=r"cannot listen on 192\.0\.2\.1:8080"):
        listen("server.listen", "192.0.2.1", 8080)


def test_localhost_is_ipv4_first() -> None:
    listening = listen("server.admin", "localhost", 0)
    assert listening.url.startswith("http://127.0.0.1:")
    listening.close()
