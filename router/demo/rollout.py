"""How the rollout is doing, read from the admin API as any tool would read it.

Pure but for the two that fetch.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import httpx

PAGE: Final = 200
"""Entries at a time; an act has about 30."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One entry of the audit trail: what was done, and why."""

    sequence: int
    time_s: float
    action: str
    reason: str = ""
    evidence: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Progress:
    """Where a rollout is; `step` counts from 1 and is None where none is under way."""

    phase: str = "Healthy"
    reason: str | None = None
    target: str | None = None
    weight: float = 0.0
    step: int | None = None
    steps: int = 0

    @property
    def sentence(self) -> str:
        """In a few words."""
        if self.target is None:
            return f"{self.phase}: nothing is on its way"
        why = f" ({self.reason})" if self.reason else ""
        where = f", step {self.step} of {self.steps}" if self.step is not None else ""
        return f"{self.phase}{why}: {self.target} at {self.weight:g} %{where}"


async def fetch_entries(client: httpx.AsyncClient, route: str, after: int) -> list[Entry]:
    """The route's entries above a sequence number, oldest first; none while control is away."""
    query: dict[str, str | int] = {"route": route, "after": after, "limit": PAGE}
    document = await _get(client, "/api/v1/audit", query)
    return [_entry(each) for each in document.get("entries", [])]


async def fetch_progress(client: httpx.AsyncClient, route: str) -> Progress | None:
    """Where the route's rollout is now; None while control is away."""
    document = await _get(client, f"/api/v1/routes/{route}/rollout", {})
    return read_progress(document) if document else None


async def fetch_shadow_report(client: httpx.AsyncClient, route: str) -> tuple[str, ...]:
    """What the shadow's answers tell, in sentences; nothing while there is no report."""
    document = await _get(client, f"/api/v1/routes/{route}/shadow/report", {})
    return tuple(document.get("summary", ()))


async def _get(client: httpx.AsyncClient, path: str, query: dict[str, str | int]) -> dict[str, Any]:
    """The document there; an empty one where there is no good answer."""
    try:
        answer = await client.get(path, params=query)
    except httpx.TransportError:
        return {}
    document: dict[str, Any] = answer.json() if answer.is_success else {}
    return document


def _entry(document: Mapping[str, Any]) -> Entry:
    return Entry(
        sequence=document["sequence"],
        time_s=document["time"],
        action=document["action"],
        reason=document["reason"],
        evidence=document["evidence"] or {},
    )


def read_progress(document: Mapping[str, Any]) -> Progress:
    """The admin API's document of a rollout."""
    return Progress(
        phase=document["phase"],
        reason=document["reason"],
        target=document["target"],
        weight=document["weight"],
        step=document["step"],
        steps=len(document["steps"]),
    )
