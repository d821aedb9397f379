"""Read a call: parameters and body become checked values, or a problem that names what is wrong.

What is not known is refused: `?dryrun=true` shall not change anything for its spelling.
"""

from hashlib import sha256
from typing import Any, Final, TypeVar

from pydantic import BaseModel, ValidationError
from starlette.requests import Request

from router.admin.fields import Parameters
from router.admin.json_text import read_json
from router.admin.operation import Asked, Operation
from router.admin.problems import Problem, ProblemType, invalid
from router.audit.entry import Actor
from router.config.messages import findings
from router.controller.plane import ControlPlane

BodyT = TypeVar("BodyT", bound=BaseModel)

MAX_BODY_BYTES: Final = 2**20
MAX_ERRORS: Final = 100
"""Wrong fields that are named."""


async def take_in(
    operation: Operation, request: Request, plane: ControlPlane, actor: Actor
) -> Asked[Any, Any]:
    """Read the whole call.

    Raises:
        Problem: it cannot be used.
    """
    text = b"" if operation.body is None else await _read_body(request)
    parameters = _read_parameters(operation, request)
    return Asked(
        plane=plane,
        actor=actor,
        parameters=parameters,
        body=_read_document(operation, request, text),
        digest=_digest(request, text),
        request=request,
    )


async def read_body_as(model: type[BodyT], request: Request) -> BodyT:
    """A body alone, of a call that is no operation.

    Raises:
        Problem: it cannot be used.
    """
    return _document(model, request, await _read_body(request))


def _digest(request: Request, body: bytes) -> str:
    query: bytes = request.scope.get("query_string", b"")
    parts = (request.method.encode(), request.url.path.encode(), query, body)
    digest = sha256()
    for part in parts:
        digest.update(b"%d:" % len(part) + part)
    return digest.hexdigest()


# -- parameters --------------------------------------------------------------------------------


def _read_parameters(operation: Operation, request: Request) -> Parameters:
    values: dict[str, str] = {}
    wrong: list[tuple[str, str]] = []
    names: dict[str, str] = {}  # as the model calls it: as the caller calls it
    in_query: dict[str, str] = {}
    for field, info in operation.parameters.model_fields.items():
        place, name = operation.place_of(field)
        alias = info.alias or field
        names[alias] = name
        if place == "path":
            values[alias] = str(request.path_params[name])
        elif place == "query":
            in_query[name] = alias
        elif found := request.headers.getlist(name):
            values[alias] = ", ".join(found)
    for name, value in request.query_params.multi_items():
        if name not in in_query:
            wrong.append((name[:80], _unknown(in_query)))
        elif in_query[name] in values:
            wrong.append((name, "is given twice"))
        else:
            values[in_query[name]] = value
    try:
        parameters = operation.parameters.model_validate(values)
    except ValidationError as error:
        told = _told(operation.parameters, error)
        wrong += [(names.get(field, field), message) for field, message in told]
    if wrong:
        raise invalid(wrong[:MAX_ERRORS])
    return parameters


def _unknown(known: dict[str, str]) -> str:
    return f"unknown parameter; there are {', '.join(known) or 'none'}"


def _told(model: type[BaseModel], error: ValidationError) -> list[tuple[str, str]]:
    found = [
        (".".join(str(part) for part in item.path) or "body", item.message)
        for item in findings(model, error)
    ]
    return found[:MAX_ERRORS]


# -- bodies ------------------------------------------------------------------------------------


async def _read_body(request: Request) -> bytes:
    announced = request.headers.get("content-length", "")
    if announced.isdecimal() and int(announced[:20]) > MAX_BODY_BYTES:
        raise _too_large()
    body = bytearray()
    async for part in request.stream():
        body += part
        if len(body) > MAX_BODY_BYTES:
            raise _too_large()
    return bytes(body)


def _too_large() -> Problem:
    return Problem(
        ProblemType.BODY_TOO_LARGE,
        f"a body has at most {MAX_BODY_BYTES} bytes",
        {"connection": "close"},  # the rest is not read
    )


def _read_document(operation: Operation, request: Request, text: bytes) -> BaseModel | None:
    if operation.body is None or (not text and operation.body_optional):
        return None
    return _document(operation.body, request, text)


def _document(model: type[BodyT], request: Request, text: bytes) -> BodyT:
    _check_media_type(request)
    try:
        document = read_json(text)
    except ValueError as error:
        raise Problem(ProblemType.MALFORMED, f"the body: {error}") from None
    try:
        return model.model_validate(document)
    except ValidationError as error:
        raise invalid(_told(model, error)) from None


def _check_media_type(request: Request) -> None:
    media_type, _, parameters = request.headers.get("content-type", "").partition(";")
    charset = parameters.replace(" ", "").replace('"', "").lower()
    if media_type.strip().lower() != "application/json" or charset not in ("", "charset=utf-8"):
        raise Problem(
            ProblemType.UNSUPPORTED_MEDIA_TYPE,
            "send the body as `Content-Type: application/json`, in UTF-8",
            {"accept": "application/json"},
        )
    if request.headers.get("content-encoding", "identity").lower() != "identity":
        raise Problem(
            ProblemType.UNSUPPORTED_MEDIA_TYPE,
            "send the body as it is, without Content-Encoding",
            {"accept-encoding": "identity"},
        )
