"""A stage for the console: model servers, a real router with tokens, and people who look at it.

    with running_console(tmp_path) as console, visit(browser, console.origin) as visitor:
        console.enter(visitor, "operator")
        console.open(visitor, "/routes/walk")

Every route is somebody's own, so that tests on one router do not disturb each other; a request
chooses its route by its model, and `walk` gets what no other route wants.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, Final

import httpx
from playwright.sync_api import Page

from router.admin.origins import CONSOLE
from router.admin.session import COOKIE
from tests.support.admin import digest
from tests.support.browsers import Visitor
from tests.support.engines import EngineProcess, running_engine
from tests.support.load import PATH, load
from tests.support.routers import Document, RouterProcess, document, route, running_router

SECRETS: Final = {
    "viewer": "the viewer's secret",
    "operator": "the operator's secret",
    "admin": "the admin's secret",
    "guest": "a secret that is withdrawn",
}
"""By name; `guest` has the role of a viewer."""

PEOPLE: Final = tuple(SECRETS)

HOSTILE: Final = (
    '<img src=x onerror="alert(1)"></script><script>alert(2)</script>'
    "<b onmouseover=alert(3)>bold</b> &lt;i&gt; {{7*7}} ${alert(4)}"
)
RIGHT_TO_LEFT: Final = "\u202egnp.exe\u2066 \u05e9\u05dc\u05d5\u05dd"
LONG_WORD: Final = "w" * 10_000

_TAKES: Final[tuple[Document, ...]] = (
    {"setWeight": 20},
    {"pause": {}},
    {"setWeight": 60},
    {"pause": {}},
)
_WALK: Final[tuple[Document, ...]] = (
    {"setWeight": 10},
    {"pause": {"duration": "2s"}},
    {"setWeight": 40},
    {"pause": {"duration": "10m"}},
)
_JUDGED: Final[tuple[Document, ...]] = (
    {"setWeight": 20},
    {"pause": {}},
    {
        "analysis": {
            "templates": [{"templateName": "judge"}],
            "dryRun": [{"metricName": "wish"}],
        }
    },
)
_JUDGE: Final[Document] = {
    "metadata": {"name": "judge"},
    "spec": {
        "metrics": [
            {
                "name": name,
                "initialDelay": delay,
                "noData": "fail",  # and nobody asks for it
                "successCondition": "result[0] < 0.05",
                "provider": {"router": {"metric": "errorRatio", "window": "1m"}},
            }
            for name, delay in (("wish", "0s"), ("errors", "1s"))
        ]
    },
}
"""Both fail; only `errors` ends the rollout, when `wish` has failed already."""


def tokens(*names: str) -> list[Document]:
    """`auth.tokens` for these people."""
    roles = {"guest": "viewer"}
    return [
        {"name": name, "role": roles.get(name, name), "sha256": digest(SECRETS[name])}
        for name in names
    ]


def routes(engines: dict[str, EngineProcess]) -> list[Document]:
    """One for each kind of test."""
    versions = {name: engine.url for name, engine in engines.items()}

    def one(name: str, strategy: Document, **more: Any) -> Document:
        match = [{"path": PATH, "model": name}]
        return {**route(name, **versions), "match": match, "strategy": strategy, **more}

    shadow = {"version": "v2", "noise": {"percent": 50}, "maxPairsPerSecond": 1_000}
    return [
        {**one("walk", {"canary": {"steps": list(_WALK)}}), "match": [{"path": PATH}]},
        one("told", {"canary": {"steps": list(_TAKES)}}),
        one("stale", {"canary": {"steps": list(_TAKES)}}),
        one("late", {"canary": {"steps": list(_TAKES)}}),
        one("twins", {"canary": {"steps": list(_TAKES)}}),
        one("seen", {"canary": {"steps": list(_TAKES)}}, shadow={"noise": {"percent": 50}}),
        one("down", {"canary": {"steps": list(_TAKES)}}),
        one("copied", {"canary": {"steps": []}}),
        one("keys", {"canary": {"steps": list(_TAKES)}}),
        one("swap", {"blueGreen": {}}),
        one("words", {"canary": {"steps": []}}, shadow=shadow),
        one("going", {"canary": {"steps": list(_TAKES)}}),
        one("judged", {"canary": {"steps": list(_JUDGED)}}),
        one("dated", {"canary": {"steps": list(_JUDGED[2:])}}),
    ]


class Console:
    """A router with its model servers, its tokens, and its API as the admin calls it."""

    def __init__(self, router: RouterProcess, config: Document) -> None:
        self.router: Final = router
        self.config: Final = config
        self.origin: Final = router.admin
        headers = {"authorization": f"Bearer {SECRETS['admin']}"}
        self.api: Final = httpx.Client(
            base_url=f"{router.admin}/api/v1", headers=headers, timeout=15, trust_env=False
        )

    def __repr__(self) -> str:
        return f"<Console {self.origin}/ui/>"

    def url(self, place: str = "/") -> str:
        """The address of a page: what follows `#` is `place`."""
        return f"{self.origin}/ui/#{place}"

    def session(self, name: str) -> str:
        """A new session's cookie for somebody, as a browser gets it from the login."""
        headers = {"origin": self.origin, "x-requested-with": CONSOLE}
        with httpx.Client(headers=headers, trust_env=False) as client:
            body = {"token": SECRETS[name]}
            answer = client.post(f"{self.origin}/ui/login", json=body).raise_for_status()
        return answer.cookies[COOKIE]

    def enter(self, visitor: Visitor, name: str, place: str = "/") -> Page:
        """Log somebody in without the form, and open a page."""
        visitor.context.add_cookies(
            [
                {
                    "name": COOKIE,
                    "value": self.session(name),
                    "url": self.origin,
                    "httpOnly": True,
                    "sameSite": "Strict",
                }
            ]
        )
        return self.open(visitor, place)

    def open(self, visitor: Visitor, place: str) -> Page:
        """Go to a page by its address."""
        visitor.page.goto(self.url(place))
        return visitor.page

    # -- the router, as somebody else tells it -------------------------------------------------

    def tell(self, path: str, method: str = "POST", /, **body: Any) -> Document:
        """A change by the admin, who calls the API directly."""
        wanted = {"reason": "the test wants it so", **body}
        answer = self.api.request(method, path, json=wanted)
        assert answer.is_success, answer.text
        told: Document = answer.json()
        return told

    def change(self, **sections: Any) -> None:
        """Other sections of the configuration, read at once."""
        self.config.update(sections)
        self.router.write_config(self.config)
        self.tell("/reload")

    def start(self, name: str, to: str = "v2") -> None:
        """Begin a rollout."""
        self.tell(f"/routes/{name}/rollout/start", to=to)

    def rollout(self, name: str) -> Document:
        """How a route's rollout is doing."""
        found: Document = self.api.get(f"/routes/{name}/rollout").raise_for_status().json()
        return found

    def weights(self, name: str) -> dict[str, float]:
        """The shares in force, in percent."""
        found = self.api.get(f"/routes/{name}").raise_for_status().json()
        return {version["name"]: version["weight"] for version in found["versions"]}

    def wait_weights(self, name: str, wanted: Mapping[str, float]) -> None:
        """Wait until these are in force: what a command sets off may come after its answer."""
        self.router.wait_until(lambda: self.weights(name) == wanted)

    def trail(self, name: str) -> list[Document]:
        """The audit entries of a route, the newest first."""
        found: list[Document] = self.api.get(f"/audit?route={name}").json()["entries"]
        return found

    def ask(self, model: str, prompt: str = "hello", **headers: str) -> httpx.Response:
        """One request of a client."""
        body = {"model": model, "messages": [{"role": "user", "content": prompt}]}
        return httpx.post(self.router.traffic + PATH, json=body, headers=headers, trust_env=False)

    @contextmanager
    def traffic(self) -> Iterator[None]:
        """Requests for the time of the block, in a thread: the browser has this one's loop."""
        over = threading.Event()

        async def asking() -> None:
            async with load(self.router.traffic, connections=2, pause_s=0.02):
                await asyncio.to_thread(over.wait)

        thread = threading.Thread(target=lambda: asyncio.run(asking()))
        thread.start()
        try:
            yield
        finally:
            over.set()
            thread.join()


@contextmanager
def running_console(directory: Path) -> Iterator[Console]:
    """The whole stage for the time of the block."""
    with ExitStack() as stack:
        said = f"{HOSTILE} {RIGHT_TO_LEFT} {LONG_WORD} and so it goes on"
        engines = {
            "v1": stack.enter_context(running_engine("v1", text=f"{said} with v1")),
            "v2": stack.enter_context(running_engine("v2", text=f"{said} otherwise with v2")),
        }
        config = {
            **document(*routes(engines), workers=1),
            "auth": {"tokens": tokens(*PEOPLE)},
            "analysisTemplates": [_JUDGE],
        }
        router = stack.enter_context(running_router(directory, config))
        router.wait_ready()
        console = Console(router, config)
        stack.callback(console.api.close)
        yield console
