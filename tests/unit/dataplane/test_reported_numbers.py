"""What a model server says of itself is counted only where it can be true."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from router.dataplane.record import book_report, book_usage
from router.http1.events import MAX_REPORTED, StreamObserver
from router.link.framing import encode
from router.link.messages import Telemetry
from router.telemetry.recorder import VersionRecorder

HOSTILE = ["99999999999999999999999", "9" * 400, str(2**64), str(MAX_REPORTED + 1), "-1", "true"]
Book = Callable[[VersionRecorder, bytes], None]
DIALECTS = [("prompt_tokens", "completion_tokens"), ("input_tokens", "output_tokens")]


@pytest.fixture
def recorder() -> VersionRecorder:
    recorder = VersionRecorder("chat", "v2")
    book_report(recorder, b'{"usage":{"prompt_tokens":7,"completion_tokens":9}}')
    return recorder


def book_stream(recorder: VersionRecorder, report: bytes) -> None:
    observer = StreamObserver()
    observer.feed(b"data: " + report + b"\n\n")
    book_usage(recorder, observer)


def tokens(recorder: VersionRecorder) -> tuple[int, int]:
    encode(Telemetry(series=list(recorder.series())))
    return recorder.prompt_tokens, recorder.completion_tokens


@pytest.mark.parametrize("book", [book_report, book_stream])
@pytest.mark.parametrize("number", HOSTILE)
@pytest.mark.parametrize("names", DIALECTS)
def test_a_number_that_can_be_no_count_is_ignored(
    recorder: VersionRecorder, book: Book, number: str, names: tuple[str, str]
) -> None:
    for name in names:
        book(recorder, b'{"choices":[],"usage":{"%b":%b}}' % (name.encode(), number.encode()))
        assert tokens(recorder) == (7, 9)


@pytest.mark.parametrize("book", [book_report, book_stream])
@pytest.mark.parametrize("names", DIALECTS)
def test_a_number_is_counted_whatever_stands_beside_it(
    recorder: VersionRecorder, book: Book, names: tuple[str, str]
) -> None:
    one, other = (name.encode() for name in names)
    for number in HOSTILE[2:5]:
        hostile = number.encode()
        book(recorder, b'{"choices":[],"usage":{"%b":%b,"%b":1}}' % (one, hostile, other))
        book(recorder, b'{"choices":[],"usage":{"%b":1,"%b":%b}}' % (one, other, hostile))
    assert tokens(recorder) == (7 + 3, 9 + 3)


@pytest.mark.parametrize("book", [book_report, book_stream])
def test_a_finish_reason_is_counted_beside_a_number_that_is_ignored(
    recorder: VersionRecorder, book: Book
) -> None:
    choices = b'[{"delta":{},"finish_reason":"stop"}]'
    book(recorder, b'{"choices":%b,"usage":{"prompt_tokens":-5}}' % choices)
    assert recorder.finish_reasons == {"stop": 1}
    assert tokens(recorder) == (7, 9)


@pytest.mark.parametrize("book", [book_report, book_stream])
def test_the_largest_count_is_counted(recorder: VersionRecorder, book: Book) -> None:
    book(recorder, b'{"choices":[],"usage":{"prompt_tokens":%d}}' % MAX_REPORTED)
    assert tokens(recorder) == (7 + MAX_REPORTED, 9)


def test_no_number_of_true_looking_reports_is_too_large_to_be_told(
    recorder: VersionRecorder,
) -> None:
    recorder.prompt_tokens = MAX_REPORTED * 2**32  # ten days of 5 000 such answers a second
    assert tokens(recorder)[0] == 2**64
