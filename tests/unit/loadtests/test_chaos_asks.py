"""The chaos run lets nothing pass that a client should not have seen."""

from __future__ import annotations

import json
from hashlib import sha256
from typing import Any

import pytest

from loadtests.chaos.asks import ENGINE, FAULTY, Ask, Came, Kind, Outcome, end_of

CHAT, ECHO, STREAM = Ask(7, Kind.CHAT, 2), Ask(8, Kind.ECHO, 1_000), Ask(9, Kind.STREAM, 2)


def came(ask: Ask, body: bytes, *, engine: str = FAULTY, **more: Any) -> Came:
    fields = {"x-request-id": ask.model, ENGINE: engine}
    return Came(**{"status": 200, "fields": fields, "body": body, "whole": True, **more})


def chat(model: str, text: str, engine: str = FAULTY) -> bytes:
    frame = {"model": model, "system_fingerprint": engine}
    return json.dumps({**frame, "choices": [{"message": {"content": text}}]}).encode()


def chunk(model: str, text: str, engine: str = FAULTY) -> bytes:
    frame = {"model": model, "system_fingerprint": engine}
    data = {**frame, "choices": [{"delta": {"content": text}}]}
    return b"data: %b\n\n" % json.dumps(data).encode()


def failed(code: str = "upstream_truncated") -> bytes:
    return b"data: %b\n\n" % json.dumps({"error": {"code": code}}).encode()


DONE = b"data: [DONE]\n\n"
OWN_STREAM = chunk(STREAM.model, FAULTY) + chunk(STREAM.model, " the")


@pytest.mark.parametrize(
    ("ask", "answer"),
    [
        (CHAT, came(CHAT, chat(CHAT.model, f"{FAULTY} the"))),
        (CHAT, came(CHAT, chat(CHAT.model, "sound-1 the", "sound-1"), engine="sound-1")),
        (STREAM, came(STREAM, OWN_STREAM + DONE)),
    ],
    ids=["chat", "chat of another engine", "stream"],
)
def test_an_answer_that_repeats_the_ask_and_has_all_its_tokens_is_its_own(
    ask: Ask, answer: Came
) -> None:
    assert end_of(ask, answer).outcome is Outcome.OWN


def test_an_echo_is_its_own_only_with_the_digest_of_what_was_sent() -> None:
    digest = sha256(ECHO.body).hexdigest()
    answer = json.dumps({"bytes": 1_000, "sha256": digest}).encode()
    assert end_of(ECHO, came(ECHO, answer)).outcome is Outcome.OWN
    other = json.dumps({"bytes": 1_000, "sha256": "0" * 64}).encode()
    assert end_of(ECHO, came(ECHO, other)).outcome is Outcome.WRONG
    assert Ask(10, Kind.ECHO, 1_000).body != ECHO.body


WRONG = {
    "no answer": (CHAT, Came(trouble="closed")),
    "another request's id": (CHAT, came(ECHO, chat(CHAT.model, f"{FAULTY} the"))),
    "another ask's answer": (CHAT, came(CHAT, chat("ask-8", f"{FAULTY} the"))),
    "another engine's text": (CHAT, came(CHAT, chat(CHAT.model, "sound-1 the"))),
    "a token too few": (CHAT, came(CHAT, chat(CHAT.model, FAULTY))),
    "half that seems whole": (CHAT, came(CHAT, b'{"model": "ask-7", "ch')),
    "broken on a sound engine": (CHAT, came(CHAT, b"{", engine="sound-1", whole=False)),
    "an error of nobody": (CHAT, came(CHAT, b"oops", status=500)),
    "half an error": (CHAT, came(CHAT, b'{"error":{"code":"x"}}', status=502, whole=False)),
    "a stream without its end": (STREAM, came(STREAM, OWN_STREAM)),
    "a stream with another's token": (
        STREAM,
        came(STREAM, chunk(STREAM.model, FAULTY) + chunk("ask-1", " the") + DONE),
    ),
    "an error in a stream that seems whole": (STREAM, came(STREAM, failed() + DONE)),
    "a stream that breaks without a word": (STREAM, came(STREAM, OWN_STREAM, whole=False)),
    "a broken stream of another": (
        STREAM,
        came(STREAM, chunk("ask-1", "x") + failed(), whole=False),
    ),
    "a stream that drains": (STREAM, came(STREAM, OWN_STREAM + failed("draining"), whole=False)),
}


@pytest.mark.parametrize("case", WRONG)
def test_whatever_is_not_allowed_is_wrong(case: str) -> None:
    ask, answer = WRONG[case]
    end = end_of(ask, answer)
    assert end.outcome is Outcome.WRONG
    assert f"{ask.kind} {ask.number}: " in end.detail


def test_an_answer_that_had_begun_on_the_faulty_engine_may_break_visibly() -> None:
    assert end_of(CHAT, came(CHAT, b'{"mod', whole=False)).outcome is Outcome.BROKEN_ANSWER
    cut = OWN_STREAM + b'data: {"model": "as\n\n' + failed("upstream_timeout")
    for body in (failed("upstream_timeout"), cut, OWN_STREAM + DONE + failed("upstream_timeout")):
        end = end_of(STREAM, came(STREAM, body, whole=False))
        assert (end.outcome, end.detail) == (Outcome.BROKEN_STREAM, "upstream_timeout")


def test_an_error_of_the_router_is_told_by_its_code() -> None:
    body = b'{"error": {"code": "upstream_reset"}}'
    end = end_of(CHAT, came(CHAT, body, status=502))
    assert (end.outcome, end.detail) == (Outcome.ERROR, "upstream_reset")
