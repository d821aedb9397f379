"""A real Docker engine: the one that answers here, or one of the test's own.

    with running_engine() as engine:
        engine.run("build", "--tag", "inference-router:test", ".")

The own one (root only) touches no firewall and makes no bridge, so containers share the host's
network.  Everything of it is in one folder that goes with it, and it is ended by its own id.
"""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

START_DEADLINE_S: Final = 60.0
STOP_DEADLINE_S: Final = 30.0


class NoEngineError(Exception):
    """No image can be built here, and why."""


@dataclass(frozen=True, slots=True)
class DockerEngine:
    """A client, and the engine that it talks to."""

    client: str
    environment: dict[str, str] = field(default_factory=dict)

    def ask(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run the client; whatever comes of it."""
        return subprocess.run(
            [self.client, *arguments],
            env=self._whole_environment(),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )

    def run(self, *arguments: str) -> str:
        """Run the client; what it says, without the last line's end."""
        done = self.ask(*arguments)
        assert done.returncode == 0, f"docker {arguments[0]}: {done.stdout}{done.stderr}"
        return done.stdout.strip()

    def start(self, *arguments: str) -> subprocess.Popen[bytes]:
        """Run the client beside the test."""
        return subprocess.Popen([self.client, *arguments], env=self._whole_environment())

    def _whole_environment(self) -> dict[str, str]:
        return {**os.environ, "DOCKER_BUILDKIT": "1", **self.environment}


@contextmanager
def running_engine() -> Iterator[DockerEngine]:
    """An engine that answers, for the time of the block.

    Raises:
        NoEngineError: there is none, and none can be started.
    """
    here = DockerEngine(_client())
    if here.ask("version").returncode == 0:
        yield here
        return
    daemon = shutil.which("dockerd", path=f"{os.environ['PATH']}:/usr/sbin:/sbin")
    if daemon is None or os.geteuid() != 0:
        raise NoEngineError(
            "no engine answers; to start one: root, and dockerd (Debian: docker.io)"
        )
    # Not below pytest's folder, which keeps the last three of everything; and short, because a Unix
    # socket's path has 107 bytes at most.
    with TemporaryDirectory(prefix="docker-") as folder, _own_daemon(daemon, folder) as socket:
        yield DockerEngine(here.client, {"DOCKER_HOST": socket})


@contextmanager
def _own_daemon(daemon: str, directory: str) -> Iterator[str]:
    socket = f"unix://{directory}/docker.sock"
    command = [daemon, "--iptables=false", "--bridge=none", f"--host={socket}"]
    command += [f"--data-root={directory}/data", f"--exec-root={directory}/exec"]
    command += [f"--pidfile={directory}/docker.pid"]
    log_file = Path(directory, "docker.log")
    with log_file.open("wb") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log)
    try:
        _wait_answers(process, DockerEngine(_client(), {"DOCKER_HOST": socket}), log_file)
        yield socket
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(STOP_DEADLINE_S)
        # It leaves this mount behind, and with it a folder that cannot be removed.
        subprocess.run(["umount", f"{directory}/exec/netns/default"], check=False)


def _wait_answers(process: subprocess.Popen[bytes], engine: DockerEngine, log: Path) -> None:
    deadline = time.monotonic() + START_DEADLINE_S
    # Polled: dockerd says when it is up in its log only, in words that change.
    while engine.ask("version").returncode != 0:
        if process.poll() is not None or time.monotonic() > deadline:
            raise NoEngineError(f"dockerd did not come up: {log.read_text()[-2000:]}")
        time.sleep(0.1)


def _client() -> str:
    """The first `docker` on the path that can build with BuildKit, which secrets need."""
    for folder in os.environ["PATH"].split(os.pathsep):
        client = shutil.which("docker", path=folder)
        if client is not None and _builds(client):
            return client
    raise NoEngineError("no docker client that builds with BuildKit (Debian: docker.io)")


def _builds(client: str) -> bool:
    said = subprocess.run([client, "--version"], capture_output=True, text=True, check=False).stdout
    major = re.search(r"version (\d+)\.", said)
    if major is not None and int(major[1]) < 23:
        return True  # it has BuildKit inside; newer ones ask their plug-in
    plugin = subprocess.run([client, "buildx", "version"], capture_output=True, check=False)
    return plugin.returncode == 0
