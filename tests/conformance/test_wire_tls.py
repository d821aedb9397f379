"""TLS on the traffic port: handshakes, certificates that are replaced, clients that show theirs."""

from __future__ import annotations

import asyncio
import datetime
import gc
import hashlib
import logging
import os
import socket
import ssl
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.x509.oid import NameOID

from router.dataplane.server import DataPlane, DataPlaneSettings, serve
from router.tls import ClientCertificates, ServerTls, TlsError
from tests.support.certificates import Authority, Pair, replace
from tests.support.dataplanes import RunningDataPlane, route, version
from tests.support.raw import DEADLINE_S, RawClient, get, message, wait_settled, wait_until
from tests.support.upstreams import Upstream, Upstreams

LOOK_S = 0.02
"""How often the files are looked at here."""

MIB = 1024 * 1024
SMALL = 64 * 1024
PIECE = bytes(range(251)) * 261
PIECES = 800
BOUND = 12 * MIB
"""Of 50 MiB: buffers of the kernel (small ones), of TLS (256 KiB a side) and the router's own."""


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path)


@pytest.fixture
def strangers(tmp_path: Path) -> Authority:
    return Authority(tmp_path, "somebody else")


@pytest.fixture
def pair(authority: Authority) -> Pair:
    """What the router shows."""
    return authority.issue("server", "localhost", "127.0.0.1")


@pytest.fixture
def how() -> dict[str, Any]:
    """More of `ServerTls`; a test may parametrise it."""
    return {}


@pytest.fixture
def settings(pair: Pair, how: dict[str, Any], authority: Authority) -> dict[str, Any]:
    given = {key: value for key, value in how.items() if key in DataPlaneSettings.__struct_fields__}
    tls = {key: value for key, value in how.items() if key not in given and key != "buffer_bytes"}
    if "client_certificates" in tls:
        tls["client_ca_file"] = str(authority.file)
    if "buffer_bytes" in how:
        given["buffer_bytes"] = how["buffer_bytes"]
    files = ServerTls(certificate_file=pair.certificate, key_file=pair.key, look_s=LOOK_S, **tls)
    return {**given, "tls": files}


@pytest.fixture
async def client(router: RunningDataPlane, authority: Authority) -> RawClient:
    return await router.connect(tls=authority.client_context())


def shown(client: RawClient) -> bytes:
    """The certificate that this client was shown."""
    der: bytes = client.writer.get_extra_info("ssl_object").getpeercert(binary_form=True)
    return der


def reloads(router: RunningDataPlane) -> dict[tuple[str, ...], float]:
    return router.values("router_tls_reloads_total")


def handshakes(router: RunningDataPlane) -> dict[tuple[str, ...], float]:
    return router.values("router_tls_handshakes_total")


def gauge(router: RunningDataPlane, family: str) -> float:
    return next(row.value for row in router.plane.gauges() if row.family == family)


def in_progress(router: RunningDataPlane) -> float:
    return gauge(router, "router_tls_handshakes_in_progress")


async def wait_opened(router: RunningDataPlane) -> None:
    await wait_until(lambda: router.plane.secure is not None, "it never read its certificate")


async def answered(client: RawClient, v1: Upstream) -> str | None:
    """Ask, and give what the model server was told in X-Forwarded-Client-Cert."""
    await client.send(get("/", "X-Forwarded-Client-Cert: Hash=forged"))
    call = await v1.next_call()
    told = call.request.field("x-forwarded-client-cert")
    await call.answer()
    assert (await client.read_answer()).status == 200
    return told


# -- handshakes ------------------------------------------------------------------------------------


async def test_a_request_over_tls_is_answered_and_the_model_server_is_told_https(
    client: RawClient, v1: Upstream, router: RunningDataPlane
) -> None:
    for _ in range(3):
        await client.send(get("/", "X-Forwarded-Proto: gopher"))
        call = await v1.next_call()
        assert call.request.field("x-forwarded-proto") == "https"
        assert call.request.field("via") == "1.1 inference-router"
        await call.answer()
        assert (await client.read_answer()).status == 200
    assert handshakes(router) == {("completed",): 1}
    assert in_progress(router) == 0


@pytest.mark.parametrize(
    ("offered", "spoken"), [(["h2", "http/1.1"], "http/1.1"), (["h2"], None), ([], None)]
)
async def test_http_2_is_never_agreed_on(
    router: RunningDataPlane, authority: Authority, offered: list[str], spoken: str | None
) -> None:
    context = authority.client_context()
    context.set_alpn_protocols(offered)
    client = await router.connect(tls=context)
    assert client.writer.get_extra_info("ssl_object").selected_alpn_protocol() == spoken


