"""Everybody can use it: by keys, with a screen reader, in the dark, on a telephone, on a wall."""

from __future__ import annotations

import itertools
from typing import Any, Final, Literal

import pytest
from playwright.sync_api import Page, expect

from tests.support.browsers import Come
from tests.support.consoles import Console

PLACES: Final = (
    *("/", "/routes/seen", "/routes/seen/shadow", "/routes/down", "/audit", "/explain", "/config"),
    "/audit?generation=1",
)
WIDTHS: Final = (360, 1280, 2560)
THEMES: Final[tuple[Literal["light", "dark"], ...]] = ("light", "dark")

# A page is there when it is not the one before, and waits for nothing.
LEAVE: Final = "() => document.querySelector('main > *')?.setAttribute('data-left', '')"
READY: Final = """() => document.querySelector("main h1")
  && !document.querySelector("main [data-left], main .waiting")"""

# Charts are drawn anew in the frame after a change of their size.
DRAWN: Final = """() => new Promise((done) =>
  requestAnimationFrame(() => requestAnimationFrame(() => done(null))))"""
NAMELESS: Final = "pageChecks.nameless()"
FAINT: Final = "pageChecks.faint()"
TOO_WIDE: Final = "pageChecks.tooWide()"


@pytest.fixture(scope="session", autouse=True)  # as the router
def _something_to_see(console: Console) -> None:
    """A rollout on its way and one that was given up: at rest, pages hide half of their parts."""
    console.start("seen")
    console.start("down")
    console.tell("/routes/down/rollout/abort")
    console.tell("/routes/down/weights", "PUT", weights={"v1": 95, "v2": 5})
    for _ in range(3):
        console.ask("seen")


def show(page: Page, console: Console, place: str) -> None:
    """Go to a page, and wait until it shows what it has read."""
    if page.url != console.url(place):
        page.evaluate(LEAVE)
        page.goto(console.url(place))
    page.wait_for_function(READY)


def test_no_page_is_wider_than_a_telephone_a_laptop_or_a_wall(come: Come, console: Console) -> None:
    page = come("admin").page
    wider = {}
    for place in PLACES:
        show(page, console, place)
        for theme, width in itertools.product(THEMES, WIDTHS):
            page.emulate_media(color_scheme=theme)
            page.set_viewport_size({"width": width, "height": 900})
            page.evaluate(DRAWN)
            if over := page.evaluate(TOO_WIDE):
                wider[place, theme, width] = over
    assert wider == {}


def test_every_text_stands_out_from_what_is_behind_it(come: Come, console: Console) -> None:
    page = come("admin").page
    faint = {}
    for place in PLACES:
        show(page, console, place)
        for theme in THEMES:
            page.emulate_media(color_scheme=theme)
            if found := page.evaluate(FAINT):
                faint[place, theme] = found
    assert faint == {}


@pytest.mark.parametrize("theme", THEMES)
def test_a_button_can_be_read_under_the_pointer(come: Come, console: Console, theme: Any) -> None:
    page = come("admin", color_scheme=theme).page
    show(page, console, "/explain")
    page.get_by_role("button", name="Explain").hover()
    assert page.evaluate(FAINT) == []
    show(page, console, "/routes/seen")
    for name in ("Resume", "Abort"):
        page.get_by_role("group", name="Actions").get_by_role("button", name=name).hover()
        assert page.evaluate(FAINT) == []
        page.get_by_role("button", name=name, exact=True).click()
        dialog = page.get_by_role("dialog")
        expect(dialog.get_by_role("heading", name="What it changes")).to_be_visible()
        dialog.get_by_role("button", name=name, exact=True).hover()
        assert page.evaluate(FAINT) == []
        page.keyboard.press("Escape")


def test_the_theme_that_was_chosen_outlives_a_reload(come: Come, console: Console) -> None:
    page = come("viewer", color_scheme="light").page
    background = "getComputedStyle(document.body).backgroundColor"
    light = page.evaluate(background)
    page.get_by_role("button", name="Use the dark theme").click()
    dark = page.evaluate(background)
    assert dark != light
    page.reload()
    expect(page.get_by_role("button", name="Use the light theme")).to_be_visible()
    assert page.evaluate(background) == dark


def test_every_control_chart_and_table_has_a_name(come: Come, console: Console) -> None:
    page = come("admin").page
    found = {}
    for place in PLACES:
        show(page, console, place)
        found[place] = page.evaluate(NAMELESS)
    assert found == {place: [] for place in PLACES}


@pytest.mark.parametrize("place", ["/routes/seen", "/routes/seen/shadow", "/audit", "/config"])
def test_the_tab_key_reaches_every_control_and_shows_where_it_is(
    come: Come, console: Console, place: str
) -> None:
    page = come("admin", place).page
    page.wait_for_function(READY)
    # Some more, for what a rollout may offer meanwhile, and for the browser's own stops.
    for _ in range(page.evaluate("pageChecks.watchFocus()") + 10):
        page.keyboard.press("Tab")
    assert page.evaluate("pageChecks.focus()") == []


def test_a_dialog_keeps_the_focus_until_escape_gives_it_back(come: Come) -> None:
    page = come("operator", "/routes/seen").page
    opener = page.get_by_role("button", name="Set weights")
    opener.focus()
    page.keyboard.press("Enter")
    dialog = page.get_by_role("dialog")
    expect(dialog.get_by_role("heading", name="What it changes")).to_be_visible()
    for _ in range(20):
        page.keyboard.press("Tab")
        # Beside the dialog a browser's own controls may have it: then the document's body has.
        assert page.evaluate(
            "document.activeElement === document.body || !!document.activeElement.closest('dialog')"
        )
    assert page.evaluate(NAMELESS) == []
    page.keyboard.press("Escape")
    expect(dialog).to_have_count(0)
    expect(opener).to_be_focused()


def test_a_command_can_be_given_by_keys_alone(come: Come, console: Console) -> None:
    page = come("operator", "/routes/keys").page
    page.get_by_role("button", name="Start a rollout").focus()
    page.keyboard.press("Enter")
    dialog = page.get_by_role("dialog")
    page.keyboard.press("Tab")
    expect(dialog.get_by_label("Reason")).to_be_focused()
    page.keyboard.type("by keys")
    expect(dialog.get_by_role("button", name="Start a rollout")).to_be_enabled()
    page.keyboard.press("Enter")
    expect(dialog).to_have_count(0)
    assert console.trail("keys")[0]["route"] == "keys"
    console.router.wait_until(lambda: console.rollout("keys")["target"] == "v2")


def test_arrow_keys_read_the_values_of_a_chart(come: Come) -> None:
    page = come("viewer", "/routes/seen").page
    figure = page.get_by_role("figure").first
    figure.get_by_role("img").focus()
    page.keyboard.press("ArrowLeft")
    expect(figure.locator("[aria-live]")).to_contain_text("v1")
