"""What should be served: configuration and recorded state become generations.

Every change takes one way, one at a time: compile → commit → publish; whoever asked for it may
then wait until the workers have acknowledged.  A configuration that cannot be used is refused
whole and the old one keeps serving.
"""

import asyncio
import logging
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final, Protocol

from router.config import Config, compile_snapshot
from router.controller.fleet import Fleet
from router.controller.readiness import Readiness
from router.controller.state import MemoryStore, Record, StateStore
from router.errors import ConfigError
from router.link.server import Applied
from router.snapshot import Snapshot
from router.telemetry import families
from router.telemetry.exposition import Scrape
from router.telemetry.recorder import Series

log: Final = logging.getLogger(__name__)


class Publisher(Protocol):
    """The way to the workers."""

    def publish(self, snapshot: Snapshot) -> None:
        """Make this the table that every worker shall serve; returns at once."""

    async def wait_applied(self, generation: int, deadline_s: float) -> Applied:
        """Wait until every worker serves `generation` or a newer one, or time is up."""
        ...


@dataclass(frozen=True, slots=True)
class Reloaded:
    """What became of a reload: the generation in force, and why a file was refused."""

    generation: int
    problem: str | None = None


class ControlPlane:
    """Holds the configuration and the newest snapshot; `start` before anything else."""

    def __init__(
        self, load: Callable[[], Config], fleet: Fleet, store: StateStore | None = None
    ) -> None:
        self.fleet: Final = fleet
        self.snapshot = Snapshot(generation=0)
        self._load: Final = load
        self._store: Final = store or MemoryStore()
        self._publisher: Publisher | None = None
        self._config = Config()
        self._first_config: Config | None = None
        self._changing: Final = asyncio.Lock()
        self._renumbering: set[asyncio.Task[None]] = set()
        self._reloads: Final = {"ok": 0, "refused": 0}
        fleet.when_ahead = self._on_ahead

    @property
    def config(self) -> Config:
        """The configuration in force."""
        return self._config

    async def start(self, publisher: Publisher) -> None:
        """Load and publish the first generation.

        Raises:
            ConfigError: the configuration cannot be used; nothing is served.
        """
        self._publisher = publisher
        config = await asyncio.to_thread(self._load)
        self._first_config = config
        async with self._changing:
            await self._advance(config)
        self._reloads["ok"] += 1

    async def reload(self) -> Reloaded:
        """Read the configuration again; one that cannot be used changes nothing."""
        async with self._changing:
            try:
                config = await asyncio.to_thread(self._load)
                await self._advance(config)
            except ConfigError as error:
                self._reloads["refused"] += 1
                log.error("configuration refused, the old one keeps serving:\n%s", error)
                return Reloaded(self.snapshot.generation, str(error))
            self._reloads["ok"] += 1
            log.info("configuration loaded: generation %d", self.snapshot.generation)
            self._warn_of_restart(config)
            return Reloaded(self.snapshot.generation)

    async def wait_applied(self, deadline_s: float) -> Applied:
        """Wait until every worker serves the newest generation, or time is up."""
        assert self._publisher is not None, "start() comes first"
        return await self._publisher.wait_applied(self.snapshot.generation, deadline_s)

    def readiness(self) -> Readiness:
        """May this router be sent traffic, and if not, why."""
        return self.fleet.readiness(self.snapshot)

    def scrape(self) -> Scrape:
        """Every number of this moment."""
        return Scrape(self.fleet.view(), self.snapshot, [*self.fleet.series(), *self._series()])

    def _series(self) -> Iterator[Series]:
        for result, number in self._reloads.items():
            yield Series(families.RELOADS.name, (result,), number)

    async def _advance(self, config: Config, *, above: int = 0) -> None:
        """Make the next generation, if it differs from the last or `above` asks for a new one."""
        record = await self._store.read()
        generation = max(record.generation, self.snapshot.generation, above) + 1
        snapshot = await asyncio.to_thread(compile_snapshot, config, generation, record.states)
        if snapshot.routes != self.snapshot.routes or not self.snapshot.generation or above:
            await self._store.commit(record.generation, Record(generation, record.states))
            self._publish(snapshot)
        self._config = config

    def _publish(self, snapshot: Snapshot) -> None:
        assert self._publisher is not None, "start() comes first"
        self.snapshot = snapshot
        self.fleet.keep(snapshot)
        self._publisher.publish(snapshot)

    def _on_ahead(self, generation: int) -> None:
        """A worker serves what a predecessor of ours numbered: go on above it."""
        task = asyncio.get_running_loop().create_task(self._renumber(generation))
        self._renumbering.add(task)
        task.add_done_callback(self._renumbering.discard)

    async def _renumber(self, generation: int) -> None:
        async with self._changing:
            if self.snapshot.generation <= generation:
                log.info("a worker serves generation %d: numbering on above it", generation)
                await self._advance(self._config, above=generation)

    def _warn_of_restart(self, config: Config) -> None:
        assert self._first_config is not None
        before, after = self._first_config.server, config.server
        for name in type(after).model_fields:
            if getattr(before, name) != getattr(after, name):
                log.warning("server.%s has changed: that needs a restart", name)
