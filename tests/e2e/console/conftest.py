"""A browser for each module, a router for all of them in one process."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

import pytest
from playwright.sync_api import Browser, expect

from tests.support.browsers import PATIENCE_MS, Come, Visitor, running_chromium, visit
from tests.support.consoles import Console, running_console

expect.set_options(timeout=PATIENCE_MS)


# Of the module, not of the session: its event loop would be in the way of asynchronous tests.
@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with running_chromium() as browser:
        yield browser


@pytest.fixture(scope="session")
def console(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Console]:
    with running_console(tmp_path_factory.mktemp("console")) as console:
        yield console


@pytest.fixture
def come(browser: Browser, console: Console) -> Iterator[Come]:
    """Somebody with a fresh profile; who did what no page may do fails the test at its end."""
    with ExitStack() as stack:

        def come(name: str = "", place: str = "/", **profile: Any) -> Visitor:
            visitor = stack.enter_context(visit(browser, console.origin, **profile))
            if name:
                console.enter(visitor, name, place)
            return visitor

        yield come


@pytest.fixture
def ask(come: Come, console: Console) -> Any:
    """Run JavaScript in a page of the console that reads nothing by itself: its login."""
    page = console.open(come(), "/")
    expect(page.get_by_label("Token")).to_be_visible()
    return page.evaluate
