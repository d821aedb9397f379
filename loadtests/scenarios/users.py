"""Simulated users: each kind asks as its real callers do, and looks at every answer.

Imports Locust, which patches the standard library: only Locust's own processes import this.
"""

from __future__ import annotations

import os
import random
import time
from http.client import HTTPConnection, HTTPException, HTTPResponse, HTTPSConnection
from typing import Any, ClassVar, Final
from urllib.parse import SplitResult, urlsplit

import msgspec
from locust import FastHttpUser, User, constant_pacing, constant_throughput, task

from loadtests.scenarios.plan import ADMIN_TOKEN_VARIABLE, TOKEN_VARIABLE, plan_from
from loadtests.scenarios.profiles import RATE_PER_USER
from loadtests.scenarios.reading import StreamReading
from loadtests.scenarios.tally import Tally, Weights

PLAN: Final = plan_from(os.environ)
TALLY: Final = Tally()
"""Of this process."""

MEASURE: Final = "MEASURE"
"""Begins the type of what is measured beside requests: it is no request and cannot fail."""

TIMEOUT_S: Final = 60.0
PAUSE_S: Final = 1.0
TURNS: Final = 8
"""Of a conversation; then its user begins another one."""

SHARES: Final = (10, 50, 90, 25, 100, 75, 0)
"""Percent of the newest version, one after the other: up, down, nothing and everything."""

EXPIRES_S: Final = 300
"""After it the router takes its weights back, should this program be killed."""

_WORDS: Final = ("why", "is", "the", "sky", "blue", "and", "how", "do", "tokens", "flow")
_CHAT_PATH: Final = "/v1/chat/completions"

Headers = dict[str, str]


class Asking(FastHttpUser):
    """Asks at a steady rate: a slow answer does not lower it, unless it takes longer than 0.5 s."""

    abstract = True
    insecure = False  # FastHttpUser's default verifies no certificate
    network_timeout = connection_timeout = TIMEOUT_S
    wait_time = constant_throughput(RATE_PER_USER)
    kind: ClassVar[str]

    def on_start(self) -> None:
        """Begin at a moment of its own: Locust starts users in batches."""
        # Locust has patched it: only this user sleeps.
        time.sleep(random.random() / RATE_PER_USER)

    def ask(self, path: str, body: dict[str, Any], sticky: Headers | None = None) -> Answer | None:
        """Ask and book the answer; None where it was not good."""
        TALLY.on_begun()
        headers = {**_authorization(TOKEN_VARIABLE), **(sticky or {})}
        status = 0
        try:
            with self.client.post(
                path, json=body, headers=headers, name=self.kind, catch_response=True
            ) as response:
                status = response.status_code
                if status != 200:
                    why = _complaint(status, response.content or b"")
                    response.failure(why if status else str(response.error))
                    return None
                return _book(response.headers, keyed=sticky is not None)
        finally:
            TALLY.on_ended(status)


class ChatUser(Asking):
    """Short questions, answered in one piece."""

    kind = "chat"
    weight = 4

    @task
    def chat(self) -> None:
        """Ask one of them."""
        self.ask(_CHAT_PATH, _question(random.randint(1, 3)))


class ConversationUser(Asking):
    """Turns of a conversation, which must not change versions as long as no weight does."""

    kind = "conversation"
    weight = 2

    def on_start(self) -> None:
        """Begin the first conversation."""
        self._begin()
        super().on_start()

    @task
    def turn(self) -> None:
        """Take the next turn."""
        if self._turns == TURNS:
            self._begin()
        self._turns += 1
        answer = self.ask(_CHAT_PATH, _question(1), {PLAN.sticky_header: self._name})
        if answer is not None:
            self._compare(answer)

    def _begin(self) -> None:
        self._name = f"{random.getrandbits(64):016x}"
        self._turns = 0
        self._last: Answer | None = None

    def _compare(self, answer: Answer) -> None:
        last, self._last = self._last, answer
        if last and last.generation == answer.generation and last.version != answer.version:
            TALLY.on_moved(f"a conversation went from {last} to {answer.version}")


class EmbeddingsUser(Asking):
    """A few texts at a time."""

    kind = "embeddings"
    weight = 2

    @task
    def embed(self) -> None:
        """Ask for their vectors."""
        texts = [_words(random.randint(5, 50)) for _ in range(random.randint(1, 4))]
        self.ask("/v1/embeddings", {"model": PLAN.embedding_model, "input": texts})


