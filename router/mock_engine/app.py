"""The ASGI application: which path is answered by whom, and what is written down about it."""

from __future__ import annotations

import re
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import unquote

import orjson
from starlette.types import Receive, Scope, Send

from router.mock_engine import kserve, openai, probes, steering, tgi
from router.mock_engine.engine import Engine
from router.mock_engine.exchange import JSON, BrokenOff, ClientGone, Exchange, Headers, Refused
from router.mock_engine.journal import Entry, Outcome
from router.mock_engine.settings import EngineSettings

Answerer = Callable[[Engine, Exchange], Awaitable[None]]
WriteRefusal = Callable[[Refused], dict[str, Any]]


@dataclass(frozen=True, slots=True)
class Route:
    """One method on one path: who answers it, and how its protocol writes errors."""

    answer: Answerer
    refusal: WriteRefusal = openai.refusal
    counted: bool = True
    kept: bool = True


def _traffic(answer: Answerer, refusal: WriteRefusal = openai.refusal) -> Route:
    return Route(answer, refusal)


def _probe(answer: Answerer, refusal: WriteRefusal = openai.refusal) -> Route:
    # Counted but not kept: a prober would push the requests that matter out of the ring.
    return Route(answer, refusal, kept=False)


def _steering(answer: Answerer) -> Route:
    return Route(answer, counted=False, kept=False)


_V2_MODEL: Final = "/v2/models/{model}"
_V2_VERSION: Final = "/v2/models/{model}/versions/{version}"

ROUTES: Final[dict[str, dict[str, Route]]] = {
    "/v1/chat/completions": {"POST": _traffic(openai.chat_completions)},
    "/v1/completions": {"POST": _traffic(openai.completions)},
    "/v1/embeddings": {"POST": _traffic(openai.embeddings)},
    "/v1/models": {"GET": _traffic(openai.list_models)},
    "/v1/models/{model}": {"GET": _traffic(openai.show_model)},
    "/v1/models/{model}:predict": {"POST": _traffic(kserve.predict, kserve.refusal)},
    "/v2": {"GET": _traffic(kserve.server_metadata, kserve.refusal)},
    "/v2/health/live": {"GET": _probe(probes.live, kserve.refusal)},
    "/v2/health/ready": {"GET": _probe(probes.ready, kserve.refusal)},
    _V2_MODEL: {"GET": _traffic(kserve.model_metadata, kserve.refusal)},
    _V2_MODEL + "/ready": {"GET": _probe(probes.model_ready, kserve.refusal)},
    _V2_MODEL + "/infer": {"POST": _traffic(kserve.infer, kserve.refusal)},
    _V2_VERSION: {"GET": _traffic(kserve.model_metadata, kserve.refusal)},
    _V2_VERSION + "/ready": {"GET": _probe(probes.model_ready, kserve.refusal)},
    _V2_VERSION + "/infer": {"POST": _traffic(kserve.infer, kserve.refusal)},
    "/generate": {"POST": _traffic(tgi.generate, tgi.refusal)},
    "/generate_stream": {"POST": _traffic(tgi.generate_stream, tgi.refusal)},
    "/info": {"GET": _traffic(tgi.info, tgi.refusal)},
    "/health": {"GET": _probe(probes.health)},
    "/metrics": {"GET": _probe(probes.metrics)},
    "/_mock/echo": {"POST": _traffic(steering.echo_digest)},
    "/_mock/mirror-body": {"POST": _traffic(steering.mirror_body)},
    "/_mock/bytes/{count}": {"GET": _traffic(steering.send_bytes)},
    "/_mock/faults": {
        "GET": _steering(steering.show_faults),
        "PUT": _steering(steering.replace_faults),
        "PATCH": _steering(steering.change_faults),
    },
    "/_mock/requests": {
        "GET": _steering(steering.show_requests),
        "DELETE": _steering(steering.forget_requests),
    },
    "/_mock/stats": {"GET": _steering(steering.show_statistics)},
}

# A model's name may hold encoded slashes ("meta-llama%2FLlama-3"): the raw path is matched
# and the parts are decoded afterwards. A colon ends it, so that `:predict` is no model.
_PARTS: Final = {"model": "[^/:]+", "version": "[^/]+", "count": "[0-9]{1,15}"}


