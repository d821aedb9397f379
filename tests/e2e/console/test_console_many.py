"""500 routes, 10 000 audit entries, answers of a megabyte: every page stays usable."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.support.browsers import Visitor, visit
from tests.support.consoles import Console
from tests.support.full_stores import ENTRIES, NEEDLE, ROUTES, running_full_console


@pytest.fixture(scope="module")
def full(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Console]:
    with running_full_console(tmp_path_factory.mktemp("full")) as console:
        yield console


@pytest.fixture
def visitor(browser: Browser, full: Console) -> Iterator[Visitor]:
    with visit(browser, full.origin) as visitor:
        yield visitor


def test_500_routes_are_paged_and_searched_while_what_is_typed_is_heard(
    visitor: Visitor, full: Console
) -> None:
    page = full.enter(visitor, "operator")
    links = page.get_by_role("main").get_by_role("link", name=re.compile(r"^route-\d"))
    expect(links).to_have_count(100)
    pages = page.get_by_role("navigation", name="Pages")
    expect(pages).to_contain_text("of 500")
    pages.get_by_role("button", name="Next").click()
    expect(page.get_by_role("link", name="route-100")).to_be_visible()
    search = page.get_by_role("searchbox", name="Find a route")
    search.press_sequentially("route-49")
    expect(search).to_have_value("route-49")
    expect(links).to_have_count(10)
    page.get_by_role("link", name="route-499").click()
    expect(page.get_by_role("heading", name="route-499", level=1)).to_be_visible()


def test_500_declared_routes_are_paged_and_searched(visitor: Visitor, full: Console) -> None:
    page = full.enter(visitor, "viewer", "/config")
    main = page.get_by_role("main")
    pages = main.get_by_role("navigation", name="Pages")
    expect(pages).to_contain_text("of 500")
    # Clicked twice before the next page is there, it turns once.
    pages.get_by_role("button", name="Next").evaluate("next => { next.click(); next.click(); }")
    expect(pages).to_contain_text(re.compile("51.100 of 500"))
    page.get_by_role("searchbox", name="Find a route").fill("route-499")
    expect(main.get_by_role("listitem").filter(has_text="route-499")).to_be_visible()
    expect(main.get_by_text("route-001")).to_have_count(0)


def test_10_000_audit_entries_are_paged_searched_and_verified(
    visitor: Visitor, full: Console
) -> None:
    page = full.enter(visitor, "viewer", "/audit")
    entries = page.get_by_role("region", name="Entries").get_by_role("listitem")
    expect(entries).to_have_count(100)
    page.get_by_role("navigation", name="Pages").get_by_role("button", name="Next").click()
    expect(page.get_by_role("navigation", name="Pages").get_by_role("status")).not_to_be_empty()
    expect(entries).to_have_count(100)
    page.get_by_label("Search", exact=True).fill(NEEDLE.upper())
    expect(entries).to_have_count(1)
    expect(entries).to_contain_text(NEEDLE)
    page.get_by_role("button", name="Verify the chain").click()
    said = page.get_by_text(re.compile(r"[\d\u202f\u00a0, ]+ entries are as they were written"))
    expect(said).to_be_visible()
    assert int(re.sub(r"\D", "", said.inner_text())) > ENTRIES


def test_a_pair_of_answers_of_a_megabyte_is_shown_in_parts(visitor: Visitor, full: Console) -> None:
    page = full.enter(visitor, "operator", f"/routes/{ROUTES[0]}/shadow")
    for number in (1, 2):
        look_at_pair(page, number)


def look_at_pair(page: Page, number: int) -> None:
    """One of many lines, and one of a single line."""
    page.get_by_role("button", name=f"Open pair {number}", exact=True).click()
    dialog = page.get_by_role("dialog")
    answers = dialog.get_by_role("region", name="Answers")
    expect(answers.get_by_role("table").first).to_be_visible()
    answers.get_by_role("button", name="Body", exact=True).click()
    expect(answers.get_by_role("table").first).to_be_visible()
    assert page.evaluate("document.querySelectorAll('*').length") < 20_000
    page.keyboard.press("Escape")
    expect(dialog).to_have_count(0)
