"""`routes`: who serves what share of which route, and how they are."""

from __future__ import annotations

import json
import time as clock
from collections.abc import Iterator
from typing import Annotated, Any, Final

import typer

from router.cli.documents import Endpoint, Route, Routes, Version, read
from router.cli.output import plain
from router.cli.pressure import pressure
from router.cli.session import Session, against_server
from router.cli.tables import print_table
from router.cli.words import bar, duration, override, percent, shadow, time

_PANIC: Final = "too few endpoints are healthy: a worker also uses those that it had left alone"


@against_server
def routes(
    session: Session,
    route: Annotated[str | None, typer.Argument(help="one route, with everything")] = None,
) -> None:
    """Show every route's versions, weights and health; or one route with its endpoints."""
    if route is None:
        session.show(session.client.get("routes"), _tell_all)
    else:
        session.show(session.client.get("routes", route), _tell_one)


def tell_weights(document: Any) -> None:
    """A route's versions with their weights, and who holds them."""
    _print_versions(read(document, Route))


def _tell_all(document: Any) -> None:
    answer = read(document, Routes)
    headings = ("route", "version", "role", "weight", "", "healthy", "held by")
    rows = [row for route in answer.routes for row in _rows(route)]
    print_table(headings, rows, right="weight")
    typer.echo(f"generation {answer.generation}")


def _rows(route: Route) -> Iterator[tuple[str, ...]]:
    """A row for each version; the first one bears the route's name."""
    name, holder = route.name, _holder(route)
    for version in route.versions:
        weight = version.weight
        cells = (version.name, version.role, percent(weight), bar(weight), _health(version))
        yield (name, *cells, holder)
        name = holder = ""


def _tell_one(document: Any) -> None:
    route = read(document, Route)
    _print_versions(route)
    if route.shadow is not None:
        typer.echo(plain(shadow(route.shadow)))
    for line in pressure(route):
        typer.echo(plain(line))
    if route.past:
        typer.echo(f"stable before: {plain(', '.join(route.past))}")
    if route.rejected is not None:
        typer.echo(f"rolled back, and not started again by itself: {plain(route.rejected)}")
    typer.echo("")
    _print_endpoints(route)
    for version in route.versions:
        for line in _afterlife(version, clock.time()):
            typer.echo(f"\n{plain(version.name)}: {line}")
        if version.tripped is not None:
            out = f"{version.name} is out of the split in a worker: {version.tripped}"
            typer.echo(f"\n{plain(out)}")
        if version.panic:
            typer.echo(f"\n{plain(version.name)}: {_PANIC}")
        _print_lineage(version)


def _afterlife(version: Version, now: float) -> Iterator[str]:
    """What is left of a version that has lost its traffic."""
    if version.in_flight and not version.weight:
        until = version.drain_until
        ends = "" if until is None else f"; they end in {duration(until - now)}, at {time(until)}"
        yield f"{version.in_flight} streams draining, no new requests{ends}"
    if version.warm_until is not None:
        yield f"kept ready for the traffic until {time(version.warm_until)}"


def _print_versions(route: Route) -> None:
    generation = "" if route.generation is None else f", generation {route.generation}"
    typer.echo(f"route {plain(route.name)}{generation}")
    headings = ["version", "role", "weight", "", "healthy", "model"]
    rows = [
        [each.name, each.role, percent(each.weight), bar(each.weight), _health(each), each.model]
        for each in route.versions
    ]
    if route.override is not None:
        headings.insert(4, "wanted")
        for row, version in zip(rows, route.versions, strict=True):
            row.insert(4, percent(version.wanted))
    print_table(headings, rows, right="weight wanted")
    if route.override is not None:
        typer.echo(plain(override(route.override)))


def _print_endpoints(route: Route) -> None:
    rows = [
        (version.name, endpoint.url, _endpoint_health(endpoint), "; ".join(_remarks(endpoint)))
        for version in route.versions
        for endpoint in version.endpoints
    ]
    print_table(("version", "endpoint", "healthy in", "reasons"), rows)


def _remarks(endpoint: Endpoint) -> Iterator[str]:
    """Why it is not healthy, and what is not as always."""
    yield from endpoint.reasons
    if endpoint.ejected_until is not None:
        yield f"tried again at {time(endpoint.ejected_until)}"
    if endpoint.ejections:
        yield f"left alone so far: {endpoint.ejections}"
    if (warming := endpoint.slow_start) is not None:
        yield f"warming up: {percent(warming.percent)} of its share, all at {time(warming.until)}"
    if endpoint.idle_seconds is not None:
        yield f"closes idle connections: they are kept for {endpoint.idle_seconds:.3g} s"


def _print_lineage(version: Version) -> None:
    if not version.lineage:
        return
    typer.echo(f"\nlineage of {plain(version.name)}")
    for name, value in version.lineage.items():
        typer.echo(f"  {plain(name)}: {plain(_lineage_value(value))}")


def _lineage_value(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _health(version: Version) -> str:
    healthy = sum(endpoint.healthy for endpoint in version.endpoints)
    return f"{healthy} of {len(version.endpoints)}"


def _endpoint_health(endpoint: Endpoint) -> str:
    if not endpoint.workers:
        return "not probed yet"
    return f"{endpoint.healthy_workers} of {endpoint.workers} workers"


def _holder(route: Route) -> str:
    if route.override is None:
        return ""
    expires = route.override.expires
    return route.override.holder + ("" if expires is None else f" until {time(expires)}")
