"""An engine in the test's own loop, behind a real socket."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from typing import Any

import pytest

from tests.support.engines import EngineInLoop, StartEngine, engine_in_loop


@pytest.fixture
async def start_engine() -> AsyncIterator[StartEngine]:
    """Start engines that answer at once; they stop with the test."""
    async with AsyncExitStack() as stack:

        async def start(**settings: Any) -> EngineInLoop:
            return await stack.enter_async_context(engine_in_loop(**settings))

        yield start
