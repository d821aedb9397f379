"""What a model server's answer tells about its generation, read beside the relay.

`StreamObserver` watches server-sent events (WHATWG HTML §9.2) of the OpenAI chat, completions and
responses dialects, Anthropic's messages and TGI's generate_stream; `read_answer` reads an answer
that came in one piece.  Both only look: the bytes are relayed unchanged, whatever they make of
them.  Memory is bounded by `MAX_EVENT`.

Most events are one more token in the same wrapping.  The wrapping is learnt from the first such
event; one that has it again is recognised by comparing its two ends (0.3 µs) and only another one
is parsed (3 to 6 µs).
"""

import re
from typing import Any, Final

import msgspec

MAX_EVENT: Final = 64 * 1024
MAX_REPORTED: Final = 2**32
"""No generation has so many tokens; what is larger (or below 0) is no count."""

_EVENT_END: Final = re.compile(rb"(?:\r\n|\n|\r(?!\n))(?:\r\n|\n|\r(?!\n))")
_LINE_END: Final = re.compile(rb"\r\n|\n|\r")


_Ends = bytes | tuple[bytes, ...]
_NOTHING_LEARNT: Final[_Ends] = ()  # nothing begins or ends with one of none

# Responses API and Anthropic: the typed events that end a stream, and those that fail it.
_LAST_TYPES: Final = frozenset(("message_stop", "response.completed", "response.incomplete"))
_ERROR_TYPES: Final = frozenset(("error", "response.failed"))
_MESSAGE_TYPES: Final = frozenset(
    ("message_start", "message_delta", "content_block_start", "content_block_stop")
)
_DELTA_CONTENT: Final = ("content", "reasoning_content", "reasoning", "tool_calls")


def reported(number: object) -> int | None:
    """A number that a model server told, or None where it can be no count.

    Every number that is counted because a model server said so comes through here: one that is
    negative makes a counter fall, and one that is huge cannot be told to control.
    """
    return number if type(number) is int and 0 <= number <= MAX_REPORTED else None


class Usage:
    """What one generation reported of itself; None where it did not."""

    __slots__ = ("completion_tokens", "finish_reason", "prompt_tokens")

    def __init__(self) -> None:
        self.prompt_tokens: int | None = None
        self.completion_tokens: int | None = None
        self.finish_reason: str | None = None

    def add(self, usage: object) -> None:
        """Take over what is given; Anthropic splits it over two events."""
        if not isinstance(usage, dict):
            return
        for name in ("prompt_tokens", "input_tokens"):
            if (number := reported(usage.get(name))) is not None:
                self.prompt_tokens = number
        for name in ("completion_tokens", "output_tokens"):
            if (number := reported(usage.get(name))) is not None:
                self.completion_tokens = number


