"""A control that does nothing but commit until it is killed.

`python -m tests.store.committer FILE`

Prints each revision once its commit has returned.  Commit number n is everything that can be
derived from n, so whoever reads the store later can tell a whole change from a half one.
"""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

from router.audit.entry import SYSTEM, Draft
from router.snapshot import FULL, Snapshot
from router.store.base import Commit, RequestKey, Run
from router.store.sqlite import SqliteStore
from tests.store.commits import state, table

ROUTES = 60
"""Enough rows for a commit of many pages: a kill may fall between two of them."""


def canary_bp(revision: int, route: int) -> int:
    """What commit `revision` gives to a route's canary."""
    return (revision * 7 + route) % FULL


def table_of(revision: int) -> Snapshot:
    """The table that commit `revision` publishes."""
    return table(revision, **{f"r{n}": canary_bp(revision, n) for n in range(ROUTES)})


def commit_of(revision: int) -> Commit:
    """The commit that makes `revision`."""
    return Commit(
        revision=revision - 1,
        snapshot=table_of(revision),
        states={f"r{n}": state(canary_bp(revision, n)) for n in range(ROUTES)},
        entries=[
            Draft(
                time_s=float(revision), actor=SYSTEM, action="step", route=f"r{n}", after=revision
            )
            for n in range(3)
        ],
        runs=[Run(id=f"run-{revision}", route="r0", phase="Running", started_s=float(revision))],
        key=RequestKey("ci", f"key-{revision}", "digest"),
    )


async def main(path: Path) -> None:
    """Go on where the last one was killed."""
    store = SqliteStore(path)
    await store.open()
    revision = (await store.read()).revision
    while True:
        revision += 1
        await store.commit(commit_of(revision))
        print(revision, flush=True)


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1])))
