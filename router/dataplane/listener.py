"""TLS on the traffic port: each new connection gets the newest certificate, old ones keep theirs.

Guarantees (each is a test in tests/conformance/test_wire_tls.py):
  * a new pair is in force for new connections a few seconds after the files were replaced;
  * a pair that does not fit, or is half written, is refused whole: the old one stays, and it is
    logged and counted once;
  * no connection is closed for any of this.

A worker never blocks on a disk: the files are looked at by a timer, in a thread, and never because
of a connection.  A context is never changed once it is used; connections are given another one.
So what belongs to it (session tickets, trusted authorities) ends with it, and a client whose
authority has gone cannot come back by an old ticket.
"""

import asyncio
import logging
import ssl
import weakref
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Final

from router.telemetry.recorder import WorkerRecorder, count
from router.tls import Loaded, ServerTls, Stamps, TlsError, load_server, stamps_of

log: Final = logging.getLogger(__name__)

TELL_S: Final = 60.0
"""One failed handshake in so long is logged, as an example: anybody can make many."""


class SecureListener:
    """The newest certificate, and the handshakes that go on; `open` makes it.

    `refused`: there are newer files than those in force, and they cannot be used.
    """

    def __init__(
        self, tls: ServerTls, loaded: Loaded, seen: Stamps, recorder: WorkerRecorder
    ) -> None:
        self._tls: Final = tls
        self._loaded = loaded
        self._judged = seen
        self._changing: Stamps | None = None
        self.refused = False
        self._tell_at = 0.0
        self._recorder: Final = recorder
        # Weak: whoever goes away in the middle of a handshake tells nobody.  As many as there are
        # connections, which the limit of open files bounds; each for the head's deadline at most.
        self._handshakes: Final[weakref.WeakSet[ssl.SSLObject]] = weakref.WeakSet()
        self.context: Final = _NewestContext(ssl.PROTOCOL_TLS_SERVER)
        self.context.wrap = self._wrap

    @classmethod
    async def open(cls, tls: ServerTls, recorder: WorkerRecorder) -> "SecureListener":
        """Read the files.

        Raises:
            TlsError: they cannot be used.
        """
        seen = await asyncio.to_thread(stamps_of, tls.files)
        return cls(tls, await asyncio.to_thread(load_server, tls), seen, recorder)

    @property
    def in_progress(self) -> int:
        """Handshakes that have begun and not ended."""
        return len(self._handshakes)

    @property
    def expires_at(self) -> float:
        """When the certificate that new connections get ends (Unix time, s)."""
        return self._loaded.expires_at

    async def follow(self) -> None:
        """Look at the files again and again, until cancelled."""
        while True:
            await asyncio.sleep(self._tls.look_s)
            await self._look()

    async def _look(self) -> None:
        now = await asyncio.to_thread(stamps_of, self._tls.files)
        if now in (self._judged, self._changing):
            # Read when two looks have seen the same: files are written in pieces, one by one.
            if now != self._judged:
                await self._judge(now)
            self._changing = None
        else:
            self._changing = now

    async def _judge(self, stamps: Stamps) -> None:
        try:
            loaded = await asyncio.to_thread(load_server, self._tls)
        except TlsError as error:
            self._judged = stamps
            self.refused = True
            count(self._recorder.tls_reloads, "refused")
            log.error("server.tls.%s; the certificate before it stays in force", error)
            return
        if await asyncio.to_thread(stamps_of, self._tls.files) != stamps:
            return  # replaced while it was read: the next looks judge it
        self._judged = stamps
        self._loaded = loaded
        self.refused = False
        count(self._recorder.tls_reloads, "ok")
        ends = datetime.fromtimestamp(loaded.expires_at, UTC)
        log.info("new connections get the new certificate, which ends on %s", f"{ends:%F %H:%MZ}")

    def _wrap(self, incoming: ssl.MemoryBIO, outgoing: ssl.MemoryBIO) -> ssl.SSLObject:
        context = self._loaded.context
        context.sslobject_class = _Handshake
        handshake = context.wrap_bio(incoming, outgoing, server_side=True)
        assert isinstance(handshake, _Handshake)
        handshake.on_end = self._on_end
        self._handshakes.add(handshake)
        return handshake

    def _on_end(self, handshake: ssl.SSLObject, error: Exception | None) -> None:
        self._handshakes.discard(handshake)
        count(self._recorder.tls_handshakes, "completed" if error is None else "failed")
        now = asyncio.get_running_loop().time()
        if error is not None and now >= self._tell_at:
            self._tell_at = now + TELL_S
            reason = getattr(error, "reason", None) or str(error)
            log.info("a client's handshake failed: %s", reason.replace("_", " ").lower())


class _NewestContext(ssl.SSLContext):
    """What an event loop is given once and asks for each connection: it hands on to the newest.

    Loops make a connection's TLS by the public `wrap_bio`, so no connection needs a task of its
    own (as `start_tls` would), and no context is changed under those who use it.
    """

    wrap: Callable[[ssl.MemoryBIO, ssl.MemoryBIO], ssl.SSLObject]

    def wrap_bio(
        self,
        incoming: ssl.MemoryBIO,
        outgoing: ssl.MemoryBIO,
        server_side: bool = False,
        server_hostname: str | bytes | None = None,
        session: ssl.SSLSession | None = None,
    ) -> ssl.SSLObject:
        """See `ssl.SSLContext`; always the server's side."""
        return self.wrap(incoming, outgoing)


class _Handshake(ssl.SSLObject):
    """One connection's TLS, which tells how its handshake ended."""

    on_end: Callable[[ssl.SSLObject, Exception | None], None]

    def do_handshake(self) -> None:
        """See `ssl.SSLObject`."""
        try:
            super().do_handshake()
        except (ssl.SSLWantReadError, ssl.SSLWantWriteError):
            raise
        except Exception as error:
            self.on_end(self, error)
            raise
        self.on_end(self, None)
