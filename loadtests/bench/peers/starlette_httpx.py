"""What one writes in an afternoon: `plain_proxy.py` under uvicorn."""

import os
import sys
from importlib.metadata import version
from pathlib import Path

from loadtests.bench.proxies import REPOSITORY, Address, Launch, free_address


class StarletteHttpx:
    """One uvicorn process on uvloop and httptools, with the router's own interpreter."""

    name = "starlette-httpx"

    def prepare(self, folder: Path, upstream: list[Address]) -> Launch:
        """Take the command line and the environment."""
        address = free_address()
        app = "loadtests.bench.peers.plain_proxy:app"
        command = [sys.executable, "-m", "uvicorn", app, "--no-access-log"]
        command += ["--host", address.host, "--port", str(address.port)]
        command += ["--loop", "uvloop", "--http", "httptools", "--log-level", "error"]
        environment = {
            "PYTHONPATH": f"{REPOSITORY}{os.pathsep}{os.getenv('PYTHONPATH', '')}",
            "V1_URL": upstream[0].url,
            "V2_URL": upstream[0].url,
        }
        return Launch(command, address, f"{address.url}/", environment=environment)

    def version(self) -> str:
        """See `Peer`."""
        return f"starlette {version('starlette')}, httpx {version('httpx')}"
