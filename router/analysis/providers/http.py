"""One HTTP request of a provider: bounded in time and size, and silent about credentials.

Guarantees (each is a test in tests/unit/analysis/test_provider_http.py):
  * a call ends within its time-out and takes no more memory than its bound;
  * whatever fails is a ProviderError of one line that names the server by scheme, host and port
    only, and shows no header, userinfo, path, query or secret, also not in the server's words;
  * redirects are not followed and cookies not kept: credentials go where they were sent.

Proxies are those of the environment (HTTPS_PROXY, NO_PROXY), certificates those of the system.
"""

import asyncio
import ssl
from collections import OrderedDict
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from http.cookiejar import DefaultCookiePolicy
from typing import Final, NamedTuple
from urllib.parse import parse_qsl, unquote, urlsplit

import httpx

from router.analysis.providers.authentication import Proof
from router.analysis.providers.base import ProviderError
from router.analysis.providers.settings import Header
from router.analysis.secret import Secret, redact

MAX_CLIENTS: Final = 32
MAX_WORDS: Final = 300
_MIN_SECRET: Final = 4  # a shorter header value is an ordinary word, and stars would hide nothing
_LIMITS: Final = httpx.Limits(max_connections=64, max_keepalive_connections=20)


class Tls(NamedTuple):
    """How a server is known: by the system's authorities, by those of a file, or not at all."""

    insecure: bool = False
    ca_file: str | None = None


SYSTEM: Final = Tls()


@dataclass(frozen=True, slots=True)
class Call:
    """One request; what may be secret is not in its `repr`."""

    method: str
    url: str = field(repr=False)
    timeout_s: float
    max_bytes: int
    tls: Tls = SYSTEM
    headers: tuple[Header, ...] = field(default=(), repr=False)
    proof: Proof | None = field(default=None, repr=False)
    content: bytes | None = field(default=None, repr=False)

    @property
    def origin(self) -> str:
        """The server, as messages name it: without userinfo, path and query."""
        parts = urlsplit(self.url)
        host = parts.hostname or ""
        host = f"[{host}]" if ":" in host else host
        return f"{parts.scheme}://{host}" + (f":{parts.port}" if parts.port else "")

    def without_secrets(self, words: str) -> str:
        """What a server said, on one line, without what it was told in confidence."""
        words = redact(words, {str(place): one for place, one in enumerate(self._secrets())})
        line = " ".join(words.split())
        line = "".join(letter if letter.isprintable() else "?" for letter in line)
        return line if len(line) <= MAX_WORDS else f"{line[:MAX_WORDS]}…"

    def _secrets(self) -> Iterator[Secret]:
        parts = urlsplit(self.url)
        texts = [unquote(parts.password or ""), *(value for _, value in parse_qsl(parts.query))]
        texts += [header.value.get_secret_value() for header in self.headers]
        if self.proof is not None:
            texts += [self.proof.header.get_secret_value(), self.proof.secret.get_secret_value()]
        words = {word for text in texts for word in (text, *text.split())}  # `Bearer …`
        return (Secret(word) for word in words if len(word) >= _MIN_SECRET)


class Answer(NamedTuple):
    """What came back."""

    status: int
    body: bytes


class _Held:
    """A client, and how many calls use it."""

    __slots__ = ("client", "users")

    def __init__(self, client: httpx.AsyncClient) -> None:
        self.client: Final = client
        self.users = 0


