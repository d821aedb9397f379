"""Model servers behind TLS, and behind names that resolve to several addresses."""

from __future__ import annotations

import asyncio
import logging
import socket
import ssl
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import msgspec
import pytest

from router.dataplane.upstream import secure
from router.snapshot import Endpoint, Role, Tls, Version
from tests.support.certificates import Authority, replace, server_certificate, server_context
from tests.support.dataplanes import RunningDataPlane, route
from tests.support.raw import DEADLINE_S, RawClient, get, wait_until

CLOSE = b"\r\nConnection: close\r\n"
ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nsecret"


class SecureServer:
    """Answers every request alike; remembers what each connection asked for and showed."""

    def __init__(self, *, keep_alive: bool) -> None:
        self.port = 0
        self.names: list[str | None] = []
        self.shown: list[str | None] = []
        self.connections = 0
        self.requests: list[tuple[str | None, str | None, int]] = []
        """Name, certificate and connection of each."""
        self._answer = ANSWER if keep_alive else ANSWER.replace(b"\r\n", CLOSE, 1)
        self._keep_alive = keep_alive

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        number, name = self.connections, self.names[self.connections - 1]
        certificate = writer.get_extra_info("peercert") or {"subject": ()}
        shown = next((value for ((_, value),) in certificate["subject"]), None)
        self.shown.append(shown)
        try:
            while await reader.readuntil(b"\r\n\r\n"):
                self.requests.append((name, shown, number))
                writer.write(self._answer)
                if not self._keep_alive:
                    break
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        writer.close()


@asynccontextmanager
async def secure_server(
    context: ssl.SSLContext, *, keep_alive: bool = True
) -> AsyncIterator[SecureServer]:
    server = SecureServer(keep_alive=keep_alive)

    def remember(sock: ssl.SSLObject, name: str | None, _: ssl.SSLContext) -> None:
        server.names.append(name)

    context.sni_callback = remember  # type: ignore[assignment]
    listening = await asyncio.start_server(server.serve, "127.0.0.1", 0, ssl=context)
    server.port = listening.sockets[0].getsockname()[1]
    yield server
    listening.close()


def only(host: str, port: int, **more: Any) -> Version:
    scheme = "https" if more.get("https") else "dns" if more.get("dns") else "http"
    endpoint = Endpoint(url=f"{scheme}://{host}:{port}", host=host, port=port, **more)
    return Version(name="v1", role=Role.STABLE, weight_bp=10_000, endpoints=(endpoint,))


async def test_an_https_endpoint_is_verified_by_the_given_authority_and_reused(
    router: RunningDataPlane, client: RawClient, tmp_path: Path
) -> None:
    certificate = server_certificate(tmp_path, "localhost")
    async with secure_server(certificate.context) as server:
        tls = Tls(ca_file=str(certificate.ca_file))
        router.install(route("chat", only("localhost", server.port, https=True, tls=tls)))
        for _ in range(3):
            answer = await client.ask(get())
            assert (answer.status, answer.body) == (200, b"secret")
        assert (server.names, server.connections) == (["localhost"], 1)
        router.install()


async def test_a_server_name_is_sent_and_verified_instead_of_the_host(
    router: RunningDataPlane, client: RawClient, tmp_path: Path
) -> None:
    certificate = server_certificate(tmp_path, "models.example")
    async with secure_server(certificate.context) as server:
        tls = Tls(ca_file=str(certificate.ca_file), server_name="models.example")
        router.install(route("chat", only("127.0.0.1", server.port, https=True, tls=tls)))
        assert (await client.ask(get())).status == 200
        assert server.names == ["models.example"]
        router.install()


@pytest.mark.parametrize("wrong", ["authority", "name"])
async def test_an_endpoint_that_cannot_be_verified_is_answered_502_and_counted(
    router: RunningDataPlane, client: RawClient, tmp_path: Path, wrong: str
) -> None:
    certificate = server_certificate(tmp_path, "localhost" if wrong == "authority" else "other")
    async with secure_server(certificate.context) as server:
        tls = Tls() if wrong == "authority" else Tls(ca_file=str(certificate.ca_file))
        router.install(route("chat", only("localhost", server.port, https=True, tls=tls)))
        answer = await client.ask(get())
        assert (answer.status, answer.field("x-model-version")) == (502, "v1")
        assert router.errors == {("chat", "v1", "stable", "connect"): 1}
        assert server.connections == 0
        router.install()


async def test_verification_is_off_only_when_the_configuration_says_so(
    router: RunningDataPlane, client: RawClient, tmp_path: Path
) -> None:
    certificate = server_certificate(tmp_path, "other")
    async with secure_server(certificate.context) as server:
        tls = Tls(verify=False)
        router.install(route("chat", only("localhost", server.port, https=True, tls=tls)))
        assert (await client.ask(get())).status == 200
        router.install()


