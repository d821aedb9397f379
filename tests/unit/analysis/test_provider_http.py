"""Requests of providers against servers that are slow, broken, large, or curious."""

from __future__ import annotations

import asyncio
import gzip
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest
from pydantic import SecretStr

from router.analysis.providers import http
from router.analysis.providers.authentication import Authentication, Proof, make_proof
from router.analysis.providers.base import ProviderError
from router.analysis.providers.http import Answer, Call, Clients, Tls
from router.analysis.providers.settings import Header
from tests.support.certificates import server_certificate
from tests.support.raw import message
from tests.support.upstreams import Call as Received
from tests.support.upstreams import (
    Replies,
    Upstreams,
    naming,
    resetting,
    saying,
    started_upstreams,
)

pytestmark = pytest.mark.anyio

SECRET = "s3cr3t-value"


@pytest.fixture(autouse=True)
def no_proxies(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)


@pytest.fixture
async def upstreams() -> AsyncIterator[Upstreams]:
    async with started_upstreams() as started:
        yield started


@pytest.fixture
async def clients() -> AsyncIterator[Clients]:
    made = Clients()
    yield made
    await made.aclose()


def call(url: str, **more: object) -> Call:
    settings: dict[str, object] = {"method": "GET", "timeout_s": 5.0, "max_bytes": 1_000, **more}
    return Call(url=url, **settings)  # type: ignore[arg-type]  # a test's own mapping


def header(key: str, value: str) -> Header:
    return Header(key=key, value=SecretStr(value))


async def refusal(clients: Clients, asked: Call) -> str:
    with pytest.raises(ProviderError) as caught:
        await clients.call(asked)
    assert caught.value.__cause__ is None  # a log of the cause would show what the text does not
    return str(caught.value)


async def silent(received: Received) -> None:
    await received.read_request()


async def dripping(received: Received) -> None:
    await received.start()
    while True:
        await received.send_chunk(b"x" * 100)
        await asyncio.sleep(0)


def redirecting_to(url: str) -> Replies:
    return saying(message("HTTP/1.1 302 Found", f"Location: {url}", "Content-Length: 0"))


async def test_an_answer_comes_with_its_status(clients: Clients, upstreams: Upstreams) -> None:
    server = await upstreams.start(
        "s", saying(message("HTTP/1.1 422 No", "Content-Length: 2", body=b"no"))
    )
    assert await clients.call(call(server.url)) == Answer(422, b"no")


async def test_connections_are_used_again(clients: Clients, upstreams: Upstreams) -> None:
    server = await upstreams.named()
    for _ in range(3):
        await clients.call(call(server.url))
    assert len(server.connections) == 1


async def test_a_server_that_is_silent_is_given_up(clients: Clients, upstreams: Upstreams) -> None:
    server = await upstreams.start("s", silent)
    text = await refusal(clients, call(f"{server.url}/x", timeout_s=0.05))
    assert text == f"{server.url} did not answer in 0.05 s"


async def test_a_server_that_never_ends_is_cut_off(clients: Clients, upstreams: Upstreams) -> None:
    server = await upstreams.start("s", dripping)
    assert "more than 1000 bytes" in await refusal(clients, call(server.url))


async def test_a_compressed_answer_is_refused(clients: Clients, upstreams: Upstreams) -> None:
    body = gzip.compress(b"0" * 10_000_000)
    head = ("Content-Encoding: gzip", f"Content-Length: {len(body)}")
    server = await upstreams.start("s", saying(message("HTTP/1.1 200 OK", *head, body=body)))
    assert "compressed" in await refusal(clients, call(server.url))
    assert server.requests[0].field("accept-encoding") == "identity"


async def test_a_refused_connection_says_so(clients: Clients, upstreams: Upstreams) -> None:
    server = upstreams.refusing()
    text = await refusal(clients, call(server.url))
    assert text.startswith(f"{server.url} cannot be reached")


@pytest.mark.parametrize("replies", [resetting, saying(b"nonsense\r\n\r\n", then_close=True)])
async def test_a_server_that_breaks_off_is_an_error_of_one_line(
    clients: Clients, upstreams: Upstreams, replies: Replies
) -> None:
    server = await upstreams.start("s", replies)
    text = await refusal(clients, call(server.url))
    assert text.startswith(server.url)
    assert "\n" not in text


async def test_redirects_are_not_followed(clients: Clients, upstreams: Upstreams) -> None:
    other = await upstreams.named("other")
    server = await upstreams.start("s", redirecting_to(other.url))
    assert (await clients.call(call(server.url))).status == 302
    assert other.requests == []


async def test_cookies_are_not_kept(clients: Clients, upstreams: Upstreams) -> None:
    answer = message("HTTP/1.1 200 OK", "Set-Cookie: a=b; Path=/", "Content-Length: 0")
    server = await upstreams.start("s", saying(answer))
    for _ in range(2):
        await clients.call(call(server.url))
    assert server.requests[1].field("cookie") is None


@pytest.mark.parametrize(
    "url",
    [
        "http://user:s3cr3t-value@127.0.0.1:{port}/s3cr3t-value?token=s3cr3t-value",
        "http://user:s3cr3t-value@nowhere.invalid:{port}/",
    ],
)
async def test_no_part_of_a_url_but_the_server_is_told(
    clients: Clients, upstreams: Upstreams, url: str
) -> None:
    asked = call(url.format(port=upstreams.refusing().port), headers=(header("x-key", SECRET),))
    assert SECRET not in await refusal(clients, asked)
    assert SECRET not in repr(asked)


