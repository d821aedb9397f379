"""Failures as people need them: what happened, and what to do about it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

import msgspec

from router.cli.documents import Problem, Route, read
from router.cli.failures import CommandError, ForeignError, RefusedError, UnreachableError
from router.cli.output import plain
from router.cli.session import SERVER_VARIABLE, TOKEN_VARIABLE
from router.cli.tables import table_lines
from router.cli.words import override, weights

_GIVE_A_TOKEN: Final = f"give a token with --token-file FILE or {TOKEN_VARIABLE}"

_FORBIDDEN: Final = "urn:inference-router:forbidden"
_NOT_READY: Final = "urn:inference-router:not-ready"


def told(error: CommandError, *, has_token: bool) -> str:
    """A failure in a few lines."""
    return "\n".join(_lines(error, has_token=has_token))


def _lines(error: CommandError, *, has_token: bool) -> Iterator[str]:
    if isinstance(error, RefusedError):
        yield from _refusal(error, has_token=has_token)
        return
    yield from map(plain, str(error).splitlines())
    if isinstance(error, UnreachableError):
        yield f"give the router's admin address with --server URL or {SERVER_VARIABLE}"


def _refusal(error: RefusedError, *, has_token: bool) -> Iterator[str]:
    try:
        problem = read(error.answer, Problem)
    except ForeignError:
        problem = Problem(detail=str(error))
    # Where fields are named, `detail` only lists them again.
    detail = "" if problem.errors else problem.detail
    text = ": ".join(filter(None, (problem.title, detail))) or str(error)
    yield from map(plain, text.splitlines())
    for each in problem.errors:
        yield f"  {plain(each.field)}: {plain(each.message)}"
    yield from _failing(problem)
    yield from _current(problem)
    yield from _remedy(error, has_token=has_token)


def _failing(problem: Problem) -> Iterator[str]:
    """The endpoints that a version lacks, as a table."""
    if problem.endpoints:
        rows = [(each.url, each.reason or "no reason given") for each in problem.endpoints]
        yield from table_lines(("not healthy", "why"), rows)


def _remedy(error: RefusedError, *, has_token: bool) -> Iterator[str]:
    match error.status:
        case 401 if has_token:
            yield f"the router does not know the token that was given; {_GIVE_A_TOKEN}"
        case 401:
            yield _GIVE_A_TOKEN
        case 403 if has_token and error.answer.get("type") == _FORBIDDEN:
            yield f"{_GIVE_A_TOKEN} that may"
        case 409 if error.answer.get("type") == _NOT_READY:
            yield "--force overrules that; it takes the role admin"
        case 412:
            yield "if it is still right, repeat it with the generation that you have seen now"
        case 429 | 503 if error.retry_after is not None:
            yield f"try again in {plain(error.retry_after)} s"


def _current(problem: Problem) -> Iterator[str]:
    """What is now, of a route that is not as the caller thought."""
    try:
        route = msgspec.convert(problem.current, Route)
    except msgspec.ValidationError:
        return
    generation = "" if route.generation is None else f" (generation {route.generation})"
    shares = weights({each.name: each.weight for each in route.versions})
    yield f"now: {plain(route.name)} {plain(shares)}{generation}"
    if route.override is not None:
        yield plain(override(route.override))
