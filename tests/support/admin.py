"""An admin port without processes: the real application over a control plane in memory.

Every answer that comes through `Admin.call` is compared with the API's own description: its model
(`router.admin.documents`), its status, and for problems the types that its operation may have.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from typing import Any, Final

import httpx
from pydantic import TypeAdapter
from starlette.routing import compile_path

from router.admin.application import API, create_admin
from router.admin.comparisons import LINES
from router.admin.documents import ProblemDocument
from router.admin.operation import Operation
from router.admin.problems import ProblemType
from router.admin.table import OPERATIONS
from router.audit.entry import Entry
from router.clock import ManualClock
from router.config import Config
from router.controller.fleet import Fleet
from router.controller.plane import ControlPlane
from router.errors import ConfigError
from router.snapshot import Snapshot
from router.store.base import Store
from router.store.memory import MemoryStore
from tests.support.planes import WorkersInMemory

SECRETS: Final = {role: f"the {role} secret" for role in ("viewer", "operator", "admin")}
"""By role; each token's name is `<role>-1`.  `operator-2` is a second operator."""
SECRETS_OF_TWO: Final = SECRETS | {"operator-2": "another operator secret"}

_PATHS: Final = [(compile_path(one.path)[0], one) for one in OPERATIONS]
_TYPES: Final = {kind.urn: kind for kind in ProblemType}


def digest(secret: str) -> str:
    """What a configuration knows of a token."""
    return hashlib.sha256(secret.encode()).hexdigest()


def tokens() -> list[dict[str, Any]]:
    """`auth.tokens` for everybody in `SECRETS_OF_TWO`."""
    named = {f"{role}-1" if role in SECRETS else role: role for role in SECRETS_OF_TWO}
    return [
        {
            "name": name,
            "role": role.partition("-")[0],
            "sha256": digest(SECRETS_OF_TWO[role]),
        }
        for name, role in named.items()
    ]


def plain_route(name: str = "chat", *versions: str, **more: Any) -> dict[str, Any]:
    """A route at rest: all traffic goes to its first version."""
    known = versions or ("v1", "v2")
    return {
        "name": name,
        "match": [{"path": f"/{name}"}],
        "release": known[0],
        "versions": {
            version: {
                "endpoints": [f"http://10.0.0.{place}:8000"],
                "lineage": {"run": f"run of {version}"},
            }
            for place, version in enumerate(known, 1)
        },
        **more,
    }


STEPS: Final = [
    {"setWeight": 5},
    {"pause": {}},
    {"analysis": {"templates": [{"templateName": "errors"}]}},
    {
        "setHeaderRoute": {
            "name": "beta",
            "match": [{"headerName": "x-beta", "headerValue": {"exact": "yes"}}],
        }
    },
    {"setShadow": {"percent": 12.5}},
    {"pause": {"duration": "10m"}},
    {"setWeight": 50},
]
TEMPLATE: Final = {
    "metadata": {"name": "errors"},
    "spec": {
        "metrics": [
            {
                "name": "error-ratio",
                "interval": "10s",
                "count": 3,
                "successCondition": "result < 0.1",
                "provider": {"router": {"metric": "errorRatio", "window": "1m"}},
            }
        ]
    },
}


def walking_route(name: str = "walk") -> dict[str, Any]:
    """A route whose release waits to walk through `STEPS`."""
    strategy = {"canary": {"steps": STEPS}}
    weights = {"v1": 100, "v2": 0}
    return {**plain_route(name), "release": "v2", "initialWeights": weights, "strategy": strategy}


def configuration(*routes: dict[str, Any], **sections: Any) -> Config:
    """`chat` at rest and `walk` before its first step, where no routes are given."""
    return Config.model_validate(
        {
            "routes": list(routes or (plain_route(), walking_route())),
            "analysisTemplates": [TEMPLATE],
            **sections,
        }
    )


