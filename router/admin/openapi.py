"""The API described as OpenAPI 3.1, made from the table of operations."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final, Literal

from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from router import __version__
from router.admin.documents import ProblemDocument
from router.admin.operation import Answer, Operation
from router.admin.problems import MEDIA_TYPE as PROBLEM
from router.admin.problems import ProblemType
from router.admin.session import COOKIE
from router.config.models import Role

_REF: Final = "#/components/schemas/{model}"
_HEADERS: Final = {
    "etag": "The generation in which the route changed last; send it as If-Match.",
    "link": "The next page (RFC 8288), if there is one.",
}
_TEXT: Final = {"schema": {"type": "string"}}


def document(operations: Iterable[Operation], server: str) -> dict[str, Any]:
    """The whole description; `server` is the path below which the operations are."""
    known = tuple(operations)
    schemas, definitions = models_json_schema(_models(known), ref_template=_REF)
    paths: dict[str, dict[str, Any]] = {}
    for operation in known:
        path = paths.setdefault(operation.path, {})
        path[operation.method.lower()] = _operation(operation, schemas)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "inference-router admin API",
            "version": __version__,
            "description": "Weights are percent with two decimals, times seconds since 1970 UTC. "
            "Errors are problem details (RFC 9457); compare `type`.",
        },
        "servers": [{"url": server}],
        "paths": paths,
        "components": {
            "schemas": definitions.get("$defs", {}),
            "securitySchemes": {
                "token": {"type": "http", "scheme": "bearer"},
                # The console's; a change with it also needs Origin and X-Requested-With.
                "session": {"type": "apiKey", "in": "cookie", "name": COOKIE},
            },
        },
        # An empty requirement: without configured tokens none is asked for.
        "security": [{"token": []}, {"session": []}, {}],
    }


Mode = Literal["validation", "serialization"]
Schemas = Mapping[Any, dict[str, Any]]
"""By (model, mode)."""


def _models(operations: Iterable[Operation]) -> list[tuple[type[BaseModel], Mode]]:
    found: dict[tuple[type[BaseModel], Mode], None] = {(ProblemDocument, "serialization"): None}
    for operation in operations:
        if operation.body is not None:
            found[operation.body, "validation"] = None
        for answer in operation.answers.values():
            found |= {(model, "serialization"): None for model in answer.models}
    return list(found)


def _operation(operation: Operation, schemas: Schemas) -> dict[str, Any]:
    described: dict[str, Any] = {
        "operationId": operation.name,
        "summary": operation.summary,
        "description": f"Needs the role {operation.role.value}"
        f"{'' if operation.role is Role.ADMIN else ' or a higher one'}.",
        "parameters": list(_parameters(operation)),
        "responses": {**_answers(operation, schemas), **_problems(operation, schemas)},
    }
    if operation.body is not None:
        described["requestBody"] = {
            "required": not operation.body_optional,
            "content": {"application/json": {"schema": schemas[operation.body, "validation"]}},
        }
    return described


def _parameters(operation: Operation) -> Iterator[dict[str, Any]]:
    properties = operation.parameters.model_json_schema(mode="validation").get("properties", {})
    for field, info in operation.parameters.model_fields.items():
        place, name = operation.place_of(field)
        schema = dict(properties[info.alias or field])
        description = schema.pop("description", None)
        schema.pop("title", None)
        if schema.get("default", 0) is None:
            schema.pop("default")
        yield {
            "name": name,
            "in": place,
            "required": place == "path",
            "schema": _without_null(schema),
            **({"description": description} if description else {}),
        }


def _without_null(schema: dict[str, Any]) -> dict[str, Any]:
    """A parameter is there or not; it is never null."""
    choices = [each for each in schema.get("anyOf", ()) if each != {"type": "null"}]
    if len(choices) != 1:
        return schema
    rest = {key: value for key, value in schema.items() if key != "anyOf"}
    return {**rest, **choices[0]}


def _answers(operation: Operation, schemas: Schemas) -> dict[str, Any]:
    return {str(status): _answer(answer, schemas) for status, answer in operation.answers.items()}


def _answer(answer: Answer, schemas: Schemas) -> dict[str, Any]:
    found = [schemas[model, "serialization"] for model in answer.models]
    schema = found[0] if len(found) == 1 else {"anyOf": found} if found else {"type": "string"}
    described: dict[str, Any] = {
        "description": answer.meaning,
        "content": {answer.media_type: {"schema": schema}},
    }
    if answer.headers:
        described["headers"] = {
            name: {"description": _HEADERS[name], **_TEXT} for name in answer.headers
        }
    return described


def _problems(operation: Operation, schemas: Schemas) -> dict[str, Any]:
    by_status: dict[int, list[ProblemType]] = {}
    for kind in operation.all_problems:
        by_status.setdefault(kind.status, []).append(kind)
    schema = schemas[ProblemDocument, "serialization"]
    return {
        str(status): {
            "description": "; ".join(f"{kind.title} (`{kind.urn}`)" for kind in kinds),
            "content": {PROBLEM: {"schema": schema}},
        }
        for status, kinds in by_status.items()
    }
