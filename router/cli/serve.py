"""`serve`: run the router."""

from __future__ import annotations

import math
import os
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from router.app import logs, supervisor
from router.app.settings import AccessLog
from router.app.supervisor import Launch
from router.cli.output import fail
from router.errors import ConfigError

if TYPE_CHECKING:
    from router.config import Config

_CPU_QUOTA: Final = Path("/sys/fs/cgroup/cpu.max")


class LogFormat(StrEnum):
    """How the processes' logs look."""

    TEXT = logs.TEXT
    JSON = logs.JSON


def serve(
    config: Annotated[Path, typer.Option("--config", "-c", help="the configuration file")],
    log_format: Annotated[LogFormat, typer.Option(help="text or json")] = LogFormat.TEXT,
) -> None:
    """Serve traffic until SIGTERM or Ctrl-C, then drain; SIGHUP reads the configuration again."""
    from router.app.configuration import load_to_serve, prove_tls  # 0.4 s that none else pays

    logs.configure("supervisor", log_format)
    try:
        loaded = load_to_serve(config)
        prove_tls(config, loaded)
        code = supervisor.run(_launch(config.absolute(), loaded, log_format))
    except ConfigError as error:
        fail(error)
    raise typer.Exit(code)


def _launch(path: Path, config: Config, log_format: LogFormat) -> Launch:
    from router.config.tls import server_tls  # see above

    server = config.server
    access_log = server.access_log
    return Launch(
        config=path,
        listen=(server.listen.host, server.listen.port),
        admin=(server.admin.host, server.admin.port),
        workers=server.workers or usable_cpus(),
        door=server.door.value,
        drain_s=server.drain_s,
        drain_delay_s=server.drain_delay_s,
        head_timeout_s=server.head_timeout_s,
        keep_alive_s=server.keep_alive_timeout_s,
        body_timeout_s=server.body_timeout_s,
        write_timeout_s=server.write_timeout_s,
        upstream_idle_s=server.upstream_idle_timeout_s,
        tls=server_tls(server.tls) if server.tls is not None else None,
        shed_delay_s=server.shed_delay_s,
        rules=server.client_rules,
        access_log=AccessLog(access_log.mode.value, access_log.sample_ratio, access_log.file),
        log_format=log_format.value,
    )


def usable_cpus(quota_file: Path = _CPU_QUOTA) -> int:
    """CPUs that this process may use: its affinity, and what its cgroup pays for."""
    allowed = len(os.sched_getaffinity(0))
    try:
        quota, period = quota_file.read_text().split()
        return max(1, min(allowed, math.ceil(int(quota) / int(period))))
    except (OSError, ValueError):  # no cgroup v2, or "max"
        return allowed
