"""`rollback`: all traffic back to the last stable version, in one call."""

from __future__ import annotations

from router.cli.moving import moving


@moving
def rollback() -> dict[str, object]:
    """Send all of a route's traffic back to its last stable version."""
    return {}
