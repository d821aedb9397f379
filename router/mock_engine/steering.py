"""What a test asks of the simulator itself: set faults, see what came, try the bytes.

`/_mock/faults`, `/_mock/requests` and `/_mock/stats` steer and are not counted;
`echo`, `mirror-body` and `bytes` are ordinary traffic. None of their bodies is ever buffered.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from router.mock_engine.engine import Engine
from router.mock_engine.exchange import Exchange, Refused
from router.mock_engine.faults import Faults

STEERING_BODY_BYTES: Final = 64 * 1024
OCTETS: Final = b"application/octet-stream"
CHUNK_BYTES: Final = 64 * 1024

# A prime number of different bytes: lost, doubled or shifted blocks change every digest.
PATTERN: Final = bytes(range(251))
_REPEATED: Final = PATTERN * (CHUNK_BYTES // len(PATTERN) + 2)


def pattern_chunks(total: int) -> Iterator[bytes]:
    """`total` bytes of the pattern, in chunks: byte i is i mod 251."""
    for start in range(0, total, CHUNK_BYTES):
        shift = start % len(PATTERN)
        yield _REPEATED[shift : shift + min(CHUNK_BYTES, total - start)]


async def show_faults(engine: Engine, exchange: Exchange) -> None:
    """GET /_mock/faults."""
    await exchange.reply_json(engine.faults.to_json())


async def replace_faults(engine: Engine, exchange: Exchange) -> None:
    """PUT /_mock/faults: these and no others."""
    await _change_faults(engine, exchange, Faults())


async def change_faults(engine: Engine, exchange: Exchange) -> None:
    """PATCH /_mock/faults: these, the others as they are."""
    await _change_faults(engine, exchange, engine.faults)


async def show_requests(engine: Engine, exchange: Exchange) -> None:
    """GET /_mock/requests?path=&limit=."""
    limit = exchange.parameter("limit")
    if limit is not None and not limit.isdecimal():
        raise Refused(400, "limit must be a number", param="limit")
    entries = engine.journal.entries(
        path=exchange.parameter("path"), limit=None if limit is None else int(limit)
    )
    await exchange.reply_json({"requests": [entry.to_json() for entry in entries]})


async def forget_requests(engine: Engine, exchange: Exchange) -> None:
    """DELETE /_mock/requests; the counts stay."""
    engine.journal.forget()
    await exchange.reply_json({"requests": []})


async def show_statistics(engine: Engine, exchange: Exchange) -> None:
    """GET /_mock/stats."""
    batch = engine.statistics()
    await exchange.reply_json(
        {
            "name": engine.settings.name,
            **engine.journal.statistics(),
            "running": batch.running,
            "waiting": batch.waiting,
            "kv_reserved": batch.kv_reserved,
            "prompt_tokens": batch.prompt_tokens,
            "generated_tokens": batch.generated_tokens,
        }
    )


async def echo_digest(_: Engine, exchange: Exchange) -> None:
    """POST /_mock/echo: what came, as size and digest."""
    async for _chunk in exchange.body_chunks():
        pass
    entry = exchange.entry
    await exchange.reply_json({"bytes": entry.body_bytes, "sha256": entry.body_sha256})


async def mirror_body(_: Engine, exchange: Exchange) -> None:
    """POST /_mock/mirror-body: the body comes back while it is still being sent."""
    content_type = exchange.header(b"content-type") or OCTETS
    length = exchange.header(b"content-length")
    headers = [(b"content-length", length)] if length is not None else None
    await exchange.start(200, content_type, headers)
    async for chunk in exchange.body_chunks():
        await exchange.write(chunk)
    await exchange.finish()


async def send_bytes(_: Engine, exchange: Exchange) -> None:
    """GET /_mock/bytes/{count}; `?chunked=1` leaves the length out."""
    count = int(exchange.captured["count"])
    length = [(b"content-length", str(count).encode())]
    await exchange.start(200, OCTETS, None if exchange.parameter("chunked") else length)
    with exchange.ending_with_client():
        for chunk in pattern_chunks(count):
            await exchange.write(chunk)
    await exchange.finish()


async def _change_faults(engine: Engine, exchange: Exchange, basis: Faults) -> None:
    try:
        engine.faults = basis.changed(await exchange.read_json(STEERING_BODY_BYTES))
    except ValueError as error:
        raise Refused(400, str(error)) from None
    await exchange.reply_json(engine.faults.to_json())
