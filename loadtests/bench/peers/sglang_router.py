"""SGLang's router in Rust, from PyPI."""

from pathlib import Path

from loadtests.bench.peers.peer import REMEDY, executable, package_version
from loadtests.bench.proxies import Address, Launch, free_address


class SglangRouter:
    """Round robin over one worker: it has no versions and no weights."""

    name = "sglang-router"

    def prepare(self, folder: Path, upstream: list[Address]) -> Launch:
        """Take the command line: it has no configuration file."""
        address, metrics = free_address(), free_address()
        command = [executable("sglang-router"), "launch", "--worker-urls", upstream[0].url]
        command += ["--host", address.host, "--port", str(address.port)]
        command += ["--prometheus-host", metrics.host, "--prometheus-port", str(metrics.port)]
        command += ["--policy", "round_robin", "--log-level", "error"]
        return Launch(command, address, f"{address.url}/readiness", remedy=REMEDY)

    def version(self) -> str:
        """See `Peer`."""
        return package_version("sglang-router")
