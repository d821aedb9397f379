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
from typing import Final

import msgspec

MAX_EVENT: Final = 64 * 1024

_EVENT_END: Final = re.compile(rb"(?:\r\n|\n|\r(?!\n))(?:\r\n|\n|\r(?!\n))")
_LINE_END: Final = re.compile(rb"\r\n|\n|\r")


class _Usage(msgspec.Struct):
    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    input_tokens: int | None = None
    output_tokens: int | None = None


class _Delta(msgspec.Struct):
    content: str | None = None
    reasoning_content: str | None = None
    reasoning: str | None = None
    tool_calls: msgspec.Raw | None = None


class _Choice(msgspec.Struct):
    delta: _Delta | None = None
    text: str | None = None
    finish_reason: str | None = None


class _Inner(msgspec.Struct):
    usage: _Usage | None = None


class _Event(msgspec.Struct):
    """One event's data in any of the dialects: fields that others have are simply absent."""

    choices: list[_Choice] | None = None
    usage: _Usage | None = None
    error: msgspec.Raw | None = None
    type: str | None = None
    response: _Inner | None = None
    message: _Inner | None = None
    token: msgspec.Raw | None = None
    generated_text: str | None = None


_NOTHING_LEARNT: Final = b"\n\n-"  # no event begins and ends with it
_decode_event: Final = msgspec.json.Decoder(_Event).decode

# Responses API and Anthropic: the typed events that end a stream, and those that fail it.
_LAST_TYPES: Final = frozenset(("message_stop", "response.completed", "response.incomplete"))
_ERROR_TYPES: Final = frozenset(("error", "response.failed"))


class Usage:
    """What one generation reported of itself; None where it did not."""

    __slots__ = ("completion_tokens", "finish_reason", "prompt_tokens")

    def __init__(self) -> None:
        self.prompt_tokens: int | None = None
        self.completion_tokens: int | None = None
        self.finish_reason: str | None = None

    def add(self, usage: _Usage) -> None:
        """Take over what is given; Anthropic splits it over two events."""
        prompt = usage.prompt_tokens if usage.prompt_tokens is not None else usage.input_tokens
        if prompt is not None:
            self.prompt_tokens = prompt
        completion = usage.completion_tokens
        if completion is None:
            completion = usage.output_tokens
        if completion is not None:
            self.completion_tokens = completion


class StreamObserver(Usage):
    """Watches one stream.

    `content` is set by the first event that has any; `ended` by `[DONE]`, a finish reason or the
    dialect's last event; `failed` by an event that reports an error; `known` once the dialect is
    one whose end can be told.
    """

    __slots__ = ("_after", "_before", "_carry", "_skipping", "content", "ended", "failed", "known")

    def __init__(self) -> None:
        super().__init__()
        self._carry = b""
        self._skipping = False
        self._before = self._after = _NOTHING_LEARNT
        self.content = False
        self.ended = False
        self.failed = False
        self.known = False

    @property
    def truncated(self) -> bool:
        """Whether the stream, if it ends now, ends too early."""
        return self.known and not self.ended and not self.failed

    @property
    def at_event_start(self) -> bool:
        """Whether the bytes so far end where an event ends."""
        return not self._carry and not self._skipping

    def feed(self, data: bytes) -> None:
        """Look at one read; events may be split over reads anywhere."""
        if self._carry or self._skipping:
            self._feed_split(data)
        elif data.startswith(self._before) and data.endswith(self._after):
            return
        elif data.endswith(b"\n\n"):
            self._read_events(data)
        else:
            self._feed_split(data)

    def _feed_split(self, data: bytes) -> None:
        data = self._carry + data
        ends = [match.end() for match in _EVENT_END.finditer(data)]
        if data[-1:] == b"\r" and ends and ends[-1] == len(data):
            ends.pop()  # an LF may follow: that CR is only half of the line's end
        whole = ends[-1] if ends else 0
        if self._skipping and ends:
            self._skipping = False
            self._read_events(data[ends[0] : whole])
        elif ends:
            self._read_events(data[:whole])
        self._carry = data[whole:]
        if len(self._carry) > MAX_EVENT:
            # An event this long is content (an image, audio), not a token or a report.
            self._skipping = self.content = True
            self._carry = self._carry[-3:]

    def _read_events(self, data: bytes) -> None:
        for event in _EVENT_END.split(data):
            lines = _LINE_END.split(event)
            payload = b"\n".join(
                line[5:].removeprefix(b" ") for line in lines if line.startswith(b"data:")
            )
            if payload.startswith(b"[DONE]"):
                self.ended = self.known = True
            elif payload:
                self._read_payload(payload, data)

    def _read_payload(self, payload: bytes, data: bytes) -> None:
        try:
            event = _decode_event(payload)
        except msgspec.MsgspecError:
            self.content = True  # not one of the dialects: an event is an event
            return
        if event.error is not None and bytes(event.error) != b"null":
            self.failed = self.known = True
        if event.choices:
            self._read_choices(event.choices)
            if event.usage is None and not self.ended and not self.failed:
                self._learn_wrapping(event.choices, data)
        elif event.type is not None:
            self._read_typed(event)
        elif event.token is not None:
            self.content = self.known = True
            self.ended = self.ended or event.generated_text is not None
        elif event.choices is None and event.usage is None and event.error is None:
            self.content = True
        for usage in (event.usage, _inner(event.response), _inner(event.message)):
            if usage is not None:
                self.add(usage)

    def _read_choices(self, choices: list[_Choice]) -> None:
        self.known = True
        for choice in choices:
            if choice.finish_reason is not None:
                self.finish_reason = choice.finish_reason
                self.ended = True
            delta = choice.delta
            if choice.text or (
                delta
                and (
                    delta.content or delta.reasoning_content or delta.reasoning or delta.tool_calls
                )
            ):
                self.content = True

    def _learn_wrapping(self, choices: list[_Choice], data: bytes) -> None:
        delta = choices[0].delta
        token = (delta.content if delta else choices[0].text) or ""
        quoted = b'"%b"' % token.encode()
        at = data.find(quoted)
        if token and at >= 0 and data.endswith(b"\n\n") and data.count(b"\n\n") == 1:
            self._before = data[: at + 1]
            self._after = data[at + len(quoted) - 1 :]

    def _read_typed(self, event: _Event) -> None:
        kind = event.type or ""
        if kind in _LAST_TYPES:
            self.ended = self.known = True
        elif kind in _ERROR_TYPES:
            self.failed = self.known = True
        elif kind.endswith("delta"):
            self.content = self.known = True


def _inner(inner: _Inner | None) -> _Usage | None:
    return None if inner is None else inner.usage


class Answer(msgspec.Struct):
    """What a JSON answer reports of its generation."""

    choices: list[_Choice] | None = None
    usage: _Usage | None = None


_decode_answer: Final = msgspec.json.Decoder(Answer).decode


def read_answer(body: bytes) -> Answer | None:
    """Read a JSON answer that came in one piece; None where it is no such answer."""
    try:
        return _decode_answer(body)
    except (msgspec.MsgspecError, UnicodeDecodeError):
        return None


def error_event(body: bytes) -> bytes:
    """Frame a JSON error as an event; OpenAI's clients raise for data with an `error` key."""
    return b"data: " + body + b"\n\n"
