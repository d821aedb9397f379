"""Audit entries as the API tells them."""

from typing import Any

import msgspec

from router.audit.entry import Entry


def told_entry(entry: Entry) -> dict[str, Any]:
    """An entry with its place in the chain."""
    return {
        "sequence": entry.sequence,
        "time": entry.time_s,
        "actor": msgspec.to_builtins(entry.actor),
        "action": entry.action,
        "route": entry.route,
        "reason": entry.reason,
        "before": entry.before,
        "after": entry.after,
        "generation": entry.generation,
        "evidence": entry.evidence,
        "previous": entry.previous,
        "hash": entry.hash,
    }
