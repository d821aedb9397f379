"""TLS to model servers: one context for each pool, read again when its files have been replaced.

New connections use the new files, old ones go on.  Files that cannot be used leave the context
before them in force; where there is none, no connection can be made, and the reason says why.

Files are read in a thread, for the first connection and then at most every `LOOK_S`, when a new
connection is made; requests over kept connections never wait for any of it.
"""

import asyncio
import logging
import ssl
from typing import Final

from router.snapshot import Tls
from router.tls import Stamps, TlsError, client_context, stamps_of

log: Final = logging.getLogger(__name__)

LOOK_S: Final = 2.0
COMPLAIN_S: Final = 60.0


class UpstreamContext:
    """The newest context that `tls` gives; `name` is the server's, for the log."""

    def __init__(self, tls: Tls, name: str) -> None:
        self._tls: Final = tls
        self._name: Final = name
        own = (tls.ca_file, tls.certificate_file, tls.key_file)
        self._files: Final = tuple(file for file in own if file is not None)
        self._judged: Stamps | None = None
        self._context: ssl.SSLContext | None = None
        self._error: TlsError | None = None
        self._look_at = 0.0
        self._reading: Final = asyncio.Lock()

    async def get(self) -> ssl.SSLContext:
        """For a new connection.

        Raises:
            TlsError: a file cannot be used, and there was never one that could.
        """
        if self._is_due():
            async with self._reading:
                if self._is_due():  # nobody else has looked meanwhile
                    await self._look()
        if self._context is None:
            assert self._error is not None
            raise self._error
        return self._context

    def _is_due(self) -> bool:
        if self._context is not None and not self._files:
            return False
        return asyncio.get_running_loop().time() >= self._look_at

    async def _look(self) -> None:
        stamps = await asyncio.to_thread(stamps_of, self._files)
        if stamps != self._judged:
            await self._judge(stamps)
        self._look_at = asyncio.get_running_loop().time() + LOOK_S

    async def _judge(self, stamps: Stamps) -> None:
        try:
            self._context = await asyncio.to_thread(self._load)
            self._error = None
        except TlsError as error:
            self._error = error
            kept = "" if self._context is None else "; the files before it stay in force"
            log.error("TLS to %s: tls.%s%s", self._name, error, kept)
        self._judged = stamps

    def _load(self) -> ssl.SSLContext:
        tls = self._tls
        return client_context(
            verify=tls.verify,
            ca_file=tls.ca_file,
            certificate_file=tls.certificate_file,
            key_file=tls.key_file,
        )


class Complaints:
    """Says what is wrong with TLS to a server: once a minute, or when it is something else."""

    def __init__(self, name: str) -> None:
        self._name: Final = name
        self._last = ""
        self._again_at = 0.0

    def tell(self, reason: str) -> None:
        """Log it, unless that was done a moment ago."""
        now = asyncio.get_running_loop().time()
        if reason != self._last or now >= self._again_at:
            self._last, self._again_at = reason, now + COMPLAIN_S
            log.warning("TLS to %s: %s", self._name, reason)


def why_not(error: ssl.SSLError) -> str:
    """What went wrong between us and a server, and where to mend it."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return (
            f"its certificate is not accepted: {error.verify_message} "
            "(tls.caFile says who may sign it, tls.serverName which name it must have)"
        )
    reason = (error.reason or str(error)).replace("_", " ").lower()
    if "certificate required" in reason or "alert" in reason:
        return f"it refused us: {reason} (tls.certificateFile is the certificate that it is shown)"
    if "wrong version number" in reason:
        return "it does not speak TLS (should the endpoint be http://?)"
    return f"no handshake: {reason}"
