"""What no field can know alone: names that nothing answers to, weights that do not add up.

Pure, and works on the document as it was written, not on the models made from it: a file with a
bad URL in one line is still told about the unknown version in another.  Values of a wrong shape
are skipped here, because their own field complains about them.
"""

from collections.abc import Iterable, Iterator, Mapping
from decimal import Decimal, InvalidOperation
from difflib import get_close_matches
from typing import Any, Final

from pydantic import BaseModel, ValidationError

from router.config.address import parse_address
from router.config.models.analysis import AnalysisTemplate, TemplateFile
from router.config.models.match import MatchRule
from router.config.problems import Finding, Path, format_path
from router.config.units import format_percent, parse_percent
from router.snapshot import FULL

Document = Mapping[str, Any]
_MANY: Final = 8


def find_contradictions(document: Document) -> Iterator[Finding]:
    """Look at the whole configuration; every finding, in the order of the file's sections."""
    yield from _admin_port(document)
    yield from _repeated(document, "auth", "tokens")
    templates = _template_names(document)
    routes = [_plain(route) for route in _sequence(document.get("routes"))]
    for index, route in enumerate(routes):
        for finding in _route(route, templates):
            yield Finding(("routes", index, *finding.path), finding.message)
    yield from _repeated({"routes": routes}, "routes")
    yield from _ambiguous(routes)
    yield from _repeated_templates(document)


def suggestion(word: str, known: Iterable[str]) -> str:
    """Say which known word was probably meant, or nothing."""
    by_lower = {name.lower(): name for name in known}
    close = get_close_matches(word.lower().replace("_", ""), by_lower, n=1, cutoff=0.6)
    return f' (did you mean "{by_lower[close[0]]}"?)' if close else ""


def _route(route: Document, templates: frozenset[str] | None) -> Iterator[Finding]:
    versions = list(_mapping(route.get("versions")))
    for path, name in _named_versions(route):
        if name not in versions and versions:
            yield Finding(path, f'unknown version "{name}"; the route has {_listed(versions)}')
    yield from _weights(route)
    yield from _shadow(route, versions)
    canary = _mapping(_mapping(route.get("strategy")).get("canary"))
    for finding in find_in_canary(canary):
        yield Finding(("strategy", "canary", *finding.path), finding.message)
    if templates is not None:
        for path, name in _named_templates(_mapping(route.get("strategy"))):
            if name not in templates:
                message = f'unknown analysis template "{name}"{suggestion(name, templates)}'
                yield Finding(("strategy", *path), message)


def _listed(names: list[str]) -> str:
    return ", ".join(names[:_MANY]) + (", …" if len(names) > _MANY else "")


def find_in_canary(canary: Document) -> Iterator[Finding]:
    """Look at one canary strategy by itself."""
    steps = _sequence(canary.get("steps"))
    total = _decimal(canary.get("maxTrafficWeight", 100))
    for index, step in enumerate(steps):
        weight = _decimal(_mapping(step).get("setWeight"))
        if weight is not None and total is not None and weight > total:
            message = f"{weight} is more than {total}"
            yield Finding(("steps", index, "setWeight"), message)
    start = _decimal(_mapping(canary.get("analysis")).get("startingStep"))
    if start is not None and start > len(steps):
        message = f"{start} is beyond the last of {len(steps)} steps"
        yield Finding(("analysis", "startingStep"), message)


def _named_versions(route: Document) -> Iterator[tuple[Path, str]]:
    candidates: list[tuple[Path, object]] = [
        (("release",), route.get("release")),
        (("shadow", "version"), _mapping(route.get("shadow")).get("version")),
    ]
    candidates += [
        (("initialWeights", name), name) for name in _mapping(route.get("initialWeights"))
    ]
    for index, item in enumerate(_sequence(route.get("headerRoutes"))):
        candidates.append((("headerRoutes", index, "version"), _mapping(item).get("version")))
    canary = _mapping(_mapping(route.get("strategy")).get("canary"))
    for index, item in enumerate(_sequence(canary.get("steps"))):
        version = _mapping(_mapping(item).get("setShadow")).get("version")
        candidates.append((("strategy", "canary", "steps", index, "setShadow", "version"), version))
    return ((path, name) for path, name in candidates if isinstance(name, str))


def _weights(route: Document) -> Iterator[Finding]:
    weights = _basis_points(route)
    if weights is not None and (total := sum(weights.values())) != FULL:
        message = f"weights sum to {format_percent(total)}, not 100"
        yield Finding(("initialWeights",), message)


def _shadow(route: Document, versions: list[str]) -> Iterator[Finding]:
    name = _mapping(route.get("shadow")).get("version")
    if not isinstance(name, str):
        return
    path: Path = ("shadow", "version")
    weights = _basis_points(route)
    if weights is not None and weights.get(name):
        share = format_percent(weights[name])
        yield Finding(path, f'"{name}" has {share} % of the traffic; a shadow has none')
    elif name == route.get("release"):
        yield Finding(path, f'"{name}" is the release; a shadow has no traffic of its own')
    elif versions == [name]:
        yield Finding(path, f'"{name}" is the only version; a shadow has no traffic of its own')


