"""Kill -9 at any moment loses no acknowledged change and leaves no half one."""

from __future__ import annotations

import random
import subprocess
import sys
from pathlib import Path

import pytest

from router.store import verify_trail
from router.store.sqlite import SqliteStore
from tests.store.commits import state
from tests.store.committer import ROUTES, canary_bp, table_of

pytestmark = pytest.mark.anyio

KILLS = 15
ROOT = Path(__file__).parents[2]


def commit_until_killed(database: Path, draw: random.Random) -> int:
    """Let a process commit and kill it; the last revision that it has acknowledged, or 0."""
    command = [sys.executable, "-m", "tests.store.committer", str(database)]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as control:
        assert control.stdout is not None
        # It does not wait for us: after so many lines it is anywhere in some later commit.
        told = [control.stdout.readline() for _ in range(draw.randint(1, 40))]
        for _ in range(draw.randrange(200_000)):
            pass
        control.kill()
        told += control.stdout.readlines()
    whole = [int(line) for line in told if line.endswith("\n")]
    return max(whole, default=0)


async def check_that_nothing_is_half(store: SqliteStore, acknowledged: int) -> None:
    record = await store.read()
    revision = record.revision
    assert revision >= acknowledged
    assert record.snapshot == table_of(revision)
    assert record.states == {f"r{n}": state(canary_bp(revision, n)) for n in range(ROUTES)}
    verdict = await verify_trail(store)
    assert verdict.fault is None
    assert verdict.entries == 3 * revision
    assert [entry.after for entry in await store.entries(limit=3)] == [revision] * 3
    (newest,) = await store.generations(limit=1)
    assert (newest.number, newest.routes_changed) == (revision, ROUTES)
    assert newest.entries == (3 * revision - 2, 3 * revision - 1, 3 * revision)
    (run,) = await store.runs(limit=1)
    assert run.id == f"run-{revision}"
    assert await store.find_request("ci", f"key-{revision}") is not None
    assert await store.find_request("ci", f"key-{revision + 1}") is None


async def test_a_killed_control_loses_nothing_that_it_has_acknowledged(database: Path) -> None:
    draw = random.Random(20_260)
    last = 0
    for _ in range(KILLS):
        acknowledged = commit_until_killed(database, draw)
        assert acknowledged > last
        last = acknowledged
        store = SqliteStore(database)
        await store.open()
        await check_that_nothing_is_half(store, acknowledged)
        await store.close()
