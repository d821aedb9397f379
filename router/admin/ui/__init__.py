"""The console: a page that shows what the API says, and its files.

Everything below `static/` is read once, when this module is imported: what is not in `FILES` is not
there, whatever a path looks like.  The files hold nothing and are for everybody; what the page
shows comes from the API, with the caller's token or session.

Guarantees (each is a test in tests/unit/admin/test_admin_ui.py):
  * no path leads to another file;
  * no script, style or frame of another origin runs in the page, and none that stands in it;
  * a browser asks each time whether a file has changed, and gets it again only if it has.
"""

import gzip
from collections.abc import Iterator
from dataclasses import dataclass
from hashlib import sha256
from importlib.resources import files
from importlib.resources.abc import Traversable
from typing import Final

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from router.admin.problems import Problem, ProblemType

POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
    "connect-src 'self'; font-src 'self'; base-uri 'none'; form-action 'self'; "
    "frame-ancestors 'none'"
)
HEADERS: Final = {
    "content-security-policy": POLICY,
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "cache-control": "no-cache",
    "vary": "accept-encoding",
}
_TYPES: Final = {
    ".html": "text/html; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
    ".woff2": "font/woff2",
}
_INDEX: Final = "index.html"


@dataclass(frozen=True, slots=True)
class Body:
    """A file's bytes in one encoding, and the strong tag that stands for them (RFC 9110 §8.8.3)."""

    content: bytes
    etag: str
    encoding: str | None = None


@dataclass(frozen=True, slots=True)
class File:
    """One file of the console; `packed` is None where packing saves nothing."""

    media_type: str
    plain: Body
    packed: Body | None


def _read(name: str, content: bytes) -> File:
    digest = sha256(content).hexdigest()[:32]
    packed = gzip.compress(content, mtime=0)
    return File(
        media_type=_TYPES[name[name.rindex(".") :]],
        plain=Body(content, f'"{digest}"'),
        packed=Body(packed, f'"{digest}-gzip"', "gzip") if len(packed) < len(content) else None,
    )


def _each(folder: Traversable, prefix: str = "") -> Iterator[tuple[str, bytes]]:
    for entry in folder.iterdir():
        if entry.is_dir():
            yield from _each(entry, f"{prefix}{entry.name}/")
        elif entry.name.endswith(tuple(_TYPES)):
            yield f"{prefix}{entry.name}", entry.read_bytes()


FILES: Final = {name: _read(name, text) for name, text in _each(files(__name__) / "static")}
"""Every file by its path below `/ui/`."""


async def _serve(request: Request) -> Response:
    file = FILES.get(request.path_params["path"] or _INDEX)
    if file is None:
        raise Problem(ProblemType.NOT_FOUND, "the console has no such file", HEADERS)
    body = file.plain
    if file.packed is not None and _takes_gzip(request.headers.get("accept-encoding", "")):
        body = file.packed
    headers = {**HEADERS, "etag": body.etag}
    if _is_known(body.etag, request.headers.get("if-none-match", "")):
        return Response(status_code=304, headers=headers)
    if body.encoding is not None:
        headers["content-encoding"] = body.encoding
    return Response(body.content, headers={**headers, "content-type": file.media_type})


async def _enter(_request: Request) -> Response:
    # Relative: the page may lie below any path, also one that only a proxy in front knows.
    return RedirectResponse("ui/", 307, HEADERS)


def _takes_gzip(accepted: str) -> bool:
    """Accept-Encoding (RFC 9110 §12.5.3)."""
    quality: dict[str, bool] = {}
    for each in accepted.lower().split(","):
        coding, _, parameters = each.partition(";")
        weight = parameters.replace(" ", "").removeprefix("q=")
        quality[coding.strip()] = weight.strip("0.") != "" if parameters else True
    return quality.get("gzip", quality.get("*", False))


def _is_known(etag: str, known: str) -> bool:
    """If-None-Match (RFC 9110 §13.1.2): weak tags of proxies are compared as they are meant."""
    tags = {tag.strip().removeprefix("W/") for tag in known.split(",")}
    return etag in tags or "*" in tags


ROUTES: Final = [Route("/ui", _enter), Route("/ui/{path:path}", _serve)]
