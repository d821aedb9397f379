"""The tables of a file of pairs; see `router.store.schema`."""

from typing import Final

from router.store.schema import Format, Step

_FIRST: Final[Step] = (
    """
    CREATE TABLE pairs (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        route TEXT NOT NULL,
        stable TEXT NOT NULL,
        shadow TEXT NOT NULL,
        verdict TEXT NOT NULL,
        time_s REAL NOT NULL,
        bytes INTEGER NOT NULL,
        document BLOB NOT NULL
    ) STRICT
    """,
    # An index ends in the rowid, which is `id`: these are (route, id) and (route, verdict, id).
    "CREATE INDEX pairs_by_route ON pairs (route)",
    "CREATE INDEX pairs_by_verdict ON pairs (route, verdict)",
    "CREATE INDEX pairs_by_time ON pairs (route, time_s)",
    # What a route has in `pairs`: counted along, so that nobody has to count.
    """
    CREATE TABLE totals (
        route TEXT PRIMARY KEY,
        pairs INTEGER NOT NULL,
        bytes INTEGER NOT NULL
    ) STRICT, WITHOUT ROWID
    """,
    "CREATE TABLE tallies (route TEXT PRIMARY KEY, tally BLOB NOT NULL) STRICT",
)

PAIRS: Final = Format(
    application_id=0x49525052,  # `IRPR`
    migrations=(_FIRST,),
    pragmas=(
        # Pages that a prune has freed can be given back a few at a time.
        "auto_vacuum = INCREMENTAL",
        # A commit does not wait for the disk: a power cut may take the newest batches, whole.
        "synchronous = NORMAL",
        # A write-ahead log that one large batch has blown up is cut back to so many bytes.
        "journal_size_limit = 16777216",
    ),
)
