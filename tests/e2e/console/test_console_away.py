"""A console whose control dies, and a page whose subject is gone."""

from __future__ import annotations

import signal

from playwright.sync_api import expect

from tests.support.browsers import PATIENCE_MS, Come
from tests.support.consoles import Console


def test_a_page_outlives_control_tells_how_old_it_is_and_comes_back_by_itself(
    come: Come, console: Console
) -> None:
    page = come("operator", "/routes/twins").page
    heading = page.get_by_role("heading", name="twins", level=1)
    now = page.get_by_role("region", name="Now")
    expect(now).to_contain_text("v1")
    expect(page.get_by_role("banner")).to_contain_text("Live")
    page.evaluate("globalThis.marked = true")
    # Nobody starts control again while the supervisor stands still.
    console.router.signal(signal.SIGSTOP)
    try:
        console.router.kill("control")
        expect(page.get_by_role("banner")).to_contain_text("Control is away")
        # A call that hangs is given up after 10 s, and the page reads every 5 s.
        away = page.get_by_text("What is shown is from")
        expect(away).to_contain_text("Traffic goes on without control", timeout=2 * PATIENCE_MS)
        expect(heading).to_be_visible()
        expect(now).to_contain_text("v1")
    finally:
        console.router.signal(signal.SIGCONT)
    expect(page.get_by_role("banner")).to_contain_text("Live")
    console.tell("/routes/twins/weights", "PUT", weights={"v1": 35, "v2": 65})
    expect(now.get_by_role("img", name="v2 (canary) 65 %")).to_be_visible()
    expect(away).to_have_count(0)
    assert page.evaluate("globalThis.marked === true")
    console.tell("/routes/twins/weights", "DELETE")


def test_a_route_that_was_removed_says_so_and_leads_to_the_others(
    come: Come, console: Console
) -> None:
    page = come("viewer", "/routes/going").page
    expect(page.get_by_role("region", name="Now")).to_be_visible()
    routes = console.config["routes"]
    try:
        console.change(routes=[one for one in routes if one["name"] != "going"])
        expect(page.get_by_role("alert")).to_contain_text("no route is called 'going'")
        page.get_by_role("link", name="All routes").click()
        expect(page.get_by_role("link", name="told")).to_be_visible()
        expect(page.get_by_role("link", name="going")).to_have_count(0)
    finally:
        console.change(routes=routes)
    expect(page.get_by_role("link", name="going")).to_be_visible()
