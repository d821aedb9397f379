"""A chunked body means the same however its bytes fall into reads."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

from hypothesis import given, settings
from hypothesis import strategies as st

from router.http1.chunked import END, ChunkedDecoder, frame_chunk
from router.http1.grammar import ProtocolError

PROPERTY = settings(deadline=None, max_examples=100)


@dataclass(frozen=True)
class Chunk:
    """One chunk as a sender may write it."""

    payload: bytes
    extension: bytes
    size_format: bytes

    @property
    def wire(self) -> bytes:
        size = self.size_format % len(self.payload)
        return size + self.extension + b"\r\n" + self.payload + b"\r\n"


PAYLOADS = st.one_of(
    st.binary(min_size=1, max_size=40),
    st.sampled_from([b"\r\n", b"0\r\n\r\n", b"5\r\nhello\r\n", b"data: x\n\n", b"x" * 3_000]),
)
CHUNKS = st.builds(
    Chunk,
    PAYLOADS,
    st.sampled_from([b"", b"", b"", b";a", b";a=b", b' ; a = "b;\\"c"', b";x;y=1"]),
    st.sampled_from([b"%x", b"%x", b"%X", b"%06x"]),
)
# Runs of equal chunks are what the decoder is quick with.
BODIES = st.lists(st.tuples(CHUNKS, st.integers(1, 4)), max_size=5).map(
    lambda runs: [chunk for chunk, times in runs for _ in range(times)]
)
LASTS = st.sampled_from(
    [END, b"000\r\n\r\n", b"0;a=b\r\n\r\n", b"0\r\nX-A: 1\r\nHost: evil\r\n\r\n"]
)
RESTS = st.sampled_from([b"", b"\r\n", b"GET / HTTP/1.1\r\n\r\n", END, b"0"])


def split(data: bytes, cuts: list[int]) -> list[bytes]:
    places = sorted({0, len(data), *(cut % (len(data) + 1) for cut in cuts)})
    return [data[at:to] for at, to in pairwise(places)]


def splits(data: bytes, chunks: list[Chunk], cuts: list[int], at_chunks: bool) -> list[bytes]:
    """Cuts anywhere, or near the ends of chunks, where the quick ways begin and end."""
    if not at_chunks:
        return split(data, cuts)
    ends = [0]
    for chunk in chunks:
        ends.append(ends[-1] + len(chunk.wire))
    return split(data, [ends[cut % len(ends)] + (cut % 7 == 0) for cut in cuts])


CUTS = st.lists(st.integers(0, 20_000), max_size=12)


@PROPERTY
@given(BODIES, LASTS, RESTS, CUTS, st.booleans())
def test_any_split_of_a_body_gives_the_same_payload_end_and_rest(
    chunks: list[Chunk], last: bytes, rest: bytes, cuts: list[int], at_chunks: bool
) -> None:
    wire = b"".join(chunk.wire for chunk in chunks)
    reads = splits(wire + last, chunks, cuts, at_chunks)
    reads[-1] += rest
    decoder = ChunkedDecoder()
    payload = b""
    for number, read in enumerate(reads):
        assert not decoder.done, f"ended before read {number}"
        payload += decoder.feed(read)
    assert payload == b"".join(chunk.payload for chunk in chunks)
    assert decoder.done
    assert decoder.rest == rest


@PROPERTY
@given(BODIES, CUTS, st.booleans())
def test_only_whole_plain_chunks_are_said_to_be_whole(
    chunks: list[Chunk], cuts: list[int], at_chunks: bool
) -> None:
    wire = b"".join(chunk.wire for chunk in chunks) + END
    plain_until: dict[int, int] = {}  # where a chunk begins: where the plain ones from there end
    ends: dict[int, set[int]] = {}
    at = 0
    for chunk in chunks:
        if not chunk.extension:
            plain_until[at] = at + len(chunk.wire)
        at += len(chunk.wire)
    for begin in plain_until:
        ends[begin] = set()
        to = begin
        while to in plain_until:
            to = plain_until[to]
            ends[begin].add(to)
    decoder = ChunkedDecoder()
    at = 0
    for read in splits(wire, chunks, cuts, at_chunks):
        payload = decoder.feed(read)
        is_whole = at + len(read) in ends.get(at, ())
        assert decoder.whole is is_whole
        if is_whole:
            again = ChunkedDecoder()
            assert again.feed(read + END) == payload
        at += len(read)


@PROPERTY
@given(st.lists(st.binary(min_size=1, max_size=200), max_size=20), CUTS)
def test_what_is_framed_is_read_again(payloads: list[bytes], cuts: list[int]) -> None:
    decoder = ChunkedDecoder()
    wire = b"".join(map(frame_chunk, payloads)) + END
    assert b"".join(map(decoder.feed, split(wire, cuts))) == b"".join(payloads)
    assert (decoder.done, decoder.rest) == (True, b"")


NOISE = st.sampled_from([b"", b"\r", b"\n", b"\r\n", b"0", b"5", b";", b" ", b"x", b"\x00", b"-"])


def judge(reads: list[bytes]) -> tuple[bytes, bool, bytes] | None:
    decoder = ChunkedDecoder()
    payload = b""
    rest = b""
    try:
        for read in reads:
            if decoder.done:
                rest += read
            else:
                payload += decoder.feed(read)
                rest = decoder.rest
    except ProtocolError:
        return None
    return payload, decoder.done, rest


@PROPERTY
@given(BODIES, LASTS, CUTS, st.integers(0, 20_000), st.integers(0, 3), NOISE)
def test_a_broken_body_is_judged_alike_however_it_is_split(
    chunks: list[Chunk], last: bytes, cuts: list[int], place: int, gone: int, put: bytes
) -> None:
    wire = b"".join(chunk.wire for chunk in chunks) + last
    at = place % (len(wire) + 1)
    wire = wire[:at] + put + wire[at + gone :]
    at_once = judge([wire])
    assert judge(split(wire, cuts)) == at_once
    assert judge(split(wire, list(range(min(len(wire), 500))))) == at_once
