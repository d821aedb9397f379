"""`audit`: the trail from a server, and its verification with and without one."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import anyio
import pytest

from router.audit.entry import SYSTEM, Actor, Draft
from router.store.base import Commit
from router.store.sqlite import SqliteStore
from tests.support.admin_api import CannedApi, canned_api, run

HASH = "0123456789abcdef" * 4


@pytest.fixture
def api() -> Iterator[CannedApi]:
    with canned_api() as api:
        yield api


def entry(sequence: int, **more: Any) -> dict[str, Any]:
    told = {
        "sequence": sequence,
        "time": 1_790_000_000.5,
        "actor": {"name": "alice", "role": "operator", "address": "10.1.1.1"},
        "action": "weights.set",
        "route": "chat",
        "reason": "try v2",
        "before": {"weights": {"v1": 100}},
        "after": {"weights": {"v1": 95, "v2": 5}},
        "generation": 12,
        "evidence": None,
        "previous": HASH,
        "hash": HASH,
    }
    return told | more


def test_the_trail_is_listed_with_who_what_why(api: CannedApi) -> None:
    system = {"name": "controller", "role": "system", "address": ""}
    expired = entry(5, actor=system, action="weights.expire", reason="", before=None, after=None)
    api.answer("GET", "/audit", {"entries": [expired, entry(4)], "next": None})
    result = run(api, "audit", "list")
    assert (result.exit_code, result.stderr) == (0, "")
    assert [" ".join(line.split()) for line in result.stdout.splitlines()[2:]] == [
        "5 2026-09-21 14:13:20Z controller (system) weights.expire chat 12",
        "4 2026-09-21 14:13:20Z alice (operator) from 10.1.1.1 weights.set chat 12 "
        "v1 100 % → 95 %, v2 0 % → 5 % try v2",
    ]


def test_an_entry_is_one_line_whatever_its_reason_holds(api: CannedApi) -> None:
    api.answer("GET", "/audit", {"entries": [entry(4, reason="a\n5  forged\x1b[1A")]})
    lines = run(api, "audit", "list").stdout.splitlines()
    assert len(lines) == 3
    assert lines[2].endswith(r"a\n5  forged\u001b[1A")


def test_every_filter_reaches_the_server(api: CannedApi) -> None:
    api.answer("GET", "/audit", {"entries": []})
    filters = ("--route", "chat", "--action", "rollback", "--actor", "ci", "--limit", "7")
    run(api, "audit", "list", *filters, "--after", "3")
    assert api.calls[0].path == "/api/v1/audit?route=chat&action=rollback&actor=ci&after=3&limit=7"


@pytest.mark.parametrize(
    ("arguments", "hint"), [((), "--before 4"), (("--after", "3"), "--after 4")]
)
def test_a_page_says_how_to_see_the_next_one(
    api: CannedApi, arguments: tuple[str, ...], hint: str
) -> None:
    api.answer("GET", "/audit", {"entries": [entry(4)], "next": 4})
    assert run(api, "audit", "list", *arguments).stderr == f"there are more: {hint}\n"


def test_programs_get_the_page_as_it_came(api: CannedApi) -> None:
    page = {"entries": [entry(4)], "next": 4}
    api.answer("GET", "/audit", page)
    result = run(api, "audit", "list", "-o", "json")
    assert (json.loads(result.stdout), result.stderr) == (page, "")


def test_a_sound_trail_is_exit_0_with_an_anchor_to_keep(api: CannedApi) -> None:
    api.answer(
        "GET", "/audit/verify", {"ok": True, "entries": 4, "head": {"sequence": 4, "hash": HASH}}
    )
    result = run(api, "audit", "verify")
    assert result.exit_code == 0
    assert result.stdout == (
        f"ok: the whole trail is what was written (entries: 4)\nanchor 4:{HASH}\n"
    )


def test_a_trail_that_was_tampered_with_is_exit_1_and_names_the_first_bad_entry(
    api: CannedApi,
) -> None:
    bad = {"sequence": 3, "kind": "edited", "problem": "entry 3 was edited"}
    verdict = {"ok": False, "entries": 2, "head": None, "firstBad": bad}
    api.answer("GET", "/audit/verify", verdict)
    result = run(api, "audit", "verify")
    assert (result.exit_code, result.stdout) == (1, "")
    assert result.stderr.splitlines()[0] == "entry 3 was edited"
    as_json = run(api, "audit", "verify", "-o", "json")
    assert (as_json.exit_code, json.loads(as_json.stdout)) == (1, verdict)


# -- without a server --------------------------------------------------------------------------


@pytest.fixture
def store(tmp_path: Path) -> Path:
    """A store's file with three entries, which no process has open."""
    file = tmp_path / "state.db"

    async def write() -> None:
        store = SqliteStore(file)
        await store.open()
        drafts = [
            Draft(time_s=1.0, actor=SYSTEM, action="config.load"),
            Draft(time_s=2.0, actor=Actor("alice", "admin"), action="rollback", reason="errors"),
            Draft(time_s=3.0, actor=SYSTEM, action="config.load"),
        ]
        await store.commit(Commit(revision=0, entries=drafts))
        await store.close()

    anyio.run(write)
    return file


