"""What one exchange leaves behind: counts of its version, and perhaps a line in the access log.

A failure is booked on the version that made it, once per exchange and version.  4xx are answers,
not failures; a client that went away is nobody's failure (status 499).
"""

from typing import Final

from router.dataplane.table import LiveVersion
from router.errors import FailureReason
from router.http1.events import Usage, read_answer, reported
from router.telemetry.recorder import VersionRecorder, count

MAX_OBSERVED: Final = 64 * 1024
_FINISH_REASONS: Final = frozenset(("stop", "length", "tool_calls", "content_filter"))


class AnswerObserver:
    """Keeps a JSON answer that comes in several reads, up to a bound, for what it reports."""

    __slots__ = ("_pieces", "_size")

    def __init__(self, body: bytes) -> None:
        self._pieces: list[bytes] | None = [body]
        self._size = len(body)

    def feed(self, body: bytes) -> None:
        """Take more of it."""
        self._size += len(body)
        if self._size > MAX_OBSERVED:
            self._pieces = None
        elif self._pieces is not None:
            self._pieces.append(body)

    def book(self, recorder: VersionRecorder) -> None:
        """Count what the whole answer reports; nothing of one that is too long."""
        if self._pieces is not None:
            book_report(recorder, b"".join(self._pieces))


def book_answer(version: LiveVersion, status: int, failure: FailureReason | None) -> None:
    """Count what a version answered, or how it failed to."""
    counts = version.counts
    counts.requests[status] += 1
    if failure is not None:
        counts.errors[failure] += 1
    version.recorder.changed = True


def book_usage(recorder: VersionRecorder, usage: Usage) -> None:
    """Count tokens and the finish reason as the model server reported them."""
    if usage.prompt_tokens is not None:
        recorder.prompt_tokens += usage.prompt_tokens
    if usage.completion_tokens is not None:
        recorder.completion_tokens += usage.completion_tokens
    _book_reason(recorder, usage.finish_reason)


def book_report(recorder: VersionRecorder, body: bytes) -> None:
    """Count what a JSON answer that came in one piece reports of its generation."""
    answer = read_answer(body)
    if answer is None:
        return
    usage = answer.usage
    if usage is not None:
        prompt = reported(usage.prompt_tokens) or reported(usage.input_tokens)
        completion = reported(usage.completion_tokens) or reported(usage.output_tokens)
        recorder.prompt_tokens += prompt or 0
        recorder.completion_tokens += completion or 0
    if answer.choices:
        _book_reason(recorder, answer.choices[-1].finish_reason)


def _book_reason(recorder: VersionRecorder, reason: str | None) -> None:
    if reason is not None:
        # The label's values are a closed set: anything else comes from outside.
        count(recorder.finish_reasons, reason if reason in _FINISH_REASONS else "other")
