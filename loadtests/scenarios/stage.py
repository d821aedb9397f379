"""The processes of a run without a target: two mock engines, and a router in front of them.

Guarantees (tests/e2e/test_loadtest.py):
  * leaving the block ends every process that was started, however it is left;
  * every port is one that the kernel chose.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import psutil
import yaml

from loadtests.scenarios.child import running
from loadtests.scenarios.plan import EMBEDDING_MODEL, MODEL, STICKY_HEADER

VERSIONS: Final = ("v1", "v2")
WORKERS: Final = 2

# A token every 0.1 s: streams stay open for long without being most of the work, and 200 of them
# with all other requests fit into one engine's batch when it has all the weight.
_ENGINE: Final = {
    "step-seconds": "0.1",
    "max-running": "2048",
    "kv-tokens": "4000000",
    "prefill-tokens-per-second": "1000000",
}
_ENGINE_READY: Final = re.compile(r"listening on (http://\S+)")
_ROUTER_READY: Final = re.compile(r"traffic (http://\S+), admin (http://\S+),")
_WORKER_NAME: Final = re.compile(r'"worker":"(\w+)"')


@dataclass(frozen=True, slots=True)
class Stage:
    """A router that serves, and what it runs on."""

    traffic: str
    admin: str
    engines: Mapping[str, int]
    """Their process ids."""
    router: int

    def processes(self) -> dict[str, int]:
        """The process ids by name; a worker that was started again has another one."""
        found = {f"engine {name}": pid for name, pid in self.engines.items()}
        found["supervisor"] = self.router
        try:
            children = psutil.Process(self.router).children()
        except psutil.NoSuchProcess:
            return found
        for child in children:
            if (name := _role(child)) is not None:
                found[name] = child.pid
        return found


@contextmanager
def staged(folder: Path, engine: Mapping[str, str]) -> Iterator[Stage]:
    """Run engines with these options and a router for the time of the block; logs go to `folder`.

    Raises:
        LoadTestError: one of them did not start; the others are ended.
    """
    options = [f"--{name}={value}" for name, value in {**_ENGINE, **engine}.items()]
    with ExitStack() as stack:
        engines = [
            stack.enter_context(
                running(name, ["router", "mock-engine", "--name", name, *options], folder)
            )
            for name in VERSIONS
        ]
        urls = {each.name: each.wait_said(_ENGINE_READY)[1] for each in engines}
        file = folder / "router.yaml"
        file.write_text(yaml.safe_dump(configuration(urls, folder), sort_keys=False))
        router = stack.enter_context(
            running("router", ["router", "serve", "-c", str(file)], folder)
        )
        said = router.wait_said(_ROUTER_READY)
        pids = {each.name: each.process.pid for each in engines}
        yield Stage(said[1], said[2], pids, router.process.pid)


def configuration(urls: Mapping[str, str], folder: Path) -> dict[str, Any]:
    """The router's document: a route for each protocol, both versions behind each."""
    chat = {**_route("chat", urls, path="/v1/chat/completions", model=MODEL)}
    chat["sticky"] = {"by": [{"header": STICKY_HEADER}]}
    return {
        "server": {
            "listen": "127.0.0.1:0",
            "admin": "127.0.0.1:0",
            "workers": WORKERS,
            "drainSeconds": 5,
            # A failed request always gets a line: it says why.
            "accessLog": {"mode": "off", "file": str(folder / "access.log")},
        },
        "store": f"sqlite:///{folder / 'state.db'}",
        "routes": [
            chat,
            _route("embeddings", urls, path="/v1/embeddings", model=EMBEDDING_MODEL),
            _route("kserve", urls, pathPrefix="/v2"),
        ],
    }


def _route(name: str, urls: Mapping[str, str], **match: str) -> dict[str, Any]:
    return {
        "name": name,
        "match": [match],
        "versions": {version: {"endpoints": [url]} for version, url in urls.items()},
        "release": VERSIONS[0],
        "initialWeights": {VERSIONS[0]: 80, VERSIONS[1]: 20},
        "health": {"path": "/health", "interval": "1s"},
    }


def _role(process: psutil.Process) -> str | None:
    try:
        command = process.cmdline()
    except psutil.Error:
        return None  # it ended just now
    if "router.app.control" in command:
        return "control"
    if "router.app.worker" in command and (name := _WORKER_NAME.search(command[-1])):
        return f"worker {name[1]}"
    return None
