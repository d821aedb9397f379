"""Warm-ups: every endpoint of a version answers synthetic requests before it gets traffic.

A version is asked as the data plane will ask it: the same addresses, base paths, TLS and model
name; no proxy of the environment stands in between and no redirect is followed.

Level-triggered: a rollout's state names its warm-up by id; one that is named and not known here
(control was killed meanwhile) begins again, one that is named no more is stopped.

Guarantees (each is a test in tests/unit/controller/test_warmups.py):
  * a warm-up is good only if each of its requests, to every endpoint, was answered with 2xx, the
    first byte of its body in time, and to its end;
  * else its outcome names the first endpoint that failed, and why;
  * an endpoint is asked one thing at a time, at most `ENDPOINTS` of a version at once; an answer
    takes no more than `MAX_ANSWER_BYTES` and `MAX_ANSWER_S`;
  * whatever happens it has an outcome, unless it was stopped: then no request of it goes on.
"""

import asyncio
import json
import logging
import socket
import ssl
from collections.abc import AsyncIterator, Callable, Collection, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from http.cookiejar import DefaultCookiePolicy
from typing import Any, Final

import httpx

from router import __version__
from router.analysis.providers.http import causes
from router.config.address import EndpointUrl
from router.config.models import Route, Tls, Version
from router.config.models.strategy import Warmup
from router.errors import RouterError
from router.rollouts.events import WarmupOutcome
from router.rollouts.state import RouteState
from router.snapshot import endpoint_label

log: Final = logging.getLogger(__name__)

ENDPOINTS: Final = 8
"""Endpoints of one version that are asked at the same time."""
ALL_ENDPOINTS: Final = 64
"""The same of all warm-ups together: control has other things to do."""
MAX_ADDRESSES: Final = 1024
"""Addresses of one name: as many as the data plane takes."""
MAX_ANSWER_BYTES: Final = 1024 * 1024
MAX_ANSWER_S: Final = 600.0
"""From the first byte to the end of an answer."""
MAX_WORDS: Final = 200
"""Characters of a server's own words that an outcome repeats."""
MAX_NAMES: Final = 5
"""Models that an outcome lists where the right one is missing."""

_MODELS: Final = "/v1/models"


class WarmupError(RouterError):
    """An endpoint is not warm; the text names it, and why."""


@dataclass(frozen=True, slots=True)
class _Place:
    """One server address; `host` is the Host field where the URL's own is not the right one."""

    label: str
    base: str
    host: str | None = None
    server_name: str | None = None

    @property
    def headers(self) -> dict[str, str]:
        return {"host": self.host} if self.host is not None else {}

    @property
    def extensions(self) -> dict[str, Any]:
        # The name that TLS asks for and verifies (httpcore).
        return {"sni_hostname": self.server_name} if self.server_name is not None else {}


