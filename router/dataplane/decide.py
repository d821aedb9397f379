"""Decide where a request goes: match, version, endpoint; in one call each, without awaiting.

Everything here runs to its end on one table, so a flip between two generations is atomic for
each request.

A connection mostly repeats its head (see `http1.reader`), and what a head means does not change
within a generation.  So the answer to "which route, by this head and that model" is worked out
once, kept with the head in a `Plan`, and found there by the next request.
"""

from dataclasses import dataclass
from typing import Final

from router.dataplane.table import LiveRoute, LiveVersion, Table
from router.dataplane.upstream.endpoint import EndpointState
from router.errors import ErrorCode, RouterError
from router.http1.request import RequestHead, request_start
from router.routing.body import (
    MODEL,
    NO_FIELDS,
    UNREADABLE,
    BodyError,
    BodyFields,
    find_form_field,
    form_boundary,
    model_of_prefix,
    rename_model,
    why_not,
)
from router.routing.match import Nodes, match_route, model_in_path, needs_model
from router.routing.replay import may_repeat

_MAX_STARTS: Final = 4

Place = tuple[bytes, bytes]


class Refusal(RouterError):  # noqa: N818 - an answer, not a mishap
    """The request is not forwarded; `code` is the answer."""

    def __init__(self, code: ErrorCode, message: str, param: str | None = None) -> None:
        super().__init__(message)
        self.code = code
        self.param = param


@dataclass(slots=True)
class Destination:
    """Where requests with one head and model go: the route, and what of the version is fixed.

    `version` is the one that the head asks for (`named`) or whose bucket its sticky key is in;
    None where each request is chosen for anew.  `repeatable`: sending the request twice is safe.
    `rank`: the class of its priority, 0 the highest.
    """

    route: LiveRoute
    version: LiveVersion | None
    named: bool
    repeatable: bool
    rank: int = 0


class Plan:
    """What one request head means in one table."""

    __slots__ = (
        "_starts",
        "boundary",
        "copied",
        "destinations",
        "in_path",
        "inspects",
        "last_place",
        "last_start",
        "last_version",
        "nodes",
        "table",
    )

    def __init__(self, table: Table, head: RequestHead) -> None:
        self.table: Final = table
        self.nodes: Final[Nodes] = table.index.nodes(head.path)
        self.in_path: Final = model_in_path(head.path)
        self.inspects: Final = needs_model(self.nodes) and self.in_path is None
        self.boundary: Final = form_boundary(head.field(b"content-type") or b"")
        self.destinations: Final[dict[str | None, Destination]] = {}
        self._starts: dict[tuple[LiveVersion, Place], bytes] = {}
        self.copied: object = None
        """Room for what a mirror makes of the head (`mirror.request.CopiedHead`)."""
        self.last_version: LiveVersion | None = None
        self.last_place: Place | None = None
        self.last_start = b""

    def looks_inside(self, route: LiveRoute) -> bool:
        """Whether this route must see the body before it can be forwarded."""
        return bool(route.body_fields) or (route.renames and self.in_path is None)

    def start(
        self,
        head: RequestHead,
        route: LiveRoute,
        version: LiveVersion,
        endpoint: EndpointState,
        forwarded: bytes,
    ) -> bytes:
        """The forwarded head up to its request id and framing."""
        key = (version, endpoint.place)
        start = self._starts.get(key)
        if start is None:
            if len(self._starts) >= _MAX_STARTS:  # an idle connection should stay small
                self._starts.clear()
            start = self._starts[key] = request_start(
                head,
                target=self.target(head, version, endpoint.base_path),
                authority=endpoint.authority or head.host or endpoint.origin.authority,
                kept=head.kept_without(route.steering) if route.steering else head.kept,
                extra=forwarded + b"x-request-id: ",
            )
        self.last_version, self.last_place, self.last_start = version, endpoint.place, start
        return start

    def target(self, head: RequestHead, version: LiveVersion, base_path: bytes) -> bytes:
        """Base path, and the version's own name of the model where the path has one."""
        target = head.target
        if version.spec.model is not None and self.in_path is not None:
            _, start, end = self.in_path
            target = target[:start] + version.spec.model.encode() + target[end:]
        return base_path + target


