"""Whether files have been replaced, however it was done.

`stat` follows links, as reading does: Kubernetes swaps one link (`..data`) for all files of a
Secret, and the inode behind each name changes with it.
"""

import os
from collections.abc import Iterable

Stamp = tuple[int, int, int] | None
"""Changed (ns), size, inode; None for a file that is not there."""

Stamps = tuple[Stamp, ...]


def stamps_of(files: Iterable[str]) -> Stamps:
    """What tells two versions of these files apart; never raises."""
    return tuple(_stamp(file) for file in files)


def _stamp(file: str) -> Stamp:
    try:
        found = os.stat(file)  # noqa: PTH116  # follows links, and makes no Path each time
    except (OSError, ValueError):  # a name with a NUL is a ValueError
        return None
    return found.st_mtime_ns, found.st_size, found.st_ino
