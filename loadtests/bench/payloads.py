"""The bytes that clients send and upstreams answer; built once, never in the timed path.

Guarantees (tests/unit/bench/test_payloads.py):
  * a request body is valid JSON of exactly the size asked for, `model` first;
  * the answer is a chat completion of exactly 600 bytes;
  * a stream ends with finish_reason, usage and [DONE], one `data:` line in each event.
"""

import json
from typing import Any, Final

KB: Final = 1000
PATH: Final = "/v1/chat/completions"
STREAM_MARK: Final = b'"stream":true'  # compact JSON: the upstream looks for these bytes
TERMINATOR: Final = b"0\r\n\r\n"  # ends a chunked body (RFC 9112 §7.1)

_ID: Final = "chatcmpl-bench-0123456789abcdef"
_WORDS: Final = "the quick brown fox asks a model server what the lazy dog would have said and "


def request_body(model: str, size: int, *, stream: bool = False) -> bytes:
    """Return a chat request of exactly `size` bytes."""
    empty = _compact({"model": model, "stream": stream, "messages": _messages("")})
    text = (_WORDS * (size // len(_WORDS) + 1))[: size - len(empty)]
    body = _compact({"model": model, "stream": stream, "messages": _messages(text)})
    if len(body) != size:
        raise ValueError(f"{size} bytes are too few for a chat request")
    return body


def answer() -> bytes:
    """Return the 600 bytes that every JSON request is answered with."""
    empty = len(_compact(_completion("")))
    return _compact(_completion((_WORDS * 8)[: 600 - empty]))


def stream_events(count: int) -> list[bytes]:
    """Return a chat stream of `count` events: content, finish_reason, usage, [DONE]."""
    contents = [_chunk({"content": f" token{i:04d}"}) for i in range(count - 3)]
    usage = {"prompt_tokens": 250, "completion_tokens": count - 3, "total_tokens": count + 247}
    last = [_chunk({}, finish="stop"), _chunk(None, usage=usage), "[DONE]"]
    return [f"data: {event}\n\n".encode() for event in contents + last]


def as_http_chunk(event: bytes) -> bytes:
    """Frame bytes as one chunk of a chunked body."""
    return b"%x\r\n%b\r\n" % (len(event), event)


def http_request(path: str, host: str, body: bytes) -> bytes:
    """Return a whole POST request, head and body."""
    head = f"POST {path} HTTP/1.1\r\nHost: {host}\r\nContent-Type: application/json\r\n"
    return f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body


def _messages(text: str) -> list[dict[str, str]]:
    return [{"role": "user", "content": text}]


def _completion(text: str) -> dict[str, Any]:
    choice = {
        "index": 0,
        "message": {"role": "assistant", "content": text},
        "finish_reason": "stop",
    }
    usage = {"prompt_tokens": 250, "completion_tokens": 80, "total_tokens": 330}
    named = {"id": _ID, "object": "chat.completion", "created": 1, "model": "bench"}
    return {**named, "choices": [choice], "usage": usage}


def _chunk(
    delta: dict[str, str] | None,
    *,
    finish: str | None = None,
    usage: dict[str, int] | None = None,
) -> str:
    choices = [] if delta is None else [{"index": 0, "delta": delta, "finish_reason": finish}]
    named = {"id": _ID, "object": "chat.completion.chunk", "created": 1}
    chunk = {**named, "model": "bench", "choices": choices, "usage": usage}
    return _compact(chunk).decode()


def _compact(value: object) -> bytes:
    return json.dumps(value, separators=(",", ":")).encode()
