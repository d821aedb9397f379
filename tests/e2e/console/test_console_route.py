"""A rollout that is watched and commanded in a browser."""

from __future__ import annotations

import re
from typing import Final

from playwright.sync_api import Locator, Page, expect

from tests.support.browsers import Come
from tests.support.consoles import Console

REASON: Final = "p99 doubled, seen in the console"
ALL_TO_V1: Final = "Traffic: v1 (stable) 100 %"


def now(page: Page) -> Locator:
    """The first thing to read: what the route does."""
    return page.get_by_role("region", name="Now")


def traffic(page: Page, **weights: float) -> Locator:
    """The bar that shows these shares, the stable version's first."""
    said = ".*".join(rf"{name} \(\w+\) {share:g} %" for name, share in weights.items())
    return now(page).get_by_role("img", name=re.compile(f"^Traffic: {said}$"))


def button(within: Page | Locator, label: str) -> Locator:
    return within.get_by_role("button", name=label, exact=True)


def prepare(page: Page, label: str, reason: str = REASON) -> Locator:
    """Everything up to the last click: the dialog, with its reason."""
    button(now(page), label).click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_label("Reason").fill(reason)
    return dialog


def give(page: Page, label: str, **fields: str) -> None:
    """A command as a person gives it: choose, say why, read the dry run, confirm."""
    dialog = prepare(page, label)
    for name, value in fields.items():
        dialog.get_by_label(name).fill(value)
    button(dialog, label).click()  # enabled once the dry run is there
    expect(dialog).to_have_count(0)
    expect(now(page).get_by_text(f"{label}: done.")).to_be_visible()


def mark_document(page: Page) -> None:
    page.evaluate("globalThis.marked = true")


def is_marked(page: Page) -> bool:
    """Whether nothing was loaded anew since."""
    return bool(page.evaluate("globalThis.marked === true"))


def test_a_canary_is_seen_walking_and_stopped_with_a_reason_that_the_audit_page_tells(
    come: Come, console: Console
) -> None:
    visitor = come("operator", "/routes/walk")
    page = visitor.page
    expect(now(page).get_by_text("v1 is stable; nothing is under way.")).to_be_visible()
    mark_document(page)
    with console.traffic():
        console.start("walk")
        expect(now(page)).to_contain_text("Step 2 of 4: pause for 2 s")
        expect(now(page)).to_contain_text("then set weight to 40 %")
        expect(traffic(page, v1=90, v2=10)).to_be_visible()
        expect(now(page)).to_contain_text("Step 4 of 4: pause for 10 min")
        expect(traffic(page, v1=60, v2=40)).to_be_visible()
        here = page.get_by_role("region", name="Rollout").locator("[aria-current=step]")
        expect(here).to_contain_text(re.compile(r"pause for 10 min.*left"))
        dialog = prepare(page, "Abort")
        rows = dialog.get_by_role("table", name="Weights now and then").get_by_role("row")
        expect(rows.filter(has_text="v2")).to_have_text(re.compile(r"v2\s*40 %\s*0 %"))
        assert console.weights("walk") == {"v1": 60, "v2": 40}
        button(dialog, "Abort").click()
        expect(now(page)).to_contain_text("Degraded")
        expect(traffic(page, v1=100)).to_be_visible()
    assert is_marked(page)
    assert console.weights("walk") == {"v1": 100, "v2": 0}

    entry = next(one for one in console.trail("walk") if one["action"] == "rollout.aborted")
    assert (entry["actor"]["name"], entry["reason"]) == ("operator", f"abort: {REASON}")
    page.get_by_role("navigation", name="About this route").get_by_text("Audit").click()
    expect(page.get_by_role("heading", name="Audit", level=1)).to_be_visible()
    expect(page.get_by_role("main")).to_contain_text(REASON)
    console.open(visitor, f"/audit?generation={entry['generation']}")
    expect(page.get_by_role("main")).to_contain_text(REASON)
    assert is_marked(page)


def test_every_button_s_command_arrives_at_the_router(come: Come, console: Console) -> None:
    page = come("operator", "/routes/told").page
    commands: tuple[tuple[str, dict[str, str], str, dict[str, float]], ...] = (
        ("Start a rollout", {}, "waits until a person resumes", {"v1": 80, "v2": 20}),
        ("Pause", {}, f"pause: {REASON}", {"v1": 80, "v2": 20}),
        ("Resume", {}, "waits until a person resumes", {"v1": 80, "v2": 20}),
        ("Promote", {}, "Step 4 of 4", {"v1": 40, "v2": 60}),
        ("Set weights", {"v1 stable": "75"}, "held by operator", {"v1": 75, "v2": 25}),
        ("Release weights", {}, "Step 4 of 4", {"v1": 40, "v2": 60}),
        ("Abort", {}, "Degraded", {"v1": 100}),
        ("Retry", {}, "Step 2 of 4", {"v1": 80, "v2": 20}),
        ("Promote fully", {}, "v2 is stable", {"v2": 100}),
        ("Roll back", {}, "v1 is stable", {"v1": 100}),
    )
    for label, fields, says, weights in commands:
        give(page, label, **fields)
        expect(traffic(page, **weights)).to_be_visible()
        expect(now(page)).to_contain_text(says)
        console.wait_weights("told", {"v1": 0, "v2": 0} | weights)
    by_hand = [one for one in console.trail("told") if one["actor"]["name"] == "operator"]
    assert all(one["reason"].endswith(REASON) for one in by_hand)
    assert [one["action"] for one in by_hand[::-1]] == [
        *("rollout.started", "rollout.paused", "rollout.resumed", "rollout.skipped"),
        *("weights.set", "weights.released", "rollout.aborted", "rollout.retried"),
        *("rollout.promotedFull", "rollout.rolledBack"),
    ]


