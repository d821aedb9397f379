"""A link in the place of the lock leads nowhere."""

from __future__ import annotations

from pathlib import Path

import pytest

from router.store.base import StoreUnavailableError
from router.store.file import OwnedFile
from router.store.lock import FileLock
from router.store.schema import STATE


def test_a_lock_that_is_a_link_is_not_followed(tmp_path: Path) -> None:
    precious = tmp_path / "precious"
    precious.write_text("kept")
    (tmp_path / "state.db.lock").symlink_to(precious)
    with pytest.raises(OSError, match="symbolic links"):
        FileLock(tmp_path / "state.db").acquire()
    assert precious.read_text() == "kept"


def test_a_store_beside_such_a_link_is_refused_and_says_what_to_do(tmp_path: Path) -> None:
    (tmp_path / "state.db.lock").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(StoreUnavailableError, match="let this user own"):
        OwnedFile(tmp_path / "state.db", STATE).open()
    assert not (tmp_path / "elsewhere").exists()
