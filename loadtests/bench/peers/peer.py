"""What every peer has, and where its package is."""

import importlib.metadata
from pathlib import Path
from typing import Final, Protocol

from loadtests.bench.proxies import REPOSITORY, Proxy

REMEDY: Final = "make .venv-peers/.installed"
ABSENT: Final = "not installed"

_HOME: Final = REPOSITORY / ".venv-peers"


class Peer(Proxy, Protocol):
    """A proxy that also tells its version: figures without one age badly."""

    def version(self) -> str:
        """Return the version that is installed, or say that none is."""
        ...


def executable(name: str) -> str:
    """Return the path of a peer's program in the peers' virtual environment."""
    return str(_HOME / "bin" / name)


def package_version(package: str, home: Path = _HOME) -> str:
    """Return the version of a Python package in the peers' virtual environment."""
    folders = [str(folder) for folder in home.glob("lib/python3*/site-packages")]
    found = importlib.metadata.distributions(name=package, path=folders)
    return next((each.version for each in found), ABSENT)
