"""Model servers for tests: the mock engine as a real process on a port the kernel chose.

    with running_engine("v1", error_rate=0.5) as engine:
        httpx.get(engine.url + "/health")

Options are the fields of `EngineSettings` and `Faults`; without a `time_scale` the engine
answers at once. The process is ended by its own id and waited for, whatever the test does.
"""

from __future__ import annotations

import selectors
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from typing import IO, Any, Final

import httpx

from router.mock_engine import Engine, EngineSettings, serving

START_DEADLINE_S: Final = 20.0
STOP_DEADLINE_S: Final = 5.0

Option = str | float | bool | tuple[str, ...]


@dataclass(frozen=True, slots=True)
class EngineInLoop:
    """An engine in the test's own event loop, behind a real socket."""

    engine: Engine
    client: httpx.AsyncClient
    port: int


StartEngine = Callable[..., Awaitable[EngineInLoop]]
"""What the `start_engine` fixture gives: settings in, an engine that answers at once out."""


@asynccontextmanager
async def engine_in_loop(**settings: Any) -> AsyncIterator[EngineInLoop]:
    """An engine in this event loop for the time of the block; the test can look inside."""
    settings.setdefault("time_scale", 0)
    async with (
        serving(EngineSettings(**settings)) as running,
        httpx.AsyncClient(base_url=running.url, trust_env=False) as client,
    ):
        yield EngineInLoop(running.engine, client, running.port)


class EngineProcess:
    """A mock engine in a process of its own."""

    def __init__(self, process: subprocess.Popen[bytes], url: str) -> None:
        self.process = process
        self.url = url
        self.port = int(url.rpartition(":")[2])
        # No proxy from the environment may stand between a test and its engine.
        self._client = httpx.Client(base_url=url, timeout=10.0, trust_env=False)

    def __repr__(self) -> str:
        return f"<EngineProcess {self.url} pid={self.process.pid}>"

    def faults(self, **faults: Option) -> dict[str, Any]:
        """Suffer these faults from now on and no others; none given: none at all."""
        return self._json("PUT", "/_mock/faults", json=faults)

    def requests(self, path: str | None = None) -> list[dict[str, Any]]:
        """The requests that came, oldest first; probes and steering are not among them."""
        params = {} if path is None else {"path": path}
        found: list[dict[str, Any]] = self._json("GET", "/_mock/requests", params=params)[
            "requests"
        ]
        return found

    def forget_requests(self) -> None:
        """Empty the list of requests; the counts stay."""
        self._json("DELETE", "/_mock/requests")

    def stats(self) -> dict[str, Any]:
        """The counts: total, active, cancelled, by_path, by_outcome, running, waiting, ..."""
        return self._json("GET", "/_mock/stats")

    def kill(self) -> None:
        """Die as a crashed server does, at once; the port refuses connections afterwards."""
        self.process.kill()
        self.process.wait()

    def freeze(self) -> None:
        """Stop running without closing anything, as a hung host does."""
        self.process.send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        """Run again."""
        self.process.send_signal(signal.SIGCONT)

    def stop(self) -> int:
        """End by SIGTERM, or by force where that is not enough; return the exit status."""
        self._client.close()
        if self.process.poll() is None:
            self.thaw()
            self.process.terminate()
        try:
            return self.process.wait(STOP_DEADLINE_S)
        except subprocess.TimeoutExpired:
            self.process.kill()
            return self.process.wait()
        finally:
            _output(self.process).close()

    def _json(self, method: str, path: str, **how: Any) -> dict[str, Any]:
        response = self._client.request(method, path, **how)
        if response.is_error:
            raise ValueError(f"{method} {path}: {response.text}")
        payload: dict[str, Any] = response.json()
        return payload


@contextmanager
def running_engine(name: str = "v1", port: int = 0, **options: Option) -> Iterator[EngineProcess]:
    """An engine for the time of the block."""
    engine = start_engine(name, port, **options)
    try:
        yield engine
    finally:
        engine.stop()


def start_engine(name: str = "v1", port: int = 0, **options: Option) -> EngineProcess:
    """An engine that is ready; the caller must `stop` it."""
    options.setdefault("time_scale", 0.0)
    flags = [flag for option in options.items() for flag in _flags(*option)]
    command = [sys.executable, "-m", "router.mock_engine", "--name", name, "--port", str(port)]
    process = subprocess.Popen([*command, *flags], stdout=subprocess.PIPE, bufsize=0)
    try:
        return EngineProcess(process, _wait_ready(process))
    except BaseException:
        process.kill()
        process.wait()
        _output(process).close()
        raise


def _flags(name: str, value: Option) -> list[str]:
    flag = name.replace("_", "-")
    if isinstance(value, bool):
        return [f"--{flag}" if value else f"--no-{flag}"]
    if isinstance(value, tuple):
        return [f"--{flag.removesuffix('s')}={each}" for each in value]
    return [f"--{flag}={value}"]


def _wait_ready(process: subprocess.Popen[bytes]) -> str:
    """Wait for the line that names the address."""
    deadline = time.monotonic() + START_DEADLINE_S
    line = b""
    with selectors.DefaultSelector() as selector:
        selector.register(_output(process), selectors.EVENT_READ)
        while not line.endswith(b"\n"):
            if not selector.select(max(0.0, deadline - time.monotonic())):
                raise TimeoutError(f"the engine is not ready after {START_DEADLINE_S} s")
            read = _output(process).read(1)
            if not read:
                raise RuntimeError(f"the engine ended with status {process.wait()}")
            line += read
    return line.decode().split()[-1]


def _output(process: subprocess.Popen[bytes]) -> IO[bytes]:
    assert process.stdout is not None
    return process.stdout
