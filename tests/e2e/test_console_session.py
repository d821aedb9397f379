"""A real router's console: logged in once, and still when control was killed; with real traffic."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from router.admin.origins import CONSOLE
from tests.support.engines import running_engine
from tests.support.routers import RouterProcess, document, route, running_router

TOKEN = "a token that only the test knows"
DIGEST = hashlib.sha256(TOKEN.encode()).hexdigest()


@pytest.fixture(scope="module")
def router(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RouterProcess]:
    tokens = [{"name": "ann", "role": "operator", "sha256": DIGEST}]
    folder: Path = tmp_path_factory.mktemp("console")
    with running_engine("v1") as engine:
        config = {**document(route(v1=engine.url), workers=1), "auth": {"tokens": tokens}}
        with running_router(folder, config) as router:
            yield router


@pytest.fixture
def browser(router: RouterProcess) -> Iterator[httpx.Client]:
    """Keeps cookies as a browser does, and is logged in."""
    headers = {"origin": router.admin, "x-requested-with": CONSOLE}
    with httpx.Client(base_url=router.admin, headers=headers, trust_env=False) as client:
        assert client.get("/api/v1/session").status_code == 401
        assert client.post("/ui/login", json={"token": TOKEN}).status_code == 204
        yield client


def test_who_is_logged_in_stays_so_when_control_is_killed(
    router: RouterProcess, browser: httpx.Client
) -> None:
    before = browser.get("/api/v1/session").json()
    died = router.kill("control")
    router.wait_until(lambda: router.pid("control") not in (None, died))

    def answered() -> bool:
        try:
            return browser.get("/livez").status_code == 200
        except httpx.TransportError:
            return False

    router.wait_until(answered)
    assert browser.get("/api/v1/session").json() == before
    assert before["name"] == "ann"


def test_the_overview_shows_the_requests_that_are_sent(
    router: RouterProcess, browser: httpx.Client
) -> None:
    def shown() -> dict[str, float]:
        (version,) = browser.get("/api/v1/overview").json()["routes"][0]["versions"]
        numbers: dict[str, float] = version
        return numbers

    with httpx.Client(base_url=router.traffic, trust_env=False) as client:

        def counted() -> bool:
            # One more each time: what a worker counted before its first report is no rate.
            body = {"model": "m", "messages": [{"role": "user", "content": "hello"}]}
            assert client.post("/v1/chat/completions", json=body).status_code == 200
            return bool(shown()["requestRate"])

        router.wait_until(counted)
    assert shown()["errorRatio"] == 0
    assert shown()["p99"] > 0


def test_the_key_lies_beside_the_store_and_is_its_owner_s_only(router: RouterProcess) -> None:
    (file,) = router.config_file.parent.glob("*-session.key")
    assert file.stat().st_mode & 0o777 == 0o600