class Admin:
    """An admin port over a control plane whose workers are in memory."""

    def __init__(
        self,
        content: Config | ConfigError,
        *,
        store: Store | None = None,
        address: str = "127.0.0.1",
        base_url: str = "http://127.0.0.1:8081",
        key: bytes | None = None,
    ) -> None:
        self.content = content
        self.clock = ManualClock(1_700_000_000.0)
        self.store = store or MemoryStore()
        self.plane = ControlPlane(self.load, Fleet(), self.store, self.clock)
        self.workers = WorkersInMemory(self.plane.fleet, "w0", "w1")
        self.app = create_admin(self.plane, key)
        self.base_url: Final = base_url
        self.client = self.client_at(address)

    def load(self) -> Config:
        """What a reload reads, or why it cannot."""
        if isinstance(self.content, ConfigError):
            raise self.content
        return self.content

    def client_at(self, address: str) -> httpx.AsyncClient:
        """Somebody who calls from this address."""
        transport = httpx.ASGITransport(
            self.app, raise_app_exceptions=False, client=(address, 50_000)
        )
        return httpx.AsyncClient(transport=transport, base_url=self.base_url)

    async def get(self, path: str, **headers: str) -> httpx.Response:
        """Anything on the port."""
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return await self.client.get(path, headers=named)

    async def call(
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        role: str | None = None,
        headers: dict[str, str] | None = None,
        raw: bytes | AsyncIterator[bytes] | None = None,
        client: httpx.AsyncClient | None = None,
    ) -> httpx.Response:
        """One call of the API as whoever has `SECRETS_OF_TWO[role]`; `raw` is a body as it is."""
        known = {"authorization": f"Bearer {SECRETS_OF_TWO[role]}"} if role is not None else {}
        if body is not None or raw is not None:
            known["content-type"] = "application/json"
        content = raw if body is None else json.dumps(body).encode()
        response = await (client or self.client).request(
            method, f"{API}{path}", content=content, headers=known | (headers or {})
        )
        check_answer(method, path.partition("?")[0], response)
        return response

    async def weights(self, v1: float = 90, v2: float = 10, **more: Any) -> httpx.Response:
        """Set the weights of `chat`; `body` are more members of the body."""
        body = {"weights": {"v1": v1, "v2": v2}, "reason": "a test", **more.pop("body", {})}
        query = more.pop("query", "")
        return await self.call("PUT", f"/routes/chat/weights{query}", body, **more)

    async def trail(self) -> list[Entry]:
        """The whole audit trail, the oldest first."""
        return (await self.store.entries(limit=1_000))[::-1]

    async def everything(self) -> tuple[int, int, int, Snapshot]:
        """What any change would move: revision, events, published tables, the newest table."""
        revision = (await self.store.read()).revision
        newest = self.workers.published[-1]
        return revision, self.plane.events.number, len(self.workers.published), newest


@asynccontextmanager
async def admin_port(content: Config | None = None, **how: Any) -> AsyncIterator[Admin]:
    """A started one."""
    admin = Admin(content or configuration(), **how)
    await admin.plane.start(admin.workers)
    yield admin
    await admin.client.aclose()
    await admin.plane.close()


def operation_for(method: str, path: str) -> Operation | None:
    """The row of the table that a call is about."""
    wanted = "GET" if method == "HEAD" else method
    found = (one for regex, one in _PATHS if regex.match(path) and one.method == wanted)
    return next(found, None)


def check_answer(method: str, path: str, response: httpx.Response) -> None:
    """The API does what it says: status, media type, document, and types of problems."""
    operation = operation_for(method, path)
    if response.status_code >= 400:
        _check_problem(operation, response)
    elif operation is not None and method != "HEAD":
        answer = operation.answers[response.status_code]
        assert response.headers["content-type"] == answer.media_type
        parts = response.text.splitlines() if answer.media_type == LINES else [response.text]
        for part in parts:
            _check_document(answer.models, json.loads(part))


def _check_document(models: Iterable[type[Any]], document: Any) -> None:
    errors = []
    for model in models:
        try:
            TypeAdapter(model).validate_python(document)
        except ValueError as error:
            errors.append(str(error))
        else:
            return
    raise AssertionError("\n".join(errors))


def _check_problem(operation: Operation | None, response: httpx.Response) -> None:
    assert response.headers["content-type"] == "application/problem+json"
    if not response.content:
        return  # HEAD
    problem = ProblemDocument.model_validate(response.json())
    kind = _TYPES[problem.type]
    assert (problem.status, problem.title) == (response.status_code, kind.title)
    if operation is not None:
        assert kind in operation.all_problems, f"{operation.name} does not tell of {kind.name}"


def fields_of(response: httpx.Response) -> dict[str, str]:
    """The wrong fields that a problem names, and what is wrong with them."""
    assert response.status_code == 422, response.text
    return {error["field"]: error["message"] for error in response.json()["errors"]}