def _basis_points(route: Document) -> dict[str, int] | None:
    """The initial weights, or None where there are none or one of them is wrong by itself."""
    weights = route.get("initialWeights")
    if not isinstance(weights, Mapping):
        return None
    try:
        return {name: parse_percent(value) for name, value in weights.items()}
    except ValueError:
        return None


def _admin_port(document: Document) -> Iterator[Finding]:
    server = _mapping(document.get("server"))
    try:
        admin = parse_address(server.get("admin", "127.0.0.1:8081"))
        listen = parse_address(server.get("listen", "0.0.0.0:8080"))  # the default
    except ValueError:
        return
    path: Path = ("server", "admin")
    if not admin.loopback and not _mapping(document.get("auth")).get("tokens"):
        message = f"{admin} can be reached from outside, so auth.tokens must name somebody"
        yield Finding(path, message)
    if admin == listen and admin.port:
        yield Finding(path, f"{admin} is the traffic port already")


def _repeated(document: Document, *way: str) -> Iterator[Finding]:
    """Find things in a list that share one name."""
    items: Any = document
    for key in way:
        items = _mapping(items).get(key)
    first: dict[str, int] = {}
    for index, item in enumerate(_sequence(items)):
        name = _mapping(item).get("name")
        if not isinstance(name, str):
            continue
        if name in first:
            message = f'"{name}" is the name of {format_path((*way, first[name]))} already'
            yield Finding((*way, index, "name"), message)
        first.setdefault(name, index)


def _ambiguous(routes: list[Document]) -> Iterator[Finding]:
    """Find rules of different routes that match the very same requests."""
    first: dict[tuple[object, ...], tuple[int, int]] = {}
    for index, route in enumerate(routes):
        for rule_index, item in enumerate(_sequence(route.get("match"))):
            if (rule := _rule(item)) is None:
                continue
            owner, owner_rule = first.setdefault(rule.meaning, (index, rule_index))
            if owner != index:
                place = format_path(("routes", owner, "match", owner_rule))
                message = f'is the same rule as {place} of route "{routes[owner].get("name")}"'
                yield Finding(("routes", index, "match", rule_index), message)


def _rule(item: object) -> MatchRule | None:
    try:
        return MatchRule.model_validate(item)
    except ValidationError:
        return None


def _template_names(document: Document) -> frozenset[str] | None:
    """Every template's name; None where a file of them has not been read."""
    names: set[str] = set()
    for item in _sequence(document.get("analysisTemplates")):
        if isinstance(item, str) or (isinstance(item, TemplateFile) and item.templates is None):
            return None
        names.update(_names_in(item))
    return frozenset(names)


def _repeated_templates(document: Document) -> Iterator[Finding]:
    first: dict[str, int] = {}
    for index, item in enumerate(_sequence(document.get("analysisTemplates"))):
        for name in _names_in(item):
            if name in first:
                place = format_path(("analysisTemplates", first[name]))
                message = f'"{name}" is the name of a template in {place} already'
                yield Finding(("analysisTemplates", index), message)
            first.setdefault(name, index)


def _names_in(item: object) -> list[str]:
    if isinstance(item, TemplateFile):
        return [template.name for template in item.templates or ()]
    if isinstance(item, AnalysisTemplate):
        return [item.name]
    name = _mapping(_mapping(item).get("metadata")).get("name")
    return [name] if isinstance(name, str) else []


def _named_templates(strategy: Document) -> Iterator[tuple[Path, str]]:
    """Every `templateName` of a strategy; those of a manifest stand where it is named."""
    for key in ("canary", "blueGreen"):
        value = strategy.get(key)
        if isinstance(value, BaseModel):
            found = _search(value.model_dump(by_alias=True), ())
            yield from ((("fromManifest",), name) for _, name in found)
        else:
            yield from _search(value, (key,))


def _search(value: object, path: Path) -> Iterator[tuple[Path, str]]:
    if isinstance(value, Mapping):
        for key, item in value.items():
            if key == "templateName" and isinstance(item, str):
                yield (*path, key), item
            else:
                yield from _search(item, (*path, key))
    elif isinstance(value, (list, tuple)):
        for index, item in enumerate(value):
            yield from _search(item, (*path, index))


def _decimal(value: object) -> Decimal | None:
    if isinstance(value, bool) or not isinstance(value, (str, int, float)):
        return None
    try:
        number = Decimal(str(value))
    except InvalidOperation:
        return None
    return number if number.is_finite() else None


def _plain(value: object) -> Document:
    if isinstance(value, BaseModel):
        return value.model_dump(mode="json", by_alias=True, exclude_none=True)
    return _mapping(value)


def _mapping(value: object) -> Document:
    return value if isinstance(value, Mapping) else {}


def _sequence(value: object) -> list[Any] | tuple[Any, ...]:
    return value if isinstance(value, (list, tuple)) else ()