class StreamObserver(Usage):
    """Watches one stream.

    `content` is set by the first event that has any; `ended` by `[DONE]`, a finish reason or the
    dialect's last event; `failed` by an event that reports an error; `known` once the dialect is
    one whose end can be told.
    """

    __slots__ = (
        "_after",
        "_before",
        "_carry",
        "_from",
        "_missed",
        "_skipping",
        "_to",
        "content",
        "ended",
        "failed",
        "known",
    )

    def __init__(self) -> None:
        super().__init__()
        self._carry = b""
        self._skipping = False
        self._missed = False  # the last event was too long to be read
        self._before: _Ends = _NOTHING_LEARNT
        self._after: _Ends = _NOTHING_LEARNT
        self._from = self._to = 0
        self.content = False
        self.ended = False
        self.failed = False
        self.known = False

    @property
    def truncated(self) -> bool:
        """Whether the stream, if it ends now, ends too early."""
        return self.known and not (self.ended or self.failed or self._missed or self._skipping)

    @property
    def at_event_start(self) -> bool:
        """Whether the bytes so far end where an event ends."""
        return not self._carry and not self._skipping

    def feed(self, data: bytes) -> None:
        """Look at one read; events may be split over reads anywhere."""
        if self._carry or self._skipping:
            self._feed_split(data)
        elif (
            data.startswith(self._before)
            and data.endswith(self._after)
            and data.find(b'"', self._from, self._to) < 0
        ):
            return  # one more token: nothing between the two ends can end its string
        elif data.endswith(b"\n\n"):
            self._read_events(data)
        else:
            self._feed_split(data)

    def _feed_split(self, data: bytes) -> None:
        # An event's end is at most four bytes, so only the last three of what was searched before
        # can be part of one.
        searched = max(0, len(self._carry) - 3)
        data = self._carry + data
        ends = [match.end() for match in _EVENT_END.finditer(data, searched)]
        whole = ends[-1] if ends else 0
        if self._skipping and ends:
            self._skipping = False
            self._read_events(data[ends[0] : whole])
        elif ends:
            self._read_events(data[:whole])
        # An LF here is the second half of the CR LF that ended the last event.
        self._carry = data[whole:].lstrip(b"\r\n") if whole else data[whole:]
        if len(self._carry) > MAX_EVENT:
            # An event this long is content (an image, audio), not a token or a report.
            self._skipping = self._missed = self.content = True
            self._carry = self._carry[-3:]

    def _read_events(self, data: bytes) -> None:
        events = _EVENT_END.split(data) if b"\r" in data else data.split(b"\n\n")
        for event in events:
            if self._is_token(event):
                continue
            lines = _LINE_END.split(event)
            payload = b"\n".join(
                line[5:].removeprefix(b" ") for line in lines if line.startswith(b"data:")
            )
            if payload.startswith(b"[DONE]"):
                self.ended = self.known = True
            elif payload:
                self._missed = False
                self._read_payload(payload, event)

    def _is_token(self, event: bytes) -> bool:
        """Whether this is one more token in the learnt wrapping, in a read of several events."""
        return (
            event.startswith(self._before)
            and event.endswith(self._after[:-2])
            and event.find(b'"', self._from, self._to + 2) < 0
        )

    def _read_payload(self, payload: bytes, raw: bytes) -> None:
        try:
            event = msgspec.json.decode(payload)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
            event = None
        if not isinstance(event, dict):
            self.content = True  # not one of the dialects: an event is an event
            return
        if event.get("error"):
            self.failed = self.known = True
        choices, kind = event.get("choices"), event.get("type")
        if isinstance(choices, list) and choices:
            self._read_choices(choices)
            if event.get("usage") is None and not self.ended and not self.failed:
                self._learn_wrapping(choices[0], raw)
        elif isinstance(kind, str):
            self._read_typed(kind)
        elif isinstance(event.get("token"), dict):
            self.content = self.known = True
            self.ended = self.ended or event.get("generated_text") is not None
        elif not event.keys() & {"choices", "usage", "error"}:
            self.content = True
        self.add(event.get("usage"))
        for name in ("response", "message"):
            inner = event.get(name)
            if isinstance(inner, dict):
                self.add(inner.get("usage"))

    def _read_choices(self, choices: list[Any]) -> None:
        self.known = True
        for choice in choices:
            if not isinstance(choice, dict):
                continue
            reason = choice.get("finish_reason")
            if isinstance(reason, str):
                self.finish_reason = reason
                self.ended = True
            delta = choice.get("delta")
            if choice.get("text") or (
                isinstance(delta, dict) and any(delta.get(name) for name in _DELTA_CONTENT)
            ):
                self.content = True

    def _learn_wrapping(self, choice: object, event: bytes) -> None:
        """Remember what stands around the token, if there is no doubt where it stands."""
        if not isinstance(choice, dict) or b"\r" in event or b"\n" in event:
            return
        delta = choice.get("delta")
        token = delta.get("content") if isinstance(delta, dict) else choice.get("text")
        if not isinstance(token, str) or not token:
            return
        text = token.encode()
        places = list(re.finditer(rb'"(?:content|text)": ?"' + re.escape(text), event))
        if len(places) == 1 and event[places[0].end() : places[0].end() + 1] == b'"':
            at = places[0].end()
            self._before = event[: at - len(text)]
            self._after = event[at:] + b"\n\n"
            self._from, self._to = len(self._before), -len(self._after)

    def _read_typed(self, kind: str) -> None:
        if kind in _LAST_TYPES:
            self.ended = self.known = True
        elif kind in _ERROR_TYPES:
            self.failed = self.known = True
        elif kind == "content_block_delta" or (
            kind.startswith("response.") and kind.endswith(".delta")
        ):
            self.content = self.known = True
        elif kind in _MESSAGE_TYPES or kind.startswith("response."):
            self.known = True


class _Usage(msgspec.Struct):
    """As it came: read with `reported`."""

    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    input_tokens: int | None = None
    output_tokens: int | None = None


class _Choice(msgspec.Struct):
    finish_reason: str | None = None


class Answer(msgspec.Struct):
    """What a JSON answer reports of its generation."""

    choices: list[_Choice] | None = None
    usage: _Usage | None = None


_decode_answer: Final = msgspec.json.Decoder(Answer).decode


def read_answer(body: bytes) -> Answer | None:
    """Read a JSON answer that came in one piece; None where it is no such answer."""
    try:
        return _decode_answer(body)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return None


def error_event(body: bytes) -> bytes:
    """Frame a JSON error as an event; OpenAI's clients raise for data with an `error` key."""
    return b"data: " + body + b"\n\n"