@pytest.mark.parametrize(
    ("how", "newest"),
    [({}, ssl.TLSVersion.TLSv1_1), ({"min_version": "1.3"}, ssl.TLSVersion.TLSv1_2)],
    ids=["1.2 by default", "1.3 where that is asked for"],
)
@pytest.mark.filterwarnings("ignore:ssl.TLSVersion.TLSv1")  # that it is old is the point
async def test_a_client_that_speaks_only_an_older_tls_is_refused_and_counted(
    router: RunningDataPlane, authority: Authority, newest: ssl.TLSVersion
) -> None:
    context = authority.client_context()
    context.set_ciphers("ALL:@SECLEVEL=0")
    context.minimum_version = ssl.TLSVersion.TLSv1
    context.maximum_version = newest
    with pytest.raises((ssl.SSLError, ConnectionError)):
        await router.connect(tls=context)
    await wait_until(lambda: handshakes(router) == {("failed",): 1})
    assert in_progress(router) == 0


async def test_a_client_that_speaks_no_tls_is_closed_and_nobody_else_notices(
    router: RunningDataPlane, client: RawClient, v1: Upstream
) -> None:
    plain = await router.connect()
    await plain.send(get("/"))
    assert not (await plain.read_to_end()).startswith(b"HTTP/")
    assert await answered(client, v1) is None
    assert handshakes(router) == {("completed",): 1, ("failed",): 1}


@pytest.mark.parametrize("how", [{"head_timeout_s": 0.3}])
@pytest.mark.parametrize("said", [b"", b"\x16\x03\x01\x02\x00\x01\x00"], ids=["nothing", "half"])
async def test_a_client_that_never_finishes_its_handshake_is_closed_at_the_heads_deadline(
    router: RunningDataPlane, said: bytes
) -> None:
    await wait_opened(router)
    client = await router.connect()
    await client.send(said)
    await wait_until(lambda: in_progress(router) == 1)
    await client.wait_closed()
    await wait_until(lambda: in_progress(router) == 0)
    assert len(router.plane.connections) == 0


async def test_clients_that_leave_in_their_handshake_leave_nothing_behind(
    router: RunningDataPlane,
) -> None:
    await wait_opened(router)
    gc.disable()  # nothing may wait for the collector: a worker's runs seldom
    try:
        for _ in range(50):
            client = await router.connect()
            await client.send(b"\x16\x03\x01\x02\x00\x01\x00")
            client.close()
        await wait_until(lambda: _collected_on_asyncio() and in_progress(router) == 0)
    finally:
        gc.enable()


def _collected_on_asyncio() -> bool:
    """asyncio's own loop, which no worker has, leaves a cycle behind a failed handshake."""
    if "uvloop" not in type(asyncio.get_running_loop()).__module__:
        gc.collect()
    return True


async def test_without_files_that_can_be_used_nothing_is_served(
    door: str, authority: Authority, pair: Pair, anyio_backend: Any
) -> None:
    other = authority.issue("other", "localhost")
    tls = ServerTls(certificate_file=pair.certificate, key_file=other.key)
    plane = DataPlane(DataPlaneSettings(door=door, tls=tls))
    with socket.socket() as sock, pytest.raises(TlsError, match="is not the key of"):
        await serve(plane, [sock], draining=asyncio.Event())


# -- replaced files --------------------------------------------------------------------------------


async def test_a_new_certificate_is_for_new_connections_and_old_ones_go_on(
    router: RunningDataPlane, client: RawClient, v1: Upstream, authority: Authority, pair: Pair
) -> None:
    expiry = "router_tls_certificate_expiry_timestamp_seconds"
    assert shown(client) == pair.der
    assert gauge(router, expiry) == pair.expires_at
    new = authority.issue("new", "localhost", lives=datetime.timedelta(days=2))
    new.copy_to(pair)
    await wait_until(lambda: reloads(router) == {("ok",): 1})
    assert shown(await router.connect(tls=authority.client_context())) == new.der
    assert gauge(router, expiry) == new.expires_at
    assert await answered(client, v1) is None
    assert shown(client) == pair.der


@pytest.fixture
def secret(tmp_path: Path) -> Path:
    """A Secret as Kubernetes mounts it."""
    return tmp_path / "secret"


