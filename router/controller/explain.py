"""Why a request goes where it goes: the data plane's decision, told step by step.

Pure, and made from the same parts as the data plane's own decision (`router.routing`), over a
snapshot alone: which endpoint of several answers depends on what is live and is not told.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from router.routing.body import MODEL, NO_FIELDS, UNREADABLE, BodyFields, BodyReader, why_not
from router.routing.match import (
    RouteIndex,
    header_test,
    match_route,
    model_in_path,
    needs_model,
)
from router.routing.split import Split, bucket, choose_by_key
from router.routing.sticky import StickyKey
from router.snapshot import Route, Snapshot, StickySource, Version


@dataclass(frozen=True, slots=True)
class Request:
    """A request as a person describes it; header names in any case."""

    path: str
    method: str = "POST"
    headers: Mapping[str, str] | Iterable[tuple[str, str]] = ()
    body: bytes = b""


@dataclass(frozen=True, slots=True)
class Explanation:
    """Where a request goes.

    `version` is None where none is fixed: then `shares` says how requests like it are shared out.
    Without a `route` the last line of `why` says why it is refused.
    """

    why: tuple[str, ...]
    route: str | None = None
    version: str | None = None
    shares: Mapping[str, float] | None = None
    endpoints: tuple[str, ...] = ()
    upstream_model: str | None = None


def explain(snapshot: Snapshot, request: Request) -> Explanation:
    """Tell where this request goes, and why."""
    fields = _Fields(request.headers)
    path = request.path.partition("?")[0].encode()
    nodes = RouteIndex(snapshot.routes).nodes(path)
    why: list[str] = []
    body = _read_body(snapshot, request.body, why)
    in_path = model_in_path(path)
    model = in_path[0] if in_path is not None else _text(body.model)
    if model is not None:
        why.append(f"the {'path' if in_path else 'body'} asks for model {model}")
    name = match_route(nodes, request.method.upper().encode(), fields, model)
    if name is None:
        why.append(_why_none(bool(nodes), model, decides=needs_model(nodes), request=request))
        return Explanation(tuple(why))
    route = next(each for each in snapshot.routes if each.name == name)
    why.append(f"the most specific rule that matches is one of route {name}")
    return _explain_version(route, fields, body, why)


class _Fields:
    """Header look-up as the data plane does it: lower-case names, the first value counts."""

    def __init__(self, headers: Mapping[str, str] | Iterable[tuple[str, str]]) -> None:
        pairs = headers.items() if isinstance(headers, Mapping) else headers
        self._values: Final[dict[bytes, bytes]] = {}
        for name, value in pairs:
            self._values.setdefault(name.lower().encode(), value.strip().encode())

    def field(self, name: bytes) -> bytes | None:
        return self._values.get(name)


def _read_body(snapshot: Snapshot, body: bytes, why: list[str]) -> BodyFields:
    if not body:
        return NO_FIELDS
    names = [source.name for route in snapshot.routes for source in route.sticky if source.name]
    try:
        return BodyReader(names).read(body)
    except UNREADABLE as error:
        why.append(str(why_not(error)))
        return NO_FIELDS


def _text(value: object) -> str | None:
    return value if isinstance(value, str) else None


def _why_none(known_path: bool, model: str | None, *, decides: bool, request: Request) -> str:
    if not known_path or not decides:
        return f"no route takes {request.method.upper()} {request.path}"
    if model is None:
        return f"this path needs a {MODEL} in the request"
    return f"no route takes model {model} on this path"


def _explain_version(
    route: Route, fields: _Fields, body: BodyFields, why: list[str]
) -> Explanation:
    for header_route in route.header_routes:
        if all(header_test(condition)(fields) for condition in header_route.conditions):
            names = ", ".join(condition.name for condition in header_route.conditions)
            why.append(f"a header route sends requests with {names} to {header_route.version}")
            return _to_version(route, header_route.version, why)
    split = Split(
        route.name.encode(), tuple((version.name, version.weight_bp) for version in route.versions)
    )
    found = _sticky_key(route, fields, body)
    if found is None:
        why.append("no sticky key: versions take turns by their weights")
        shares = {version.name: version.weight_bp / 100 for version in route.versions}
        return Explanation(tuple(why), route.name, shares=shares)
    source, key = found
    version = choose_by_key(split, key)
    place = f"{source.kind.value} {source.name}".strip()
    why.append(f"sticky key from {place}: bucket {bucket(split.salt, key)} of 10000 is {version}'s")
    return _to_version(route, version, why)


def _sticky_key(
    route: Route, fields: _Fields, body: BodyFields
) -> tuple[StickySource, bytes] | None:
    for source in route.sticky:
        key = StickyKey((source,)).find(fields, body)
        if key is not None:
            return source, key
    return None


def _to_version(route: Route, name: str, why: list[str]) -> Explanation:
    version: Version = next(each for each in route.versions if each.name == name)
    if version.model is not None:
        why.append(f"its servers call the model {version.model}")
    return Explanation(
        tuple(why),
        route.name,
        name,
        endpoints=tuple(endpoint.url for endpoint in version.endpoints),
        upstream_model=version.model,
    )
