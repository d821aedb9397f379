"""An admin API that answers canned documents over real HTTP, and the command line that calls it."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from email.message import Message
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Event, Thread
from typing import Any, Final

from typer.testing import CliRunner, Result

from router.cli import main

# A test of `serve` leaves the log of this process switched on, to a stream that is closed by now.
logging.getLogger("httpx").setLevel(logging.WARNING)

PROBLEM: Final = "application/problem+json"
EVENTS: Final = "text/event-stream"


@dataclass(frozen=True)
class Call:
    """What was asked; `path` with its query."""

    method: str
    path: str
    headers: Message
    body: bytes

    @property
    def document(self) -> Any:
        return json.loads(self.body)


@dataclass(frozen=True)
class Canned:
    """One answer; `status` 0 hangs up, -1 never answers."""

    status: int
    body: bytes
    media_type: str
    headers: dict[str, str] = field(default_factory=dict)


class CannedApi:
    """Answers each call with the next answer that was given for it; the last one stays."""

    def __init__(self) -> None:
        self.calls: list[Call] = []
        self.over = Event()
        self.url = ""
        self._answers: dict[tuple[str, str], list[Canned]] = {}

    def answer(
        self,
        method: str,
        path: str,
        document: Any,
        status: int = 200,
        media_type: str = "application/json",
        **headers: str,
    ) -> None:
        body = document if isinstance(document, bytes) else json.dumps(document).encode()
        names = {name.replace("_", "-"): value for name, value in headers.items()}
        canned = Canned(status, body, media_type, names)
        self._answers.setdefault((method, f"/api/v1{path}"), []).append(canned)

    def refuse(self, method: str, path: str, status: int, **problem: Any) -> None:
        document = {"type": "urn:inference-router:test", "status": status, **problem}
        self.answer(method, path, document, status, PROBLEM)

    def hang_up(self, method: str, path: str) -> None:
        self.answer(method, path, b"", 0)

    def stall(self, method: str, path: str) -> None:
        self.answer(method, path, b"", -1)

    def next_answer(self, call: Call) -> Canned:
        self.calls.append(call)
        answers = self._answers.get((call.method, call.path.partition("?")[0]))
        if answers is None:
            return Canned(404, b"<h1>not here</h1>", "text/html")
        return answers.pop(0) if len(answers) > 1 else answers[0]


@contextmanager
def canned_api() -> Iterator[CannedApi]:
    api = CannedApi()

    class Handler(BaseHTTPRequestHandler):
        def handle_any(self) -> None:
            body = self.rfile.read(int(self.headers.get("content-length", 0)))
            canned = api.next_answer(Call(self.command, self.path, self.headers, body))
            if canned.status == -1:
                api.over.wait()
            if canned.status > 0:
                self.send(canned)

        def send(self, canned: Canned) -> None:
            self.send_response(canned.status)
            self.send_header("content-type", canned.media_type)
            self.send_header("content-length", str(len(canned.body)))
            for name, value in canned.headers.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(canned.body)

        # http.server finds them by these names.
        do_GET = do_PUT = do_POST = do_DELETE = handle_any  # noqa: N815

        def log_message(self, *_: object) -> None: ...

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        api.url = f"http://127.0.0.1:{server.server_address[1]}"
        thread = Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield api
        finally:
            api.over.set()
            server.shutdown()
            thread.join()


def run(api: CannedApi, *arguments: str, env: dict[str, str] | None = None) -> Result:
    """One command against the API; nothing of this machine's environment counts."""
    environment = {"INFERENCE_ROUTER_URL": api.url, "INFERENCE_ROUTER_TOKEN": None, **(env or {})}
    return CliRunner().invoke(main, arguments, env=environment)


def version(name: str, role: str, weight: float, **more: Any) -> dict[str, Any]:
    """A version as `GET /routes` tells it, with one healthy endpoint."""
    endpoint = {
        "url": f"http://10.0.0.1:8000/{name}",
        "healthy": True,
        "healthyWorkers": 2,
        "workers": 2,
        "reasons": [],
    }
    told = {"name": name, "role": role, "weight": weight, "wanted": None, "model": None}
    return {**told, "lineage": {}, "endpoints": [endpoint], **more}


def route(name: str = "chat", **more: Any) -> dict[str, Any]:
    """A route as `GET /routes/{route}` tells it."""
    versions = [version("v1", "stable", 95), version("v2", "canary", 5)]
    told = {"generation": 12, "name": name, "stable": "v1", "override": None, "past": []}
    return {**told, "rejected": None, "versions": versions, **more}


OVERRIDE: Final = {
    "weights": {"v1": 95, "v2": 5},
    "holder": "alice",
    "reason": "v2 looks slow",
    "since": 1_790_000_000.0,
    "expires": 1_790_000_600.0,
}