class Clients:
    """Connections that providers share, kept by how servers are known.

    At most `MAX_CLIENTS` are kept; while more are in use, the idle ones go first.
    """

    def __init__(self) -> None:
        self._held: Final[OrderedDict[Tls, _Held]] = OrderedDict()
        self._making: Final = asyncio.Lock()

    async def call(self, call: Call) -> Answer:
        """Send a request and read its answer, whatever the status.

        Raises:
            ProviderError: there is no answer, or it is too long.
        """
        try:
            async with asyncio.timeout(call.timeout_s), self._borrow(call.tls) as client:
                return await _exchange(client, call)
        except TimeoutError:
            raise ProviderError(f"{call.origin} did not answer in {call.timeout_s:g} s") from None
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise ProviderError(f"{call.origin} {_reason(error)}") from None

    async def aclose(self) -> None:
        """Close every connection."""
        while self._held:
            _, held = self._held.popitem()
            await held.client.aclose()

    @asynccontextmanager
    async def _borrow(self, tls: Tls) -> AsyncIterator[httpx.AsyncClient]:
        async with self._making:
            held = self._held.get(tls)
            if held is None:
                held = self._held[tls] = _Held(await _make_client(tls))
            self._held.move_to_end(tls)
            held.users += 1
        try:
            yield held.client
        finally:
            held.users -= 1
            await self._close_idle()

    async def _close_idle(self) -> None:
        idle = [tls for tls, held in self._held.items() if not held.users]
        for tls in idle[: max(0, len(self._held) - MAX_CLIENTS)]:
            await self._held.pop(tls).client.aclose()


async def _make_client(tls: Tls) -> httpx.AsyncClient:
    context = await asyncio.to_thread(_context, tls)  # reads 150 certificates
    client = httpx.AsyncClient(
        verify=context,
        timeout=httpx.Timeout(None),  # a call has a time-out as a whole
        limits=_LIMITS,
        follow_redirects=False,
    )
    client.cookies.jar.set_policy(DefaultCookiePolicy(allowed_domains=[]))
    return client


def _context(tls: Tls) -> ssl.SSLContext:
    try:
        context = ssl.create_default_context(cafile=tls.ca_file)
    except ssl.SSLError:
        raise ProviderError(f"caFile {tls.ca_file} has no certificates in PEM format") from None
    except OSError as error:
        raise ProviderError(f"cannot read caFile {tls.ca_file}: {error.strerror}") from None
    if tls.insecure:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context


async def _exchange(client: httpx.AsyncClient, call: Call) -> Answer:
    # Not compressed: a few bytes could otherwise become more than we have memory for.
    headers = [(b"accept-encoding", b"identity"), *_headers(call)]
    request = client.stream(call.method, call.url, headers=headers, content=call.content)
    async with request as response:
        if response.headers.get("content-encoding", "identity").lower() != "identity":
            raise ProviderError(f"{call.origin} answers compressed, though asked not to")
        return Answer(response.status_code, await _read(response, call))


def _headers(call: Call) -> list[tuple[bytes, bytes]]:
    headers = [(header.key, header.value) for header in call.headers]
    if call.proof is not None:
        headers.append(("authorization", call.proof.header))
    return [(name.encode(), value.get_secret_value().strip().encode()) for name, value in headers]


async def _read(response: httpx.Response, call: Call) -> bytes:
    body = bytearray()
    async for piece in response.aiter_raw():
        body += piece
        if len(body) > call.max_bytes:
            raise ProviderError(f"{call.origin} answers with more than {call.max_bytes} bytes")
    return bytes(body)


def _reason(error: Exception) -> str:
    """Why there is no answer, in words of ours: those of httpx may quote a header."""
    for cause in causes(error):
        if isinstance(cause, ssl.SSLCertVerificationError):
            return f"has a certificate that is not trusted: {cause.verify_message}"
        if isinstance(cause, ssl.SSLError):
            return f"does not speak TLS with us: {cause.reason}"
        if isinstance(cause, OSError) and cause.strerror:
            return f"cannot be reached: {cause.strerror}"
    return f"broke off ({type(error).__name__})"


def causes(error: BaseException | None) -> Iterator[BaseException]:
    """An error and what led to it, the outermost first; ten at most."""
    for _ in range(10):
        if error is None:
            return
        yield error
        if isinstance(error, BaseExceptionGroup):
            error = error.exceptions[0]
        else:
            error = error.__cause__ or error.__context__