async def test_the_addresses_of_a_name_are_its_endpoints(
    router: RunningDataPlane, client: RawClient, upstreams: Any
) -> None:
    server = await upstreams.named("v1")
    router.install(route("chat", only("localhost", server.port, dns=True)))
    await wait_until(lambda: bool(router.plane.health().endpoints))
    assert (await client.ask(get())).status == 200
    told = router.plane.health().endpoints
    url = f"dns://localhost:{server.port}"
    assert {health.endpoint for health in told} == {url}
    assert f"{url} (127.0.0.1)" in {health.label for health in told}
    assert len({health.label for health in told}) == len(told)
    assert server.requests[0].field("host") == f"localhost:{server.port}"
    router.install()


async def test_a_name_that_resolves_to_nothing_has_no_healthy_endpoint(
    router: RunningDataPlane, client: RawClient
) -> None:
    router.install(route("chat", only("nowhere.invalid", 80, dns=True)))
    answer = await client.ask(get())
    assert (answer.status, answer.error["code"]) == (503, "no_healthy_endpoint")
    router.install()


# -- certificates of our own, and who shares a connection -----------------------------------------


async def test_a_server_that_wants_a_certificate_is_shown_the_versions(
    router: RunningDataPlane, client: RawClient, tmp_path: Path
) -> None:
    authority = Authority(tmp_path)
    ours = authority.issue("router", "router.test")
    wanting = server_context(authority.issue("server", "localhost"), clients=authority)
    async with secure_server(wanting) as server:
        tls = Tls(ca_file=str(authority.file), certificate_file=ours.certificate, key_file=ours.key)
        router.install(route("chat", only("localhost", server.port, https=True, tls=tls)))
        for _ in range(3):
            assert (await client.ask(get())).body == b"secret"
        assert server.shown == ["router.test"]
        router.install()


