"""Everything that is read from a file of pairs; each function is one query."""

from collections.abc import Iterator
from contextlib import closing, contextmanager
from sqlite3 import Connection
from typing import Any, Final

from router.store.pairs.base import BLOCK_BYTES, KeptPair
from router.store.pairs.document import decode_pair, decode_tally, sized_pair
from router.store.queries import HIGHEST, bound, page

_PAIR: Final = "SELECT id, route, stable, shadow, verdict, time_s, document FROM pairs"


def tallies(connection: Connection) -> dict[str, Any]:
    """The tally of every route that has one."""
    with closing(connection.execute("SELECT route, tally FROM tallies")) as cursor:
        return {route: decode_tally(tally, route) for route, tally in cursor}


def pairs(
    connection: Connection, route: str, verdict: str | None, before: int | None, limit: int
) -> list[KeptPair]:
    """A page, see `PairStore.pairs`."""
    where, told = _of(route, verdict)
    query = f"{_PAIR} WHERE {where} AND id < ? ORDER BY id DESC LIMIT ?"
    below = HIGHEST if before is None else bound(before)
    with _found(connection, query, *told, below, page(limit)) as found:
        return [decode_pair(pair) for pair in found]


def pair(connection: Connection, route: str, id_: int) -> KeptPair | None:
    """One pair."""
    query = f"{_PAIR} WHERE id = ? AND route = ?"
    with _found(connection, query, bound(id_), route) as found:
        return next(map(decode_pair, found), None)


def last_id(connection: Connection) -> int:
    """The highest id of any pair, 0 if there is none."""
    with closing(connection.execute("SELECT coalesce(max(id), 0) FROM pairs")) as cursor:
        return int(cursor.fetchone()[0])


def block(
    connection: Connection, route: str, verdict: str | None, above: int, upto: int
) -> list[KeptPair]:
    """The pairs above an id, oldest first, as many as fill a block."""
    where, told = _of(route, verdict)
    query = f"{_PAIR} WHERE {where} AND id > ? AND id <= ? ORDER BY id"
    filled, size = [], 0
    with _found(connection, query, *told, above, upto) as found:
        for pair, bytes_ in map(sized_pair, found):
            filled.append(pair)
            size += bytes_
            if size >= BLOCK_BYTES:
                break
    return filled


def _of(route: str, verdict: str | None) -> tuple[str, list[str]]:
    if verdict is None:
        return "route = ?", [route]
    return "route = ? AND verdict = ?", [route, verdict]


@contextmanager
def _found(connection: Connection, query: str, *values: object) -> Iterator[Iterator[KeptPair]]:
    """Pairs with their documents as bytes, read as they are asked for."""
    with closing(connection.execute(query, values)) as cursor:
        yield (_pair(*row) for row in cursor)


def _pair(
    id_: int, route: str, stable: str, shadow: str, verdict: str, time_s: float, document: bytes
) -> KeptPair:
    return KeptPair(
        id=id_,
        route=route,
        stable=stable,
        shadow=shadow,
        verdict=verdict,
        time_s=time_s,
        document=document,
    )
