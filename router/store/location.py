"""Which store a configuration's `store:` means.

    sqlite:///var/lib/router/state.db   a file; what follows `sqlite://` is its absolute path
    sqlite:state.db                     a file in the working directory
    memory:                             gone with the process

Recorded pairs lie beside the state, in `state-pairs.db`: see `router.store.pairs`.

A path is taken as it is: no escapes, no options.  A location is never shown in an error: one that
is mistaken may hold a password.
"""

from pathlib import Path

from router.store.base import Store, StoreError
from router.store.memory import MemoryStore
from router.store.pairs.base import PairStore
from router.store.pairs.memory import MemoryPairStore
from router.store.pairs.sqlite import SqlitePairStore
from router.store.sqlite import SqliteStore


def create_store(location: str) -> Store:
    """The store at a location, not yet open.

    Raises:
        StoreError: there is no such kind of store, or the location names no file.
    """
    if location == "memory:":
        return MemoryStore()
    return SqliteStore(sqlite_file(location))


def create_pair_store(location: str) -> PairStore:
    """The pair store that belongs to the store at a location, not yet open.

    Raises:
        StoreError: see `create_store`.
    """
    if location == "memory:":
        return MemoryPairStore()
    # Resolved first: where the state really lies, there the pairs do.
    state = sqlite_file(location).resolve()
    return SqlitePairStore(state.with_name(f"{state.stem}-pairs{state.suffix or '.db'}"))


def sqlite_file(location: str) -> Path:
    """The file of an SQLite store, for those who read it without opening it for writing.

    Raises:
        StoreError: the location is none of an SQLite file.
    """
    scheme, colon, rest = location.partition(":")
    if scheme in ("postgresql", "postgres") and colon:
        raise StoreError(
            "a PostgreSQL store is not built in yet: use sqlite:///PATH on a disk of this host"
        )
    if scheme != "sqlite" or not colon:
        raise StoreError("a store is sqlite:///ABSOLUTE/PATH, sqlite:PATH or memory:")
    return _file(rest)


def _file(rest: str) -> Path:
    path = rest.removeprefix("//")
    if path != rest and not path.startswith("/"):
        raise StoreError(
            "sqlite:// is followed by an absolute path (three slashes in a row); for a file in "
            "the working directory write sqlite:PATH"
        )
    if not path.strip("/") or path.endswith("/") or "\0" in path:
        raise StoreError("the store's location names no file: sqlite:///ABSOLUTE/PATH")
    if path == ":memory:":
        raise StoreError("a store that is gone with the process is memory:")
    # POSIX gives two leading slashes a meaning of their own; nobody who writes them means that.
    return Path("/" + path.lstrip("/")) if path.startswith("/") else Path(path)
