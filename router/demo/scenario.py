"""What is played, as values; and the router's configuration for it.

Pure: no process, no clock.  That the configuration is valid is a test.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

STICKY_HEADER: Final = "x-session-id"
PATH: Final = "/v1/chat/completions"


@dataclass(frozen=True, slots=True)
class Version:
    """One model version, its share, and the engine that stands for it."""

    name: str
    percent: int
    engine: Mapping[str, float] = field(default_factory=dict)
    """Options of `mock-engine`, without the dashes."""


@dataclass(frozen=True, slots=True)
class Mix:
    """How often each kind of request comes, in relation to the others."""

    answers: int = 5
    streams: int = 4
    conversation_turns: int = 1


@dataclass(frozen=True, slots=True)
class Scenario:
    """Versions behind one route, the oldest first, and what clients ask of it."""

    versions: tuple[Version, ...]
    route: str = "chat"
    model: str = "llama-3-8b"
    workers: int = 2
    requests_per_s: float = 50.0
    mix: Mix = Mix()

    def __post_init__(self) -> None:
        if sum(version.percent for version in self.versions) != 100:
            raise ValueError("the versions' shares do not sum to 100 %")

    @property
    def newest(self) -> Version:
        """The version on trial."""
        return self.versions[-1]

    def configuration(self, endpoints: Mapping[str, str], folder: Path) -> dict[str, Any]:
        """The router's YAML document; `endpoints` gives each version's URL."""
        return {
            "server": {
                "listen": "127.0.0.1:0",
                "admin": "127.0.0.1:0",
                "workers": self.workers,
                "drainSeconds": 5,
                # A failed request always gets a line; it must not tear the table apart.
                "accessLog": {"mode": "off", "file": str(folder / "access.log")},
            },
            "store": f"sqlite:///{folder / 'state.db'}",
            "routes": [self._route(endpoints)],
        }

    def _route(self, endpoints: Mapping[str, str]) -> dict[str, Any]:
        return {
            "name": self.route,
            "match": [{"path": PATH, "model": self.model}],
            "versions": {v.name: {"endpoints": [endpoints[v.name]]} for v in self.versions},
            "release": self.newest.name,
            "initialWeights": {version.name: version.percent for version in self.versions},
            "strategy": {"canary": {"steps": [{"setWeight": self.newest.percent}, {"pause": {}}]}},
            "sticky": {"by": [{"header": STICKY_HEADER}]},
            "health": {"path": "/health", "interval": "1s"},
        }


# As fast as a small model on one accelerator: the first token after some 20 ms, then one every 10
# to 15 ms.  The new version is the faster one, so that the two can be told apart.  The prompts
# (about 5 000 tokens a second) must keep well below the prefill rate, or v1 queues ever longer.
_V1: Final = {"step-seconds": 0.010, "prefill-tokens-per-second": 20_000}
_V2: Final = {"step-seconds": 0.008, "prefill-tokens-per-second": 25_000}

CANARY: Final = Scenario((Version("v1", 95, _V1), Version("v2", 5, _V2)))
