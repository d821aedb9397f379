"""Files that change, in all the ways in which people and tools change them."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from router.controller.watch import stamps, watch

pytestmark = pytest.mark.anyio

DEADLINE_S = 10.0


class Watched:
    """Counts the changes that were noticed."""

    def __init__(self, *files: Path) -> None:
        self.files = [str(file) for file in files]
        self.texts: list[str] = []
        self.noticed = asyncio.Event()
        self.fails = 0

    async def on_change(self) -> bool:
        if self.fails:
            self.fails -= 1
            return False
        self.texts.append(Path(self.files[0]).read_text())  # noqa: ASYNC240  # a few bytes
        self.noticed.set()
        return True

    async def wait_noticed(self) -> str:
        async with asyncio.timeout(DEADLINE_S):
            await self.noticed.wait()
        self.noticed.clear()
        return self.texts[-1]


@asynccontextmanager
async def watching(*files: Path) -> AsyncIterator[Watched]:
    watched = Watched(*files)
    seen = stamps(watched.files[:1])
    task = asyncio.create_task(watch(lambda: watched.files, watched.on_change, seen))
    await asyncio.sleep(0.2)  # until the folders are watched; a change before would be seen later
    try:
        yield watched
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


def write_in_place(file: Path, text: str) -> None:
    file.write_text(text)


def replace_as_editors_do(file: Path, text: str) -> None:
    other = file.with_suffix(".tmp")
    other.write_text(text)
    other.rename(file)


def keep_a_backup(file: Path, text: str) -> None:
    file.rename(file.with_suffix(".bak"))
    file.write_text(text)


@pytest.mark.parametrize("change", [write_in_place, replace_as_editors_do, keep_a_backup])
async def test_a_change_is_noticed_however_it_is_written(
    tmp_path: Path, change: Callable[[Path, str], None]
) -> None:
    file = tmp_path / "router.yaml"
    file.write_text("old")
    async with watching(file) as watched:
        change(file, "newer")
        assert await watched.wait_noticed() == "newer"
        change(file, "the newest")
        assert await watched.wait_noticed() == "the newest"


async def test_a_change_that_could_not_be_dealt_with_is_told_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("router.controller.watch.LOOK_MS", 100)
    file = tmp_path / "router.yaml"
    file.write_text("old")
    async with watching(file) as watched:
        watched.fails = 2
        write_in_place(file, "newer")
        assert await watched.wait_noticed() == "newer"
        await asyncio.sleep(0.3)  # three more looks
        assert watched.texts == ["newer"]


async def test_a_config_map_that_is_swapped_is_noticed(tmp_path: Path) -> None:
    def publish(name: str, text: str) -> None:
        (tmp_path / name).mkdir()
        (tmp_path / name / "router.yaml").write_text(text)
        (tmp_path / "..data_tmp").symlink_to(name)
        (tmp_path / "..data_tmp").rename(tmp_path / "..data")

    publish("..2026_01", "old")
    file = tmp_path / "router.yaml"
    file.symlink_to("..data/router.yaml")
    async with watching(file) as watched:
        publish("..2026_02", "newer")
        assert await watched.wait_noticed() == "newer"


async def test_a_busy_folder_reloads_nothing(tmp_path: Path) -> None:
    file = tmp_path / "router.yaml"
    file.write_text("old")
    async with watching(file) as watched:
        for number in range(20):
            (tmp_path / "state.db").write_text(str(number))
            await asyncio.sleep(0.01)
        await asyncio.sleep(0.2)
        assert watched.texts == []


async def test_a_file_that_the_configuration_names_is_watched_too(tmp_path: Path) -> None:
    file = tmp_path / "router.yaml"
    other = tmp_path / "analysis" / "template.yaml"
    file.write_text("old")
    other.parent.mkdir()
    other.write_text("old")
    async with watching(file, other) as watched:
        other.write_text("newer")
        assert await watched.wait_noticed() == "old"


async def test_a_file_that_is_gone_is_left_alone_until_it_is_back(tmp_path: Path) -> None:
    file = tmp_path / "router.yaml"
    file.write_text("old")
    async with watching(file) as watched:
        file.unlink()
        await asyncio.sleep(0.3)
        assert watched.texts == []
        file.write_text("back")
        assert await watched.wait_noticed() == "back"


async def test_a_change_between_the_first_load_and_the_watch_is_not_lost(tmp_path: Path) -> None:
    file = tmp_path / "router.yaml"
    file.write_text("old")
    watched = Watched(file)
    seen = stamps(watched.files)
    file.write_text("changed meanwhile")
    task = asyncio.create_task(watch(lambda: watched.files, watched.on_change, seen))
    assert await watched.wait_noticed() == "changed meanwhile"
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


async def test_without_file_events_changes_are_found_by_looking(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_events(*_: object, **__: object) -> None:
        raise OSError("inotify limit reached")

    monkeypatch.setattr("router.controller.watch.awatch", no_events)
    monkeypatch.setattr("router.controller.watch.LOOK_MS", 20)
    file = tmp_path / "router.yaml"
    file.write_text("old")
    async with watching(file) as watched:
        os.utime(file, (1, 1))
        assert await watched.wait_noticed() == "old"
