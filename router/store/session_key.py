"""The key that signs the console's sessions: 32 random bytes in a file beside the store.

Beside it and not in it: whoever reads the state, or the configuration with its digests of tokens,
can forge no session with what is there.  It outlives control, so that nobody has to log in again
because control was restarted; to end all sessions at once, remove the file and restart control.
"""

import logging
import os
import secrets
from pathlib import Path
from typing import Final

from router.store.location import sqlite_file

log: Final = logging.getLogger(__name__)

KEY_BYTES: Final = 32


def session_key(location: str) -> bytes:
    """The key that belongs to the store at a location; one is made where there is none.

    A store that is no file of this host (`memory:`) has a new one each time.  A file that cannot be
    read or written is no reason not to start: then the key lives as long as the process, and the
    log says why.
    """
    if not location.startswith("sqlite:"):
        return secrets.token_bytes(KEY_BYTES)
    state = sqlite_file(location).resolve()
    file = state.with_name(f"{state.stem}-session.key")
    try:
        return _read(file) or _make(file)
    except OSError as error:
        log.warning(
            "%s: %s: people log in to the console again after each restart of control; let this "
            "user own the folder",
            file,
            error.strerror,
        )
        return secrets.token_bytes(KEY_BYTES)


def _read(file: Path) -> bytes | None:
    """None: there is none, or what is there is no key."""
    try:
        # No link is followed: it could lead to a file that others know.
        descriptor = os.open(file, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK)
    except FileNotFoundError:
        return None
    try:
        os.fchmod(descriptor, 0o600)
        key = os.read(descriptor, KEY_BYTES + 1)
    finally:
        os.close(descriptor)
    return key if len(key) == KEY_BYTES else None


def _make(file: Path) -> bytes:
    """Whole or not at all: a key that was cut off by a crash would be none."""
    key = secrets.token_bytes(KEY_BYTES)
    new = file.with_name(f"{file.name}.{secrets.token_hex(4)}")
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
    descriptor = os.open(new, flags, 0o600)
    try:
        os.write(descriptor, key)
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
    new.replace(file)
    return key