class Warmups:
    """Every warm-up that goes on, and the outcomes that nobody has taken note of yet."""

    def __init__(self) -> None:
        self._places: Final = asyncio.Semaphore(ALL_ENDPOINTS)
        self._tasks: Final[dict[str, asyncio.Task[None]]] = {}
        self._stopped: Final[set[asyncio.Task[None]]] = set()
        self._ids: Final[dict[str, set[str]]] = {}
        self._outcomes: Final[dict[str, dict[str, WarmupOutcome]]] = {}
        self.on_outcome: Callable[[str], None] = lambda _route: None

    def begin(self, id_: str, route: Route, version: str) -> None:
        """Warm a version up as its route is configured now; a known id changes nothing."""
        if self.knows(id_, route.name):
            return
        self._ids.setdefault(route.name, set()).add(id_)
        running = self._run(id_, route, version)
        self._tasks[id_] = asyncio.get_running_loop().create_task(running)

    def stop(self, id_: str) -> None:
        """Send no more requests of a warm-up; it has no outcome, if it has none yet."""
        if (task := self._tasks.pop(id_, None)) is not None:
            self._stopped.add(task)
            task.add_done_callback(self._stopped.discard)
            task.cancel()

    def look(self, route: Route, state: RouteState) -> Mapping[str, WarmupOutcome]:
        """The outcomes that a route's state waits for; begins what it names and nobody runs."""
        rollout = state.rollout
        ref = rollout.warmup if rollout is not None and rollout.in_flight else None
        self.keep(route.name, () if ref is None else (ref.id,))
        if rollout is not None and ref is not None and ref.ok is None:
            self.begin(ref.id, route, rollout.target)
        return self.outcomes(route.name)

    def outcomes(self, route: str) -> Mapping[str, WarmupOutcome]:
        """Outcomes of a route's warm-ups, by id."""
        return self._outcomes.get(route, {})

    def knows(self, id_: str, route: str) -> bool:
        """Whether a warm-up goes on here, or has an outcome."""
        return id_ in self._tasks or id_ in self.outcomes(route)

    def keep(self, route: str, ids: Collection[str]) -> None:
        """Let go of every warm-up that the route's state does not name."""
        known = self._ids.get(route, set())
        for id_ in known - set(ids):
            self.stop(id_)
            self._outcomes.get(route, {}).pop(id_, None)
        known &= set(ids)
        if not known:
            self._ids.pop(route, None)
            self._outcomes.pop(route, None)

    def keep_routes(self, routes: Collection[str]) -> None:
        """Let go of every other route's warm-ups."""
        for route in self._ids.keys() - set(routes):
            self.keep(route, ())

    async def close(self) -> None:
        """Stop all of them; they begin again with the next control."""
        for id_ in list(self._tasks):
            self.stop(id_)
        await asyncio.gather(*self._stopped, return_exceptions=True)

    @property
    def active(self) -> int:
        """Warm-ups without an outcome."""
        return len(self._tasks)

    async def _run(self, id_: str, route: Route, version: str) -> None:
        try:
            outcome = await self._outcome(route, version)
        except Exception as error:
            log.error("warm-up %s met a defect", id_, exc_info=error)
            outcome = WarmupOutcome(ok=False, message=f"a defect ({type(error).__name__})")
        del self._tasks[id_]
        self._outcomes.setdefault(route.name, {})[id_] = outcome
        log.info("warm-up %s: %s", id_, outcome.message)
        self.on_outcome(route.name)

    async def _outcome(self, route: Route, name: str) -> WarmupOutcome:
        warmup = _warmup(route)
        if warmup is None:
            return WarmupOutcome(ok=True, message="no warm-up is configured")
        version = route.versions.get(name)
        if version is None:
            return WarmupOutcome(ok=False, message=f"version {name} is not configured any more")
        try:
            count = await _warm_up(_Heating(route, name, version, warmup), self._places)
        except WarmupError as error:
            return WarmupOutcome(ok=False, message=str(error))
        endpoints = "1 endpoint" if count == 1 else f"{count} endpoints"
        each = "1 request" if warmup.requests == 1 else f"{warmup.requests} requests each"
        return WarmupOutcome(ok=True, message=f"{endpoints} answered {each}")


def _warmup(route: Route) -> Warmup | None:
    strategy = route.strategy
    if strategy is None or strategy.blue_green is None:
        return None
    return strategy.blue_green.warmup


@dataclass(frozen=True, slots=True)
class _Heating:
    """What one warm-up is about."""

    route: Route
    name: str
    version: Version
    warmup: Warmup

    @property
    def model(self) -> str | None:
        """The model's name on the version's servers, as far as anything says it."""
        body = self.warmup.body
        asked = body.get("model") if isinstance(body, Mapping) else None
        return self.version.model or (asked if isinstance(asked, str) else None)

    @property
    def required_model(self) -> str | None:
        """What `/v1/models` must list; None: nothing.

        Raises:
            WarmupError: nothing says which model it is.
        """
        if not self.warmup.require_model:
            return None
        if self.model is None:
            raise WarmupError(
                f"requireModel: nothing says which model version {self.name} serves: set "
                f"versions.{self.name}.model, or `model` in the warm-up's body"
            )
        return self.model

    @property
    def content(self) -> tuple[bytes | None, dict[str, str]]:
        """The body of each request, and its headers."""
        body = self.warmup.body
        if body is None:
            return None, {}
        if isinstance(body, str):
            return body.encode(), {}
        if isinstance(body, Mapping) and "model" in body and self.version.model is not None:
            body = {**body, "model": self.version.model}
        return json.dumps(body).encode(), {"content-type": "application/json"}


