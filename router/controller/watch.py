"""Notice that the configuration's files have changed, however they were replaced.

Their folders are watched, not the files: editors and Kubernetes (a ConfigMap is a symlink that is
swapped) replace files.  A change is what `stat` says has changed, so a busy folder wakes us but
reloads nothing, and a look every few seconds makes up for file systems that send no events.
"""

import logging
import os
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping
from pathlib import Path
from typing import Final

import anyio
from watchfiles import awatch

log: Final = logging.getLogger(__name__)

QUIET_MS: Final = 50
"""A change counts when nothing more has happened for so long: a file is written in pieces."""

LOOK_MS: Final = 2_000

Stamp = tuple[int, int, int] | None


def stamps(files: Iterable[str]) -> dict[str, Stamp]:
    """What tells two versions of each file apart; None for one that is not there."""
    return {file: _stamp(file) for file in files}


async def watch(
    files: Callable[[], Iterable[str]],
    on_change: Callable[[], Awaitable[bool]],
    seen: Mapping[str, Stamp],
) -> None:
    """Call back whenever one of the files differs from what was `seen`; until cancelled.

    `on_change` says whether that was dealt with: if not, it is called again at the next look, in
    `LOOK_MS` at the latest.  `files` is asked again after every change, because a configuration
    names other files.
    """
    known = dict(seen)
    while True:
        folders = _folders(files())
        async for _ in _wakes(folders):
            now = stamps(files())
            if None not in now.values() and any(known.get(f, s) != s for f, s in now.items()):
                if not await on_change():
                    continue
                known = now
                if _folders(files()) != folders:
                    break
            known = stamps(files()) | known


async def _wakes(folders: set[str]) -> AsyncIterator[None]:
    yield  # something may have happened before
    try:
        async for _ in awatch(
            *folders,
            watch_filter=None,
            step=QUIET_MS,
            rust_timeout=LOOK_MS,
            yield_on_timeout=True,
            recursive=False,
        ):
            yield
    except OSError as error:
        log.warning("no file events (%s): looking every %d ms", error, LOOK_MS)
    while True:
        await anyio.sleep(LOOK_MS / 1000)
        yield


def _folders(files: Iterable[str]) -> set[str]:
    both = (path for file in files for path in (Path(file).absolute(), Path(file).resolve()))
    return {str(path.parent) for path in both if path.parent.is_dir()}


def _stamp(file: str) -> Stamp:
    try:
        found = os.stat(file)  # noqa: PTH116 - follows symlinks, as reading does
    except OSError:
        return None
    return found.st_mtime_ns, found.st_size, found.st_ino
