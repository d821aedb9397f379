"""What is commanded beside rollouts: a shadow, the configuration, the workers."""

from __future__ import annotations

from playwright.sync_api import Locator, Page, expect

from tests.support.browsers import Come
from tests.support.consoles import Console

REASON = "the console's test wants it"


def command(page: Page, label: str, confirm: str) -> Locator:
    """The dialog of a button, with a reason; `confirm` is what its own button says."""
    page.get_by_role("group", name="Actions").get_by_role("button", name=label, exact=True).click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_label("Reason").fill(REASON)
    return dialog.get_by_role("button", name=confirm, exact=True)


def test_a_shadow_is_set_and_cleared_by_buttons(come: Come, console: Console) -> None:
    page = come("operator", "/routes/copied/shadow").page
    sure = command(page, "Set the shadow", "Set the shadow")
    page.get_by_role("dialog").get_by_label("Percent of stable's requests").fill("12.5")
    sure.click()
    expect(page.get_by_role("dialog")).to_have_count(0)
    expect(page.get_by_role("region", name="Now")).to_contain_text("12.5 % of stable's requests")
    override = console.api.get("/routes/copied/shadow").json()["override"]
    assert (override["percent"], override["reason"]) == (12.5, REASON)
    command(page, "Clear the shadow", "Clear the shadow").click()
    expect(page.get_by_role("dialog")).to_have_count(0)
    expect(page.get_by_role("button", name="Clear the shadow")).to_have_count(0)
    assert console.api.get("/routes/copied/shadow").json()["override"] is None


def test_an_admin_reloads_the_configuration_and_reads_why_a_file_was_refused(
    come: Come, console: Console
) -> None:
    page = come("admin", "/config").page
    command(page, "Reload", "Reload").click()
    expect(page.get_by_text("The configuration is in force")).to_be_visible()
    try:
        console.router.config_file.write_text("routes: nonsense")
        command(page, "Reload", "Reload").click()
        expect(page.get_by_role("dialog").get_by_role("alert")).to_contain_text("routes")
        page.keyboard.press("Escape")
        expect(page.get_by_text("The file was refused at")).to_be_visible()
    finally:
        console.change()
    expect(page.get_by_text("The file was refused at")).to_have_count(0)


def test_an_admin_restarts_the_workers_and_sees_how_far_it_is(come: Come, console: Console) -> None:
    page = come("admin", "/config").page
    before = console.router.pid("w0")
    command(page, "Restart the workers", "Restart").click()
    expect(page.get_by_text("The restart has begun")).to_be_visible()
    expect(page.get_by_role("button", name="Restart the workers")).to_be_enabled()
    console.router.wait_until(lambda: console.router.pid("w0") not in (None, before))
    assert console.ask("told").status_code == 200
