"""Everything that is read from an SQLite store; each function is one query."""

from contextlib import closing
from sqlite3 import Connection
from typing import Any, Final

from router.audit.entry import Entry
from router.snapshot import Snapshot
from router.store.base import (
    MAX_PAGE,
    Generation,
    Head,
    Record,
    RequestKey,
    Run,
    searchable,
    searched,
)
from router.store.codec import (
    decode_document,
    decode_entry,
    decode_route,
    decode_shares,
    decode_state,
)
from router.store.plan import Newest

LOWEST: Final = -(2**63)
HIGHEST: Final = 2**63 - 1

_ENTRY: Final = "SELECT sequence, previous, hash, draft FROM audit"
# As text, whatever is there: a trail that was tampered with is searched like any other.
_TEXTS: Final = ", ".join(
    f"cast(coalesce({what}, '') AS TEXT)"
    for what in ("json_extract(draft, '$.reason')", "actor", "action", "route")
)
_FOUND: Final = f"instr(searchable({_TEXTS}), ?) > 0"
_GENERATION: Final = (
    "SELECT number, time_s, routes, routes_changed, first_entry, entries FROM generations"
)
_RUN: Final = "SELECT id, route, phase, started_s, finished_s, document FROM runs"

Row = tuple[Any, ...]


def newest(connection: Connection) -> Newest:
    """The record and where the next audit entry goes."""
    revision, generation, time_s = _one(
        connection, "SELECT revision, generation, time_s FROM newest"
    )
    routes = [
        decode_route(blob, name)
        for name, blob in _all(connection, "SELECT name, route FROM routes")
    ]
    return Newest(
        record=Record(
            revision=revision,
            snapshot=Snapshot(
                generation=generation,
                routes=tuple(sorted(routes, key=lambda route: route.order)),
            ),
            states={
                route: decode_state(blob, route)
                for route, blob in _all(connection, "SELECT route, state FROM states")
            },
        ),
        head=head(connection),
        time_s=time_s,
    )


def head(connection: Connection) -> Head | None:
    """The recorded audit head."""
    sequence, hash_ = _one(connection, "SELECT audit_sequence, audit_hash FROM newest")
    return None if sequence is None else Head(sequence, hash_)


def last_sequence(connection: Connection) -> int:
    """The highest number that any audit entry has, recorded or not."""
    (highest,) = _one(connection, "SELECT max(sequence) FROM audit")
    return LOWEST if highest is None else int(highest)


def block(connection: Connection, above: int, upto: int, limit: int) -> list[Row]:
    """The columns of audit entries in order, as `decode_entry` takes them."""
    query = _ENTRY + " WHERE sequence > ? AND sequence <= ? ORDER BY sequence LIMIT ?"
    return _all(connection, query, above, upto, limit)


def entries(
    connection: Connection,
    *,
    after: int | None,
    before: int | None,
    limit: int,
    search: str | None = None,
    **only: str | None,
) -> list[Entry]:
    """A page of the audit trail, see `Store.entries`; `only` are columns and their values."""
    order = "DESC" if after is None else "ASC"
    found: dict[str, str] = {}
    if search is not None:
        after, upper = searched(after, before, max(0, last_sequence(connection)))
        before = upper if before is None else min(before, upper)
        connection.create_function("searchable", 4, searchable, deterministic=True)
        found[_FOUND] = search.casefold()
    bounds = {"sequence > ?": after, "sequence < ?": before}
    columns = _conditions(only)
    told: dict[str, int | str] = {
        condition: bound(n) for condition, n in bounds.items() if n is not None
    }
    told |= columns | found
    where = f"WHERE {' AND '.join(told)}" if told else ""
    query = f"{_ENTRY} {where} ORDER BY sequence {order} LIMIT ?"
    return [decode_entry(*row) for row in _all(connection, query, *told.values(), page(limit))]


def generation(connection: Connection, number: int) -> Generation | None:
    """One generation of the history."""
    rows = _all(connection, _GENERATION + " WHERE number = ?", bound(number))
    return _generation(*rows[0]) if rows else None


def generations(connection: Connection, before: int | None, limit: int) -> list[Generation]:
    """The newest generations below `before`."""
    query = _GENERATION + " WHERE number < ? ORDER BY number DESC LIMIT ?"
    below = HIGHEST if before is None else bound(before)
    return [_generation(*row) for row in _all(connection, query, below, page(limit))]


def request(connection: Connection, actor: str, key: str) -> tuple[RequestKey, int] | None:
    """What an idempotency key was first sent with, and the generation that answered it."""
    query = "SELECT digest, generation FROM requests WHERE actor = ? AND key = ?"
    rows = _all(connection, query, actor, key)
    return (RequestKey(actor, key, rows[0][0]), rows[0][1]) if rows else None


def run(connection: Connection, id_: str) -> Run | None:
    """One analysis run."""
    rows = _all(connection, _RUN + " WHERE id = ?", id_)
    return _run(*rows[0]) if rows else None


def runs(connection: Connection, route: str | None, unfinished: bool, limit: int) -> list[Run]:
    """Analysis runs, the newest first."""
    conditions = ["route = ?"] if route is not None else []
    conditions += ["finished_s IS NULL"] if unfinished else []
    where = f"WHERE {' AND '.join(conditions)}" if conditions else ""
    query = f"{_RUN} {where} ORDER BY started_s DESC, number DESC LIMIT ?"
    told = [route] if route is not None else []
    return [_run(*row) for row in _all(connection, query, *told, page(limit))]


def page(limit: int) -> int:
    """How many rows are given for a limit."""
    return max(0, min(limit, MAX_PAGE))


def _conditions(only: dict[str, str | None]) -> dict[str, str]:
    """Let the first filter choose the index; `+` keeps SQLite from taking another one.

    Left alone it takes any: with 100 000 entries, a page of a rare route took 144 ms by actor.
    """
    asked = [(column, value) for column, value in only.items() if value is not None]
    return {f"{'+' if n else ''}{column} = ?": value for n, (column, value) in enumerate(asked)}


def _generation(
    number: int, time_s: float, routes: bytes, changed: int, first: int, count: int
) -> Generation:
    return Generation(
        number=number,
        time_s=time_s,
        routes=decode_shares(routes, number),
        routes_changed=changed,
        entries=tuple(range(first, first + count)),
    )


def _run(
    id_: str, route: str, phase: str, started_s: float, finished_s: float | None, document: bytes
) -> Run:
    return Run(
        id=id_,
        route=route,
        phase=phase,
        started_s=started_s,
        finished_s=finished_s,
        document=decode_document(document, id_),
    )


def bound(number: int) -> int:
    """A number from outside; SQLite knows none of more than 64 bits."""
    return max(LOWEST, min(number, HIGHEST))


def _one(connection: Connection, query: str) -> Row:
    (row,) = _all(connection, query)
    return row


def _all(connection: Connection, query: str, *values: object) -> list[Row]:
    with closing(connection.execute(query, values)) as cursor:
        return cursor.fetchall()
