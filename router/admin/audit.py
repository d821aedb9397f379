"""`/audit`: who changed what, when and why; and whether the trail is as it was written."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from typing import Any, Final
from urllib.parse import urlencode

import msgspec
import orjson
from starlette.responses import Response

from router.admin.entries import told_entry
from router.admin.fields import Parameters
from router.admin.operation import Asked
from router.admin.problems import invalid
from router.admin.refusals import busy
from router.admin.reply import bytes_response, json_response
from router.admin.requests import AuditParameters
from router.audit.chain import Verdict
from router.audit.entry import Entry
from router.store.base import MAX_PAGE, Store, searched
from router.store.verify import verify_trail

MAX_VERIFYING: Final = 2
"""Each reads the whole trail."""

MAX_PAGE_BYTES: Final = 4 << 20
"""Of entries, as JSON.  One can hold a whole configuration: 1000 with 67 kB each took 150 ms of CPU
on the event loop, a page of 4 MiB takes 9 ms.
"""


async def list_entries(asked: Asked[AuditParameters, None]) -> Response:
    """A page of the trail."""
    wanted = asked.parameters
    if wanted.after is not None and wanted.before is not None:
        raise invalid([("before", "does not go together with after")])
    newest = await _newest(asked) if wanted.search is not None else 0
    before = wanted.before
    if wanted.search is not None and wanted.after is None:
        before = searched(None, before, newest).below  # what is written meanwhile shifts nothing
    found = await asked.plane.store.entries(
        after=wanted.after,
        before=before,
        route=wanted.route,
        action=wanted.action,
        actor=wanted.actor,
        search=wanted.search,
        limit=wanted.limit + 1,  # one more says whether there is a next page
    )
    page, told = _page(found[: wanted.limit])
    if len(found) > len(page) or len(found) == MAX_PAGE:
        following: int | None = page[-1].sequence
    else:
        following = None if wanted.search is None else _unsearched(wanted, newest)
    headers = {} if following is None else {"link": _link(asked, following)}
    body = b'{"entries":[%b],"next":%b}' % (b",".join(told), orjson.dumps(following))
    return bytes_response(body, headers=headers)


def _page(found: Sequence[Entry]) -> tuple[Sequence[Entry], list[bytes]]:
    """The first of them that have room on a page, at least one, and each as JSON."""
    told: list[bytes] = []
    room = MAX_PAGE_BYTES
    for entry in found:
        text = orjson.dumps(told_entry(entry))
        room -= len(text) + 1  # the comma
        if room < 0 and told:
            break
        told.append(text)
    return found[: len(told)], told


async def _newest(asked: Asked[AuditParameters, None]) -> int:
    head = await asked.plane.store.head()
    return 0 if head is None else head.sequence


def _unsearched(wanted: AuditParameters, newest: int) -> int | None:
    """Where a search goes on that has found all in its part of the trail; None: that was all."""
    part = searched(wanted.after, wanted.before, newest)
    if wanted.after is not None:
        return part.below - 1 if part.below <= newest else None
    return part.above + 1 if part.above else None


def _link(asked: Asked[AuditParameters, None], following: int) -> str:
    """The next page's address (RFC 8288), with the same filters."""
    wanted = asked.parameters
    direction = "before" if wanted.after is None else "after"
    filters = wanted.model_dump(by_alias=True, exclude_none=True) | {direction: following}
    return f'<{asked.request.url.path}?{urlencode(filters)}>; rel="next"'


class VerifyTrail:
    """Reads the whole trail in blocks; the loop turns while a block is judged."""

    def __init__(self) -> None:
        self._verifying = 0

    async def __call__(self, asked: Asked[Parameters, None]) -> Response:
        """Whether every entry is as it was written, and which is the first that is not."""
        if self._verifying >= MAX_VERIFYING:
            raise busy(f"{MAX_VERIFYING} verifications run already")
        self._verifying += 1
        try:
            return json_response(_told(await verify_trail(_Patient(asked.plane.store))))
        finally:
            self._verifying -= 1


class _Patient:
    """A trail whose reader lets others have their turn after each block."""

    def __init__(self, store: Store) -> None:
        self._store: Final = store
        self.head: Final = store.head
        self.origin: Final = store.origin

    async def stream_entries(self) -> AsyncIterator[Sequence[Entry]]:
        """See `Store`; a block of 256 entries is judged in 9 ms."""
        async for block in self._store.stream_entries():
            yield block
            await asyncio.sleep(0)


def _told(verdict: Verdict) -> dict[str, Any]:
    document: dict[str, Any] = {
        "ok": verdict.fault is None,
        "entries": verdict.entries,
        "head": None if verdict.head is None else msgspec.to_builtins(verdict.head),
    }
    if verdict.fault is not None:
        document["firstBad"] = msgspec.to_builtins(verdict.fault)
    return document