async def _warm_up(heating: _Heating, shared: asyncio.Semaphore) -> int:
    """Ask every endpoint; returns how many there are.

    Raises:
        WarmupError: one of them failed; the others are left alone at once.
    """
    _ = heating.required_model  # before anybody is asked
    places = [place for url in heating.version.endpoints for place in await _resolve(url, heating)]
    own = asyncio.Semaphore(ENDPOINTS)
    async with _client(heating) as client:

        async def one(place: _Place) -> None:
            async with own, shared:
                await _warm_place(client, place, heating)

        try:
            async with asyncio.TaskGroup() as group:
                for place in places:
                    group.create_task(one(place))
        except BaseExceptionGroup as errors:
            raise _first(errors) from None
    return len(places)


def _first(errors: BaseExceptionGroup[Any]) -> BaseException:
    first = errors.exceptions[0]
    return _first(first) if isinstance(first, BaseExceptionGroup) else first


async def _resolve(url: EndpointUrl, heating: _Heating) -> list[_Place]:
    scheme = "https" if url.https else "http"
    if not url.dns:
        name = heating.version.tls.server_name if url.https else None
        base = f"{scheme}://{_authority(url.host, url.port)}{url.base_path}"
        return [_Place(url.text, base, server_name=name)]
    loop = asyncio.get_running_loop()
    try:
        found = await loop.getaddrinfo(url.host, url.port, type=socket.SOCK_STREAM)
    except OSError as error:
        raise WarmupError(f"{url.text}: does not resolve: {error.strerror}") from None
    addresses = sorted({str(entry[4][0]) for entry in found})[:MAX_ADDRESSES]
    host = url.host if url.port == 80 else f"{url.host}:{url.port}"
    return [_address(url, address, host) for address in addresses]


def _address(url: EndpointUrl, address: str, host: str) -> _Place:
    base = f"http://{_authority(address, url.port)}{url.base_path}"
    return _Place(endpoint_label(url.text, address), base, host)


def _authority(host: str, port: int) -> str:
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


# -- one endpoint ----------------------------------------------------------------------------------


async def _warm_place(client: httpx.AsyncClient, place: _Place, heating: _Heating) -> None:
    warmup = heating.warmup
    if (model := heating.required_model) is not None:
        await _check_model(client, place, model, warmup.first_byte_s)
    content, headers = heating.content
    for number in range(1, warmup.requests + 1):
        what = f"{place.label}: request {number} of {warmup.requests}"
        request = client.build_request(
            warmup.method,
            f"{place.base}{warmup.path}",
            content=content,
            headers=headers | place.headers,
            extensions=place.extensions,
        )
        await _ask(client, request, what, warmup.first_byte_s)


async def _check_model(
    client: httpx.AsyncClient, place: _Place, model: str, first_byte_s: float
) -> None:
    what = f"{place.label}: {_MODELS}"
    request = client.build_request(
        "GET", f"{place.base}{_MODELS}", headers=place.headers, extensions=place.extensions
    )
    names = _models(await _ask(client, request, what, first_byte_s))
    if names is None:
        raise WarmupError(f"{what} is no list of models")
    if model not in names:
        listed = ", ".join(map(repr, names[:MAX_NAMES])) or "none"
        more = f" and {len(names) - MAX_NAMES} more" if len(names) > MAX_NAMES else ""
        raise WarmupError(f"{what} does not list {model!r}; it lists {_line(listed)}{more}")


def _models(answer: bytes) -> list[str] | None:
    """The ids of an OpenAI list of models; None if it is none."""
    try:
        return [str(each["id"]) for each in json.loads(answer)["data"]]
    except (ValueError, KeyError, TypeError, RecursionError):
        return None


