"""Model servers behind TLS, and behind names that resolve to several addresses."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from router.snapshot import Endpoint, Role, Tls, Version
from tests.support.certificates import server_certificate
from tests.support.dataplanes import RunningDataPlane, route
from tests.support.raw import RawClient, get, wait_until

ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nsecret"


class SecureServer:
    """Answers every request alike; remembers the names that clients asked for."""

    def __init__(self) -> None:
        self.port = 0
        self.names: list[str | None] = []
        self.connections = 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        try:
            while await reader.readuntil(b"\r\n\r\n"):
                writer.write(ANSWER)
        except (asyncio.IncompleteReadError, ConnectionError):
            writer.close()


@asynccontextmanager
async def secure_server(context: ssl.SSLContext) -> AsyncIterator[SecureServer]:
    server = SecureServer()

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
    assert {health.endpoint for health in router.plane.health().endpoints} == {
        f"dns://localhost:{server.port}"
    }
    assert server.requests[0].field("host") == f"localhost:{server.port}"
    router.install()


async def test_a_name_that_resolves_to_nothing_has_no_healthy_endpoint(
    router: RunningDataPlane, client: RawClient
) -> None:
    router.install(route("chat", only("nowhere.invalid", 80, dns=True)))
    answer = await client.ask(get())
    assert (answer.status, answer.error["code"]) == (503, "no_healthy_endpoint")
    router.install()
