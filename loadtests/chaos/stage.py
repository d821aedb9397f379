"""The processes of a run: four engines, the fault proxy before one, and a router with two workers.

Leaving the block ends every process that was started, however it is left.
"""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import IO, Any, Final

import yaml

from loadtests.chaos.asks import FAULTY
from loadtests.scenarios.child import Child, running
from loadtests.scenarios.stage import Stage

ROUTE: Final = "chat"
WORKERS: Final = 2
ENGINES: Final = (FAULTY, "sound-1", "sound-2", "sound-3")

# A token every 0.2 s keeps streams open for long without being most of the work.
_ENGINE: Final = (
    "--step-seconds=0.2",
    "--max-running=2048",
    "--kv-tokens=4000000",
    "--prefill-tokens-per-second=1000000",
    "--keep-alive-seconds=600",
)
_ENGINE_READY: Final = re.compile(r"listening on (http://\S+)")
_PROXY_READY: Final = re.compile(r'"url": "(http://[^"]+)"')
_ROUTER_READY: Final = re.compile(r"traffic (http://\S+), admin (http://\S+),")


class FaultProxyProcess:
    """The fault proxy in a process of its own (see `tests.support.faultproxy`)."""

    def __init__(self, child: Child) -> None:
        self._process = child.process
        self.last: dict[str, Any] = {}

    def tell(self, do: str, **how: Any) -> dict[str, Any]:
        """Have it do something; what it has counted so far."""
        order, answer = self._process.stdin, self._process.stdout
        assert order is not None
        assert answer is not None
        _write(order, {"do": do, **how})
        self.last = json.loads(answer.readline())
        return self.last


@contextmanager
def staged(folder: Path, seed: int) -> Iterator[tuple[Stage, FaultProxyProcess]]:
    """Run all of it for the time of the block, without faults at first; logs go to `folder`.

    Raises:
        LoadTestError: one of them did not start; the others are ended.
    """
    with ExitStack() as stack:

        def run(name: str, *command: str) -> Child:
            return stack.enter_context(running(name, command, folder, subprocess.PIPE))

        engines = {
            name: run(name, "router", "mock-engine", "--name", name, *_ENGINE) for name in ENGINES
        }
        urls = {name: each.wait_said(_ENGINE_READY)[1] for name, each in engines.items()}
        proxy = run("fault-proxy", "tests.support.faultproxy")
        assert proxy.process.stdin is not None
        port = int(urls[FAULTY].rpartition(":")[2])
        _write(proxy.process.stdin, {"target": port, "seed": seed, "share": 0.0})
        urls[FAULTY] = proxy.wait_said(_PROXY_READY)[1]
        file = folder / "router.yaml"
        file.write_text(yaml.safe_dump(configuration(list(urls.values()), folder), sort_keys=False))
        router = run("router", "router", "serve", "-c", str(file))
        said = router.wait_said(_ROUTER_READY)
        pids = {name: each.process.pid for name, each in engines.items()}
        yield Stage(said[1], said[2], pids, router.process.pid), FaultProxyProcess(proxy)


def configuration(urls: Sequence[str], folder: Path) -> dict[str, Any]:
    """The router's document: one route, one version, four endpoints, everything on that helps."""
    return {
        "server": {
            "listen": "127.0.0.1:0",
            "admin": "127.0.0.1:0",
            "workers": WORKERS,
            "drainSeconds": 5,
            "accessLog": {"mode": "off", "file": str(folder.absolute() / "access.log")},
        },
        "store": f"sqlite:///{folder.absolute() / 'state.db'}",
        "routes": [
            {
                "name": ROUTE,
                "match": [{"pathPrefix": "/"}],
                "versions": {"v1": {"endpoints": list(urls)}},
                "release": "v1",
                "retry": {"attempts": 3, "on": ["connect", "reset", "timeout", 502, 503, 504]},
                "timeouts": {"connect": "2s", "firstByte": "5s", "idle": "5s"},
                "health": {"path": "/health", "interval": "1s"},
                # Short, so that the faulty endpoint comes back often enough to do harm.
                "outlier": {"ejection": "1s", "maxEjection": "4s"},
            }
        ],
    }


def _write(pipe: IO[bytes], order: dict[str, Any]) -> None:
    pipe.write(json.dumps(order).encode() + b"\n")
    pipe.flush()
