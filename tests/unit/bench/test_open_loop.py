import pytest

from loadtests.bench import payloads
from loadtests.bench.open_loop import Lane

PLAIN = b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhello"
CHUNKED = b"HTTP/1.1 502 Bad Gateway\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n"


@pytest.mark.parametrize(("answer", "status"), [(PLAIN, 200), (CHUNKED + payloads.TERMINATOR, 502)])
def test_a_lane_tells_the_status_when_the_answer_is_whole(answer: bytes, status: int) -> None:
    lane = Lane(lambda _: None)
    lane.ask(b"", due_s=1.0)
    for byte in answer[:-1]:
        assert lane.on_bytes(bytes([byte])) is None
    assert lane.on_bytes(answer[-1:]) == status
