"""Every implementation of the store.

A new implementation joins by one line in `STORES`: a function from a folder to a store that is
not open yet.  Two calls with one folder must mean the same store.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from router.audit.entry import Entry
from router.store.base import Commit, Store
from router.store.memory import MemoryStore
from router.store.sqlite import SqliteStore

STORES: dict[str, Callable[[Path], Store]] = {
    "memory": lambda folder: MemoryStore(),
    "sqlite": lambda folder: SqliteStore(folder / "state.db"),
}


@pytest.fixture(params=sorted(STORES))
async def store(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Store]:
    """Each implementation in turn, open and empty."""
    store = STORES[request.param](tmp_path)
    await store.open()
    yield store
    await store.close()


@pytest.fixture
def database(tmp_path: Path) -> Path:
    """Where the SQLite store of this test lies."""
    return tmp_path / "state.db"


Change = Callable[..., Awaitable[tuple[Entry, ...]]]


@pytest.fixture
def change(store: Store) -> Change:
    """Commit on top of whatever is the newest."""

    async def change(**parts: Any) -> tuple[Entry, ...]:
        revision = (await store.read()).revision
        return await store.commit(Commit(revision=revision, **parts))

    return change
