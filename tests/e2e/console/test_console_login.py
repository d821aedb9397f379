"""Who gets in, by what, and what a browser is left with."""

from __future__ import annotations

from typing import Final

import httpx
from playwright.sync_api import Page, expect

from router.admin.application import API
from router.admin.logins import GUESSES
from router.admin.origins import CONSOLE
from router.admin.session import COOKIE
from tests.support.browsers import Come
from tests.support.consoles import PEOPLE, SECRETS, Console

PATH: Final = f"{API}/routes/told/rollout/pause"


def sign_in(page: Page, token: str) -> None:
    page.get_by_label("Token").fill(token)
    page.get_by_role("button", name="Sign in").click()


def everything_kept(page: Page) -> str:
    """What scripts can reach: document, storage, address, cookies, what was typed."""
    kept: str = page.evaluate(
        """() => [
          document.documentElement.outerHTML,
          ...[...document.querySelectorAll("input")].map((field) => field.value),
          JSON.stringify(localStorage), JSON.stringify(sessionStorage),
          location.href, document.cookie, JSON.stringify(history.state), window.name,
        ].join("\\n")"""
    )
    return kept


def test_a_wrong_token_is_told_in_words_and_a_right_one_opens_the_overview(
    come: Come, console: Console
) -> None:
    page = console.open(come(), "/")
    sign_in(page, "no such token")
    expect(page.get_by_role("alert")).to_contain_text("not known")
    expect(page.get_by_role("navigation", name="Console")).to_be_empty()
    sign_in(page, SECRETS["operator"])
    expect(page.get_by_role("heading", name="Routes")).to_be_visible()
    expect(page.get_by_role("banner")).to_contain_text("operator")


def test_who_guesses_is_told_to_wait_while_a_known_token_still_opens_the_door(
    come: Come, console: Console
) -> None:
    for name in PEOPLE:
        console.session(name)  # known from this address, for this test and for all others
    page = console.open(come(), "/")
    headers = {"origin": console.origin, "x-requested-with": CONSOLE}
    with httpx.Client(headers=headers, trust_env=False) as client:
        for number in range(GUESSES):
            client.post(f"{console.origin}/ui/login", json={"token": f"guess {number}"})
    sign_in(page, "one guess too many")
    expect(page.get_by_role("alert")).to_contain_text("Wait a minute")
    sign_in(page, SECRETS["operator"])
    expect(page.get_by_role("heading", name="Routes")).to_be_visible()


def test_no_script_can_reach_the_token_or_the_session_that_is_given_for_it(
    come: Come, console: Console
) -> None:
    visitor = come()
    page = console.open(visitor, "/")
    sign_in(page, SECRETS["viewer"])
    expect(page.get_by_role("heading", name="Routes")).to_be_visible()
    (cookie,) = visitor.context.cookies()
    assert (cookie["name"], cookie["httpOnly"], cookie["sameSite"]) == (COOKIE, True, "Strict")
    kept = everything_kept(page)
    assert SECRETS["viewer"] not in kept
    assert cookie["value"] not in kept
    assert SECRETS["viewer"] not in cookie["value"]


def test_who_signs_out_is_asked_for_a_token_and_has_no_cookie_left(
    come: Come, console: Console
) -> None:
    visitor = come("viewer", "/audit")
    page = visitor.page
    page.get_by_role("button", name="Sign out").click()
    expect(page.get_by_label("Token")).to_be_focused()
    assert visitor.context.cookies() == []
    page.reload()
    expect(page.get_by_label("Token")).to_be_visible()


def test_a_sign_out_that_nobody_answers_is_told_and_keeps_the_session(
    come: Come, console: Console
) -> None:
    page = come("viewer").page
    page.route("**/ui/logout", lambda call: call.abort())
    page.get_by_role("button", name="Sign out").click()
    expect(page.get_by_role("alert")).to_contain_text("not signed out: the admin port does not")
    expect(page.get_by_role("link", name="told")).to_be_visible()
    page.unroute("**/ui/logout")
    page.get_by_role("button", name="Sign out").click()
    expect(page.get_by_label("Token")).to_be_visible()
    expect(page.get_by_role("alert")).to_have_count(0)


