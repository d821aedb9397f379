"""A person's change: decided, committed, published, once; and what a restart finds."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from router.audit.entry import Actor, Entry
from router.clock import ManualClock
from router.config import Config
from router.controller.changes import (
    ConflictError,
    KeyReusedError,
    Seen,
    StaleGenerationError,
    UnknownRouteError,
)
from router.controller.fleet import Fleet
from router.controller.loop import ControlLoop
from router.controller.plane import Call, ControlPlane
from router.store import create_store
from router.store.base import Commit, RequestKey, Store, StoreUnavailableError
from router.store.memory import MemoryStore
from tests.support.planes import WorkersInMemory

pytestmark = pytest.mark.anyio

ANN = Actor("ann", "operator", "127.0.0.1")


def config(*routes: str, versions: tuple[str, ...] = ("v1", "v2")) -> Config:
    return Config.model_validate(
        {
            "routes": [
                {
                    "name": name,
                    "match": [{"path": f"/{name}"}],
                    "release": versions[0],
                    "versions": {
                        version: {
                            "endpoints": ["http://127.0.0.1:8000"],
                            "lineage": {"run": f"run of {version}"},
                        }
                        for version in versions
                    },
                }
                for name in routes or ("chat", "embed")
            ]
        }
    )


class Failing(MemoryStore):
    """A store whose next commits end without an answer; `writes` says whether they were made."""

    def __init__(self) -> None:
        super().__init__()
        self.fails = 0
        self.writes = False

    async def commit(self, commit: Commit) -> tuple[Entry, ...]:
        if not self.fails:
            return await super().commit(commit)
        self.fails -= 1
        if self.writes:
            await super().commit(commit)
        raise StoreUnavailableError("the disk is full")


class Control:
    def __init__(self, store: Store | None = None, content: Config | None = None) -> None:
        self.content = content or config()
        self.clock = ManualClock()
        self.store = store or MemoryStore()
        self.plane = ControlPlane(lambda: self.content, Fleet(), self.store, self.clock)
        self.workers = WorkersInMemory(self.plane.fleet, "w0", "w1")

    async def start(self) -> Control:
        await self.plane.start(self.workers)
        return self

    async def set(self, route: str = "chat", for_s: float | None = None, **more: Any) -> int:
        weights = more.pop("weights", {"v1": 9000, "v2": 1000})
        call = Call(**{"actor": ANN, "reason": "a test", **more})
        change = await self.plane.set_weights(route, weights, call, for_s=for_s)
        return change.generation

    async def trail(self) -> list[Entry]:
        return (await self.store.entries(limit=1000))[::-1]

    def published(self, route: str = "chat") -> dict[str, int]:
        table = self.workers.published[-1]
        found = next(each for each in table.routes if each.name == route)
        return {version.name: version.weight_bp for version in found.versions}


@pytest.fixture
async def control() -> Control:
    return await Control().start()


async def test_a_change_is_the_next_generation_published_and_in_the_trail(control: Control) -> None:
    assert await control.set() == 2
    assert control.published() == {"v1": 9000, "v2": 1000}
    started, changed = await control.trail()
    assert (started.action, started.generation) == ("config.loaded", 1)
    assert (changed.action, changed.route, changed.generation) == ("weights.set", "chat", 2)
    assert (changed.actor, changed.reason) == (ANN, "a test")
    assert changed.before["weights"] == {"v1": 100.0}
    assert changed.after["weights"] == {"v1": 90.0, "v2": 10.0}
    assert changed.after["lineage"]["v2"] == {"run": "run of v2"}


async def test_a_dry_run_says_what_would_be_and_does_nothing(control: Control) -> None:
    call = Call(actor=ANN, reason="a test", dry_run=True)
    change = await control.plane.set_weights("chat", {"v2": 10_000}, call)
    assert (change.generation, dict(change.after.shares)) == (1, {"v2": 10_000})
    assert len(control.workers.published) == 1
    assert len(await control.trail()) == 1


async def test_the_same_weights_again_make_no_generation_but_an_entry(control: Control) -> None:
    assert [await control.set(), await control.set()] == [2, 2]
    assert [entry.generation for entry in await control.trail()] == [1, 2, None]


async def test_who_has_seen_an_older_state_of_the_route_changes_nothing(control: Control) -> None:
    await control.set(seen=Seen(1))
    with pytest.raises(StaleGenerationError, match="changed in generation 2"):
        await control.set(seen=Seen(1))
    with pytest.raises(StaleGenerationError, match="no generation 9"):
        await control.set(seen=Seen(9))
    assert control.plane.snapshot.generation == 2


async def test_a_change_of_another_route_is_no_hindrance(control: Control) -> None:
    await control.set("embed")
    assert await control.set(seen=Seen(1)) == 3


async def test_a_repeated_call_is_answered_again_and_does_nothing(control: Control) -> None:
    key = RequestKey("ann", "key-1", "digest")
    assert await control.set(key=key) == 2
    await control.set(weights={"v1": 10_000})
    assert await control.set(key=key) == 2
    assert control.published() == {"v1": 10_000, "v2": 0}
    with pytest.raises(KeyReusedError):
        await control.set(key=RequestKey("ann", "key-1", "another"))


async def test_an_unknown_route_is_named(control: Control) -> None:
    with pytest.raises(UnknownRouteError, match="'chta'"):
        await control.set("chta")


async def test_a_hundred_changes_at_once_are_made_one_after_the_other(control: Control) -> None:
    made = await asyncio.gather(
        *(control.set(weights={"v1": 10_000 - n, "v2": n}) for n in range(1, 101))
    )
    assert sorted(made) == list(range(2, 102))
    published = [table.generation for table in control.workers.published]
    assert published == sorted(published)


async def test_an_override_ends_when_its_time_is_up(control: Control) -> None:
    await control.set(for_s=60)
    control.clock.advance(59)
    await control.plane.reconcile()
    assert control.published() == {"v1": 9000, "v2": 1000}
    control.clock.advance(1)
    await control.plane.reconcile()
    assert control.published() == {"v1": 10_000, "v2": 0}
    entry = (await control.trail())[-1]
    assert (entry.action, entry.actor.role, entry.generation) == ("weights.expired", "system", 3)
    assert entry.reason == "the weights that ann held are the controller's again"


async def test_the_loop_ends_overrides_by_itself_and_survives_a_store_that_fails() -> None:
    store = Failing()
    control = await Control(store).start()
    await control.set(for_s=0)
    store.fails = 1
    loop = ControlLoop(control.plane, rest_s=0.001, after_failure_s=0.001)
    running = asyncio.create_task(loop.run())
    async with asyncio.timeout(5):
        while control.plane.states["chat"].override is not None:  # noqa: ASYNC110  # no news of it
            await asyncio.sleep(0.001)
    running.cancel()


async def test_a_rollback_needs_somewhere_to_go(control: Control) -> None:
    call = Call(actor=ANN, reason="a test")
    with pytest.raises(ConflictError):
        await control.plane.roll_back("chat", call)
    await control.set(weights={"v2": 10_000})
    await control.plane.roll_back("chat", call)
    assert control.published() == {"v1": 10_000, "v2": 0}


@pytest.mark.parametrize("written", [True, False])
async def test_what_workers_serve_is_what_is_written_when_the_store_did_not_answer(
    written: bool,
) -> None:
    store = Failing()
    control = await Control(store).start()
    store.fails, store.writes = 1, written
    with pytest.raises(StoreUnavailableError):
        await control.set()
    assert control.published() == {"v1": 10_000, "v2": 0}
    await control.set("embed")
    assert control.published() == ({"v1": 9000, "v2": 1000} if written else {"v1": 10_000, "v2": 0})
    assert control.workers.published[-1] == (await store.read()).snapshot


async def test_a_refused_configuration_is_in_the_trail(control: Control) -> None:
    await control.set(weights={"v2": 10_000})
    control.content = config("chat", "embed", versions=("v1",))
    reloaded = await control.plane.reload(ANN, "v2 is done")
    assert reloaded.problem is not None
    assert "v2 has 100 % of the traffic and cannot leave" in reloaded.problem
    entry = (await control.trail())[-1]
    assert (entry.action, entry.actor, entry.reason) == ("config.refused", ANN, "v2 is done")
    assert control.published() == {"v1": 0, "v2": 10_000}


async def test_a_restarted_control_goes_on_with_state_and_generation(tmp_path: Path) -> None:
    place = f"sqlite://{tmp_path}/state.db"
    first = await Control(create_store(place)).start()
    generation = await first.set()
    await first.store.close()
    second = await Control(create_store(place)).start()
    assert [table.generation for table in second.workers.published] == [generation]
    assert second.published() == {"v1": 9000, "v2": 1000}
    assert second.workers.published[-1] == first.workers.published[-1]
    second.plane.fleet.on_ahead(generation)  # a worker serves it already: the same table
    await asyncio.sleep(0)
    assert len(second.workers.published) == 1
    await second.store.close()


async def test_a_configuration_that_changed_meanwhile_is_a_new_generation(tmp_path: Path) -> None:
    place = f"sqlite://{tmp_path}/state.db"
    first = await Control(create_store(place)).start()
    await first.set()
    await first.store.close()
    second = await Control(create_store(place), config("chat")).start()
    assert second.plane.snapshot.generation == 3
    assert [route.name for route in second.workers.published[-1].routes] == ["chat"]
    assert second.published() == {"v1": 9000, "v2": 1000}
    await second.store.close()
