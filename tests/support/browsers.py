"""Debian's Chromium for tests, and pages that hold what they load to a console's promises.

    with running_chromium() as browser, visit(browser, router.admin) as visitor:
        visitor.page.goto(...)

A `Visitor` notes whatever no page of ours may do: an error in the browser's console, an exception
that nobody caught, a breach of the Content-Security-Policy, a request to another host, a dialog of
the browser's own.  `visit` fails with that list at the end of its block.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from playwright.sync_api import (
    Browser,
    BrowserContext,
    ConsoleMessage,
    Dialog,
    Request,
    sync_playwright,
)

CHROMIUM: Final = "/usr/bin/chromium"
ARGUMENTS: Final = (
    "--no-sandbox",  # tests run as root in a container, where Chromium has no sandbox
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
PATIENCE_MS: Final = 20_000
"""How long an element may take to be as wanted: two cores are shared by several tests."""

CHECKS: Final = Path(__file__).with_name("page_checks.js")
"""`pageChecks` in every page: names, contrast, room and focus."""

# Runs before every page's own scripts, out of reach of its policy; what it says is read below.
_WITNESS: Final = """
document.addEventListener("securitypolicyviolation", (event) =>
  console.error(`policy: ${event.effectiveDirective} ${event.blockedURI} ${event.sourceFile}`));
"""
# The browser says so itself for every status from 400 on; what a page makes of it is its test's.
_STATUS: Final = "Failed to load resource"


class Visitor:
    """One browser's profile (cookies, storage) with one page, and what it did wrong."""

    def __init__(self, context: BrowserContext, origin: str) -> None:
        self.origin: Final = origin
        self.context: Final = context
        self.faults: Final[list[str]] = []
        context.set_default_timeout(PATIENCE_MS)
        context.add_init_script(_WITNESS)
        context.add_init_script(path=CHECKS)
        context.on("console", self._on_console)
        context.on("request", self._on_request)
        context.on("weberror", lambda error: self.faults.append(f"uncaught: {error.error}"))
        self.page: Final = context.new_page()
        self.page.on("dialog", self._on_dialog)

    def __repr__(self) -> str:
        return f"<Visitor of {self.page.url}>"

    def _on_console(self, message: ConsoleMessage) -> None:
        if message.type != "error":
            return
        place = message.location.get("url", "")
        if message.text.startswith(_STATUS) and self._is_call(place):
            return
        self.faults.append(f"console: {message.text} ({place})")

    def _on_dialog(self, dialog: Dialog) -> None:
        self.faults.append(f"dialog: {dialog.message}")
        dialog.dismiss()  # or the page would stand still

    def _is_call(self, url: str) -> bool:
        return any(url.startswith(self.origin + path) for path in ("/api/", "/ui/log"))

    def _on_request(self, request: Request) -> None:
        if not request.url.startswith((f"{self.origin}/", "data:")):
            self.faults.append(f"request to {request.url}")


Come = Callable[..., Visitor]
"""What the `come` fixture gives: who (a token's name, "" for nobody), a page, and a profile in."""


@contextmanager
def running_chromium() -> Iterator[Browser]:
    """A browser for the time of the block; while it runs, its thread has an event loop."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=list(ARGUMENTS))
        try:
            yield browser
        finally:
            browser.close()


@contextmanager
def visit(browser: Browser, origin: str, **profile: Any) -> Iterator[Visitor]:
    """A fresh profile; `profile` are Playwright's options of a context, e.g. `color_scheme`."""
    context = browser.new_context(**profile)
    try:
        visitor = Visitor(context, origin)
        yield visitor
    finally:
        context.close()
    if visitor.faults:
        raise AssertionError("\n".join(["what no page may do:", *visitor.faults]))