async def test_a_header_that_cannot_be_sent_is_not_quoted(
    clients: Clients, upstreams: Upstreams
) -> None:
    server = await upstreams.named()
    broken = Header.model_construct(key="x-key", value=SecretStr(f"{SECRET}\r\nevil: yes"))
    asked = call(server.url, headers=(broken,))
    assert SECRET not in await refusal(clients, asked)


@pytest.mark.parametrize(
    "words",
    [
        f"you sent {SECRET}",
        f"authorization: Bearer {SECRET}",
        f"line\nof {SECRET}\r\n\x1b[31mred",
        "your query had q-s3cr3t",
    ],
)
async def test_what_was_told_in_confidence_is_hidden_in_the_servers_words(words: str) -> None:
    asked = call(
        "http://u:pw-s3cr3t@h/?a=q-s3cr3t",
        headers=(header("x-key", SECRET),),
        proof=Proof(SecretStr(f"Bearer {SECRET}"), SecretStr(SECRET)),
    )
    hidden = asked.without_secrets(words)
    assert "s3cr3t" not in hidden
    assert hidden.isprintable()


async def test_long_words_are_cut() -> None:
    assert len(call("http://h").without_secrets("a" * 10_000)) <= http.MAX_WORDS + 1


@pytest.mark.parametrize(
    "tell",
    [
        lambda folder: {"bearer": {"token": SECRET}},
        lambda folder: {"bearer": {"tokenEnv": "TEST_PROVIDER_TOKEN"}},
        lambda folder: {"bearer": {"tokenFile": str(folder / "token")}},
    ],
)
async def test_a_token_comes_from_an_argument_the_environment_or_a_file(
    clients: Clients,
    upstreams: Upstreams,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    tell: Callable[[Path], dict[str, object]],
) -> None:
    monkeypatch.setenv("TEST_PROVIDER_TOKEN", SECRET)
    (tmp_path / "token").write_text(f"{SECRET}\n")  # a few bytes
    server = await upstreams.named()
    proof = await make_proof(Authentication.model_validate(tell(tmp_path)))
    await clients.call(call(server.url, proof=proof))
    assert server.requests[0].field("authorization") == f"Bearer {SECRET}"
    assert SECRET not in repr(proof)


async def test_basic_authentication_is_user_and_password() -> None:
    how = {"basic": {"username": "Aladdin", "password": "open sesame"}}
    proof = await make_proof(Authentication.model_validate(how))
    assert proof is not None
    assert proof.header.get_secret_value() == "Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ=="  # RFC 7617 §2


@pytest.mark.parametrize(
    ("how", "word"),
    [
        ({"tokenEnv": "TEST_PROVIDER_NOT_SET"}, "TEST_PROVIDER_NOT_SET is not set"),
        ({"tokenFile": "/nowhere/token"}, "No such file"),
        ({"tokenFile": "/dev/null"}, "empty"),
        ({"token": "a\nb"}, "control character"),
    ],
)
async def test_a_secret_that_is_not_there_is_named_by_its_place(
    how: dict[str, str], word: str
) -> None:
    with pytest.raises(ProviderError, match=word):
        await make_proof(Authentication.model_validate({"bearer": how}))


class TlsServer:
    """Answers every connection once, over TLS."""

    def __init__(self, folder: Path) -> None:
        self.certificate = server_certificate(folder, "localhost", "127.0.0.1")
        self.url = ""

    async def answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(
            message("HTTP/1.1 200 OK", "Content-Length: 2", "Connection: close", body=b"ok")
        )
        await writer.drain()
        writer.close()


@pytest.fixture
async def tls_server(tmp_path: Path) -> AsyncIterator[TlsServer]:
    made = TlsServer(tmp_path)
    listening = await asyncio.start_server(
        made.answer, "127.0.0.1", 0, ssl=made.certificate.context
    )
    made.url = f"https://127.0.0.1:{listening.sockets[0].getsockname()[1]}"
    yield made
    listening.close()


async def test_a_certificate_of_a_strange_authority_is_not_trusted(
    clients: Clients, tls_server: TlsServer
) -> None:
    assert "certificate that is not trusted" in await refusal(clients, call(tls_server.url))


async def test_a_ca_file_or_insecure_makes_a_server_trusted(
    clients: Clients, tls_server: TlsServer
) -> None:
    for tls in (Tls(ca_file=str(tls_server.certificate.ca_file)), Tls(insecure=True)):
        assert (await clients.call(call(tls_server.url, tls=tls))).body == b"ok"


@pytest.mark.parametrize(("content", "word"), [(None, "cannot read"), ("no PEM", "PEM")])
async def test_a_ca_file_that_is_none_is_named(
    clients: Clients, tmp_path: Path, content: str | None, word: str
) -> None:
    file = tmp_path / "authority.pem"
    if content is not None:
        file.write_text(content)
    text = await refusal(clients, call("https://127.0.0.1:1", tls=Tls(ca_file=str(file))))
    assert word in text
    assert str(file) in text


async def test_clients_are_bounded_and_those_in_use_stay(
    clients: Clients, upstreams: Upstreams, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(http, "MAX_CLIENTS", 1)
    slow = await upstreams.start("slow")
    quick = await upstreams.start("quick", naming("quick"))
    running = asyncio.create_task(clients.call(call(slow.url)))
    received = await slow.next_call()
    await clients.call(call(quick.url, tls=Tls(insecure=True)))
    await received.answer(b"late")
    assert (await running).body == b"late"
    assert len(clients._held) == 1
