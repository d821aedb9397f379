"""Server-sent events as model servers write them, and as a client reads them."""

from __future__ import annotations

import json
import re
from typing import Any, Final

DONE: Final = b"data: [DONE]\n\n"


def event(value: Any, name: str = "") -> bytes:
    """One event with JSON data."""
    head = f"event: {name}\n" if name else ""
    return f"{head}data: {json.dumps(value)}\n\n".encode()


def delta(text: str | None = None, *, finish: str | None = None, role: str | None = None) -> bytes:
    """One chunk of an OpenAI chat stream."""
    content = {
        key: value for key, value in (("role", role), ("content", text)) if value is not None
    }
    choice = {"index": 0, "delta": content, "finish_reason": finish}
    return event({"id": "c1", "object": "chat.completion.chunk", "choices": [choice]})


def usage(prompt: int, completion: int) -> bytes:
    """The usage chunk of an OpenAI stream."""
    counts = {"prompt_tokens": prompt, "completion_tokens": completion}
    return event({"id": "c1", "object": "chat.completion.chunk", "choices": [], "usage": counts})


def read_events(stream: bytes) -> list[str]:
    """The data of each event (WHATWG HTML §9.2); an event that has not ended is none."""
    lines = re.split(r"\r\n|\n|\r", stream.decode())
    events: list[str] = []
    data: list[str] = []
    for line in lines[:-1]:
        if not line:
            if data:
                events.append("\n".join(data))
            data = []
        elif line.startswith("data:"):
            data.append(line[5:].removeprefix(" "))
    return events
