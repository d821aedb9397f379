"""A router with everything in it that its metrics tell of, watched by a real Prometheus with rules.

    with watched(tmp_path, rules) as prometheus: ...

`tests.support.prometheus` starts one that only scrapes; this one also evaluates alerts.
"""

from __future__ import annotations

import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

import httpx
import yaml

from loadtests.ports import free_port
from tests.support.prometheus import wait_ready

JOB: Final = "router"
SELECTOR: Final = f'job="{JOB}"'
DEADLINE_S: Final = 60.0


class Prometheus:
    """Its API: what a query gives, which alerts fire."""

    def __init__(self, url: str) -> None:
        self._client = httpx.Client(base_url=f"{url}/api/v1", timeout=10.0, trust_env=False)

    def query(self, expression: str) -> list[dict[str, Any]]:
        """The series of an instant query; what Prometheus refuses is an error."""
        answer = self._client.get("/query", params={"query": expression}).json()
        if answer["status"] != "success":
            raise ValueError(f"{expression}: {answer['error']}")
        found: list[dict[str, Any]] = answer["data"]["result"]
        return found

    def firing(self) -> list[dict[str, Any]]:
        """The alerts that fire."""
        alerts = self._client.get("/alerts").json()["data"]["alerts"]
        return [alert for alert in alerts if alert["state"] == "firing"]

    def rules(self) -> dict[str, dict[str, Any]]:
        """Every rule that it evaluates, by name."""
        groups = self._client.get("/rules").json()["data"]["groups"]
        return {rule["name"]: rule for group in groups for rule in group["rules"]}

    def wait(self, condition: Callable[[], bool], what: Callable[[], object]) -> None:
        """Poll: a scrape, an evaluation and a rate take their time."""
        deadline = time.monotonic() + DEADLINE_S
        while not condition():
            if time.monotonic() > deadline:
                raise TimeoutError(what())
            time.sleep(0.2)

    def close(self) -> None:
        """Close its connections."""
        self._client.close()


@contextmanager
def running(
    directory: Path, target: str, rules: dict[str, Any] | None = None
) -> Iterator[Prometheus]:
    """A server that scrapes `target` and evaluates the rules, both every second."""
    directory.mkdir()
    config = {
        "global": {"scrape_interval": "1s", "evaluation_interval": "1s"},
        "rule_files": [str(directory / "rules.yml")],
        "scrape_configs": [
            {"job_name": JOB, "static_configs": [{"targets": [urlsplit(target).netloc]}]}
        ],
    }
    (directory / "prometheus.yml").write_text(yaml.safe_dump(config))
    (directory / "rules.yml").write_text(yaml.safe_dump(rules or {"groups": []}))
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
    server = Prometheus(f"http://{address}")
    try:
        wait_ready(process, f"http://{address}", directory / "prometheus.log")
        yield server
    finally:
        server.close()
        process.terminate()
        process.wait(20)
