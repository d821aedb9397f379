"""Kill -9 at any moment, or a lost end of the log, leaves whole batches: the oldest of them."""

from __future__ import annotations

import random
import shutil
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

from router.store.pairs.sqlite import SqlitePairStore
from tests.store.kept import streamed
from tests.store.pair_keeper import PAIRS, RETENTION, batch_of, keep_batch

pytestmark = pytest.mark.anyio

KILLS = 10
ROOT = Path(__file__).parents[2]


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "state-pairs.db"


def keep_until_killed(file: Path, draw: random.Random) -> int:
    """Let a process keep pairs and kill it; the last batch that it has acknowledged, or 0."""
    command = [sys.executable, "-m", "tests.store.pair_keeper", str(file)]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as control:
        assert control.stdout is not None
        # It does not wait for us: after so many lines it is anywhere in some later batch.
        told = [control.stdout.readline() for _ in range(draw.randint(1, 15))]
        for _ in range(draw.randrange(200_000)):
            pass
        control.kill()
        told += control.stdout.readlines()
    whole = [int(line) for line in told if line.endswith("\n")]
    return max(whole, default=0)


def contents(file: Path) -> bytes:
    return file.read_bytes()


async def whole_batches(file: Path) -> int:
    """The newest batch that a file has; all of it, and of those before it what is kept."""
    store = SqlitePairStore(file)
    await store.open()
    newest: int = (await store.tallies()).get("chat", 0)
    found = [pair.document for pair in await streamed(store)]
    await store.close()
    oldest = max(1, newest - RETENTION["chat"].max_pairs // PAIRS + 1)
    expected = [pair for number in range(oldest, newest + 1) for pair in batch_of(number)]
    assert found == [pair.document for pair in expected]
    with closing(sqlite3.connect(file)) as shell:
        assert shell.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        counted = shell.execute(
            "SELECT route, count(*), sum(length(document)) FROM pairs"
        ).fetchone()
        if newest:
            assert shell.execute("SELECT * FROM totals").fetchall() == [counted]
    return newest


async def test_a_killed_control_leaves_whole_batches_all_that_it_has_acknowledged(
    file: Path,
) -> None:
    draw = random.Random(20_261)
    last = 0
    for _ in range(KILLS):
        acknowledged = keep_until_killed(file, draw)
        assert acknowledged > last
        last = await whole_batches(file)
        assert last >= acknowledged


async def test_a_log_that_lost_its_end_leaves_the_oldest_batches_whole(file: Path) -> None:
    """As a power cut may leave it: with synchronous=NORMAL the log is not yet on the disk."""
    store = SqlitePairStore(file)
    await store.open()
    for number in range(1, 6):
        await keep_batch(store, number)
    log, main = contents(file.with_name(f"{file.name}-wal")), contents(file)
    await store.close()
    draw = random.Random(20_262)
    found = set()
    for cut in [0, len(log), *(draw.randrange(len(log)) for _ in range(20))]:
        left = file.parent / "left"
        left.mkdir()
        (left / file.name).write_bytes(main)
        (left / f"{file.name}-wal").write_bytes(log[:cut])
        found.add(await whole_batches(left / file.name))
        shutil.rmtree(left)
    assert {0, 5} < found
