"""A page that stays open over midnight: what happened today has then happened yesterday."""

from __future__ import annotations

import re
from typing import Final

import pytest
from playwright.sync_api import expect

from tests.support.browsers import Come
from tests.support.consoles import Console

DATED: Final = re.compile(r"^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d$")


@pytest.fixture(scope="session", autouse=True)  # as the router
def _past(console: Console) -> None:
    """Entries, an analysis, weights that are held for an hour, and a recorded pair."""
    console.start("dated")
    console.router.wait_until(lambda: console.rollout("dated")["phase"] == "Degraded")
    console.tell("/routes/dated/weights", "PUT", weights={"v1": 100}, expiresSeconds=3_600)
    console.ask("words")

    def recorded() -> bool:
        found = console.api.get("/routes/words/shadow/comparisons").json()
        return bool(found["comparisons"])

    console.router.wait_until(recorded)


@pytest.mark.parametrize(
    ("place", "within"),
    [
        ("/routes/dated", ".story"),
        ("/routes/dated", ".run"),
        ("/audit?route=dated", ".entries"),
        ("/config?search=dated", ".declared"),
        ("/routes/words/shadow", "table"),
    ],
)
def test_a_moment_gets_its_date_when_its_day_is_over(
    come: Come, console: Console, place: str, within: str
) -> None:
    visitor = come()
    page = visitor.page
    page.clock.install()
    console.enter(visitor, "viewer", place)
    moments = page.locator(f"main {within} time")
    if within == ".declared":
        page.locator(f"main {within} summary").click()
    expect(moments.first).to_be_visible()
    count = moments.count()
    # The answers of control, whose clock stays where it is, would correct the page's.
    visitor.context.set_offline(True)
    page.clock.fast_forward("24:00:00")
    expect(moments).to_have_text([DATED] * count)
