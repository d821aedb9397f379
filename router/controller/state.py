"""What is recorded about routes, beside the configuration: the port to the store."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol

from router.config import RouteState
from router.errors import RouterError


class StaleGenerationError(RouterError):
    """Somebody else has committed a generation in the meantime; nothing was written."""


@dataclass(frozen=True, slots=True)
class Record:
    """Roles and weights of every route, as of one generation."""

    generation: int = 0
    states: Mapping[str, RouteState] = field(default_factory=dict)


class StateStore(Protocol):
    """Where the record outlives control."""

    async def read(self) -> Record:
        """The newest record."""
        ...

    async def commit(self, base: int, record: Record) -> None:
        """Replace the record of generation `base`, whole or not at all.

        Raises:
            StaleGenerationError: generation `base` is not the newest; nothing was written.
        """
        ...


class MemoryStore:
    """A record that lives as long as control: weights are those of the configuration."""

    def __init__(self) -> None:
        self._record = Record()

    async def read(self) -> Record:
        """See `StateStore`."""
        return self._record

    async def commit(self, base: int, record: Record) -> None:
        """See `StateStore`."""
        if base != self._record.generation:
            raise StaleGenerationError(
                f"generation {base} is not the newest, {self._record.generation} is"
            )
        self._record = record
