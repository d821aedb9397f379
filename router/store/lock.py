"""One process at a time: an advisory lock on a file beside the store.

The kernel lets go of it when the process ends, however it ends, so nothing is ever stale.  The
file itself stays: to remove it would let two processes lock two files of one name.
"""

import fcntl
import os
from pathlib import Path

from router.store.base import StoreInUseError


class FileLock:
    """Held from `acquire` to `release`; `path` is the file that it guards."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._descriptor: int | None = None

    def acquire(self) -> None:
        """Take it.

        Raises:
            StoreInUseError: another process has it.
            OSError: the lock file cannot be made.
        """
        file = self._path.with_name(f"{self._path.name}.lock")
        # No link is followed: whoever may write to the folder could have another file emptied.
        descriptor = os.open(file, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            holder = os.pread(descriptor, 32, 0).decode(errors="replace").strip()
            os.close(descriptor)
            if not isinstance(error, BlockingIOError):
                raise
            raise StoreInUseError(
                f"{self._path} is in use by process {holder or '?'}: end that one, or give this "
                "router another store"
            ) from None
        self._descriptor = descriptor
        os.truncate(descriptor, 0)
        os.pwrite(descriptor, f"{os.getpid()}\n".encode(), 0)

    def release(self) -> None:
        """Let go of it; twice is once."""
        descriptor, self._descriptor = self._descriptor, None
        if descriptor is not None:
            os.close(descriptor)
