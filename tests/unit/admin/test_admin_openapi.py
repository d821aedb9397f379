"""The API's own description: valid, complete, and true whatever schemathesis thinks of."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Iterator
from contextlib import nullcontext
from threading import Thread
from typing import Any, Final

import httpx
import pytest
import schemathesis
import uvicorn
from hypothesis import HealthCheck, settings
from openapi_spec_validator import validate
from schemathesis.checks import load_all_checks
from schemathesis.specs.openapi.checks import ignored_auth, positive_data_acceptance

from router.admin import API, openapi
from router.admin.problems import ProblemType
from router.admin.table import OPERATIONS
from tests.support.admin import SECRETS, Admin, admin_port, configuration, tokens

DOCUMENT: Final = openapi.document(OPERATIONS, API)


# -- the document ------------------------------------------------------------------------------


def described() -> Iterator[tuple[str, str, dict[str, Any]]]:
    for path, methods in DOCUMENT["paths"].items():
        for method, operation in methods.items():
            yield method.upper(), path, operation


def test_the_document_is_valid_openapi_3_1() -> None:
    assert DOCUMENT["openapi"].startswith("3.1")
    validate(DOCUMENT)


def test_every_operation_is_described_once() -> None:
    expected = {(one.method, one.path, one.name) for one in OPERATIONS}
    assert {(method, path, one["operationId"]) for method, path, one in described()} == expected
    assert len({one.name for one in OPERATIONS}) == len(OPERATIONS)


def test_every_field_of_an_answer_that_needs_words_has_them() -> None:
    for method, path, operation in described():
        assert operation["summary"], (method, path)
        assert "Needs the role" in operation["description"]
        for parameter in operation["parameters"]:
            assert parameter["description"], (method, path, parameter["name"])


def test_every_reference_leads_somewhere() -> None:
    schemas = DOCUMENT["components"]["schemas"]
    found = {text for text in texts(DOCUMENT) if text.startswith("#/")}
    assert found == {f"#/components/schemas/{name}" for name in schemas}


def texts(node: Any) -> Iterator[str]:
    if isinstance(node, dict):
        node = list(node.values())
    if isinstance(node, list):
        for inner in node:
            yield from texts(inner)
    elif isinstance(node, str):
        yield node


def test_every_problem_is_described_at_some_operation() -> None:
    urns = {kind.urn for one in OPERATIONS for kind in one.all_problems}
    assert urns == {kind.urn for kind in ProblemType}


@pytest.mark.anyio
async def test_the_document_is_served_with_the_address_that_it_is_served_at(admin: Admin) -> None:
    response = await admin.call("GET", "/openapi.json")
    assert response.status_code == 200
    assert response.json() == DOCUMENT
    assert response.json()["servers"] == [{"url": "/api/v1"}]
    below = httpx.ASGITransport(admin.app, root_path="/router")
    async with httpx.AsyncClient(transport=below, base_url="http://127.0.0.1") as client:
        moved = (await client.get("/router/api/v1/openapi.json")).json()
    assert moved["servers"] == [{"url": "/router/api/v1"}]


@pytest.mark.anyio
async def test_only_the_methods_of_the_table_are_known(admin: Admin) -> None:
    for path in {one.path for one in OPERATIONS}:
        known = {one.method for one in OPERATIONS if one.path == path}
        known |= {"OPTIONS", *({"HEAD"} if "GET" in known else ())}
        place = path.format(route="chat", id="x", number=1)
        options = await admin.call("OPTIONS", place)
        assert set(options.headers["allow"].split(", ")) == known
        for method in {"GET", "PUT", "POST", "PATCH", "DELETE", "TRACE"} - known:
            response = await admin.call(method, place)
            assert response.status_code == 405, (method, place)
            assert set(response.headers["allow"].split(", ")) == known


@pytest.mark.anyio
@pytest.mark.parametrize("path", ["/openapi.json/", "/routes/", "/routes/chat/", "//routes", "/v2"])
async def test_a_path_that_is_nearly_right_is_404(admin: Admin, path: str) -> None:
    response = await admin.call("GET", path)
    assert response.status_code == 404, response.headers
    assert response.json()["type"] == "urn:inference-router:not-found"


# -- whatever schemathesis thinks of -----------------------------------------------------------

BODIES: Final = {
    "Weights": {"weights": {"v1": 95, "v2": 5}, "reason": "an example"},
    "Why": {"reason": "an example"},
    "Back": {"reason": "an example", "force": False},
    "Switch": {"reason": "an example", "to": "v2", "force": False},
    "StartWhy": {"reason": "an example", "to": "v2"},
    "ShadowWish": {"reason": "an example", "version": "v2", "percent": 10, "noisePercent": 5},
    "Question": {"path": "/chat", "headers": {"x": "y"}, "body": {"model": "m"}},
}
# What JSON Schema cannot say: weights sum to 100, a reason stands in one of two places, a
# version is one of the route's, `before` and `after` exclude each other.
BEYOND_SCHEMAS: Final = {
    "setWeights",
    "releaseWeights",
    "setShadow",
    "clearShadow",
    "switchRoute",
    "startRollout",
    "listAuditEntries",
}


def pointed() -> dict[str, Any]:
    """The description, with routes that are there and bodies that make sense to start from."""
    document = openapi.document(OPERATIONS, API)
    del document["paths"]["/events"]  # endless; tests/unit/admin/test_admin_events.py
    for methods in document["paths"].values():
        for operation in methods.values():
            parameters = operation["parameters"]
            # A key that comes again with another call is refused: that is its purpose.
            parameters[:] = [one for one in parameters if one["name"] != "Idempotency-Key"]
            for parameter in parameters:
                if parameter["name"] == "route" and parameter["in"] == "path":
                    parameter["schema"]["enum"] = ["chat", "walk", "nope"]
            for content in operation.get("requestBody", {}).get("content", {}).values():
                content["example"] = BODIES[content["schema"]["$ref"].rpartition("/")[2]]
    return document


load_all_checks()
schema = schemathesis.openapi.from_dict(pointed())
schema.config.generation.update(deterministic=True, max_examples=15)
# A generation that is none, in If-Match, is 412.
schema.config.checks.positive_data_acceptance.expected_statuses = ["2xx", "404", "409", "412"]


@pytest.fixture(scope="module")
def served() -> Iterator[str]:
    """A port with tokens on a socket, in a thread of its own; its address."""
    listener = socket.create_server(("127.0.0.1", 0))
    holder: list[uvicorn.Server] = []

    async def serve() -> None:
        async with admin_port(configuration(auth={"tokens": tokens()})) as admin:
            server = uvicorn.Server(
                uvicorn.Config(admin.app, lifespan="off", ws="none", log_config=None)
            )
            server.capture_signals = nullcontext  # type: ignore[method-assign]  # pytest's
            holder.append(server)
            await server.serve([listener])

    thread = Thread(target=lambda: asyncio.run(serve()))
    thread.start()
    yield f"http://127.0.0.1:{listener.getsockname()[1]}{API}"
    holder[0].should_exit = True
    thread.join()
    listener.close()


@schema.parametrize()
@settings(
    max_examples=15,
    derandomize=True,
    deadline=None,
    database=None,
    suppress_health_check=list(HealthCheck),
)
def test_every_call_is_answered_as_described(case: schemathesis.Case, served: str) -> None:
    excluded = [ignored_auth]  # tests/unit/admin/test_admin_roles.py; guesses are limited
    if case.operation.definition.raw["operationId"] in BEYOND_SCHEMAS:
        excluded.append(positive_data_acceptance)
    headers = {"authorization": f"Bearer {SECRETS['admin']}"}
    case.call_and_validate(base_url=served, headers=headers, excluded_checks=excluded)
