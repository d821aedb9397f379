"""From page to page: what the one that is left still does, and what is seen meanwhile."""

from __future__ import annotations

from typing import Final

import pytest
from playwright.sync_api import Page, Route, expect

from tests.support.browsers import Come
from tests.support.consoles import Console

MODULE: Final = "**/ui/pages/route.js"
"""Of the page that is gone to; it is loaded when it is first wanted."""

TYPE_AND_GO: Final = """(place) => {
  const field = document.querySelector("main input[type=search]");
  field.value = "told";
  field.dispatchEvent(new Event("input", { bubbles: true }));
  location.hash = place;
}"""


def hold(page: Page, pattern: str) -> list[Route]:
    """What the page asks for there waits in this list until a test goes on with it."""
    held: list[Route] = []

    def keep(route: Route) -> None:
        held.append(route)

    page.route(pattern, keep)
    return held


@pytest.mark.parametrize("place", ["/", "/audit"])
def test_what_was_typed_on_a_page_that_is_left_does_not_change_the_address_of_the_next(
    come: Come, console: Console, place: str
) -> None:
    visitor = come()
    page = visitor.page
    page.clock.install()
    console.enter(visitor, "viewer", place)
    expect(page.get_by_role("searchbox").first).to_be_visible()
    held = hold(page, MODULE)
    with page.expect_request(MODULE):
        page.evaluate(TYPE_AND_GO, "#/routes/told")
    page.clock.run_for(1_000)  # what was typed is looked for after less
    assert page.evaluate("location.hash") == "#/routes/told"
    expect(page.get_by_role("main").get_by_role("status")).to_have_text("Reading…")
    held[0].continue_()
    expect(page.get_by_role("heading", name="told", level=1)).to_be_visible()
    assert page.evaluate("location.hash") == "#/routes/told"


def test_a_page_that_comes_late_does_not_take_the_place_of_the_one_that_is_wanted_now(
    come: Come,
) -> None:
    page = come("viewer", "/").page
    expect(page.get_by_role("searchbox")).to_be_visible()
    held = hold(page, MODULE)
    with page.expect_request(MODULE):
        page.evaluate("location.hash = '#/routes/told'")
    page.evaluate("location.hash = '#/nowhere'")
    nowhere = page.get_by_role("heading", name="No such page")
    expect(nowhere).to_be_visible()
    held[0].continue_()
    # Whoever asked for the module first is answered first.
    page.evaluate("import(new URL('pages/route.js', document.baseURI).href).then(() => null)")
    assert nowhere.is_visible()
    assert page.get_by_role("heading", name="told", level=1).count() == 0
