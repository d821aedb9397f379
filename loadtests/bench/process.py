"""Start processes, wait until they serve, know their trees, and always end them again."""

import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import httpx
import psutil

from loadtests.bench.faulty import KINDS
from loadtests.bench.measure import Cores, Meter, on_core, peak_bytes, process_tree
from loadtests.bench.proxies import REPOSITORY, Address, Launch, Proxy

_READY_S: Final = 120.0  # 10 000 routes take a while to be read and checked
_STOP_S: Final = 5.0


class BenchError(Exception):
    """The bench cannot go on: something does not start, or does not answer as it must."""


class Target:
    """Somebody who answers the load: a running proxy, or the upstream itself (`direct`)."""

    def __init__(
        self,
        name: str,
        address: Address,
        model: str,
        core: int,
        root: int | None = None,
        *,
        rewriting: bool = False,
        ease: int = 1,
    ) -> None:
        self.name = name
        self.address = address
        self.model = model
        self.root = root
        self.rewriting = rewriting
        self.ease = ease
        self._core = core
        self.worker = None if root is None else _wait_worker(root, address)

    def meter(self) -> Meter:
        """Return a meter for this target's process tree; for `direct` it reads zero."""
        return Meter(self._pids, self.worker, self._core)

    def peak_bytes(self) -> int:
        """Return the highest RSS of each process of this target so far, added up."""
        return sum(peak_bytes(pid) for pid in self._pids())

    def _pids(self) -> list[int]:
        return [] if self.root is None else process_tree(self.root)


@contextlib.contextmanager
def running_proxy(
    proxy: Proxy, folder: Path, upstream: list[Address], cores: Cores
) -> Iterator[Target]:
    """Run a proxy alone on its core; yield it when it is ready for traffic."""
    home = folder / proxy.name.replace(" ", "-")
    home.mkdir(exist_ok=True)
    launch = proxy.prepare(home, upstream)
    log = home / "log"
    with on_core(cores.proxy):
        process = _start_proxy(launch, home, log)
    try:
        _wait_ready(proxy.name, launch, process, log)
        yield Target(
            proxy.name,
            launch.address,
            launch.model,
            cores.proxy,
            process.pid,
            rewriting=launch.rewriting,
            ease=launch.ease,
        )
    finally:
        _end(process)


@contextlib.contextmanager
def running_upstream(
    folder: Path, *, chunks: int, interval_s: float, hosts: list[str]
) -> Iterator[list[Address]]:
    """Run the upstream beside the load; yield its addresses."""
    log = folder / f"upstream-{chunks}-{interval_s}.log"
    options = [f"--chunks={chunks}", f"--interval={interval_s}", f"--hosts={len(hosts)}"]
    command = [sys.executable, "-m", "loadtests.bench.upstream", *options]
    process = _start(command, REPOSITORY, log, {})
    try:
        port = _wait_line(process, log)
        yield [Address(host, int(port)) for host in hosts]
    finally:
        _end(process)


@contextlib.contextmanager
def running_faulty(folder: Path) -> Iterator[dict[str, Address]]:
    """Run the servers that misbehave beside the load; yield their addresses by kind."""
    log = folder / "faulty.log"
    process = _start([sys.executable, "-m", "loadtests.bench.faulty"], REPOSITORY, log, {})
    try:
        ports = _wait_line(process, log).split()
        yield {
            kind: Address("127.0.0.1", int(port)) for kind, port in zip(KINDS, ports, strict=True)
        }
    finally:
        _end(process)


def _start_proxy(launch: Launch, home: Path, log: Path) -> subprocess.Popen[bytes]:
    try:
        return _start(launch.command, home, log, launch.environment)
    except FileNotFoundError as error:
        program = Path(launch.command[0]).name
        raise BenchError(f"{program} is not installed ({launch.remedy})") from error


def _start(
    command: list[str], folder: Path, log: Path, environment: dict[str, str]
) -> subprocess.Popen[bytes]:
    with log.open("wb") as output:
        # Its own session: a Ctrl-C is ours to handle, and ends it through `_end`.
        return subprocess.Popen(
            command,
            cwd=folder,
            env=os.environ | environment,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )


def _wait_ready(name: str, launch: Launch, process: subprocess.Popen[bytes], log: Path) -> None:
    # Polled: what proxies say when they are ready differs, that they answer does not.
    deadline = time.monotonic() + _READY_S
    said = "no answer"
    while time.monotonic() < deadline:
        if process.poll() is not None:
            raise BenchError(f"{name} ended with {process.returncode}:\n{_tail(log)}")
        try:
            response = httpx.get(launch.ready_url, timeout=5)
        except httpx.HTTPError:
            time.sleep(0.05)
            continue
        if response.status_code == 200:
            return
        said = f"{response.status_code} {response.text[:500]}"
        time.sleep(0.05)
    raise BenchError(f"{name} is not ready after {_READY_S:.0f} s: {said}\n{_tail(log)}")


def _wait_line(process: subprocess.Popen[bytes], log: Path) -> str:
    deadline = time.monotonic() + 10
    # Polled: its output goes to a file, which tells nobody that it has grown.
    while time.monotonic() < deadline and process.poll() is None:
        text = log.read_text()
        if text.endswith("\n"):
            return text.strip()
        time.sleep(0.02)
    raise BenchError(f"the upstream did not start:\n{_tail(log)}")


def _wait_worker(root: int, address: Address) -> int:
    """Find the process of a tree that accepts traffic: the one that holds our connection."""
    try:
        connection = socket.create_connection(address)
    except OSError as error:
        raise BenchError(f"{address.url} says it is ready, but: {error}") from error
    with connection:
        ours = connection.getsockname()
        for _ in range(50):  # polled: that a connection was accepted is seen from outside only
            for pid in process_tree(root):
                held = psutil.Process(pid).net_connections("tcp4")
                if any(tuple(each.raddr) == ours for each in held):
                    return pid
            time.sleep(0.02)
    raise BenchError(f"no process under {root} accepts connections on {address.url}")


def _end(process: subprocess.Popen[bytes]) -> None:
    tree = process_tree(process.pid)
    if process.poll() is None:
        process.terminate()
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(_STOP_S)
    for pid in tree:  # whoever did not follow
        if pid != process.pid and psutil.pid_exists(pid):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
    if process.poll() is None:
        process.kill()
        process.wait()


def _tail(log: Path) -> str:
    return log.read_text(errors="replace")[-2000:]