class KServeUser(Asking):
    """Tensors of the Open Inference Protocol (KServe v2)."""

    kind = "kserve"
    weight = 2

    @task
    def infer(self) -> None:
        """Send one."""
        numbers = [random.random() for _ in range(32)]
        tensor = {"name": "x", "shape": [1, 32], "datatype": "FP32", "data": numbers}
        self.ask(f"/v2/models/{PLAN.embedding_model}/infer", {"inputs": [tensor]})


class StreamUser(User):
    """Reads one stream after the other.

    Why not Locust's own client: it hands a stream's bytes over when a buffer is full or a line
    ended, and says nothing of a body that broke off.  `http.client` gives each read as it comes.
    """

    weight = 0  # its number is fixed by the profile

    def __init__(self, environment: Any) -> None:
        super().__init__(environment)
        self._url: Final = urlsplit(str(self.host or environment.host))
        self._connection: Final = _connection(self._url)
        self._failed = False

    def wait_time(self) -> float:
        """None between two streams, unless the first was bad: no storm upon who refuses."""
        return PAUSE_S if self._failed else 0.0

    def on_start(self) -> None:
        """Begin at a moment of its own, so that streams do not end together for ever."""
        time.sleep(random.random() * 2)  # patched by Locust: only this user sleeps

    def on_stop(self) -> None:
        """Leave nothing open."""
        self._connection.close()

    @task
    def stream(self) -> None:
        """Ask, read to the end, and book what was seen."""
        TALLY.on_begun()
        reading = StreamReading(time.perf_counter())
        status, fault = 0, None
        try:
            response = self._send()
            status = response.status
            fault = self._read(response, reading)
        except (OSError, HTTPException) as error:
            self._connection.close()  # the next request opens it anew
            fault = f"{type(error).__name__}: {error}"
        finally:
            TALLY.on_ended(status)
        self._failed = fault is not None
        self._fire("SSE", "stream", reading.sent_for_s(time.perf_counter()), reading, fault)
        if fault is None:
            self._measure("1/s", "tokens per second", reading.tokens_per_s)

    def _send(self) -> HTTPResponse:
        body = {
            **_question(PLAN.stream_tokens),
            "stream": True,
            "stream_options": {"include_usage": True},
        }
        headers = {"Content-Type": "application/json", **_authorization(TOKEN_VARIABLE)}
        path = self._url.path.rstrip("/") + _CHAT_PATH
        self._connection.request("POST", path, msgspec.json.encode(body), headers)
        return self._connection.getresponse()

    def _read(self, response: HTTPResponse, reading: StreamReading) -> str | None:
        """Why it was not good; None if it was."""
        if response.status != 200:
            return _complaint(response.status, response.read())
        _book(response.headers, keyed=False)
        while read := response.read1(65_536):
            if reading.feed(read, time.perf_counter()):
                self._on_token(reading)
        return reading.fault

    def _on_token(self, reading: StreamReading) -> None:
        if reading.last_gap_s is None:
            self._measure("ms", "time to first token", _ms(reading.first_token_s))
        else:
            self._measure("ms", "gap between chunks", _ms(reading.last_gap_s))

    def _measure(self, unit: str, name: str, value: float | None) -> None:
        if value is not None:
            _fire(self, f"{MEASURE} {unit}", name, value)

    def _fire(
        self, kind: str, name: str, seconds: float, reading: StreamReading, fault: str | None
    ) -> None:
        error = None if fault is None else StreamError(fault)
        _fire(self, kind, name, seconds * 1000, length=reading.bytes, error=error)


