"""What control and worker processes have in common: how they are told to end, and limits."""

import asyncio
import logging
import os
import resource
import signal
from collections.abc import Callable
from contextlib import suppress
from typing import Final

log: Final = logging.getLogger(__name__)

ENOUGH_DESCRIPTORS: Final = 8192
"""A process with fewer says so: some 4 000 clients, each with a connection to a model server."""


def on_end(lifeline_fd: int, callback: Callable[[], None]) -> None:
    """Call back on SIGTERM or SIGINT, and when the supervisor is gone.

    The supervisor holds the writing end of the lifeline and never writes: readable means closed.
    """
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, callback)
    signal.signal(signal.SIGHUP, signal.SIG_IGN)  # its default would end a worker

    def on_lifeline() -> None:
        loop.remove_reader(lifeline_fd)
        os.close(lifeline_fd)
        log.warning("the supervisor is gone")
        callback()

    loop.add_reader(lifeline_fd, on_lifeline)


def raise_descriptor_limit() -> None:
    """Allow as many connections as the system lets us have without asking, and say if it is few."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != hard:
        with suppress(OSError, ValueError):  # a sandbox may refuse; the old limit holds then
            resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
            soft = hard
    if soft < ENOUGH_DESCRIPTORS:
        log.warning(
            "only %d file descriptors are allowed: about %d clients at a time, each with a "
            "connection to a model server; raise the hard limit (ulimit -Hn, systemd's "
            "LimitNOFILE, the container engine's --ulimit nofile) to %d or more",
            soft,
            soft // 2,
            ENOUGH_DESCRIPTORS,
        )
