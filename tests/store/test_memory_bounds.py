"""The memory store keeps the newest audit entries, and they still verify."""

from __future__ import annotations

import pytest

from router.audit.entry import Entry
from router.store import verify_trail
from router.store.base import Commit
from router.store.memory import MemoryStore
from tests.store.commits import draft

pytestmark = pytest.mark.anyio


async def test_only_the_newest_entries_are_kept_and_verify_from_there() -> None:
    store = MemoryStore(max_entries=10)
    await store.open()
    written: list[Entry] = []
    for revision in range(5):
        written += await store.commit(
            Commit(revision=revision, entries=[draft() for _ in range(7)])
        )
    assert await store.entries(after=0) == written[-10:]
    origin = await store.origin()
    assert origin is not None
    assert (origin.sequence, origin.hash) == (25, written[24].hash)
    verdict = await verify_trail(store)
    assert (verdict.entries, verdict.fault) == (10, None)