def plan_of(table: Table, head: RequestHead) -> Plan:
    """The plan of this head in this table: the one that is there already, or a new one."""
    plan = head.plan
    if type(plan) is not Plan or plan.table is not table:
        plan = head.plan = Plan(table, head)
    return plan


def read_fields(plan: Plan, body: bytes, complete: bool) -> BodyFields:
    """What the body (or its beginning) says that routing may need.

    Raises:
        Refusal: it is not a JSON object, or its model is not a string.
    """
    if not complete or plan.boundary is not None or not body:
        return _read_other(plan, body)
    try:
        fields = plan.table.body_reader.read(body)
    except UNREADABLE as error:
        refusal = why_not(error)
        raise Refusal(refusal.code, str(refusal)) from None
    if type(fields.model) is str or fields.model is None:
        return fields
    raise Refusal(ErrorCode.INVALID_JSON, "model must be a string", MODEL)


def _read_other(plan: Plan, body: bytes) -> BodyFields:
    """A form, the beginning of a JSON body, or nothing."""
    if plan.boundary is None:
        return BodyFields(model=model_of_prefix(body))
    span = find_form_field(body, plan.boundary, MODEL.encode())
    if span is None:
        return BodyFields()
    return BodyFields(model=body[span[0] : span[1]].decode("utf-8", "replace"))


def find_destination(plan: Plan, head: RequestHead, model: str | None) -> Destination:
    """The route that answers, and the version if the head decides that too.

    Raises:
        Refusal: no route does; the message tells whether the path or the model is unknown.
    """
    if plan.in_path is not None:
        model = plan.in_path[0]
    name = match_route(plan.nodes, head.method, head, model)
    if name is None:
        raise _no_destination(plan, head, model)
    route = plan.table.routes[name]
    version = route.version_by_header(head) if route.header_routes else None
    named = version is not None
    if version is None and route.sticky is not None and route.sticky.head_only:
        key = route.sticky.find(head, NO_FIELDS)
        version = None if key is None else route.version_by_key(key)
    repeatable = may_repeat(
        route.spec.retry.methods,
        head.method,
        head.path,
        has_key=head.field(b"idempotency-key") is not None,
    )
    rank = 0 if route.priority is None else route.rank_of(head.field(route.priority))
    destination = Destination(route, version, named, repeatable, rank)
    if model is None or any(model in node.by_model for node in plan.nodes):
        # Only what the configuration names is kept: a client may ask for any other model.
        plan.destinations[model] = destination
    else:
        plan.destinations[None] = destination
    return destination


def _no_destination(plan: Plan, head: RequestHead, model: str | None) -> Refusal:
    if not any(node.by_model for node in plan.nodes):
        return no_route(head)
    if model is None:
        return Refusal(ErrorCode.MODEL_REQUIRED, "this path needs a model in the request", MODEL)
    return unknown_model(model)


def unknown_model(model: str) -> Refusal:
    """No rule names this model."""
    shown = f"The model `{model[:200]}` does not exist here"
    return Refusal(ErrorCode.MODEL_NOT_FOUND, shown, MODEL)


def no_route(head: RequestHead) -> Refusal:
    """No rule has this path and method."""
    shown = head.path[:200].decode("latin-1")
    return Refusal(ErrorCode.ROUTE_NOT_FOUND, f"no route for {head.method.decode()} {shown}")


def choose_version(destination: Destination, head: RequestHead, fields: BodyFields) -> LiveVersion:
    """The version that answers: by the sticky key, or the next in rotation."""
    route = destination.route
    if route.body_fields and route.sticky is not None:
        key = route.sticky.find(head, fields)
        if key is not None:
            return route.version_by_key(key)
    return route.versions[route.rotation.choose()]


def upstream_body(plan: Plan, version: LiveVersion, body: bytes, *, complete: bool) -> bytes:
    """The body for the model server: only the model's name in it may differ.

    Raises:
        Refusal: the name cannot be changed alone.
    """
    name = version.spec.model
    if name is None or not body or plan.in_path is not None:
        return body
    if plan.boundary is not None:
        span = find_form_field(body, plan.boundary, MODEL.encode())
        return body if span is None else body[: span[0]] + name.encode() + body[span[1] :]
    try:
        return rename_model(body, name, complete=complete)
    except BodyError as error:
        if plan.inspects:
            raise Refusal(error.code, str(error), MODEL) from None
        return body  # its route does not go by a model, so it may be anything
