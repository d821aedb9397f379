"""Whatever is done to the audit table behind the router's back, the verifier names the first
place where it was done."""

from __future__ import annotations

import hashlib
import json
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from router.audit.chain import FaultKind, Verdict, chain, read_anchor
from router.store import verify_trail
from router.store.base import Commit
from router.store.codec import encode_draft
from router.store.sqlite import SqliteReader, SqliteStore
from tests.store.commits import draft

pytestmark = pytest.mark.anyio

LENGTH = 700
"""More than two blocks of a stream."""


@pytest.fixture
async def trail(database: Path) -> Path:
    """A file with a trail, its router gone, its triggers dropped."""
    store = SqliteStore(database)
    await store.open()
    for revision in range(7):
        await store.commit(
            Commit(revision=revision, entries=[draft(reason=f"r{n}") for n in range(100)])
        )
    await store.close()
    with closing(sqlite3.connect(database)) as shell:
        for (name,) in shell.execute("SELECT name FROM sqlite_schema WHERE type = 'trigger'"):
            shell.execute(f"DROP TRIGGER {name}")
    return database


async def verified(database: Path, anchor: str | None = None) -> Verdict:
    reader = SqliteReader(database)
    await reader.open()
    try:
        return await verify_trail(reader, [read_anchor(anchor)] if anchor else [])
    finally:
        await reader.close()


def tamper(database: Path, *statements: str) -> None:
    with closing(sqlite3.connect(database)) as shell, shell:
        for statement in statements:
            shell.execute(statement)


async def test_an_untouched_trail_verifies(trail: Path) -> None:
    verdict = await verified(trail)
    assert (verdict.entries, verdict.fault) == (LENGTH, None)


@pytest.mark.parametrize(
    ("statements", "sequence", "kind"),
    [
        (
            ["UPDATE audit SET draft = json_set(draft, '$.reason', 'fine') WHERE sequence = 300"],
            300,
            FaultKind.EDITED,
        ),
        (
            ["UPDATE audit SET draft = json_set(draft, '$.time_s', 1.5) WHERE sequence = 1"],
            1,
            FaultKind.EDITED,
        ),
        (
            [f"UPDATE audit SET hash = '{'0' * 64}' WHERE sequence = {LENGTH}"],
            LENGTH,
            FaultKind.EDITED,
        ),
        (["UPDATE audit SET previous = 'x' WHERE sequence = 2"], 2, FaultKind.REPLACED),
        (["DELETE FROM audit WHERE sequence = 257"], 257, FaultKind.MISSING),
        (["DELETE FROM audit WHERE sequence <= 3"], 1, FaultKind.MISSING),
        (["DELETE FROM audit WHERE sequence >= 650"], 650, FaultKind.CUT_OFF),
        (["DELETE FROM audit"], 1, FaultKind.CUT_OFF),
        (
            [
                "UPDATE audit SET sequence = -1 WHERE sequence = 20",
                "UPDATE audit SET sequence = 20 WHERE sequence = 400",
                "UPDATE audit SET sequence = 400 WHERE sequence = -1",
            ],
            20,
            FaultKind.REPLACED,
        ),
        (["UPDATE audit SET sequence = 0 WHERE sequence = 9"], 1, FaultKind.OUT_OF_ORDER),
        (["UPDATE audit SET sequence = 701 WHERE sequence = 700"], 700, FaultKind.MISSING),
        (
            [
                "DELETE FROM audit WHERE sequence = 600",
                "UPDATE audit SET sequence = sequence - 1 WHERE sequence > 600",
            ],
            600,
            FaultKind.REPLACED,
        ),
        (
            [
                "INSERT INTO audit (sequence, previous, hash, draft)"
                " SELECT 701, hash, hash, draft FROM audit WHERE sequence = 700"
            ],
            701,
            FaultKind.EDITED,
        ),
        (["UPDATE audit SET draft = '{}' WHERE sequence = 300"], 300, FaultKind.UNREADABLE),
        (
            ["UPDATE audit SET draft = json_set(draft, '$.other', 1) WHERE sequence = 300"],
            300,
            FaultKind.UNREADABLE,
        ),
        (
            ["UPDATE audit SET draft = replace(draft, '{', '{ ') WHERE sequence = 5"],
            5,
            FaultKind.UNREADABLE,
        ),
        (
            ["UPDATE newest SET audit_sequence = NULL, audit_hash = NULL"],
            1,
            FaultKind.UNRECORDED,
        ),
        (
            ["UPDATE newest SET audit_sequence = 900"],
            701,
            FaultKind.CUT_OFF,
        ),
    ],
)
async def test_tampering_is_found_where_it_begins(
    trail: Path, statements: list[str], sequence: int, kind: FaultKind
) -> None:
    tamper(trail, *statements)
    found = (await verified(trail)).fault
    assert found is not None
    assert (found.sequence, found.kind) == (sequence, kind)
    assert found.problem.startswith(f"entry {sequence} ")


async def test_the_first_of_two_faults_is_named_though_the_second_cannot_be_read(
    trail: Path,
) -> None:
    tamper(
        trail,
        "UPDATE audit SET draft = json_set(draft, '$.reason', 'fine') WHERE sequence = 10",
        "UPDATE audit SET draft = replace(draft, '{', '{ ') WHERE sequence = 11",
    )
    found = (await verified(trail)).fault
    assert found is not None
    assert found.sequence == 10


async def test_a_trail_that_was_written_anew_with_its_head_is_found_by_an_anchor(
    trail: Path,
) -> None:
    head = (await verified(trail)).head
    forged = chain(None, [draft(reason="all is well") for _ in range(LENGTH)])
    with closing(sqlite3.connect(trail)) as shell, shell:
        shell.executemany(
            "UPDATE audit SET previous = ?, hash = ?, draft = ? WHERE sequence = ?",
            [(e.previous, e.hash, encode_draft(e), e.sequence) for e in forged],
        )
        shell.execute("UPDATE newest SET audit_hash = ?", (forged[-1].hash,))
    assert (await verified(trail)).fault is None
    found = (await verified(trail, anchor=str(head))).fault
    assert found is not None
    assert (found.sequence, found.kind) == (LENGTH, FaultKind.REPLACED)


async def test_the_chain_can_be_checked_with_sql_alone(trail: Path) -> None:
    before = "0" * 64
    with closing(sqlite3.connect(trail)) as shell:
        for sequence, previous, hash_, text in shell.execute(
            "SELECT sequence, previous, hash, draft FROM audit ORDER BY sequence"
        ):
            lines = f"{previous}\n{sequence}\n{text}".encode()
            assert previous == before
            assert hash_ == hashlib.sha256(lines).hexdigest()
            assert json.loads(text)["action"] == "weights.set"
            before = hash_
