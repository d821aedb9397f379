"""A whole router for tests: `serve` as a real process with its children, on chosen ports.

    with running_router(tmp_path, routes_to(engine)) as router:
        httpx.get(router.traffic + "/v1/models")
        router.kill_worker("w0")

The process is ended by its own id and waited for, whatever the test does.
"""

from __future__ import annotations

import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import httpx
import psutil
import yaml

START_DEADLINE_S: Final = 30.0
STOP_DEADLINE_S: Final = 15.0
_ADDRESSES: Final = re.compile(r"traffic (https?://\S+), admin (http://\S+), (\d+) workers")

Document = dict[str, Any]


def route(name: str = "chat", path: str = "/v1/chat/completions", **versions: str) -> Document:
    """A route whose versions have one endpoint each; all traffic goes to the first."""
    return {
        "name": name,
        "match": [{"path": path}],
        "release": next(iter(versions)),
        "versions": {version: {"endpoints": [url]} for version, url in versions.items()},
    }


def document(*routes: Document, workers: int = 2, **server: Any) -> Document:
    """A configuration on ports that the kernel chooses."""
    addresses = {"listen": "127.0.0.1:0", "admin": "127.0.0.1:0"}
    return {"server": {**addresses, "workers": workers, **server}, "routes": list(routes)}


class RouterProcess:
    """`serve` and what it started."""

    def __init__(self, directory: Path, config: Document) -> None:
        self.config_file = directory / "router.yaml"
        self._log_file = directory / "router.log"
        self._said_file = directory / "router.out"
        self.write_config(config)
        with self._log_file.open("wb") as log, self._said_file.open("wb") as said:
            command = [sys.executable, "-m", "router", "serve", "-c", str(self.config_file)]
            self.process = subprocess.Popen(command, stdout=said, stderr=log)
        self.traffic = self.admin = ""
        self._client = httpx.Client(timeout=10.0, trust_env=False)

    def __repr__(self) -> str:
        return f"<RouterProcess {self.traffic} pid={self.process.pid}>"

    @property
    def said(self) -> str:
        """Standard output."""
        return self._said_file.read_text()

    @property
    def log(self) -> str:
        """Standard error."""
        return self._log_file.read_text()

    def write_config(self, config: Document) -> None:
        """Replace the configuration file."""
        self.config_file.write_text(yaml.safe_dump(config, sort_keys=False))

    def wait_started(self) -> None:
        """Wait for the line that names the addresses."""
        self.wait_until(lambda: "\n" in self.said, START_DEADLINE_S)
        found = _ADDRESSES.search(self.said)
        assert found is not None, self.said
        self.traffic, self.admin = found[1], found[2]

    def wait_until(
        self, condition: Callable[[], bool], deadline_s: float = START_DEADLINE_S
    ) -> None:
        """Poll: processes tell nobody that they are where a test wants them."""
        deadline = time.monotonic() + deadline_s
        while not condition():
            if self.process.poll() is not None:
                raise RuntimeError(f"the router ended with {self.process.returncode}: {self.log}")
            if time.monotonic() > deadline:
                raise TimeoutError(self.log)
            time.sleep(0.02)

    # -- its processes -------------------------------------------------------------------------

    def children(self) -> dict[str, psutil.Process]:
        """Control and the workers by name."""
        found = {}
        for child in psutil.Process(self.process.pid).children():
            try:
                command = child.cmdline()
            except psutil.Error:
                continue  # it ended just now
            if "router.app.control" in command:
                found["control"] = child
            elif "router.app.worker" in command:
                name = re.search(r'"worker":"(\w+)"', command[-1])
                assert name is not None, command
                found[name[1]] = child
        return found

    def pid(self, name: str) -> int | None:
        """Of control or a worker; None while it is away."""
        child = self.children().get(name)
        return None if child is None else int(child.pid)

    def kill(self, name: str) -> int:
        """Kill control or a worker as a crash does; returns the pid that it had."""
        child = self.children()[name]
        child.kill()
        return int(child.pid)

    def signal(self, number: int) -> None:
        """Send a signal to the supervisor."""
        self.process.send_signal(number)

    def wait_ended(self, deadline_s: float = STOP_DEADLINE_S) -> int:
        """The exit status."""
        return self.process.wait(deadline_s)

    # -- its admin port ------------------------------------------------------------------------

    def get(self, path: str) -> Document:
        """A JSON document of the admin port."""
        answer: Document = self._client.get(self.admin + path).json()
        return answer

    def readiness(self) -> Document:
        """What `/readyz` says; nothing while control is away."""
        try:
            return self.get("/readyz")
        except httpx.TransportError:
            return {"ready": False, "generation": 0, "workers": {}, "reasons": ["away"]}

    def wait_ready(self, generation: int = 1) -> Document:
        """Wait until every worker serves this generation or a newer one."""

        def ready() -> bool:
            state = self.readiness()
            return bool(state["ready"]) and state["generation"] >= generation

        self.wait_until(ready)
        return self.readiness()

    def metric(self, series: str) -> float:
        """The value of one series; 0 where it is not there."""
        text = self._client.get(f"{self.admin}/metrics").text
        lines = [line for line in text.splitlines() if line.startswith(f"{series} ")]
        return float(lines[0].split()[-1]) if lines else 0.0

    def close(self) -> None:
        """End it, by force where nothing else helps, and its children with it."""
        self._client.close()
        children = list(self.children().values()) if self.process.poll() is None else []
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(STOP_DEADLINE_S)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        for child in children:
            if child.is_running():
                child.kill()


@contextmanager
def running_router(directory: Path, config: Document) -> Iterator[RouterProcess]:
    """A router that serves, for the time of the block."""
    router = RouterProcess(directory, config)
    try:
        router.wait_started()
        yield router
    finally:
        router.close()
