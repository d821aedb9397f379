"""What a configuration's `store:` means."""

from __future__ import annotations

from pathlib import Path

import pytest

from router.store import create_store
from router.store.base import StoreError
from router.store.memory import MemoryStore
from router.store.sqlite import SqliteStore


@pytest.mark.parametrize(
    ("location", "path"),
    [
        ("sqlite:///var/lib/router/state.db", "/var/lib/router/state.db"),
        ("sqlite:////var/lib/router/state.db", "/var/lib/router/state.db"),
        ("sqlite:/var/lib/state.db", "/var/lib/state.db"),
        ("sqlite:///a%20b?c#d.db", "/a%20b?c#d.db"),
    ],
)
def test_a_location_names_a_file(location: str, path: str) -> None:
    store = create_store(location)
    assert isinstance(store, SqliteStore)
    assert store.path == Path(path)


def test_a_path_without_a_slash_lies_in_the_working_directory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    store = create_store("sqlite:folder/state.db")
    assert isinstance(store, SqliteStore)
    assert store.path == tmp_path / "folder" / "state.db"


def test_a_store_may_live_in_memory() -> None:
    assert isinstance(create_store("memory:"), MemoryStore)


@pytest.mark.parametrize(
    ("location", "remedy"),
    [
        ("postgresql://admin:hunter2@db/router", "not built in yet: use sqlite:///"),
        ("postgres://admin:hunter2@db/router", "not built in yet: use sqlite:///"),
        ("mysql://admin:hunter2@db/router", "a store is sqlite:///"),
        ("hunter2", "a store is sqlite:///"),
        ("", "a store is sqlite:///"),
        ("sqlite", "a store is sqlite:///"),
        ("sqlite://hunter2/state.db", "three slashes"),
        ("sqlite:", "names no file"),
        ("sqlite://", "three slashes"),
        ("sqlite:///", "names no file"),
        ("sqlite:///var/lib/", "names no file"),
        ("sqlite::memory:", "memory:"),
    ],
)
def test_any_other_location_is_refused_with_a_remedy_and_never_shown(
    location: str, remedy: str
) -> None:
    with pytest.raises(StoreError, match=remedy) as refused:
        create_store(location)
    assert "hunter2" not in str(refused.value)
