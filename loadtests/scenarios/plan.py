"""What a process of Locust has to know: one value, handed over in one environment variable.

Tokens are not in it: they have variables of their own, for a plan is printed and kept.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import msgspec

from loadtests.scenarios.profiles import PROFILES, Profile

PLAN_VARIABLE: Final = "LOADTEST_PLAN"
TOKEN_VARIABLE: Final = "LOADTEST_TOKEN"
"""Sent with every request as `Authorization: Bearer …`."""
ADMIN_TOKEN_VARIABLE: Final = "LOADTEST_ADMIN_TOKEN"
"""Sent with every call of the admin API."""

ASKING: Final = ("chat", "conversation", "embeddings", "kserve")
"""The kinds that ask at a rate; how often each comes is its user's weight."""
KINDS: Final = (*ASKING, "stream")

ROUTE: Final = "chat"
MODEL: Final = "llama-3-8b"
EMBEDDING_MODEL: Final = "bge-m3"
STICKY_HEADER: Final = "x-session-id"


class Plan(msgspec.Struct, frozen=True):
    """One run."""

    profile: Profile
    kinds: tuple[str, ...] = KINDS
    model: str = MODEL
    embedding_model: str = EMBEDDING_MODEL
    sticky_header: str = STICKY_HEADER
    stream_tokens: int = 100
    """How long each stream's answer is."""
    admin: str | None = None
    """Where weights are changed; None: nowhere, they stay as they are."""
    route: str = ROUTE
    """Whose weights."""
    figures: str | None = None
    """The file that takes the figures; None: nobody wants them."""

    def __post_init__(self) -> None:
        if unknown := [kind for kind in self.kinds if kind not in KINDS]:
            raise ValueError(
                f"no kind is called {', '.join(unknown)}; there are {', '.join(KINDS)}"
            )
        if not self.kinds:
            raise ValueError(f"at least one kind must ask: {', '.join(KINDS)}")

    @property
    def streams(self) -> int:
        """How many are open at any time."""
        return self.profile.streams if "stream" in self.kinds else 0

    @property
    def requests(self) -> float:
        """How many are to be sent, streams not among them."""
        return self.profile.requests if set(self.kinds) & set(ASKING) else 0.0


def plan_from(environment: Mapping[str, str]) -> Plan:
    """The plan of this process; the steady profile where `locust` was started by hand."""
    text = environment.get(PLAN_VARIABLE)
    return Plan(PROFILES["steady"]) if text is None else msgspec.json.decode(text, type=Plan)