@pytest.mark.parametrize("newest", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
async def test_a_server_that_refuses_us_is_answered_502_and_the_log_says_why(
    router: RunningDataPlane,
    client: RawClient,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
    newest: ssl.TLSVersion,
) -> None:
    authority = Authority(tmp_path)
    wanting = server_context(authority.issue("server", "localhost"), clients=authority)
    wanting.maximum_version = newest
    async with refusing_server(wanting) as port:
        tls = Tls(ca_file=str(authority.file))
        router.install(route("chat", only("localhost", port, https=True, tls=tls)))
        with caplog.at_level(logging.WARNING, "router.dataplane.upstream.secure"):
            for _ in range(3):
                assert (await client.ask(get())).status == 502
        lines = [record.getMessage() for record in caplog.records]
        assert len(lines) == 1, lines  # not one for each request
        assert lines[0].startswith(f"TLS to localhost:{port}: it refused us: ")
        assert "tls.certificateFile" in lines[0]
        router.install()


@asynccontextmanager
async def refusing_server(context: ssl.SSLContext) -> AsyncIterator[int]:
    """A server that says in TLS why it refuses (asyncio's servers hang up without a word)."""
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen()
        listening.settimeout(DEADLINE_S)
        ending = threading.Event()

        def serve() -> None:
            while not ending.is_set():
                with suppress(OSError):
                    accepted, _ = listening.accept()
                    with accepted:
                        accepted.settimeout(DEADLINE_S)
                        with suppress(OSError):
                            context.wrap_socket(accepted, server_side=True).close()
                        with suppress(OSError):
                            # Closing with something unread would reset, and take the words back.
                            accepted.shutdown(socket.SHUT_WR)
                            while accepted.recv(1024):
                                pass

        serving = asyncio.create_task(asyncio.to_thread(serve))
        port: int = listening.getsockname()[1]
        try:
            yield port
        finally:
            ending.set()
            with suppress(OSError), socket.create_connection(("127.0.0.1", port)):
                pass  # wakes it
            await serving


async def test_what_cannot_be_verified_is_logged_once_with_what_to_look_at(
    router: RunningDataPlane,
    client: RawClient,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    certificate = server_certificate(tmp_path, "other")
    async with secure_server(certificate.context) as server:
        tls = Tls(ca_file=str(certificate.ca_file))
        router.install(route("chat", only("localhost", server.port, https=True, tls=tls)))
        with caplog.at_level(logging.WARNING, "router.dataplane.upstream.secure"):
            for _ in range(3):
                assert (await client.ask(get())).status == 502
        (line,) = [record.getMessage() for record in caplog.records]
        assert "Hostname mismatch" in line
        assert "tls.serverName" in line
        router.install()


SEPARATE = {
    "server name": ({"server_name": "a.test"}, {"server_name": "b.test"}),
    "certificate": ({"own": "one"}, {"own": "two"}),
    "one with a certificate": ({}, {"own": "two"}),
    "verification": ({}, {"verify": False}),
    "authority": ({}, {"other_ca": True}),
}


@pytest.mark.parametrize("difference", SEPARATE)
async def test_versions_at_one_address_share_no_connection_if_their_tls_differs(
    router: RunningDataPlane, client: RawClient, tmp_path: Path, difference: str
) -> None:
    authority = Authority(tmp_path)
    context = server_context(authority.issue("server", "localhost", "a.test", "b.test"))
    context.load_verify_locations(cafile=str(authority.file))
    context.verify_mode = ssl.CERT_OPTIONAL
    copied = tmp_path / "the-same-authority.pem"
    copied.write_bytes(authority.file.read_bytes())

    def settings(own: str | None = None, *, other_ca: bool = False, **more: Any) -> Tls:
        pair = authority.issue(own, f"{own}.test") if own is not None else None
        return Tls(
            ca_file=str(copied if other_ca else authority.file),
            certificate_file=pair and pair.certificate,
            key_file=pair and pair.key,
            **more,
        )

    async with secure_server(context) as server:
        one, two = (settings(**given) for given in SEPARATE[difference])

        def to(tls: Tls, name: str, weight_bp: int) -> Version:
            url = f"https://localhost:{server.port}"
            there = Endpoint(url=url, host="localhost", port=server.port, https=True, tls=tls)
            role = Role.STABLE if name == "v1" else Role.CANARY
            return Version(name=name, role=role, weight_bp=weight_bp, endpoints=(there,))

        router.install(route("chat", to(one, "v1", 5_000), to(two, "v2", 5_000)))
        answers = [await client.ask(get()) for _ in range(20)]
        assert [answer.field("x-model-version") for answer in answers].count("v1") == 10
        # Each keeps its own: two connections for twenty requests that never ran at once.
        assert server.connections == 2
        assert len({(asked, seen) for asked, seen, _ in server.requests}) == (
            1 if difference in ("verification", "authority") else 2
        )
        for number in {connection for _, _, connection in server.requests}:
            mine = {(asked, seen) for asked, seen, each in server.requests if each == number}
            assert len(mine) == 1
        assert sorted(each for _, _, each in server.requests) == [1] * 10 + [2] * 10
        router.install()


async def test_versions_at_one_address_with_the_same_tls_share_a_connection(
    router: RunningDataPlane, client: RawClient, tmp_path: Path
) -> None:
    certificate = server_certificate(tmp_path, "localhost")
    async with secure_server(certificate.context) as server:
        tls = Tls(ca_file=str(certificate.ca_file))
        v1 = only("localhost", server.port, https=True, tls=tls)
        half = {"weight_bp": 5_000}
        v2 = msgspec.structs.replace(v1, name="v2", role=Role.CANARY, **half)
        router.install(route("chat", msgspec.structs.replace(v1, **half), v2))
        for _ in range(10):
            assert (await client.ask(get())).status == 200
        assert server.connections == 1
        router.install()


# -- replaced files --------------------------------------------------------------------------------


async def test_new_connections_use_a_versions_files_as_they_are_now(
    router: RunningDataPlane,
    client: RawClient,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setattr(secure, "LOOK_S", 0.0)
    authority = Authority(tmp_path)
    ours = authority.issue("router", "before.test")
    wanting = server_context(authority.issue("server", "localhost"), clients=authority)
    async with secure_server(wanting, keep_alive=False) as server:
        tls = Tls(ca_file=str(authority.file), certificate_file=ours.certificate, key_file=ours.key)
        router.install(route("chat", only("localhost", server.port, https=True, tls=tls)))
        assert (await client.ask(get())).status == 200
        replace(ours.key_file, b"half a ke")
        with caplog.at_level(logging.ERROR, "router.dataplane.upstream.secure"):
            for _ in range(3):
                assert (await client.ask(get())).status == 200
        (line,) = [record.getMessage() for record in caplog.records]
        assert line.startswith(f"TLS to localhost:{server.port}: tls.keyFile: {ours.key_file}")
        assert line.endswith("the files before it stay in force")
        authority.issue("later", "after.test").copy_to(ours)
        assert (await client.ask(get())).status == 200
        assert server.shown == ["before.test"] * 4 + ["after.test"]
        router.install()


async def test_files_that_were_never_good_make_a_502_until_they_are(
    router: RunningDataPlane, client: RawClient, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(secure, "LOOK_S", 0.0)
    authority = Authority(tmp_path)
    async with secure_server(server_context(authority.issue("server", "localhost"))) as server:
        late = tmp_path / "late.pem"
        tls = Tls(ca_file=str(late))
        router.install(route("chat", only("localhost", server.port, https=True, tls=tls)))
        assert (await client.ask(get())).status == 502
        assert router.errors == {("chat", "v1", "stable", "connect"): 1}
        replace(late, authority.file.read_bytes())
        assert (await client.ask(get())).status == 200
        router.install()
