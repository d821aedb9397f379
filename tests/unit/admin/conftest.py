"""The admin port that most tests ask: two routes, two workers, no tokens unless `guarded`."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from tests.support.admin import Admin, admin_port, configuration, tokens


@pytest.fixture
async def admin() -> AsyncIterator[Admin]:
    async with admin_port() as admin:
        yield admin


@pytest.fixture
async def guarded() -> AsyncIterator[Admin]:
    async with admin_port(configuration(auth={"tokens": tokens()})) as admin:
        yield admin
