"""What is measured: how to set up each proxy, each in its fairest form.

A proxy joins by a class with a `name` and a `prepare`, which writes its configuration
and says how to start it; `process.py` does the rest. Set-ups follow shared/spec/peers.md:
two versions that share 95 / 5, keep-alive to the upstream, no access log, one worker.
"""

import json
import os
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, NamedTuple, Protocol

from loadtests.bench import payloads
from loadtests.ports import free_port

REPOSITORY: Final = Path(__file__).parents[2]


class Address(NamedTuple):
    """Where somebody listens."""

    host: str
    port: int

    @property
    def url(self) -> str:
        """The base URL of the listener."""
        return f"http://{self.host}:{self.port}"


@dataclass(frozen=True, slots=True)
class Launch:
    """How to start one proxy and where to find it."""

    command: list[str]
    address: Address
    ready_url: str  # answers 200 once traffic may come
    model: str = "bench-0"  # the model that the load asks for
    environment: dict[str, str] = field(default_factory=dict)
    remedy: str = "apt install nginx wrk"  # for who has not got the command
    rewriting: bool = False  # answers with the same text in other bytes
    ease: int = 1  # divides connections, streams and rate, for the very dear


class Proxy(Protocol):
    """One thing to measure."""

    name: str

    def prepare(self, folder: Path, upstream: list[Address]) -> Launch:
        """Write what the proxy needs into its own `folder`.

        `upstream` holds the addresses of one model server; most proxies take the first.
        """
        ...


def free_address() -> Address:
    """Return a loopback address that nobody listens on at this moment."""
    return Address("127.0.0.1", free_port())


# Unlimited keepalive_requests on both sides: the default of 1 000 would reconnect each
# connection about once a second under this load, which no other proxy here does.
# Request and response unbuffered: what one sets for streams, and no slower for 1 KB.
_NGINX: Final = """\
daemon off;
worker_processes 1;
pid {folder}/nginx.pid;
error_log stderr error;
events {{ worker_connections 8192; }}
http {{
  access_log off;
  tcp_nodelay on;
  keepalive_timeout 600s;
  keepalive_requests 1000000000;
  client_max_body_size 100m;
  client_body_buffer_size 2m;
  client_body_temp_path {folder}/body;
  proxy_temp_path {folder}/proxy;
  fastcgi_temp_path {folder}/fastcgi;
  uwsgi_temp_path {folder}/uwsgi;
  scgi_temp_path {folder}/scgi;
  upstream v1 {{ server {server}; keepalive 512; keepalive_requests 1000000000; }}
  upstream v2 {{ server {server}; keepalive 512; keepalive_requests 1000000000; }}
  split_clients $request_id $version {{ 95% v1; * v2; }}
  server {{
    listen {listen} backlog=4096;
    location = /ready {{ return 200; }}
    location / {{
      proxy_http_version 1.1;
      proxy_set_header Connection "";
      proxy_buffering off;
      proxy_request_buffering {buffering};
      {mirror}
      proxy_pass http://$version;
    }}
    location = /mirror {{
      internal;
      proxy_http_version 1.1;
      proxy_set_header Connection "";
      proxy_pass http://v2$request_uri;
    }}
  }}
}}
"""


class Nginx:
    """The yardstick: Debian's nginx, one worker, split_clients 95/5.

    With `mirror` it copies every request as well; for that it has to buffer their bodies.
    """

    def __init__(self, *, mirror: bool = False) -> None:
        self._mirror = mirror
        self.name = "nginx mirror" if mirror else "nginx"

    def prepare(self, folder: Path, upstream: list[Address]) -> Launch:
        """Write nginx.conf; everything it writes itself goes to `folder` too."""
        address = free_address()
        server, listen = ("{}:{}".format(*each) for each in (upstream[0], address))
        config = folder / "nginx.conf"
        mirroring = {
            "mirror": "mirror /mirror;" if self._mirror else "",
            "buffering": "on" if self._mirror else "off",
        }
        config.write_text(_NGINX.format(folder=folder, server=server, listen=listen, **mirroring))
        folder.chmod(0o711)  # started by root, nginx's worker is somebody else
        command = ["nginx", "-e", "stderr", "-p", str(folder), "-c", str(config)]
        return Launch(command, address, f"{address.url}/ready")


class Router:
    """This repository's router: one worker behind its supervisor, one of its doors.

    With several `routes` they differ in `model` only, and the load asks for the last one;
    with several `endpoints` they are addresses of the same upstream, all in v1.  With `mirror`
    v1 has all traffic and v2 is its shadow: every request is copied, and its pair goes to control.
    """

    def __init__(
        self, door: str, *, routes: int = 1, endpoints: int = 1, mirror: bool = False
    ) -> None:
        self._door = door
        self._mirror = mirror
        self._routes = routes
        self._endpoints = endpoints
        self.name = door
        if routes > 1:
            self.name += f" {routes} routes"
        if endpoints > 1:
            self.name += f" {endpoints} endpoints"
        if mirror:
            self.name += " mirror"

    def prepare(self, folder: Path, upstream: list[Address]) -> Launch:
        """Write the router's configuration."""
        address, admin = free_address(), free_address()
        config = folder / "router.yaml"
        config.write_text("".join(self._lines(address, admin, folder, upstream)))
        return Launch(
            [sys.executable, "-m", "router", "serve", "-c", str(config)],
            address,
            f"{admin.url}/readyz",
            model=f"bench-{self._routes - 1}",
            environment={"PYTHONPATH": f"{REPOSITORY}{os.pathsep}{os.getenv('PYTHONPATH', '')}"},
        )

    def _lines(
        self, address: Address, admin: Address, folder: Path, upstream: list[Address]
    ) -> list[str]:
        server = {
            "listen": "{}:{}".format(*address),
            "admin": "{}:{}".format(*admin),
            "workers": 1,
            "door": self._door,
            "accessLog": "off",
            "drainSeconds": 1,
        }
        store = f"sqlite://{folder}/state.db"  # the folder begins with a slash
        routes = [f"- {self._route(i, upstream)}\n" for i in range(self._routes)]
        return [f"server: {json.dumps(server)}\nstore: {store}\nroutes:\n", *routes]

    def _route(self, number: int, upstream: list[Address]) -> str:
        """Return one route as JSON, which is YAML: 10 000 of them are written in no time."""
        model = f"bench-{number}"
        first = [address.url for address in upstream[: self._endpoints]]
        route = {
            "name": model,
            "match": [{"path": payloads.PATH, "model": model}],
            "versions": {"v1": {"endpoints": first}, "v2": {"endpoints": first[:1]}},
            "initialWeights": {"v1": 95, "v2": 5},
        }
        if self._mirror:
            # Room enough that no copy is dropped: a drop would cost next to nothing.
            route |= {
                "initialWeights": {"v1": 100},
                "release": "v1",
                "shadow": {"version": "v2", "maxConcurrency": 2_000, "maxQueue": 2_000},
            }
        return json.dumps(route)
