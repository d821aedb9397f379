"""`/routes/{route}/shadow/…`: the report, and the recorded pairs of answers.

What was recorded is redacted as the configuration says, and holds users' texts all the same: a
whole pair is for operators, rows without texts are for everybody.
"""

from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, Final

import msgspec
import orjson
from pydantic.alias_generators import to_camel
from starlette.responses import Response, StreamingResponse
from starlette.types import Receive, Scope, Send

from router.admin.operation import Asked
from router.admin.problems import Problem, ProblemType
from router.admin.refusals import busy
from router.admin.reply import NOT_KEPT, json_response
from router.admin.requests import (
    ComparisonParameters,
    ComparisonsParameters,
    ExportParameters,
    RouteParameters,
)
from router.admin.shadow import why_nothing
from router.store.pairs import KeptPair

LINES: Final = "application/x-ndjson"
MAX_EXPORTING: Final = 2
"""Each reads all recorded pairs of a route, and holds one block of them."""

Blocks = AsyncIterator[Sequence[KeptPair]]


async def show_report(asked: Asked[RouteParameters, None]) -> Response:
    """What all pairs tell since the shadow has begun."""
    name = asked.parameters.route
    route, state = asked.plane.route(name)
    report = asked.plane.shadows.report(name)
    if report is None:
        why = why_nothing(route, state) or "copies are made"
        raise Problem(ProblemType.NOT_FOUND, f"route {name}: nothing was compared yet; {why}")
    return json_response({"route": name, **_told(report)})


async def list_comparisons(asked: Asked[ComparisonsParameters, None]) -> Response:
    """A page of recorded pairs, the newest first, without texts."""
    wanted = asked.parameters
    asked.plane.route(wanted.route)
    found = await asked.plane.shadows.pairs(
        wanted.route,
        verdict=wanted.verdict,
        before=wanted.before,
        limit=wanted.limit + 1,  # one more says whether there is a next page
    )
    page = found[: wanted.limit]
    following = page[-1].id if len(found) > len(page) else None
    return json_response({"comparisons": [_row(pair) for pair in page], "next": following})


async def show_comparison(asked: Asked[ComparisonParameters, None]) -> Response:
    """One recorded pair with everything that was kept of it."""
    wanted = asked.parameters
    asked.plane.route(wanted.route)
    pair = await asked.plane.shadows.pair(wanted.route, wanted.id)
    if pair is None:
        why = f"route {wanted.route} has no recorded pair {wanted.id}, or none any more"
        raise Problem(ProblemType.NOT_FOUND, why)
    return json_response(_whole(pair))


class ExportComparisons:
    """Sends all recorded pairs of a route, the oldest first, one on each line."""

    def __init__(self) -> None:
        self._exporting = 0

    async def __call__(self, asked: Asked[ExportParameters, None]) -> Response:
        """The stream; a HEAD reads nothing."""
        wanted = asked.parameters
        asked.plane.route(wanted.route)
        if asked.request.method == "HEAD":
            return Response(headers=NOT_KEPT, media_type=LINES)
        blocks = asked.plane.shadows.stream(wanted.route, verdict=wanted.verdict)
        return _Lines(self, blocks, asked.request.state.is_welcome)

    @contextmanager
    def place(self) -> Iterator[None]:
        """A place for one export.

        Raises:
            Problem: all are taken.
        """
        if self._exporting >= MAX_EXPORTING:
            raise busy(f"{MAX_EXPORTING} exports run already")
        self._exporting += 1
        try:
            yield
        finally:
            self._exporting -= 1


class _Lines(StreamingResponse):
    """An answer that breaks off where it cannot be complete: readers notice the missing end."""

    def __init__(
        self, exports: ExportComparisons, blocks: Blocks, is_welcome: Callable[[], bool]
    ) -> None:
        super().__init__(self._lines(), headers=NOT_KEPT, media_type=LINES)
        self._exports: Final = exports
        self._blocks: Final = blocks
        self._is_welcome: Final = is_welcome
        self._first: Sequence[KeptPair] | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """See ASGI 3.0.

        Raises:
            Problem, StoreUnavailableError: nothing was sent, if it comes before the first block.
        """
        with self._exports.place():
            self._first = await anext(self._blocks, None)
            await super().__call__(scope, receive, send)

    async def _lines(self) -> AsyncIterator[bytes]:
        if self._first is None:
            return
        yield _encoded(self._first)
        async for block in self._blocks:
            if not self._is_welcome():
                raise Problem(ProblemType.UNAUTHENTICATED, "the token was withdrawn")
            yield _encoded(block)


def _encoded(block: Sequence[KeptPair]) -> bytes:
    return b"".join(orjson.dumps(_whole(pair), option=orjson.OPT_APPEND_NEWLINE) for pair in block)


def _row(pair: KeptPair) -> dict[str, Any]:
    kept: Mapping[str, Any] = pair.document or {}
    shadow, twin = kept.get("shadow") or {}, kept.get("twin")
    return {
        "id": pair.id,
        "time": pair.time_s,
        "stable": pair.stable,
        "shadow": pair.shadow,
        "verdict": pair.verdict,
        "rule": kept.get("rule", ""),
        "differing": _differing(shadow),
        "twinDiffering": None if twin is None else _differing(twin),
        "error": shadow.get("error", ""),
        "requestId": kept.get("requestId", ""),
        "generation": kept.get("generation"),
    }


def _differing(answer: Mapping[str, Any]) -> list[str]:
    return [each["field"] for each in answer.get("differences", ()) if not each["same"]]


def _whole(pair: KeptPair) -> dict[str, Any]:
    return {"id": pair.id, "route": pair.route, **(pair.document or {})}


def _told(value: Any) -> Any:
    """A value with its members in the words of the API; the keys of mappings stay as they are."""
    match value:
        case msgspec.Struct():
            names = value.__struct_fields__
            return {_word(name): _told(getattr(value, name)) for name in names}
        case dict():
            return {str(key): _told(each) for key, each in value.items()}
        case tuple() | list():
            return [_told(each) for each in value]
    return value


def _word(name: str) -> str:
    """`since_s` is `since`: all times are seconds."""
    return to_camel(name.removesuffix("_s"))