async def test_a_secret_that_kubernetes_swaps_is_noticed(
    door: str, authority: Authority, secret: Path, stopping: list[asyncio.Task[None]]
) -> None:
    first, second = authority.issue("a", "localhost"), authority.issue("b", "localhost")
    mount(secret, first, "..2026_01")
    (secret / "tls.crt").symlink_to("..data/tls.crt")
    (secret / "tls.key").symlink_to("..data/tls.key")
    tls = ServerTls(
        certificate_file=str(secret / "tls.crt"), key_file=str(secret / "tls.key"), look_s=LOOK_S
    )
    running = RunningDataPlane(DataPlaneSettings(door=door, tls=tls))
    await running.start()
    try:
        before = await running.connect(tls=authority.client_context())
        assert shown(before) == first.der
        mount(secret, second, "..2026_02")
        await wait_until(lambda: reloads(running) == {("ok",): 1})
        after = await running.connect(tls=authority.client_context())
        assert shown(after) == second.der
        before.reset()
        after.reset()
    finally:
        stopping.append(asyncio.get_running_loop().create_task(running.stop()))


def mount(secret: Path, pair: Pair, version_: str) -> None:
    """All files of a version at once: one link is swapped."""
    (secret / version_).mkdir(parents=True)
    (secret / version_ / "tls.crt").write_bytes(pair.certificate_file.read_bytes())
    (secret / version_ / "tls.key").write_bytes(pair.key_file.read_bytes())
    (secret / "..data_tmp").symlink_to(version_)
    os.replace(secret / "..data_tmp", secret / "..data")  # noqa: PTH105  # as the kubelet does


@pytest.mark.parametrize("how_bad", ["another key", "half a certificate", "no file", "nonsense"])
async def test_a_pair_that_cannot_be_used_is_refused_whole_logged_once_and_counted_once(
    router: RunningDataPlane,
    authority: Authority,
    pair: Pair,
    caplog: pytest.LogCaptureFixture,
    how_bad: str,
) -> None:
    await wait_opened(router)
    new = authority.issue("new", "localhost")
    with caplog.at_level(logging.ERROR, "router.dataplane.listener"):
        if how_bad == "another key":
            replace(pair.key_file, new.key_file.read_bytes())
        elif how_bad == "half a certificate":
            pair.certificate_file.write_bytes(new.certificate_file.read_bytes()[:300])
        elif how_bad == "no file":
            pair.key_file.unlink()
        else:
            pair.certificate_file.write_bytes(b"\xff\x00" * 50)
        await wait_until(lambda: reloads(router) == {("refused",): 1})
        assert shown(await router.connect(tls=authority.client_context())) == pair.der
        await asyncio.sleep(10 * LOOK_S)  # it is looked at again, and nothing is said again
    assert reloads(router) == {("refused",): 1}
    assert gauge(router, "router_tls_files_refused") == 1
    (line,) = [record.getMessage() for record in caplog.records]
    assert line.startswith("server.tls.")
    assert (
        str(pair.key_file if how_bad in ("another key", "no file") else pair.certificate_file)
        in line
    )
    assert line.endswith("the certificate before it stays in force")
    assert "PRIVATE" not in line

    new.copy_to(pair)
    await wait_until(lambda: reloads(router) == {("refused",): 1, ("ok",): 1})
    assert gauge(router, "router_tls_files_refused") == 0
    assert shown(await router.connect(tls=authority.client_context())) == new.der


# -- certificates of clients -----------------------------------------------------------------------

REQUIRED = {"client_certificates": ClientCertificates.REQUIRED}
OPTIONAL = {"client_certificates": ClientCertificates.OPTIONAL}
TOLD = {**OPTIONAL, "forward_client_certificate": True}
OLDER = ssl.TLSVersion.TLSv1_2


async def refused(router: RunningDataPlane, context: ssl.SSLContext) -> bool:
    """Whether this client cannot have an answer (in TLS 1.3 it learns of it when it reads)."""
    try:
        client = await router.connect(tls=context)
        await client.send(get("/"))
        return await client.read_some() == b""
    except (ssl.SSLError, ConnectionError):
        return True


@pytest.mark.parametrize("how", [REQUIRED], ids=["required"])
@pytest.mark.parametrize("newest", [OLDER, ssl.TLSVersion.TLSv1_3])
async def test_where_certificates_are_required_only_a_verified_client_is_let_in(
    router: RunningDataPlane,
    v1: Upstream,
    authority: Authority,
    strangers: Authority,
    newest: ssl.TLSVersion,
) -> None:
    theirs = strangers.issue("stranger", "stranger")
    for own in (None, theirs):
        assert await refused(router, authority.client_context(own, maximum_version=newest))
    assert handshakes(router) == {("failed",): 2}
    assert len(router.plane.connections) == 0

    own = authority.issue("client", "client")
    context = authority.client_context(own, maximum_version=newest)
    client = await router.connect(tls=context)
    assert await answered(client, v1) is None  # it was not asked to tell


