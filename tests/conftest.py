"""What every test shares."""

from __future__ import annotations

from itertools import groupby

import pytest
from hypothesis import settings

# Other processes share the cores: how long one example takes says nothing.
settings.register_profile("shared machine", deadline=None)
settings.load_profile("shared machine")

WAITING = {"e2e", "chart"}
"""Tests of whole routers: they mostly wait, while others mostly compute."""


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Spread the files that wait evenly among the others, so that cores are never idle.

    Each process of xdist gets a piece of this order; in the alphabet's, the last minutes of a run
    had only tests that wait.  A file's tests stay together, and so do its fixtures.
    """
    files = [list(group) for _, group in groupby(items, key=lambda item: item.path)]
    waiting = [tests for tests in files if WAITING & set(tests[0].path.parts)]
    others = [tests for tests in files if not WAITING & set(tests[0].path.parts)]
    apart = sum(map(len, others)) / (len(waiting) + 1)
    spread: list[pytest.Item] = []
    computing, due = 0, apart / 2
    for tests in others:
        while waiting and computing >= due:
            spread += waiting.pop(0)
            due += apart
        spread += tests
        computing += len(tests)
    items[:] = [*spread, *(test for tests in waiting for test in tests)]