def _pattern(path: str) -> re.Pattern[str]:
    return re.compile(re.sub(r"\{(\w+)\}", lambda m: f"(?P<{m[1]}>{_PARTS[m[1]]})", path))


_PATTERNS: Final = [(_pattern(path), path) for path in ROUTES if "{" in path]
_UNMATCHED: Final = "(unmatched)"


@dataclass(frozen=True, slots=True)
class _Match:
    """The route of a request; its path template is what it is counted under."""

    path: str
    route: Route
    captured: dict[str, str]


class MockApp:
    """The application of one engine."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self._signature: Headers = [(b"x-mock-engine", engine.settings.name.encode())]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one ASGI scope."""
        if scope["type"] == "lifespan":
            await _live(receive, send)
        elif scope["type"] == "http":
            await self._exchange(scope, receive, send)

    async def _exchange(self, scope: Scope, receive: Receive, send: Send) -> None:
        entry = _entry(scope)
        exchange = Exchange(scope, receive, send, entry=entry, signature=self._signature)
        match = _match(scope)
        journal = self.engine.journal
        if not match.route.counted:
            await self._answer(match, exchange)
            return
        journal.opened(entry, match.path, kept=match.route.kept)
        outcome = Outcome.ERROR  # what an unforeseen exception leaves behind
        try:
            outcome = await self._answer(match, exchange)
        finally:
            journal.closed(entry, outcome)

    async def _answer(self, match: _Match, exchange: Exchange) -> Outcome:
        exchange.captured = match.captured
        try:
            await match.route.answer(self.engine, exchange)
        except Refused as refused:
            await _refuse(exchange, refused, match.route.refusal)
        except BrokenOff:
            return Outcome.BROKEN
        except ClientGone:
            return Outcome.CANCELLED
        return _outcome(exchange.entry.status)


def create_app(settings: EngineSettings | Engine) -> MockApp:
    """An application with an engine of its own, or with the one that is given."""
    return MockApp(settings if isinstance(settings, Engine) else Engine(settings))


def _entry(scope: Scope) -> Entry:
    return Entry(
        method=scope["method"],
        path=scope["path"],
        query=scope["query_string"].decode("latin-1"),
        headers=list(scope["headers"]),
        started_at=time.time(),
    )


def _match(scope: Scope) -> _Match:
    path = scope["path"]
    methods = ROUTES.get(path)
    captured: dict[str, str] = {}
    if methods is None:
        path, captured = _match_pattern(scope)
        methods = ROUTES.get(path, {})
    route = methods.get(scope["method"]) or Route(_refuser(tuple(methods)))
    return _Match(path, route, captured)


def _match_pattern(scope: Scope) -> tuple[str, dict[str, str]]:
    raw_path = scope.get("raw_path") or scope["path"].encode()
    text = raw_path.decode("latin-1")
    for pattern, path in _PATTERNS:
        if found := pattern.fullmatch(text):
            return path, {name: unquote(part) for name, part in found.groupdict().items()}
    return _UNMATCHED, {}


def _refuser(allowed: tuple[str, ...]) -> Answerer:
    async def refuse(_engine: Engine, _exchange: Exchange) -> None:
        if not allowed:
            raise Refused(404, "Not Found", kind="NotFoundError")
        allow = [(b"allow", ", ".join(allowed).encode())]
        raise Refused(405, "Method Not Allowed", headers=allow)

    return refuse


async def _refuse(exchange: Exchange, refused: Refused, write: WriteRefusal) -> None:
    body = orjson.dumps(write(refused))
    await exchange.reply(refused.status, body, JSON, refused.headers)


def _outcome(status: int | None) -> Outcome:
    if status is None or status >= 500:
        return Outcome.ERROR
    return Outcome.REFUSED if status >= 400 else Outcome.OK


async def _live(receive: Receive, send: Send) -> None:
    # Nothing to start and nothing to stop; the server must be told so.
    for phase in ("startup", "shutdown"):
        await receive()
        await send({"type": f"lifespan.{phase}.complete"})