@pytest.mark.parametrize("how", [OPTIONAL], ids=["optional"])
async def test_where_they_are_optional_none_is_well_and_a_strangers_is_refused(
    router: RunningDataPlane, v1: Upstream, authority: Authority, strangers: Authority
) -> None:
    own = authority.issue("client", "client")
    for mine in (None, own):
        client = await router.connect(tls=authority.client_context(mine))
        assert await answered(client, v1) is None
    theirs = strangers.issue("stranger", "stranger")
    assert await refused(router, authority.client_context(theirs))


@pytest.mark.parametrize("how", [REQUIRED], ids=["required"])
async def test_a_client_whose_authority_has_gone_cannot_come_back_by_an_old_ticket(
    router: RunningDataPlane, authority: Authority, strangers: Authority
) -> None:
    await wait_opened(router)
    own = authority.issue("client", "client")
    context = authority.client_context(own, maximum_version=OLDER)
    session, reused = await asyncio.to_thread(connect_again, context, router.port, None)
    assert not reused
    session, reused = await asyncio.to_thread(connect_again, context, router.port, session)
    assert reused  # a ticket is worth something
    replace(authority.file, strangers.file.read_bytes())
    await wait_until(lambda: reloads(router) == {("ok",): 1})
    with pytest.raises((ssl.SSLError, ConnectionError)):
        await asyncio.to_thread(connect_again, context, router.port, session)


def connect_again(
    context: ssl.SSLContext, port: int, session: ssl.SSLSession | None
) -> tuple[ssl.SSLSession | None, bool | None]:
    """With an older session; asyncio cannot."""
    with (
        socket.create_connection(("127.0.0.1", port), timeout=DEADLINE_S) as sock,
        context.wrap_socket(sock, server_hostname="localhost", session=session) as secure,
    ):
        return secure.session, secure.session_reused


@pytest.mark.parametrize("how", [TOLD], ids=["told"])
async def test_a_verified_certificate_is_told_as_envoy_does_and_a_clients_own_word_never(
    router: RunningDataPlane, v1: Upstream, authority: Authority
) -> None:
    subject = x509.Name(
        [
            x509.NameAttribute(NameOID.ORGANIZATION_NAME, 'Acme, "Inc"'),
            x509.NameAttribute(NameOID.COMMON_NAME, "app"),
        ]
    )
    uri = x509.UniformResourceIdentifier("spiffe://acme.test/ns/ai/sa/app")
    own = authority.issue("app", "app.test", subject=subject, alternatives=(uri,))
    client = await router.connect(tls=authority.client_context(own))
    told = (
        f"Hash={hashlib.sha256(own.der).hexdigest()};"
        r'Subject="CN=app,O=Acme\, \22Inc\22";DNS=app.test;URI=spiffe://acme.test/ns/ai/sa/app'
    )
    assert await answered(client, v1) == told
    assert await answered(client, v1) == told
    nobody = await router.connect(tls=authority.client_context())
    assert await answered(nobody, v1) is None


@pytest.mark.parametrize("how", [TOLD], ids=["told"])
async def test_a_certificate_is_told_of_requests_that_came_through_a_proxy_too(
    router: RunningDataPlane, v1: Upstream, authority: Authority
) -> None:
    own = authority.issue("proxy", "proxy.test")
    client = await router.connect(tls=authority.client_context(own))
    await client.send(get("/", "Via: 1.1 edge"))
    call = await v1.next_call()
    assert f"Hash={hashlib.sha256(own.der).hexdigest()}" in str(
        call.request.field("x-forwarded-client-cert")
    )
    assert call.request.field("via") == "1.1 edge, 1.1 inference-router"
    await call.answer()
    await client.read_answer()


# -- slow ends -------------------------------------------------------------------------------------


async def digest_of(pieces: AsyncIterator[bytes]) -> str:
    digest = hashlib.sha256()
    async for piece in pieces:
        digest.update(piece)
    return digest.hexdigest()


@pytest.fixture
async def small(router: RunningDataPlane, upstreams: Upstreams) -> Upstream:
    """A model server with small buffers."""
    upstream = await upstreams.start(buffer_bytes=SMALL)
    router.install(route("chat", version("v1", upstream)))
    return upstream


