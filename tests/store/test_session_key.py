"""The key of the console's sessions: one for a store, its owner's only, and never a hindrance."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest

from router.store.session_key import KEY_BYTES, session_key


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "state-session.key"


@pytest.fixture
def location(tmp_path: Path) -> str:
    return f"sqlite://{tmp_path}/state.db"


def test_a_store_has_one_key_that_outlives_control(location: str, file: Path) -> None:
    key = session_key(location)
    assert len(key) == KEY_BYTES
    assert session_key(location) == key
    assert file.read_bytes() == key


def test_two_stores_have_two_keys(location: str, tmp_path: Path) -> None:
    assert session_key(location) != session_key(f"sqlite://{tmp_path}/other.db")


def test_another_name_of_a_store_has_the_same_key(location: str, tmp_path: Path) -> None:
    (tmp_path / "state.db").touch()
    (tmp_path / "name.db").symlink_to(tmp_path / "state.db")
    assert session_key(f"sqlite://{tmp_path}/name.db") == session_key(location)


def test_memory_has_a_new_one_each_time() -> None:
    assert session_key("memory:") != session_key("memory:")


def test_the_file_is_its_owner_s_only_also_one_that_was_open(location: str, file: Path) -> None:
    session_key(location)
    assert file.stat().st_mode & 0o777 == 0o600
    file.chmod(0o664)
    session_key(location)
    assert file.stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("content", [b"", b"short", b"x" * (KEY_BYTES + 1)])
def test_what_is_no_key_is_replaced(location: str, file: Path, content: bytes) -> None:
    file.write_bytes(content)
    key = session_key(location)
    assert file.read_bytes() == key != content
    assert session_key(location) == key
    assert [*file.parent.iterdir()] == [file]


def test_a_link_in_its_place_is_not_followed(
    location: str, file: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    other = tmp_path / "known-to-others"
    other.write_bytes(b"k" * KEY_BYTES)
    other.chmod(0o644)
    file.symlink_to(other)
    assert session_key(location) != b"k" * KEY_BYTES
    assert other.read_bytes() == b"k" * KEY_BYTES
    assert other.stat().st_mode & 0o777 == 0o644
    assert str(file) in caplog.text


def test_where_nothing_can_be_written_the_key_lives_as_long_as_the_process(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING):
        key = session_key(f"sqlite://{tmp_path}/not/there/state.db")
    assert len(key) == KEY_BYTES
    assert "log in to the console again" in caplog.text
    assert key.hex() not in caplog.text