def test_a_blue_green_route_is_switched_by_a_button(come: Come, console: Console) -> None:
    page = come("operator", "/routes/swap").page
    expect(traffic(page, v1=100)).to_be_visible()
    give(page, "Switch")
    expect(traffic(page, v2=100)).to_be_visible()
    assert console.weights("swap") == {"v1": 0, "v2": 100}


def test_a_command_on_what_is_not_there_any_more_is_refused_in_its_place_with_a_remedy(
    come: Come, console: Console
) -> None:
    console.start("stale")
    page = come("operator", "/routes/stale").page
    expect(traffic(page, v1=80, v2=20)).to_be_visible()
    dialog = prepare(page, "Set weights")
    expect(button(dialog, "Set weights")).to_be_enabled()
    faster = {"v1": 40, "v2": 60}
    console.tell("/routes/stale/rollout/promote")
    console.wait_weights("stale", faster)
    button(dialog, "Set weights").click()
    expect(dialog.get_by_role("alert")).to_contain_text("has changed since")
    expect(dialog.get_by_role("alert")).to_contain_text("decide again")
    assert console.weights("stale") == faster
    button(dialog, "Look again").click()
    expect(dialog.get_by_role("heading", name="What it changes")).to_be_visible()
    expect(dialog.get_by_role("alert")).to_have_count(0)
    button(dialog, "Cancel").click()


def test_a_command_that_is_not_possible_any_more_is_refused_in_its_place_with_a_remedy(
    come: Come, console: Console
) -> None:
    page = come("operator", "/routes/late").page
    expect(traffic(page, v1=100)).to_be_visible()
    console.start("late")
    dialog = prepare(page, "Resume")
    expect(button(dialog, "Resume")).to_be_enabled()
    console.tell("/routes/late/rollout/abort")
    button(dialog, "Resume").click()
    expect(dialog.get_by_role("alert")).to_contain_text("decide again")
    button(dialog, "Look again").click()
    expect(dialog.get_by_role("alert")).to_contain_text("Do first what it names")
    expect(button(dialog, "Resume")).to_be_disabled()
    button(dialog, "Cancel").click()
    expect(button(now(page), "Retry")).to_be_visible()
    expect(button(now(page), "Resume")).to_have_count(0)


def test_a_command_whose_answer_is_lost_is_not_called_refused(come: Come, console: Console) -> None:
    page = come("operator", "/routes/late").page
    dialog = prepare(page, "Set weights")
    expect(button(dialog, "Set weights")).to_be_enabled()
    page.route(re.compile(r"/routes/late/weights$"), lambda call: call.fulfill(status=500))
    button(dialog, "Set weights").click()
    expect(dialog).to_contain_text("Nobody can tell whether it was made")
    expect(dialog).not_to_contain_text("nothing was changed")
    expect(button(dialog, "Set weights")).to_be_disabled()


def test_two_browsers_see_the_same_after_one_of_them_has_acted(
    come: Come, console: Console
) -> None:
    one, other = come("operator", "/routes/twins").page, come("viewer", "/").page
    row = other.get_by_role("row").filter(has=other.get_by_role("link", name="twins"))
    expect(row).to_contain_text("Healthy")
    mark_document(other)
    give(one, "Start a rollout")
    expect(row.get_by_role("img", name=re.compile("v2 .canary. 20 %"))).to_be_visible()
    expect(row).to_contain_text("step 2 of 4")
    give(one, "Abort")
    expect(row).to_contain_text("Degraded")
    expect(row.get_by_role("img", name=ALL_TO_V1)).to_be_visible()
    assert is_marked(other)


def test_an_abort_s_measurement_is_told_only_where_it_ended_this_very_attempt(
    come: Come, console: Console
) -> None:
    page = come("viewer", "/routes/judged").page
    console.start("judged")
    expect(now(page)).to_contain_text("waits until a person resumes")
    console.tell("/routes/judged/rollout/resume")
    expect(now(page)).to_contain_text("Degraded")
    expect(now(page)).to_contain_text("errors: no data, not result[0] < 0.05, at")
    expect(now(page)).not_to_contain_text("wish:")  # a dry run: it has failed as well
    console.tell("/routes/judged/rollout/retry")
    expect(now(page)).to_contain_text("waits until a person resumes")
    console.tell("/routes/judged/rollout/abort", reason=REASON)
    expect(now(page)).to_contain_text(f"abort: {REASON}")
    expect(now(page)).not_to_contain_text("errors:")
    runs = page.get_by_role("region", name="Analysis")
    expect(runs).to_contain_text("errors")  # which is still told in its place
