"""The checks themselves: a page that does what none may do is found out."""

from __future__ import annotations

import pytest
from playwright.sync_api import Browser

from tests.support.browsers import visit
from tests.support.consoles import Console

BAD = """() => {
  document.body.replaceChildren();
  const button = document.body.appendChild(document.createElement("button"));
  button.style.setProperty("outline", "none");
  const text = document.body.appendChild(document.createElement("p"));
  text.textContent = "faint";
  text.style.setProperty("color", "#888");
  text.style.setProperty("background", "#777");
  text.style.setProperty("width", "4000px");
}"""


def misbehave(browser: Browser, console: Console, act: str) -> None:
    with visit(browser, console.origin) as visitor:
        page = console.open(visitor, "/")
        page.get_by_label("Token").wait_for()
        page.evaluate(f"() => {{ {act}; }}")
        # What was set off is told before what is asked later.
        page.evaluate("() => new Promise((done) => setTimeout(() => done(null), 50))")


@pytest.mark.parametrize(
    ("act", "fault"),
    [
        ("document.body.insertAdjacentHTML('beforeend', '<p style=color:red>')", "style-src-attr"),
        ("document.body.append(Object.assign(new Image(), {src: 'http://127.0.0.2/'}))", "img-src"),
        ("setTimeout(() => { throw new Error('a defect') })", "uncaught: a defect"),
        ("setTimeout(() => alert('hello'))", "dialog: hello"),
    ],
)
def test_what_no_page_may_do_fails_its_test(
    browser: Browser, console: Console, act: str, fault: str
) -> None:
    with pytest.raises(AssertionError, match=fault):
        misbehave(browser, console, act)


def test_a_bad_page_fails_every_check(browser: Browser, console: Console) -> None:
    with visit(browser, console.origin, color_scheme="light") as visitor:
        page = console.open(visitor, "/")
        page.get_by_label("Token").wait_for()
        page.evaluate(BAD)
        assert len(page.evaluate("pageChecks.nameless()")) == 1
        assert len(page.evaluate("pageChecks.faint()")) == 1
        assert page.evaluate("pageChecks.tooWide()") > 0
        assert page.evaluate("pageChecks.watchFocus()") == 1
        assert "never reached" in page.evaluate("pageChecks.focus()")[0]
        page.keyboard.press("Tab")
        assert "not seen" in page.evaluate("pageChecks.focus()")[0]
