"""What users would pick instead of the router, beside it in one run (`make bench-peers`).

Words:
  peer       a proxy that is not ours and not the yardstick; its package is in the virtual
             environment `.venv-peers`, HAProxy's is Debian's
  mirror     the same peer, copying every request to the second version as well
  rewriting  a peer that reads and writes answers anew: the text is the same, the bytes are not
  ease       by how much connections, streams and rate are divided for a peer so dear that its
             slices would not end

Each peer is checked before it is measured; one that cannot be installed, does not start or
answers wrongly is named in the table with the reason, and the run goes on without it.
"""

from collections.abc import Mapping
from typing import Final

from loadtests.bench.peers.envoy import Envoy
from loadtests.bench.peers.haproxy import Haproxy
from loadtests.bench.peers.litellm import LiteLlm
from loadtests.bench.peers.peer import Peer
from loadtests.bench.peers.sglang_router import SglangRouter
from loadtests.bench.peers.starlette_httpx import StarletteHttpx
from loadtests.bench.peers.vllm_router import VllmRouter

_PLAIN: Final[list[Peer]] = [
    Haproxy(),
    Envoy(),
    VllmRouter(),
    SglangRouter(),
    StarletteHttpx(),
    LiteLlm(),
]
_MIRRORS: Final[Mapping[str, Peer]] = {"envoy": Envoy(mirror=True)}

NAMES: Final = tuple(peer.name for peer in _PLAIN)


def choose_peers(wanted: list[str], *, mirror: bool) -> list[Peer]:
    """Return the wanted peers, each followed by its mirror where it has one."""
    found: list[Peer] = []
    for peer in (peer for peer in _PLAIN if peer.name in wanted):
        found.append(peer)
        if mirror and peer.name in _MIRRORS:
            found.append(_MIRRORS[peer.name])
    return found
