"""The requests of the load, and what each one came to.

Pure.  Promises (tests/unit/loadtests/test_chaos_asks.py):
  * an answer that is another ask's, or not whole and not visibly so, is `wrong`;
  * an answer that broke is allowed only where it had begun, on the faulty endpoint.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from enum import StrEnum
from hashlib import sha256
from typing import Any, Final

FAULTY: Final = "faulty"
"""The name of the engine behind the fault proxy."""

ENGINE: Final = "x-mock-engine"
_DONE: Final = "[DONE]"
_BREAKS: Final = ("upstream_truncated", "upstream_timeout", "upstream_protocol")


class Kind(StrEnum):
    """What is asked."""

    CHAT = "chat"
    ECHO = "echo"
    STREAM = "stream"


@dataclass(frozen=True, slots=True)
class Ask:
    """One request; `number` is in it and must be in its answer.  `size` is tokens, or bytes."""

    number: int
    kind: Kind
    size: int

    @property
    def model(self) -> str:
        """The model's name, which the engine repeats."""
        return f"ask-{self.number}"

    @property
    def body(self) -> bytes:
        """The request's body."""
        if self.kind is Kind.ECHO:
            word = b"%s " % self.model.encode()
            return (word * (self.size // len(word) + 1))[: self.size]
        call: dict[str, Any] = {
            "model": self.model,
            "messages": [{"role": "user", "content": "hello"}],
            "max_tokens": self.size,
            "stream": self.kind is Kind.STREAM,
        }
        return json.dumps(call).encode()

    @property
    def wire(self) -> bytes:
        """The request as it is sent."""
        body = self.body
        path = "/_mock/echo" if self.kind is Kind.ECHO else "/v1/chat/completions"
        # An echo may be repeated only because it says so; a chat is known to be repeatable.
        more = f"Idempotency-Key: {self.model}\r\n" if self.kind is Kind.ECHO else ""
        head = (
            f"POST {path} HTTP/1.1\r\nHost: chaos\r\nContent-Type: application/json\r\n"
            f"X-Request-Id: {self.model}\r\n{more}Content-Length: {len(body)}\r\n\r\n"
        )
        return head.encode() + body


@dataclass(frozen=True, slots=True)
class Came:
    """What came back: status 0 is no answer at all; `trouble` says what ended it, if anything."""

    status: int = 0
    fields: dict[str, str] | None = None
    body: bytes = b""
    whole: bool = False
    trouble: str = ""

    def field(self, name: str) -> str:
        """A field's value; empty without one."""
        return (self.fields or {}).get(name, "")


class Outcome(StrEnum):
    """What an ask can come to."""

    OWN = "own answer, whole"
    ERROR = "error of the router"
    BROKEN_STREAM = "stream broken when begun"
    BROKEN_ANSWER = "answer broken when begun"
    WRONG = "WRONG"


@dataclass(frozen=True, slots=True)
class End:
    """What an ask came to; `detail` is an error's code, or what is wrong."""

    outcome: Outcome
    detail: str = ""


def end_of(ask: Ask, came: Came) -> End:
    """Judge one answer."""
    if came.status == 0:
        return _wrong(ask, f"no answer: {came.trouble}")
    if came.field("x-request-id") != ask.model:
        return _wrong(ask, f"the answer to {came.field('x-request-id')!r}")
    if came.status != 200:
        return _error(ask, came)
    if came.whole:
        found = _flaw_of_stream(ask, came) if ask.kind is Kind.STREAM else _flaw(ask, came)
        return _wrong(ask, found) if found else End(Outcome.OWN)
    return _broken(ask, came)


def _error(ask: Ask, came: Came) -> End:
    try:
        code = json.loads(came.body)["error"]["code"]
    except (ValueError, LookupError, TypeError):
        return _wrong(ask, f"{came.status} with {came.body[:100]!r}")
    return End(Outcome.ERROR, str(code)) if came.whole else _wrong(ask, f"half an error: {code}")


def _flaw(ask: Ask, came: Came) -> str:
    """What is wrong with a whole answer, if anything."""
    try:
        answer = json.loads(came.body)
    except ValueError:
        return f"no JSON: {came.body[:100]!r}"
    if ask.kind is Kind.ECHO:
        digest = sha256(ask.body).hexdigest()
        return "" if answer == {"bytes": ask.size, "sha256": digest} else "another body's digest"
    text = answer["choices"][0]["message"]["content"]
    return _flaw_of_text(ask, came, {(answer["model"], answer["system_fingerprint"])}, text)


def _flaw_of_text(ask: Ask, came: Came, origins: set[tuple[str, str]], text: str) -> str:
    expected = (ask.model, came.field(ENGINE))
    if origins != {expected}:
        return f"an answer of {sorted(origins)} instead of {expected}"
    words = text.split()
    if words[:1] != [came.field(ENGINE)] or len(words) != ask.size:
        return f"{len(words)} of {ask.size} tokens: {text[:100]!r}"
    return ""


def _flaw_of_stream(ask: Ask, came: Came) -> str:
    """What is wrong with a whole stream, if anything."""
    events = events_of(came.body)
    if not events or events[-1] != _DONE:
        return f"a stream that seems whole ends with {came.body[-100:]!r}"
    chunks = [json.loads(event) for event in events[:-1]]
    if any("error" in chunk for chunk in chunks):
        return "a stream with an error that seems whole"
    return _flaw_of_text(ask, came, _origins(chunks), _text(chunks))


def _broken(ask: Ask, came: Came) -> End:
    engine = came.field(ENGINE)
    if engine != FAULTY:
        return _wrong(ask, f"broke on {engine}: {came.trouble}")
    if ask.kind is not Kind.STREAM:
        return End(Outcome.BROKEN_ANSWER)
    try:
        events = [event for event in events_of(came.body) if event != _DONE]
        *chunks, last = map(json.loads, events)
        code = last["error"]["code"]
    except (ValueError, LookupError, TypeError):
        return _wrong(ask, f"broke without an error event: {came.body[-100:]!r}")
    if code not in _BREAKS or (chunks and _origins(chunks) != {(ask.model, FAULTY)}):
        return _wrong(ask, f"broke with {code}, and is of {sorted(_origins(chunks))}")
    return End(Outcome.BROKEN_STREAM, code)


def _origins(chunks: list[dict[str, Any]]) -> set[tuple[str, str]]:
    return {(chunk["model"], chunk["system_fingerprint"]) for chunk in chunks}


def _text(chunks: list[dict[str, Any]]) -> str:
    return "".join(chunk["choices"][0]["delta"].get("content") or "" for chunk in chunks)


def events_of(stream: bytes) -> list[str]:
    """The data of each event that has come whole; one that was cut off is none."""
    whole = [each for each in stream.decode(errors="replace").split("\n\n")[:-1] if each]
    return [each.removeprefix("data: ") for each in whole if _is_event(each)]


def _is_event(text: str) -> bool:
    """Whether it is a line of data that was not cut: the router ends a cut line by an empty one."""
    data = text.removeprefix("data: ")
    if data == text:
        return False
    try:
        return data == _DONE or isinstance(json.loads(data), dict)
    except ValueError:
        return False


def _wrong(ask: Ask, why: str) -> End:
    return End(Outcome.WRONG, f"{ask.kind} {ask.number}: {why}")
