"""Everything that is written to an SQLite store: one plan, within one transaction."""

from sqlite3 import Connection

from router.store.base import (
    MAX_FINISHED_RUNS,
    MAX_REQUESTS,
    REQUESTS_KEPT_S,
    Generation,
    KnownRequestError,
    RequestKey,
    Run,
    StaleError,
)
from router.store.codec import encode, encode_draft
from router.store.plan import Plan
from router.store.queries import request


def write(connection: Connection, plan: Plan, key: RequestKey | None) -> None:
    """Write a plan; the caller has begun the transaction.

    Raises:
        StaleError: somebody else has written to the file.
        KnownRequestError: the key is known already.
    """
    _write_newest(connection, plan)
    _write_states(connection, plan)
    _write_routes(connection, plan)
    _write_entries(connection, plan)
    if plan.generation is not None:
        _write_generation(connection, plan.generation)
    _write_runs(connection, plan.runs)
    if key is not None:
        _write_request(connection, key, plan)


def _write_newest(connection: Connection, plan: Plan) -> None:
    newest, head = plan.newest, plan.newest.head
    written = connection.execute(
        "UPDATE newest SET revision = ?, generation = ?, time_s = ?, audit_sequence = ?,"
        " audit_hash = ? WHERE revision = ?",
        (
            newest.record.revision,
            newest.record.snapshot.generation,
            newest.time_s,
            head and head.sequence,
            head and head.hash,
            newest.record.revision - 1,
        ),
    )
    if written.rowcount != 1:
        raise StaleError("somebody else has written to the store: read again and decide anew")


def _write_states(connection: Connection, plan: Plan) -> None:
    connection.executemany(
        "DELETE FROM states WHERE route = ?", [(route,) for route in plan.states_removed]
    )
    connection.executemany("REPLACE INTO states VALUES (?, ?)", plan.states.items())


def _write_routes(connection: Connection, plan: Plan) -> None:
    connection.executemany(
        "DELETE FROM routes WHERE name = ?", [(name,) for name in plan.routes_removed]
    )
    connection.executemany("REPLACE INTO routes VALUES (?, ?)", plan.routes.items())


def _write_entries(connection: Connection, plan: Plan) -> None:
    connection.executemany(
        "INSERT INTO audit (sequence, previous, hash, draft) VALUES (?, ?, ?, ?)",
        [
            (entry.sequence, entry.previous, entry.hash, encode_draft(entry))
            for entry in plan.entries
        ],
    )


def _write_generation(connection: Connection, generation: Generation) -> None:
    connection.execute(
        "INSERT INTO generations VALUES (?, ?, ?, ?, ?, ?)",
        (
            generation.number,
            generation.time_s,
            encode(generation.routes, f"the history of generation {generation.number}"),
            generation.routes_changed,
            generation.entries[0] if generation.entries else 0,
            len(generation.entries),
        ),
    )


def _write_runs(connection: Connection, runs: tuple[tuple[Run, bytes], ...]) -> None:
    connection.executemany(
        "INSERT INTO runs (id, route, phase, started_s, finished_s, document)"
        " VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT (id) DO UPDATE SET route = excluded.route,"
        " phase = excluded.phase, started_s = excluded.started_s,"
        " finished_s = excluded.finished_s, document = excluded.document",
        [
            (run.id, run.route, run.phase, run.started_s, run.finished_s, document)
            for run, document in runs
        ],
    )
    connection.executemany(
        "DELETE FROM runs WHERE number IN (SELECT number FROM runs WHERE route = ?"
        " AND finished_s IS NOT NULL ORDER BY started_s DESC, number DESC LIMIT -1 OFFSET ?)",
        [(route, MAX_FINISHED_RUNS) for route in {run.route for run, _ in runs}],
    )


def _write_request(connection: Connection, key: RequestKey, plan: Plan) -> None:
    time_s = plan.newest.time_s
    connection.execute("DELETE FROM requests WHERE time_s < ?", (time_s - REQUESTS_KEPT_S,))
    if request(connection, key.actor, key.key) is not None:
        raise KnownRequestError("this idempotency key is known already: look up its answer")
    connection.execute(
        "INSERT INTO requests (actor, key, digest, generation, time_s) VALUES (?, ?, ?, ?, ?)",
        (key.actor, key.key, key.digest, plan.newest.record.snapshot.generation, time_s),
    )
    # Numbers rise with each request, so the oldest beyond the bound are the lowest.
    connection.execute(
        "DELETE FROM requests WHERE number <= (SELECT max(number) FROM requests) - ?",
        (MAX_REQUESTS,),
    )
