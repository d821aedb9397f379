"""A real Prometheus (Debian's package) as a process on loopback, scraping a router."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

import httpx
import yaml

from loadtests.ports import free_port

START_DEADLINE_S: Final = 30.0


@contextmanager
def running_prometheus(directory: Path, *targets: str, every: str = "1s") -> Iterator[str]:
    """A server that scrapes these base URLs' `/metrics`; yields its own base URL."""
    config = {
        "global": {"scrape_interval": every, "evaluation_interval": every},
        "scrape_configs": [
            {
                "job_name": "router",
                "static_configs": [{"targets": [urlsplit(target).netloc for target in targets]}],
            }
        ],
    }
    directory.mkdir(exist_ok=True)
    (directory / "prometheus.yml").write_text(yaml.safe_dump(config))
    address = f"127.0.0.1:{free_port()}"
    command = [
        "prometheus",
        f"--config.file={directory}/prometheus.yml",
        f"--storage.tsdb.path={directory}/data",
        f"--web.listen-address={address}",
        "--log.level=warn",
    ]
    with (directory / "prometheus.log").open("wb") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log)
    try:
        wait_ready(process, f"http://{address}", directory / "prometheus.log")
        yield f"http://{address}"
    finally:
        process.terminate()
        process.wait(20)


def wait_ready(process: subprocess.Popen[bytes], url: str, log: Path) -> None:
    """Poll until a Prometheus answers: it tells nobody that it is ready.

    Raises:
        RuntimeError: it has ended, or takes too long.
    """
    deadline = time.monotonic() + START_DEADLINE_S
    while True:
        try:
            if httpx.get(f"{url}/-/ready", trust_env=False).status_code == 200:
                return
        except httpx.TransportError:
            pass
        if process.poll() is not None or time.monotonic() > deadline:
            raise RuntimeError(f"Prometheus does not start: {log.read_text()}")
        time.sleep(0.05)
