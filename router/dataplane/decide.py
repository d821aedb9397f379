"""Decide where a request goes: match, version, endpoint; in one call each, without awaiting.

Everything here runs to its end on one table, so a flip between two generations is atomic for
each request.
"""

from collections.abc import Callable, Mapping
from typing import Final

from router.dataplane.table import LiveRoute, LiveVersion, Table
from router.errors import ErrorCode, RouterError
from router.http1.request import RequestHead
from router.routing.body import (
    MODEL,
    BodyError,
    find_form_field,
    form_boundary,
    model_of_prefix,
    rename_model,
)
from router.routing.match import Nodes, match_route, model_in_path

Draw = Callable[[], float]
NO_FIELDS: Final[Mapping[str, object]] = {}


class Refusal(RouterError):  # noqa: N818 - an answer, not a mishap
    """The request is not forwarded; `code` is the answer."""

    def __init__(self, code: ErrorCode, message: str, param: str | None = None) -> None:
        super().__init__(message)
        self.code = code
        self.param = param


def read_fields(
    table: Table, head: RequestHead, body: bytes, *, complete: bool
) -> Mapping[str, object]:
    """What the body (or its beginning) says that routing may need.

    Raises:
        Refusal: it is not JSON, or the model does not stand where it can be found.
    """
    boundary = form_boundary(head.field(b"content-type") or b"")
    if boundary is not None:
        return _read_form(body, boundary)
    try:
        fields = table.body_reader.read(body) if complete else {MODEL: model_of_prefix(body)}
    except BodyError as error:
        raise Refusal(error.code, str(error)) from None
    model = fields.get(MODEL)
    if model is not None and not isinstance(model, str):
        raise Refusal(ErrorCode.INVALID_JSON, "model must be a string", MODEL)
    return fields


def _read_form(body: bytes, boundary: bytes) -> Mapping[str, object]:
    span = find_form_field(body, boundary, MODEL.encode())
    if span is None:
        return NO_FIELDS
    return {MODEL: body[span[0] : span[1]].decode("utf-8", "replace")}


def find_route(
    table: Table, nodes: Nodes, head: RequestHead, fields: Mapping[str, object]
) -> LiveRoute:
    """The route that answers.

    Raises:
        Refusal: none does; the message tells whether the path or the model is unknown.
    """
    in_path = model_in_path(head.path)
    model = in_path[0] if in_path is not None else fields.get(MODEL)
    name = match_route(nodes, head.method, head, model if isinstance(model, str) else None)
    if name is not None:
        return table.routes[name]
    if model is not None and any(node.by_model for node in nodes):
        shown = str(model)[:200]
        raise Refusal(ErrorCode.MODEL_NOT_FOUND, f"The model `{shown}` does not exist here", MODEL)
    if any(node.by_model for node in nodes):
        raise Refusal(ErrorCode.MODEL_REQUIRED, "this path needs a model in the request", MODEL)
    raise no_route(head)


def no_route(head: RequestHead) -> Refusal:
    """No rule has this path and method."""
    shown = head.path[:200].decode("latin-1")
    return Refusal(ErrorCode.ROUTE_NOT_FOUND, f"no route for {head.method.decode()} {shown}")


def choose_version(
    route: LiveRoute, head: RequestHead, fields: Mapping[str, object]
) -> tuple[LiveVersion, bool]:
    """The version that answers, and whether the request itself named it."""
    if route.header_routes:
        version = route.version_by_header(head)
        if version is not None:
            return version, True
    key = route.sticky.find(head, fields) if route.sticky is not None else None
    return route.version_by_weight(key), False


def upstream_target(version: LiveVersion, head: RequestHead, base_path: bytes) -> bytes:
    """The request target on the model server: base path, and its own name of the model."""
    target = head.target
    if version.spec.model is not None:
        named = model_in_path(head.path)
        if named is not None:
            _, start, end = named
            target = target[:start] + version.spec.model.encode() + target[end:]
    return base_path + target if base_path else target


def upstream_body(version: LiveVersion, head: RequestHead, body: bytes, *, complete: bool) -> bytes:
    """The body for the model server: only the model's name in it may differ.

    Raises:
        Refusal: the name cannot be changed alone.
    """
    name = version.spec.model
    if name is None or not body or model_in_path(head.path) is not None:
        return body
    boundary = form_boundary(head.field(b"content-type") or b"")
    if boundary is not None:
        span = find_form_field(body, boundary, MODEL.encode())
        return body if span is None else body[: span[0]] + name.encode() + body[span[1] :]
    try:
        return rename_model(body, name, complete=complete)
    except BodyError as error:
        if not complete or b"json" in (head.field(b"content-type") or b"json"):
            raise Refusal(error.code, str(error), MODEL) from None
        return body
