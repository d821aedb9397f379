"""The console's files: only those, never changed on the way, and nothing foreign in the page."""

from __future__ import annotations

import gzip
import re
from importlib.resources import files
from pathlib import Path
from urllib.parse import unquote

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from starlette.types import Message

from router.admin import ui
from tests.support.admin import Admin, admin_port, configuration, tokens

pytestmark = pytest.mark.anyio

STATIC = Path(str(files("router.admin.ui"))) / "static"
IDENTITY = {"accept-encoding": "identity"}


async def get(admin: Admin, path: str, **headers: str) -> httpx.Response:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return await admin.client.get(path, headers=IDENTITY | named)


def test_every_file_of_the_folder_is_served_and_no_other() -> None:
    there = {
        str(file.relative_to(STATIC)): file.read_bytes()
        for file in STATIC.rglob("*")
        if file.is_file()
    }
    assert {name: file.plain.content for name, file in ui.FILES.items()} == there


def test_the_whole_console_is_at_most_300_kb() -> None:
    assert sum(len(file.plain.content) for file in ui.FILES.values()) <= 300_000


async def test_the_page_and_each_of_its_files_is_for_everybody() -> None:
    async with admin_port(configuration(auth={"tokens": tokens()})) as admin:
        page = await get(admin, "/ui/")
        assert (page.status_code, page.headers["content-type"]) == (
            200,
            "text/html; charset=utf-8",
        )
        for name, file in ui.FILES.items():
            answer = await get(admin, f"/ui/{name}")
            assert (answer.status_code, answer.content) == (200, file.plain.content)
            assert answer.headers["content-type"] == file.media_type


async def test_the_page_asks_for_nothing_outside_of_its_folder(admin: Admin) -> None:
    text = (await get(admin, "/ui/")).text
    for address in re.findall(r'(?:src|href)="([^"]*)"', text):
        assert not address.startswith(("/", "http:", "https:")), address
        if not address.startswith(("#", "data:")):
            assert (await get(admin, f"/ui/{address}")).status_code == 200


async def test_no_script_and_no_style_stands_in_the_page_itself(admin: Admin) -> None:
    text = (await get(admin, "/ui/")).text
    assert re.findall(r"<script(?![^>]*\ssrc=)[^>]*>", text) == []
    assert "<style" not in text
    assert re.findall(r"\sstyle=|\son\w+=", text) == []


@pytest.mark.parametrize("path", ["/ui", "/ui/", "/ui/nope.js", "/ui/index.html"])
async def test_every_answer_forbids_what_is_foreign(admin: Admin, path: str) -> None:
    headers = (await get(admin, path)).headers
    policy = dict(part.split(" ", 1) for part in headers["content-security-policy"].split("; "))
    assert policy == {
        "default-src": "'none'",
        "script-src": "'self'",
        "style-src": "'self'",
        "img-src": "'self' data:",
        "connect-src": "'self'",
        "font-src": "'self'",
        "base-uri": "'none'",
        "form-action": "'self'",
        "frame-ancestors": "'none'",
    }
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["referrer-policy"] == "no-referrer"
    assert headers["cross-origin-opener-policy"] == "same-origin"
    assert "cache-control" in headers


# -- paths -------------------------------------------------------------------------------------


async def raw_status(admin: Admin, path: str) -> int:
    """Ask for a path as it is: a client would tidy it up."""
    sent: list[Message] = []

    async def receive() -> Message:
        return {"type": "http.request", "body": b""}

    async def send(message: Message) -> None:
        sent.append(message)

    scope = {
        "type": "http",
        "http_version": "1.1",
        "method": "GET",
        "path": unquote(path),
        "raw_path": path.encode(),
        "query_string": b"",
        "root_path": "",
        "scheme": "http",
        "server": ("127.0.0.1", 8081),
        "client": ("127.0.0.1", 50_000),
        "headers": [(b"host", b"127.0.0.1:8081")],
    }
    await admin.app(scope, receive, send)
    return int(sent[0]["status"])


async def test_the_page_itself_is_there_by_both_names(admin: Admin) -> None:
    assert [await raw_status(admin, path) for path in ("/ui/", "/ui/index.html")] == [200, 200]


