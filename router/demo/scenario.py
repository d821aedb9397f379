"""What is played, as values; and the router's configuration for it.

Pure: no process, no clock.  That the configuration is valid is a test.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from router.demo.checks import (
    CHECKS,
    MIN_REQUESTS,
    SHADOW_CHECK,
    SHADOW_TEMPLATE,
    TEMPLATE,
    WINDOW_S,
    template,
)
from router.mock_engine.wording import WORDS
from router.rollouts.effects import Action

STICKY_HEADER: Final = "x-session-id"
PATH: Final = "/v1/chat/completions"


@dataclass(frozen=True, slots=True)
class Version:
    """One model version, and the engine that stands for it."""

    name: str
    engine: Mapping[str, float | str] = field(default_factory=dict)
    """Options of `mock-engine`, without the dashes."""


@dataclass(frozen=True, slots=True)
class Mix:
    """How often each kind of request comes, in relation to the others."""

    answers: int = 5
    streams: int = 4
    conversation_turns: int = 1


@dataclass(frozen=True, slots=True)
class Act:
    """One release, and how its rollout ends if all is well."""

    release: str
    ends: Action

    @property
    def title(self) -> str:
        """What happens in it, in a few words."""
        good = self.ends is Action.PROMOTED
        return f"{self.release} {'walks to 100 % and becomes stable' if good else 'is rolled back'}"


@dataclass(frozen=True, slots=True)
class Scenario:
    """Versions behind one route, the oldest first, what is released, and what clients ask."""

    versions: tuple[Version, ...]
    acts: tuple[Act, ...]
    walk: tuple[int, ...] = (5, 25, 50, 100)
    """The shares of a version on trial, in percent."""
    route: str = "chat"
    model: str = "llama-3-8b"
    workers: int = 2
    requests_per_s: float = 60.0
    mix: Mix = Mix()
    limit_s: float = 60.0
    """How long an act may take; three times as long as the longest does."""

    def __post_init__(self) -> None:
        unknown = {act.release for act in self.acts} - {each.name for each in self.versions}
        if unknown:
            raise ValueError(f"no version is called {', '.join(sorted(unknown))}")
        if self.requests_per_s * self.walk[0] / 100 * WINDOW_S < MIN_REQUESTS:
            raise ValueError(f"the first {self.walk[0]} % are too few requests to judge by")

    @property
    def first(self) -> Version:
        """The version that is stable when it begins."""
        return self.versions[0]

    def configuration(
        self, endpoints: Mapping[str, str], folder: Path, release: str
    ) -> dict[str, Any]:
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
            "routes": [self._route(endpoints, release)],
            "analysisTemplates": [
                template(SHADOW_TEMPLATE, SHADOW_CHECK),
                template(TEMPLATE, *CHECKS),
            ],
        }

    def _route(self, endpoints: Mapping[str, str], release: str) -> dict[str, Any]:
        return {
            "name": self.route,
            "match": [{"path": PATH, "model": self.model}],
            "versions": {v.name: {"endpoints": [endpoints[v.name]]} for v in self.versions},
            "release": release,
            "strategy": {"canary": {"steps": list(self._steps())}},
            # Each copied request is asked of stable once more, too: its own noise is the yardstick.
            "shadow": {"noise": {"percent": 100}},
            "sticky": {"by": [{"header": STICKY_HEADER}]},
            "retry": {"canaryFallback": True},
            "health": {"path": "/health", "interval": "1s"},
        }

    def _steps(self) -> Iterator[dict[str, Any]]:
        yield {"setShadow": {"percent": 100}}
        yield {"analysis": {"templates": [{"templateName": SHADOW_TEMPLATE}]}}
        for percent in self.walk[:-1]:
            yield {"setWeight": percent}
            yield {"analysis": {"templates": [{"templateName": TEMPLATE}]}}
        # No analysis here: where the new version has all requests there is no stable one beside it.
        yield {"setWeight": self.walk[-1]}
        yield {"pause": {"duration": "2s"}}


# As fast as a small model on one accelerator: the first token after some 20 ms, then one every 10
# to 15 ms.  v2 is the faster one, so that the two can be told apart.  The prompts (about 6 000
# tokens a second) must keep well below the prefill rate, or a version queues ever longer.
# All say the same, but for one answer in twenty: no model is quite deterministic.
_SAYS: Final[dict[str, float | str]] = {"text": " ".join(WORDS), "changed-share": 0.05}
_V1: Final[dict[str, float | str]] = {
    **_SAYS,
    "step-seconds": 0.010,
    "prefill-tokens-per-second": 40_000,
}
_V2: Final[dict[str, float | str]] = {
    **_SAYS,
    "step-seconds": 0.008,
    "prefill-tokens-per-second": 50_000,
}
# The seed is not special, but the usual one happens to let the first 25 requests pass.
_V3: Final[dict[str, float | str]] = {**_V2, "error-rate": 0.2, "seed": 1}

CANARY: Final = Scenario(
    (Version("v1", _V1), Version("v2", _V2), Version("v3", _V3)),
    (Act("v2", Action.PROMOTED), Act("v3", Action.ABORTED)),
)
"""A good release and a bad one."""
