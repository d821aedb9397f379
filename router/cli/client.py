"""The admin API, called over HTTP; no proxy, no `.netrc`, no redirect takes part.

Guarantees (each is a test in tests/unit/cli/test_cli_client.py):
  * a call either returns the server's answer or raises one of `router.cli.failures`;
  * the token is sent to the server that was named and to nobody else, and is in no text;
  * an answer is read up to `MAX_ANSWER_BYTES`, so is one line of a longer one, an event up to
    `MAX_EVENT_BYTES`.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Final, NoReturn
from urllib.parse import quote

import httpx

from router import __version__
from router.cli.failures import ForeignError, NoAnswerError, RefusedError, UnreachableError
from router.cli.sse import Event, TooLongError, read_events

MAX_ANSWER_BYTES: Final = 64 * 2**20
"""10 000 routes of two versions are 6 MB."""

MAX_EVENT_BYTES: Final = 2**20
_PROBLEM: Final = "application/problem+json"
_EVENTS: Final = "text/event-stream"
_LINES: Final = "application/x-ndjson"


@dataclass(frozen=True, slots=True)
class Server:
    """Which server to call, as whom, and how long to wait for it (seconds)."""

    url: str
    token: str | None = field(default=None, repr=False)
    timeout_s: float = 30.0


@dataclass(frozen=True, slots=True)
class Answer:
    """What the server said to a call that it did not refuse."""

    status: int
    document: Any


class AdminClient:
    """One server's admin API; a path is given by its segments below `/api/v1`, unquoted."""

    def __init__(self, server: Server) -> None:
        self._server: Final = server
        headers = {"user-agent": f"inference-router/{__version__}", "accept": "application/json"}
        if server.token is not None:
            headers["authorization"] = f"Bearer {server.token}"
        self._http: Final = httpx.Client(
            headers=headers, timeout=server.timeout_s, trust_env=False, follow_redirects=False
        )

    def __repr__(self) -> str:
        return f"<admin API of {self._server.url}>"

    def close(self) -> None:
        """Hang up."""
        self._http.close()

    def get(self, *path: object, query: Mapping[str, object] | None = None) -> Any:
        """Read something; a query's None is left out.

        Raises:
            CommandError: any of them.
        """
        return self._call("GET", path, query=query).document

    def ask(self, *path: object, body: Any) -> Any:
        """POST a question that changes nothing.

        Raises:
            CommandError: any of them.
        """
        return self._call("POST", path, body=body).document

    def change(
        self,
        method: str,
        *path: object,
        body: Any = None,
        query: Mapping[str, object] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Answer:
        """Change something.

        Raises:
            NoAnswerError: it may or may not have been done.
            CommandError: nothing has changed.
        """
        try:
            return self._call(method, path, body=body, query=query, headers=headers)
        except NoAnswerError as error:
            raise NoAnswerError(
                f"{error}\nthe change may or may not have been made: look before you repeat it"
            ) from None

    @contextmanager
    def follow(self, *path: object, last: str | None = None) -> Iterator[Iterator[Event]]:
        """Read server-sent events; with `last` from the one after it on.

        Raises:
            CommandError: any of them, also while events are read.
        """
        headers = {"accept": _EVENTS} | ({"last-event-id": last} if last else {})
        # Silence is no fault here: the server tells what happens, when it happens.
        timeout = httpx.Timeout(self._server.timeout_s, read=None)
        with (
            self._answering(),
            self._http.stream("GET", self._url(path), headers=headers, timeout=timeout) as response,
        ):
            if response.status_code != httpx.codes.OK or _media_type(response) != _EVENTS:
                self._judge(response, self._read(response))
                self._not_ours(response)
            try:
                yield read_events(response.iter_bytes(), MAX_EVENT_BYTES)
            except TooLongError as error:
                raise ForeignError(f"{self._server.url}: {error}") from None

    @contextmanager
    def lines(
        self, *path: object, query: Mapping[str, object] | None = None
    ) -> Iterator[Iterator[bytes]]:
        """Read an answer of one document a line, however long it is.

        Raises:
            CommandError: any of them, also while lines are read.
        """
        with (
            self._answering(),
            self._http.stream(
                "GET", self._url(path), params=_given(query), headers={"accept": _LINES}
            ) as response,
        ):
            if response.status_code != httpx.codes.OK or _media_type(response) != _LINES:
                self._judge(response, self._read(response))
                self._not_ours(response)
            yield self._split(response.iter_bytes())

    def _split(self, parts: Iterable[bytes]) -> Iterator[bytes]:
        line = bytearray()
        for part in parts:
            *ends, rest = part.split(b"\n")
            for end in ends:
                yield bytes(line + end)
                line.clear()
            line += rest
            if len(line) > MAX_ANSWER_BYTES:
                limit = f"{MAX_ANSWER_BYTES >> 20} MiB"
                raise ForeignError(f"{self._server.url} sent a line of more than {limit}")
        if line:
            raise ForeignError(f"{self._server.url} sent a last line that does not end")

    def _call(
        self,
        method: str,
        path: Sequence[object],
        *,
        body: Any = None,
        query: Mapping[str, object] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Answer:
        with (
            self._answering(),
            self._http.stream(
                method, self._url(path), params=_given(query), json=body, headers=headers
            ) as response,
        ):
            document = self._judge(response, self._read(response))
        return Answer(response.status_code, document)

    def _url(self, path: Sequence[object]) -> str:
        segments = "".join(f"/{quote(str(segment), safe='')}" for segment in path)
        return f"{self._server.url}/api/v1{segments}"

    @contextmanager
    def _answering(self) -> Iterator[None]:
        """Tells failures of the network in our words."""
        url = self._server.url
        try:
            yield
        except (httpx.ConnectError, httpx.ConnectTimeout) as error:
            raise UnreachableError(f"cannot reach {url}: {error or 'no answer'}") from None
        except httpx.TimeoutException:
            waited = f"{self._server.timeout_s:g} s"
            raise NoAnswerError(f"{url} did not answer within {waited} (--timeout)") from None
        except httpx.DecodingError:
            raise ForeignError(f"{url} sent an answer that cannot be decompressed") from None
        except httpx.TransportError as error:
            raise NoAnswerError(f"{url} hung up without an answer: {error}") from None

    def _read(self, response: httpx.Response) -> bytes:
        body = bytearray()
        for part in response.iter_bytes():
            body += part
            if len(body) > MAX_ANSWER_BYTES:
                limit = f"{MAX_ANSWER_BYTES >> 20} MiB"
                raise ForeignError(f"{self._server.url} answered with more than {limit}")
        return bytes(body)

    def _judge(self, response: httpx.Response, body: bytes) -> Any:
        try:
            document = json.loads(body)
        except ValueError:
            self._not_ours(response)
        if response.is_success and _media_type(response) == "application/json":
            return document
        if not isinstance(document, dict) or _media_type(response) != _PROBLEM:
            self._not_ours(response)
        raise RefusedError(response.status_code, document, response.headers.get("retry-after"))

    def _not_ours(self, response: httpx.Response) -> NoReturn:
        what = _media_type(response) or "no content type"
        raise ForeignError(
            f"{self._server.url} answered {response.status_code} with {what}, as the admin API of "
            "an inference-router never does; is this its admin port (8081, unless configured), and "
            "not the one for traffic?"
        )


def _given(query: Mapping[str, object] | None) -> dict[str, str]:
    return {name: str(value) for name, value in (query or {}).items() if value is not None}


def _media_type(response: httpx.Response) -> str:
    media_type: str = response.headers.get("content-type", "").partition(";")[0]
    return media_type.strip().lower()