class ChangeUser(User):
    """Changes the weights of a route again and again, and gives them back at the end.

    Alone: two of them would not know what the other one has changed.
    """

    weight = 0
    wait_time = constant_pacing(PLAN.profile.change_every_s)

    def __init__(self, environment: Any) -> None:
        super().__init__(environment)
        self._url: Final = urlsplit(PLAN.admin or "")
        self._connection: Final = _connection(self._url)
        self._path: Final = f"{self._url.path.rstrip('/')}/api/v1/routes"
        self._turn = 0
        self._oldest = self._newest = ""

    def on_start(self) -> None:
        """Learn what is in force before anything is changed."""
        try:
            document = self._call("GET", self._path)
        except ChangeError as fault:
            TALLY.on_change_failed(str(fault))
            return
        for route in document["routes"]:
            weights = _weights(route)
            TALLY.on_weights(weights)
            if weights.route == PLAN.route:
                names = list(weights.shares)  # the newest first
                self._newest, self._oldest = names[0], names[-1]

    def on_stop(self) -> None:
        """Give the weights back to the controller."""
        # The last change may still be on its way: not over its connection.
        changing, self._connection = self._connection, _connection(self._url)
        try:
            if self._turn:
                path = f"{self._path}/{PLAN.route}/weights?reason=load+test+is+over"
                # Others may still be asking: their answers are judged by these.
                TALLY.on_weights(_weights(self._call("DELETE", path)))
        except ChangeError as fault:
            TALLY.on_change_failed(str(fault))
        self._connection.close()
        changing.close()

    @task
    def change(self) -> None:
        """Set the next weights."""
        if self._oldest == self._newest:
            TALLY.on_change_failed(f"route {PLAN.route} has no two versions to share between")
            return
        percent = SHARES[self._turn % len(SHARES)]
        self._turn += 1
        shares = {self._oldest: 100 - percent, self._newest: percent}
        began = time.perf_counter()
        fault: ChangeError | None = None
        try:
            body = {"weights": shares, "reason": "load test", "expiresSeconds": EXPIRES_S}
            document = self._call("PUT", f"{self._path}/{PLAN.route}/weights", body)
            TALLY.on_changed(_weights(document))
        except ChangeError as raised:
            fault = raised
            TALLY.on_change_failed(str(raised))
        _fire(self, "PUT", "change", (time.perf_counter() - began) * 1000, error=fault)

    def _call(self, method: str, path: str, body: dict[str, Any] | None = None) -> dict[str, Any]:
        """The answer's document.

        Raises:
            ChangeError: there was none, or it says that not every worker has followed.
        """
        headers = {"Content-Type": "application/json", **_authorization(ADMIN_TOKEN_VARIABLE)}
        connection = self._connection
        try:
            content = b"" if body is None else msgspec.json.encode(body)
            connection.request(method, path, content, headers)
            response = connection.getresponse()
            text = response.read()
        except (OSError, HTTPException) as error:
            connection.close()
            raise ChangeError(f"{method} {path}: {type(error).__name__}: {error}") from None
        if response.status != 200:
            raise ChangeError(f"{method} {path}: {_complaint(response.status, text)}")
        document: dict[str, Any] = msgspec.json.decode(text)
        return document


USERS: Final[dict[str, type[Asking]]] = {
    user.kind: user for user in (ChatUser, ConversationUser, EmbeddingsUser, KServeUser)
}


class Answer(msgspec.Struct, frozen=True):
    """Who answered."""

    version: str
    generation: int

    def __str__(self) -> str:
        return f"{self.version} (generation {self.generation})"


class StreamError(Exception):
    """Why a stream was not good."""


class ChangeError(Exception):
    """Why weights could not be changed."""


def _book(headers: Any, *, keyed: bool) -> Answer | None:
    """Note who answered; None where no router says so."""
    route, version = headers.get("x-router-route"), headers.get("x-model-version")
    if route is None or version is None:
        return None
    generation = int(headers.get("x-router-generation") or 0)
    TALLY.on_answer((route, generation, version), keyed=keyed)
    return Answer(version, generation)


def _weights(route: dict[str, Any]) -> Weights:
    """As a document of the admin API has them."""
    shares = {each["name"]: each["weight"] for each in route["versions"]}
    return Weights(route["name"], route["generation"], shares)


def _fire(
    user: User,
    kind: str,
    name: str,
    value: float,
    *,
    length: int = 0,
    error: Exception | None = None,
) -> None:
    user.environment.events.request.fire(
        request_type=kind,
        name=name,
        response_time=value,
        response_length=length,
        exception=error,
        context={},
    )


def _connection(url: SplitResult) -> HTTPConnection:
    kind = HTTPSConnection if url.scheme == "https" else HTTPConnection
    return kind(url.hostname or "", url.port, timeout=TIMEOUT_S)


def _authorization(variable: str) -> Headers:
    token = os.environ.get(variable)
    return {"Authorization": f"Bearer {token}"} if token else {}


def _question(max_tokens: int) -> dict[str, Any]:
    content = _words(random.randint(10, 60))
    return {
        "model": PLAN.model,
        "messages": [{"role": "user", "content": content}],
        "max_tokens": max_tokens,
    }


def _words(number: int) -> str:
    return " ".join(random.choices(_WORDS, k=number))


def _complaint(status: int, body: bytes) -> str:
    return f"HTTP {status}: {body[:200].decode(errors='replace')}"


def _ms(seconds: float | None) -> float | None:
    return None if seconds is None else seconds * 1000
