"""HAProxy, Debian's package."""

import subprocess
from pathlib import Path
from typing import Final

from loadtests.bench.peers.peer import ABSENT
from loadtests.bench.proxies import Address, Launch, free_address

# http-no-delay: without it HAProxy waits up to 200 ms to fill a packet with chunks.
# http-reuse always: an upstream connection serves whoever comes next, as with the others.
_CONFIG: Final = """\
global
  nbthread 1
  maxconn 8192
defaults
  mode http
  option http-no-delay
  http-reuse always
  timeout connect 5s
  timeout client 600s
  timeout server 600s
frontend traffic
  bind {listen} backlog 4096
  monitor-uri /ready
  default_backend versions
backend versions
  balance roundrobin
  server v1 {server} weight 95
  server v2 {server} weight 5
"""


class Haproxy:
    """One thread, two servers that share 95 / 5."""

    name = "haproxy"

    def prepare(self, folder: Path, upstream: list[Address]) -> Launch:
        """Write haproxy.cfg."""
        address = free_address()
        server, listen = ("{}:{}".format(*each) for each in (upstream[0], address))
        config = folder / "haproxy.cfg"
        config.write_text(_CONFIG.format(server=server, listen=listen))
        command = ["haproxy", "-db", "-f", str(config)]  # -db: in the foreground
        return Launch(command, address, f"{address.url}/ready", remedy="apt install haproxy")

    def version(self) -> str:
        """See `Peer`."""
        try:
            said = subprocess.run(["haproxy", "-v"], capture_output=True, text=True, check=True)
        except FileNotFoundError:
            return ABSENT
        return said.stdout.split()[2]  # HAProxy version 2.6.12-1 …