def test_a_login_whose_cookie_is_not_kept_says_so_even_if_control_was_away_in_between(
    come: Come, console: Console
) -> None:
    page = console.open(come(), "/")
    expect(page.get_by_label("Token")).to_be_visible()
    page.route("**/ui/login", lambda call: call.fulfill(status=204))  # and no cookie
    page.route("**/api/v1/session", lambda call: call.abort(), times=1)
    sign_in(page, SECRETS["viewer"])
    expect(page.get_by_role("main")).to_contain_text("Control is away")
    expect(page.get_by_role("alert")).to_contain_text("allow cookies of this site")
    page.unroute("**/ui/login")
    sign_in(page, SECRETS["viewer"])
    expect(page.get_by_role("heading", name="Routes")).to_be_visible()


def test_a_dialog_ends_with_its_page_and_with_its_session(come: Come, console: Console) -> None:
    visitor = come("operator", "/routes/told")
    page = visitor.page
    dialog = page.get_by_role("dialog")
    opener = page.get_by_role("button", name="Set weights")
    opener.click()
    expect(dialog).to_be_visible()
    page.evaluate("location.hash = '#/routes/twins'")
    expect(page.get_by_role("heading", name="twins", level=1)).to_be_visible()
    expect(dialog).to_have_count(0)
    opener.click()
    expect(dialog).to_be_visible()
    visitor.context.clear_cookies()
    dialog.get_by_label("v1 stable").fill("75")  # which asks for a dry run
    expect(page.get_by_label("Token")).to_be_focused()
    expect(dialog).to_have_count(0)


def test_a_withdrawn_token_brings_the_login_and_the_reason(come: Come, console: Console) -> None:
    visitor = come("guest")
    page = visitor.page
    expect(page.get_by_role("link", name="told")).to_be_visible()
    try:
        auth = console.config["auth"]["tokens"]
        kept = [token for token in auth if token["name"] != "guest"]
        console.change(auth={"tokens": kept})
        expect(page.get_by_text("the token expired or was withdrawn")).to_be_visible()
        expect(page.get_by_role("link", name="told")).to_have_count(0)
        sign_in(page, SECRETS["viewer"])
        expect(page.get_by_role("link", name="told")).to_be_visible()
    finally:
        console.change(auth={"tokens": auth})


def test_a_viewer_is_offered_nothing_that_writes_and_a_forged_call_is_refused(
    come: Come, console: Console
) -> None:
    visitor = come("viewer", "/routes/told")
    page = visitor.page
    expect(page.get_by_role("heading", name="told", level=1)).to_be_visible()
    expect(page.get_by_role("region", name="Now")).to_be_visible()
    for word in ("Abort", "Pause", "Promote", "Set weights", "Roll back", "Start a rollout"):
        expect(page.get_by_role("button", name=word)).to_have_count(0)
    forged = page.evaluate(
        """async (path) => (await fetch(path, {
          method: "POST", body: JSON.stringify({reason: "forged"}),
          headers: {"Content-Type": "application/json",
                    "X-Requested-With": "inference-router-console"},
        })).json()""",
        PATH,
    )
    assert (forged["status"], forged["type"].rpartition(":")[2]) == (403, "forbidden")


def test_a_call_that_the_console_did_not_send_changes_nothing_with_an_operator_s_session(
    come: Come, console: Console
) -> None:
    page = come("operator").page
    expect(page.get_by_role("heading", name="Routes")).to_be_visible()
    bare = page.evaluate(
        """async (path) => (await fetch(path, {method: "POST", body: "{}",
          headers: {"Content-Type": "application/json"}})).json()""",
        PATH,
    )
    assert (bare["status"], bare["type"].rpartition(":")[2]) == (403, "foreign-origin")
    # What a browser would send for a page of another site, if it sent the cookie at all.
    headers = {"origin": "http://elsewhere.example", "x-requested-with": CONSOLE}
    cookies = {COOKIE: console.session("operator")}
    with httpx.Client(cookies=cookies, headers=headers, trust_env=False) as client:
        refused = client.post(console.origin + PATH, json={"reason": "forged"})
    assert refused.status_code == 403
    assert "rollout.paused" not in {entry["action"] for entry in console.trail("told")}
