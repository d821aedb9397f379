"""What the supervisor tells its children: one JSON argument each, plain values, no secrets.

A worker learns everything that it needs from here and from the link, so it imports neither the
configuration nor its libraries (a worker's memory is multiplied by the number of CPUs).
"""

from typing import TypeVar

import msgspec

from router.http1.rules import RULES, ClientRules
from router.tls import ServerTls


class AccessLog(msgspec.Struct, frozen=True):
    """Which requests a worker writes a line for, and where to (None: standard output)."""

    mode: str = "off"
    sample_ratio: float = 0.01
    path: str | None = None


class WorkerSettings(msgspec.Struct, frozen=True, kw_only=True):
    """One worker's birth certificate; the descriptors are inherited.

    `successor`: another process serves in its slot; it joins when it is told to (see `tether`).
    """

    worker: str
    link: str
    listener_fd: int
    lifeline_fd: int
    tether_fd: int = -1
    successor: bool = False
    door: str
    drain_s: float
    drain_delay_s: float
    head_timeout_s: float
    keep_alive_s: float
    body_timeout_s: float = 60.0
    write_timeout_s: float = 60.0
    upstream_idle_s: float = 4.0
    tls: ServerTls | None = None
    shed_delay_s: float = 0.0
    rules: ClientRules = RULES
    access_log: AccessLog = AccessLog()
    log_format: str = "text"


class ControlSettings(msgspec.Struct, frozen=True, kw_only=True):
    """What control cannot know from the configuration file.

    `announce`: print the ready line (the first control of a `serve` does).
    """

    config: str
    link: str
    workers: tuple[str, ...]
    admin_fd: int
    lifeline_fd: int
    tether_fd: int = -1
    traffic_url: str
    admin_url: str
    announce: bool = True
    log_format: str = "text"


S = TypeVar("S", bound=msgspec.Struct)


def to_argument(settings: msgspec.Struct) -> str:
    """The settings as a command-line argument."""
    return msgspec.json.encode(settings).decode()


def from_argument(argument: str, type_: type[S]) -> S:
    """The inverse of `to_argument`."""
    return msgspec.json.decode(argument, type=type_)