async def _ask(
    client: httpx.AsyncClient, request: httpx.Request, what: str, first_byte_s: float
) -> bytes:
    """Send one request and read its answer; what is over `MAX_ANSWER_BYTES` is not read.

    Raises:
        WarmupError: no 2xx, not in time, or not to its end.
    """
    response: httpx.Response | None = None
    begun = False
    try:
        async with asyncio.timeout(first_byte_s) as deadline:
            response = await client.send(request, stream=True)
            pieces = response.aiter_raw()
            body = bytearray(await anext(pieces, b""))
            begun = True
            deadline.reschedule(asyncio.get_running_loop().time() + MAX_ANSWER_S)
            await _read_on(pieces, body)
    except TimeoutError:
        why = f"did not end in {MAX_ANSWER_S:g} s" if begun else f"no answer in {first_byte_s:g} s"
        raise WarmupError(f"{what}: {why}") from None
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        raise WarmupError(f"{what}: {_reason(error)}") from None
    finally:
        if response is not None:
            with suppress(httpx.HTTPError):
                await response.aclose()
    if not response.is_success:
        words = _line(body.decode(errors="replace"))
        raise WarmupError(f"{what}: HTTP {response.status_code}" + (f": {words}" if words else ""))
    return bytes(body)


async def _read_on(pieces: AsyncIterator[bytes], body: bytearray) -> None:
    while len(body) <= MAX_ANSWER_BYTES:
        piece = await anext(pieces, b"")
        if not piece:
            return
        body += piece


def _line(words: str) -> str:
    """What a server said, on one line of printable text."""
    line = " ".join(words[: 4 * MAX_WORDS].split())
    line = "".join(letter if letter.isprintable() else "?" for letter in line)
    return line if len(line) <= MAX_WORDS else f"{line[:MAX_WORDS]}…"


# -- connections -----------------------------------------------------------------------------------


@asynccontextmanager
async def _client(heating: _Heating) -> AsyncIterator[httpx.AsyncClient]:
    """Connections of one warm-up; every request is at most one of each endpoint's."""
    timeouts = heating.route.timeouts
    async with httpx.AsyncClient(
        verify=await _verification(heating),
        trust_env=False,  # the data plane knows no proxies either
        follow_redirects=False,
        timeout=httpx.Timeout(timeouts.idle_s, connect=timeouts.connect_s, read=None, pool=None),
        limits=httpx.Limits(max_connections=None, max_keepalive_connections=ENDPOINTS),
        # Not compressed: a few bytes could otherwise become more than we have memory for.
        headers={"user-agent": f"inference-router/{__version__}", "accept-encoding": "identity"},
    ) as client:
        client.cookies.jar.set_policy(DefaultCookiePolicy(allowed_domains=[]))
        yield client


async def _verification(heating: _Heating) -> ssl.SSLContext | bool:
    if not any(url.https for url in heating.version.endpoints):
        return False  # nobody speaks TLS: 150 certificates are not read
    try:
        return await asyncio.to_thread(_context, heating.version.tls)
    except (OSError, ValueError) as error:  # ssl.SSLError is an OSError
        files = (heating.version.tls.ca_file, heating.version.tls.certificate_file)
        named = ", ".join(filter(None, files))
        why = f"version {heating.name}: cannot use its tls files ({named}): {_words(error)}"
        raise WarmupError(why) from None


def _context(tls: Tls) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=tls.ca_file)
    if not tls.verify:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    if tls.certificate_file is not None:
        context.load_cert_chain(tls.certificate_file, tls.key_file)
    return context


def _words(error: Exception) -> str:
    reason = getattr(error, "reason", None) or getattr(error, "strerror", None)
    return str(reason or type(error).__name__)


def _reason(error: Exception) -> str:
    """Why there is no answer, in words that do not depend on a library's release."""
    for cause in causes(error):
        if isinstance(cause, ssl.SSLCertVerificationError):
            return f"its certificate is not trusted: {cause.verify_message}"
        if isinstance(cause, ssl.SSLError):
            return f"it does not speak TLS with us: {cause.reason}"
        if isinstance(cause, httpx.ConnectTimeout):
            return "cannot be reached: no connection in time (timeouts.connect)"
        if isinstance(cause, OSError) and cause.strerror:
            what = "cannot be reached" if isinstance(error, httpx.ConnectError) else "broke off"
            return f"{what}: {cause.strerror}"
    return f"broke off ({type(error).__name__})"
