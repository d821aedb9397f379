"""Each way in which a request ends that has reached its upstream."""

from __future__ import annotations

from tests.support.dataplanes import RunningDataPlane
from tests.support.raw import RawClient
from tests.support.upstreams import Call

_CHUNK = b'data: {"choices": [{"delta": {"content": "x"}}]}\n\n'


async def end_call(router: RunningDataPlane, client: RawClient, call: Call, end: str) -> None:
    """Have the request that `client` sent, and that `call` has read, end in this way."""
    if end == "client gone":
        client.reset()
        await call.wait_closed()
    elif end == "reset":
        call.reset()
    elif end == "broken":
        await call.send(b"nonsense\r\n\r\n")
    elif end == "timeout":
        router.jump(121)
        assert (await client.read_answer()).status == 504
    elif "stream" in end:
        await call.start(stream=True)
        await client.read_head()
        if end == "truncated stream":
            await call.send_chunk(_CHUNK)
            call.close()
        else:
            client.reset()
    else:
        await call.answer(status="200 OK" if end == "answered" else "503 Busy")