@pytest.mark.parametrize(
    "path",
    [
        "/ui/../__init__.py",
        "/ui/..%2f__init__.py",
        "/ui/%2e%2e/%2e%2e/guard.py",
        "/ui/static/index.html",
        "/ui//index.html",
        "/ui/./index.html",
        "/ui/pages",
        "/ui/pages/",
        "/ui/index.html/",
        "/ui/index.html%00.js",
        "/ui//etc/passwd",
        "/ui/__init__.py",
        "/ui/INDEX.HTML",
    ],
)
async def test_another_path_is_404(admin: Admin, path: str) -> None:
    assert await raw_status(admin, path) == 404


@given(path=st.text(max_size=60))
def test_whatever_the_path_only_files_of_the_table_are_served(path: str) -> None:
    served = ui.FILES.get(path)
    assert served is None or (STATIC / path).read_bytes() == served.plain.content


async def test_below_a_root_path_the_page_finds_its_files_and_the_api(admin: Admin) -> None:
    below = httpx.ASGITransport(admin.app, root_path="/router")
    async with httpx.AsyncClient(transport=below, base_url="http://127.0.0.1") as client:
        entered = await client.get("/router/ui")
        assert entered.status_code == 307
        page = await client.get(entered.url.join(entered.headers["location"]))
        assert page.status_code == 200
        assert str(page.request.url) == "http://127.0.0.1/router/ui/"
        assert (await client.get("/router/ui/index.html")).content == page.content
        links = (await client.get("/router/")).json()["links"]
        assert links["console"] == "/router/ui/"


async def test_a_call_without_the_slash_is_sent_on_by_a_relative_address(admin: Admin) -> None:
    answer = await get(admin, "/ui")
    assert (answer.status_code, answer.headers["location"]) == (307, "ui/")


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH"])
async def test_files_are_only_read(admin: Admin, method: str) -> None:
    answer = await admin.client.request(method, "/ui/index.html")
    assert answer.status_code == 405
    assert "GET" in answer.headers["allow"]


async def test_head_tells_what_get_would(admin: Admin) -> None:
    got = await get(admin, "/ui/")
    head = await admin.client.head("/ui/", headers=IDENTITY)
    assert head.status_code == 200
    assert {**head.headers} == {**got.headers}


# -- caching and packing -----------------------------------------------------------------------


async def test_a_file_that_is_known_is_not_sent_again(admin: Admin) -> None:
    first = await get(admin, "/ui/")
    etag = first.headers["etag"]
    assert re.fullmatch(r'"[0-9a-f]{32}"', etag)
    for known in (etag, f'"other", {etag}', f"W/{etag}", "*"):
        again = await get(admin, "/ui/", if_none_match=known)
        assert (again.status_code, again.content) == (304, b"")
        assert again.headers["etag"] == etag
        assert "content-security-policy" in again.headers
    assert (await get(admin, "/ui/", if_none_match='"other"')).status_code == 200


async def test_a_browser_asks_each_time(admin: Admin) -> None:
    headers = (await get(admin, "/ui/")).headers
    assert headers["cache-control"] == "no-cache"
    assert headers["vary"] == "accept-encoding"


@pytest.mark.parametrize(
    ("accepted", "packed"),
    [
        ("gzip", True),
        ("br, GZIP;q=0.1", True),
        ("*", True),
        ("gzip;q=0", False),
        ("gzip; q=0.000, *", False),
        ("*;q=0", False),
        ("br", False),
        ("identity", False),
        ("", False),
    ],
)
async def test_who_takes_gzip_gets_it_with_a_tag_of_its_own(
    admin: Admin, accepted: str, packed: bool
) -> None:
    async with admin.client.stream(
        "GET", "/ui/index.html", headers={"accept-encoding": accepted}
    ) as answer:
        raw = b"".join([part async for part in answer.aiter_raw()])
    assert answer.headers.get("content-encoding") == ("gzip" if packed else None)
    assert (gzip.decompress(raw) if packed else raw) == (STATIC / "index.html").read_bytes()
    assert answer.headers["etag"].endswith('-gzip"') == packed
    known = {"accept-encoding": accepted, "if-none-match": answer.headers["etag"]}
    assert (await admin.client.get("/ui/index.html", headers=known)).status_code == 304
