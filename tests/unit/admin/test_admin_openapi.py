"""The API's own description: valid and complete; tests/fuzz/test_api_schema.py holds it true."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from typing import Any

import httpx
import pytest
from openapi_spec_validator import validate

from router.admin import openapi
from router.admin.application import API
from router.admin.problems import ProblemType
from router.admin.table import OPERATIONS
from tests.support.admin import Admin


@cache
def described_api() -> dict[str, Any]:
    return openapi.document(OPERATIONS, API)


def described() -> Iterator[tuple[str, str, dict[str, Any]]]:
    for path, methods in described_api()["paths"].items():
        for method, operation in methods.items():
            yield method.upper(), path, operation


def test_the_document_is_valid_openapi_3_1() -> None:
    assert described_api()["openapi"].startswith("3.1")
    validate(described_api())


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
    schemas = described_api()["components"]["schemas"]
    found = {text for text in texts(described_api()) if text.startswith("#/")}
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
    assert response.json() == described_api()
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
