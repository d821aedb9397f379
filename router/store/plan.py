"""What a commit will write, worked out before anything is written.  Pure.

Every store decides here, so all refuse and keep the same; and since everything is encoded by
then, a value that cannot be stored leaves nothing half written.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import islice

from router.audit.chain import chain, head_of
from router.audit.entry import Entry
from router.rollouts.state import RouteState
from router.snapshot import Route, Snapshot, SnapshotChange, difference
from router.store.base import (
    MAX_ROUTES_TOLD,
    Commit,
    Generation,
    Head,
    Record,
    RouteShares,
    Run,
    StaleError,
)
from router.store.codec import decode_state, encode


@dataclass(frozen=True, slots=True)
class Newest:
    """What the last commit has left: the record, the audit head, and its time."""

    record: Record = field(default_factory=Record)
    head: Head | None = None
    time_s: float = 0.0


@dataclass(frozen=True, slots=True)
class Plan:
    """Everything that is to be written, encoded; `newest` is what is true afterwards.

    `routes` are those of the snapshot that changed: one row for a weight, not 10 000.
    """

    newest: Newest
    entries: tuple[Entry, ...]
    states: Mapping[str, bytes]
    states_removed: tuple[str, ...]
    routes: Mapping[str, bytes]
    routes_removed: tuple[str, ...]
    generation: Generation | None
    runs: tuple[tuple[Run, bytes], ...]


def plan(newest: Newest, commit: Commit) -> Plan:
    """Work out a commit on top of the newest one.

    Raises:
        StaleError: it was decided on another revision, or its generation is not above.
        StoreError: something in it cannot be encoded.
        AuditError: an entry cannot be written as JSON.
    """
    record = newest.record
    _refuse_stale(record, commit)
    time_s = _time_of(commit, newest.time_s)
    entries = chain(newest.head, commit.entries)
    states = {name: encode(state, f"the state of {name}") for name, state in commit.states.items()}
    change = SnapshotChange(generation=0, base=0)
    if commit.snapshot is not None:
        change = difference(record.snapshot, commit.snapshot)
    return Plan(
        newest=Newest(
            record=Record(
                revision=record.revision + 1,
                snapshot=commit.snapshot or record.snapshot,
                states=_new_states(record.states, commit, states),
            ),
            head=head_of(entries[-1]) if entries else newest.head,
            time_s=time_s,
        ),
        entries=entries,
        states=states,
        states_removed=tuple(commit.removed),
        routes={route.name: encode(route, f"route {route.name}") for route in change.changed},
        routes_removed=change.removed,
        generation=_history(record.snapshot, commit, change, entries, time_s),
        runs=tuple((run, encode(run.document, f"analysis run {run.id}")) for run in commit.runs),
    )


def _refuse_stale(record: Record, commit: Commit) -> None:
    if commit.revision != record.revision:
        raise StaleError(
            f"revision {commit.revision} is not the newest, {record.revision} is: "
            "read again and decide anew"
        )
    served = record.snapshot.generation
    if commit.snapshot is not None and commit.snapshot.generation <= served:
        raise StaleError(f"generation {commit.snapshot.generation} is not above {served}")


def _time_of(commit: Commit, last_s: float) -> float:
    if commit.time_s is not None:
        return commit.time_s
    return commit.entries[0].time_s if commit.entries else last_s


def _new_states(
    states: Mapping[str, RouteState], commit: Commit, encoded: Mapping[str, bytes]
) -> dict[str, RouteState]:
    removed = set(commit.removed)
    kept = {name: state for name, state in states.items() if name not in removed}
    # As they will be read back, and out of the reach of who handed them in.
    return kept | {name: decode_state(blob, name) for name, blob in encoded.items()}


def _history(
    before: Snapshot,
    commit: Commit,
    change: SnapshotChange,
    entries: tuple[Entry, ...],
    time_s: float,
) -> Generation | None:
    if commit.snapshot is None:
        return None
    names = [route.name for route in change.changed] + list(change.removed)
    old = {route.name: route for route in before.routes}
    new = {route.name: route for route in change.changed}
    return Generation(
        number=commit.snapshot.generation,
        time_s=time_s,
        routes=tuple(
            RouteShares(route=name, before=_shares(old.get(name)), after=_shares(new.get(name)))
            for name in islice(names, MAX_ROUTES_TOLD)
        ),
        routes_changed=len(names),
        entries=tuple(entry.sequence for entry in entries),
    )


def _shares(route: Route | None) -> dict[str, int] | None:
    return None if route is None else {v.name: v.weight_bp for v in route.versions}
