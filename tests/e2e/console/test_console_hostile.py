"""What users, models and colleagues write stays text, on every page."""

from __future__ import annotations

from typing import Final

import pytest
from playwright.sync_api import Page, expect

from tests.support.browsers import Come
from tests.support.consoles import HOSTILE, LONG_WORD, RIGHT_TO_LEFT, Console

SHOWN: Final = "<img src=x onerror="
"""As a reader sees it where it has stayed text."""


@pytest.fixture(scope="session", autouse=True)  # as the router
def _pairs(console: Console) -> None:
    """Answers and prompts that were recorded, and weights that are held for a hostile reason."""
    for _ in range(3):
        console.ask("words", f"{HOSTILE} {RIGHT_TO_LEFT} {LONG_WORD}", **{"x-note": HOSTILE})
    console.tell("/routes/words/weights", "PUT", weights={"v1": 100}, reason=HOSTILE)

    def recorded() -> bool:
        found = console.api.get("/routes/words/shadow/comparisons").json()
        return bool(found["comparisons"])

    console.router.wait_until(recorded)


def check_text(page: Page) -> None:
    """Somebody's text is seen, and nothing of it has become an element; the page is not wider."""
    expect(page.get_by_text(SHOWN).locator("visible=true").first).to_be_visible()
    found = page.evaluate(
        """() => ({
          elements: document.querySelectorAll(
            "img, iframe, object, embed, [onerror], [onmouseover], body script, main b i").length,
          wider: document.documentElement.scrollWidth - document.documentElement.clientWidth,
        })"""
    )
    assert found == {"elements": 0, "wider": 0}


@pytest.mark.parametrize("place", ["/", "/routes/words", "/audit?route=words"])
def test_a_hostile_reason_stays_text(come: Come, place: str) -> None:
    check_text(come("viewer", place, viewport={"width": 360, "height": 800}).page)


def test_an_audit_entry_that_is_opened_stays_text(come: Come) -> None:
    page = come("viewer", "/audit?route=words").page
    page.locator("summary").first.click()
    expect(page.get_by_role("table", name="What it changed")).to_contain_text(SHOWN)
    check_text(page)


@pytest.mark.parametrize("width", [360, 1280])
def test_prompts_and_answers_of_a_recorded_pair_stay_text(come: Come, width: int) -> None:
    size = {"width": width, "height": 800}
    page = come("operator", "/routes/words/shadow", viewport=size).page
    page.get_by_role("button", name="Open pair").first.click()
    dialog = page.get_by_role("dialog")
    request = dialog.get_by_role("region", name="Request")
    request.get_by_text("header fields").click()
    expect(request).to_contain_text(SHOWN)
    expect(request).to_contain_text("\u27e8U+202E\u27e9gnp.exe")
    answers = dialog.get_by_role("region", name="Answers")
    for choice in ("Message", "Body"):
        answers.get_by_role("button", name=choice, exact=True).click()
        expect(answers).to_contain_text(SHOWN)
        check_text(page)
    wider = dialog.evaluate("(element) => element.scrollWidth - element.clientWidth")
    assert wider == 0


def test_a_hostile_request_that_is_explained_stays_text(come: Come) -> None:
    page = come("viewer", "/explain").page
    page.get_by_label("Path").fill(f"/v1/<script>{HOSTILE.replace(' ', '/')}")
    page.get_by_label("Header fields").fill(f"x-note: {HOSTILE}")
    page.get_by_label("Body").fill(f'{{"model": "{LONG_WORD}"}}')
    page.get_by_role("button", name="Explain").click()
    decision = page.get_by_role("region", name="The decision")
    expect(decision).to_contain_text("refused")
    assert page.evaluate("document.querySelectorAll('main script, main img').length") == 0


def test_a_reason_that_turns_the_reading_direction_is_refused_in_words(come: Come) -> None:
    page = come("admin", "/routes/words").page
    page.get_by_role("button", name="Release weights").click()
    dialog = page.get_by_role("dialog")
    confirm = dialog.get_by_role("button", name="Release weights")
    expect(confirm).to_be_enabled()
    dialog.get_by_label("Reason").fill(RIGHT_TO_LEFT)
    confirm.click()
    expect(dialog.get_by_role("alert")).to_contain_text("one line without control characters")


def test_the_configuration_and_what_is_declared_of_a_version_stay_text(come: Come) -> None:
    page = come("admin", "/config").page
    page.get_by_text("words", exact=True).first.click()
    check_text(page)