def tamper(file: Path, statement: str) -> None:
    """As somebody with the file and no honesty: the triggers go first."""
    with closing(sqlite3.connect(file)) as connection:
        triggers = connection.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'")
        for (name,) in triggers.fetchall():
            connection.execute(f"DROP TRIGGER {name}")
        connection.execute(statement)
        connection.commit()


def verify(file: Path, *arguments: str) -> tuple[int, Any]:
    with canned_api() as nobody:
        result = run(nobody, "audit", "verify", "--store", f"sqlite:{file}", *arguments)
        assert nobody.calls == []
    return result.exit_code, result


def anchor(file: Path, sequence: int) -> str:
    with closing(sqlite3.connect(file)) as connection:
        query = "SELECT hash FROM audit WHERE sequence = ?"
        [hash_] = connection.execute(query, (sequence,)).fetchone()
    return f"{sequence}:{hash_}"


def test_a_stores_file_is_verified_without_a_server(store: Path) -> None:
    code, result = verify(store)
    assert code == 0
    assert result.stdout == (
        f"ok: the whole trail is what was written (entries: 3)\nanchor {anchor(store, 3)}\n"
    )


@pytest.mark.parametrize("scheme", ["sqlite:", "sqlite://"])
def test_a_store_is_named_as_in_the_configuration(store: Path, scheme: str) -> None:
    with canned_api() as nobody:
        assert run(nobody, "audit", "verify", "--store", f"{scheme}{store}").exit_code == 0


@pytest.mark.parametrize(
    ("statement", "sequence", "kind"),
    [
        ("UPDATE audit SET draft = replace(draft, 'errors', 'nothing')", 2, "edited"),
        ("DELETE FROM audit WHERE sequence = 2", 2, "missing"),
        ("DELETE FROM audit WHERE sequence = 3", 3, "cutOff"),
    ],
)
def test_an_edited_file_is_exit_1_in_the_words_of_the_api(
    store: Path, statement: str, sequence: int, kind: str
) -> None:
    tamper(store, statement)
    code, result = verify(store, "-o", "json")
    document = json.loads(result.stdout)
    assert (code, document["ok"], document["entries"]) == (1, False, sequence - 1)
    assert document["firstBad"]["sequence"] == sequence
    assert document["firstBad"]["kind"] == kind
    assert document["firstBad"]["problem"].startswith(f"entry {sequence} ")


def test_an_anchor_finds_a_trail_that_was_written_anew(store: Path) -> None:
    good, other = anchor(store, 2), f"2:{HASH}"
    assert verify(store, "--anchor", good)[0] == 0
    code, result = verify(store, "--anchor", good, "--anchor", other)
    assert code == 1
    assert "entry 2 has another hash than was recorded apart" in result.stderr


def test_a_file_that_is_no_store_is_exit_1(tmp_path: Path) -> None:
    (tmp_path / "not.db").write_bytes(b"nonsense" * 1000)
    code, result = verify(tmp_path / "not.db", "-o", "json")
    assert code == 1
    assert json.loads(result.stdout)["type"] == "urn:inference-router:client:store"
    assert str(tmp_path / "not.db") in result.stderr


def test_a_file_that_is_not_there_is_exit_1_and_is_not_made(tmp_path: Path) -> None:
    code, result = verify(tmp_path / "none.db")
    assert code == 1
    assert str(tmp_path / "none.db") in result.stderr
    assert not (tmp_path / "none.db").exists()


@pytest.mark.parametrize(
    "arguments",
    [
        ("--store", "state.db"),
        ("--store", "memory:"),
        ("--store", "sqlite:"),
        ("--store", "sqlite:x", "--anchor", "nonsense"),
        ("--anchor", f"2:{HASH}"),
    ],
)
def test_options_that_do_not_fit_are_exit_2(api: CannedApi, arguments: tuple[str, ...]) -> None:
    assert run(api, "audit", "verify", *arguments).exit_code == 2
    assert api.calls == []


def test_audit_alone_shows_its_commands(api: CannedApi) -> None:
    result = run(api, "audit")
    assert result.exit_code == 2
    assert "verify" in result.output
