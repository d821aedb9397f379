"""Who is held open is read from the kernel's table, and how long from looking again and again."""

from __future__ import annotations

import math
import socket

from loadtests.edge.sockets import Ages, held_by_port, peers_in

_ROW = "   0: 0100007F:{local} 0100007F:{peer} {state} 00000000:00000000 00:00000000 00000000 0 0 "


def row(local: int, peer: int, state: str, inode: int) -> str:
    return _ROW.format(local=f"{local:04X}", peer=f"{peer:04X}", state=state) + f"{inode} 1 0"


def test_listeners_other_ports_and_what_only_the_kernel_holds_are_left_out() -> None:
    table = "\n".join(
        (
            "  sl  local_address rem_address   st ...",
            row(8080, 0, "0A", 11),
            row(8080, 5001, "01", 12),
            row(8080, 5002, "08", 13),
            row(8080, 5003, "04", 0),
            row(9090, 5004, "01", 14),
        )
    )
    assert peers_in(table, 8080) == {"0100007F:1389", "0100007F:138A"}


def comes_to_hold(port: int, number: int) -> bool:
    """Whether some look finds so many: one may miss a row while others' connections come and go."""
    return any(len(held_by_port(port)) == number for _ in range(50))


def test_a_real_connection_is_seen_until_its_server_closes_it() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        with socket.create_connection(("127.0.0.1", port)):
            accepted, _ = server.accept()
            assert comes_to_hold(port, 1)
            accepted.close()
            assert comes_to_hold(port, 0)


def test_ages_run_from_the_first_look_that_saw_a_peer_to_the_last() -> None:
    ages = Ages(ignored={"live"})
    assert math.isnan(ages.oldest_s)
    assert ages.note(10.0, {"live", "a"}) == 1
    assert ages.note(12.0, {"live", "a", "b"}) == 2
    assert ages.note(15.0, {"live", "b"}) == 1
    assert ages.note(16.0, {"live"}) == 0
    assert (ages.seen, ages.most, ages.oldest_s) == (2, 2, 3.0)