@pytest.mark.parametrize("how", [{"buffer_bytes": SMALL}], ids=["small buffers"])
async def test_a_slow_reader_slows_the_model_server_down(
    router: RunningDataPlane, small: Upstream, authority: Authority
) -> None:
    client = await router.connect(tls=authority.client_context(), buffer_bytes=SMALL)
    await client.send(get("/large"))
    call = await small.next_call()
    await call.send(message("HTTP/1.1 200 OK", f"Content-Length: {PIECES * len(PIECE)}"))
    sent, digest = 0, hashlib.sha256()

    async def send() -> None:
        nonlocal sent
        for _ in range(PIECES):
            digest.update(PIECE)
            await call.send(PIECE)
            sent += len(PIECE)

    sending = asyncio.ensure_future(send())
    assert await wait_settled(lambda: sent) < BOUND
    head = await client.read_head()
    assert await digest_of(client.pieces(head)) == digest.hexdigest()
    await sending
    call.finish()


@pytest.mark.parametrize("how", [{"buffer_bytes": SMALL}], ids=["small buffers"])
async def test_a_slow_model_server_slows_the_client_down(
    router: RunningDataPlane, small: Upstream, authority: Authority
) -> None:
    client = await router.connect(tls=authority.client_context(), buffer_bytes=SMALL)
    length = f"Content-Length: {PIECES * len(PIECE)}"
    await client.send(message("POST /large HTTP/1.1", "Host: router.test", length))
    sent, digest = 0, hashlib.sha256()

    async def send() -> None:
        nonlocal sent
        for _ in range(PIECES):
            digest.update(PIECE)
            await client.send(PIECE)
            sent += len(PIECE)

    sending = asyncio.ensure_future(send())
    call = await small.next_call()
    assert await wait_settled(lambda: sent) < BOUND
    assert await digest_of(call.pieces(call.request.head)) == digest.hexdigest()
    await sending
    await call.send(message("HTTP/1.1 200 OK", "Content-Length: 2", body=b"ok"))
    call.finish()
    assert (await client.read_answer()).body == b"ok"


# -- the end ---------------------------------------------------------------------------------------


async def test_an_idle_client_that_says_no_goodbye_is_not_waited_for(
    router: RunningDataPlane, authority: Authority
) -> None:
    await wait_opened(router)
    idle = await asyncio.to_thread(idle_client, authority.client_context(), router.port)
    try:
        await wait_until(lambda: len(router.plane.connections) == 1)
        router.draining.set()
        assert router.serving is not None
        async with asyncio.timeout(10):  # where it is waited for, it is for 30 s
            await asyncio.shield(router.serving)
    finally:
        idle.close()


def idle_client(context: ssl.SSLContext, port: int) -> ssl.SSLSocket:
    """One that reads nothing, as a connection in the pool of a blocking client."""
    sock = socket.create_connection(("127.0.0.1", port), timeout=DEADLINE_S)
    return context.wrap_socket(sock, server_hostname="localhost")


@pytest.mark.parametrize("how", [{"buffer_bytes": SMALL}], ids=["small buffers"])
async def test_a_slow_reader_has_its_whole_answer_while_the_router_ends(
    router: RunningDataPlane, small: Upstream, authority: Authority
) -> None:
    client = await router.connect(tls=authority.client_context(), buffer_bytes=SMALL)
    await client.send(get("/tail"))
    call = await small.next_call()
    pieces = 8
    router.draining.set()
    await wait_until(lambda: router.plane.draining)
    await call.send(message("HTTP/1.1 200 OK", f"Content-Length: {pieces * len(PIECE)}"))
    sending = asyncio.ensure_future(call.send(PIECE * pieces))
    head = await client.read_head()
    assert head.field("connection") == "close"
    await asyncio.sleep(2.5)  # longer than two looks at who says no goodbye
    assert len(await client.read_body(head)) == pieces * len(PIECE)
    await sending
    call.finish()


@pytest.mark.parametrize("how", [{"farewell_s": 2.0}], ids=["a farewell"])
async def test_a_client_that_shakes_hands_while_the_port_closes_is_answered_once_more(
    router: RunningDataPlane, v1: Upstream, authority: Authority
) -> None:
    await wait_opened(router)
    client = await router.connect()
    await wait_until(lambda: in_progress(router) == 1)
    router.draining.set()
    await wait_until(lambda: router.plane.draining)
    await asyncio.sleep(0.1)  # nobody else is connected: without it the router would have ended
    await client.writer.start_tls(authority.client_context(), server_hostname="localhost")
    await client.send(get("/"))
    await (await v1.next_call()).answer()
    answer = await client.read_answer()
    assert (answer.status, answer.field("connection")) == (200, "close")
