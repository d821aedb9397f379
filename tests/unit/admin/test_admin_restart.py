"""`/restart`: what control asks of the supervisor, what it refuses, tells and writes down."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable

import pytest

from router.controller import restart
from router.controller.events import Event
from router.controller.restart import Replacement, Restart, Restarts, Stage, Wish
from router.store.base import StoreError
from tests.support.admin import Admin, admin_port

pytestmark = pytest.mark.anyio

BODY = {"reason": "new memory"}


class Supervisor:
    """Does what it is told to do with a wish, and tells what the test says."""

    def __init__(self, admin: Admin) -> None:
        self.wishes: list[Wish] = []
        self.restarts = Restarts(admin.plane, self.hear)
        self.on_wish: Callable[[Wish], None] = self.begin
        admin.app.state.restarts = self.restarts

    def hear(self, wish: Wish) -> None:
        self.wishes.append(wish)
        self.on_wish(wish)

    def begin(self, wish: Wish) -> None:
        self.tell(Stage.STARTING, Stage.STARTING, Stage.WAITING, id_=wish.id, by=wish.by)

    def tell(
        self, stage: Stage, *stages: Stage, id_: str = "", by: str = "local", problem: str = ""
    ) -> None:
        workers = tuple(
            Replacement(
                f"w{slot}", each, 10 + slot, 20 + slot if each in ("draining", "done") else None
            )
            for slot, each in enumerate(stages)
        )
        self.restarts.take(
            Restart(
                id=id_ or self.wishes[-1].id,
                stage=stage,
                by=by,
                reason="new memory",
                workers=workers,
                problem=problem,
            )
        )


@pytest.fixture
async def supervisor(admin: Admin) -> Supervisor:
    supervisor = Supervisor(admin)
    supervisor.restarts.take(Restart())  # what a supervisor says to a control that has started
    return supervisor


@pytest.fixture
async def news(admin: Admin) -> AsyncIterator[Callable[[], list[Event]]]:
    with admin.plane.events.subscribe() as subscription:

        def told() -> list[Event]:
            found = []
            while subscription._events:
                found.append(subscription._events.popleft())
            return [each for each in found if each.kind == "restart"]

        yield told


async def actions(admin: Admin) -> list[tuple[str, str, str]]:
    """The trail's entries of restarts, once what is being written is written."""
    for _ in range(20):
        await asyncio.sleep(0)
    entries = await admin.trail()
    return [
        (each.action, each.actor.name, each.reason)
        for each in entries
        if each.action.startswith("workers.")
    ]


async def test_a_restart_is_written_down_asked_for_and_answered_when_it_has_begun(
    admin: Admin, supervisor: Supervisor, news: Callable[[], list[Event]]
) -> None:
    response = await admin.call("POST", "/restart", BODY)
    assert response.status_code == 202
    assert response.json() == {
        "id": supervisor.wishes[0].id,
        "stage": "starting",
        "by": "local",
        "reason": "new memory",
        "workers": [
            {"worker": "w0", "stage": "starting", "oldPid": 10, "newPid": None},
            {"worker": "w1", "stage": "waiting", "oldPid": 11, "newPid": None},
        ],
        "problem": "",
    }
    assert (supervisor.wishes[0].by, supervisor.wishes[0].reason) == ("local", "new memory")
    assert await actions(admin) == [("workers.restart", "local", "new memory")]
    supervisor.tell(Stage.STARTING, Stage.DRAINING, Stage.STARTING)
    supervisor.tell(Stage.DRAINING, Stage.DRAINING, Stage.DRAINING)
    supervisor.tell(Stage.DONE, Stage.DONE, Stage.DONE)
    assert [event.content["stage"] for event in news()] == [
        "starting",
        "starting",
        "draining",
        "done",
    ]
    assert (await admin.call("GET", "/restart")).json()["stage"] == "done"
    assert await actions(admin) == [
        ("workers.restart", "local", "new memory"),
        ("workers.restarted", "controller", "new memory"),
    ]
    assert (await admin.trail())[-1].evidence == {"by": "local", "replaced": ["w0", "w1"]}


@pytest.mark.parametrize(
    ("stage", "stages", "why"),
    [
        (
            Stage.STARTING,
            (Stage.DRAINING, Stage.STARTING),
            "a restart is under way (by local, 1 of 2 workers replaced)",
        ),
        (
            Stage.DRAINING,
            (Stage.DONE, Stage.DRAINING),
            "old workers still finish what they have begun: w1 (pid 11)",
        ),
        (
            Stage.FAILED,
            (Stage.DRAINING, Stage.FAILED),
            "old workers still finish what they have begun: w0 (pid 10)",
        ),
    ],
)
async def test_while_one_is_under_way_or_drains_another_is_409_and_nothing_is_written(
    admin: Admin, supervisor: Supervisor, stage: Stage, stages: tuple[Stage, ...], why: str
) -> None:
    supervisor.tell(stage, *stages, id_="another")
    before = await actions(admin)
    response = await admin.call("POST", "/restart", BODY)
    assert response.status_code == 409
    assert why in response.json()["detail"]
    assert supervisor.wishes == []
    assert await actions(admin) == before


async def test_a_signal_that_was_faster_is_409(admin: Admin, supervisor: Supervisor) -> None:
    supervisor.on_wish = lambda _wish: supervisor.tell(
        Stage.STARTING, Stage.STARTING, id_="SIGUSR2-1", by="SIGUSR2"
    )
    response = await admin.call("POST", "/restart", BODY)
    assert response.status_code == 409
    assert "by SIGUSR2" in response.json()["detail"]


async def test_a_supervisor_that_does_not_answer_is_500_which_says_where_to_look(
    admin: Admin, supervisor: Supervisor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(restart, "ANSWER_DEADLINE_S", 0.01)
    supervisor.on_wish = lambda _wish: None
    response = await admin.call("POST", "/restart", BODY)
    assert response.status_code == 500
    assert "GET /restart" in response.json()["detail"]


async def test_what_cannot_be_written_down_is_not_done(
    admin: Admin, supervisor: Supervisor, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def fails(_entry: object) -> None:
        raise StoreError("the disk is full")

    monkeypatch.setattr(admin.plane, "note", fails)
    assert (await admin.call("POST", "/restart", BODY)).status_code == 503
    assert supervisor.wishes == []


async def test_a_restart_that_failed_is_in_the_trail_with_its_problem(
    admin: Admin, supervisor: Supervisor
) -> None:
    await admin.call("POST", "/restart", BODY)
    supervisor.tell(Stage.FAILED, Stage.DRAINING, Stage.FAILED, problem="w1 did not come up")
    assert (await actions(admin))[-1][0] == "workers.notRestarted"
    evidence = (await admin.trail())[-1].evidence
    assert evidence == {"by": "local", "replaced": ["w0"], "problem": "w1 did not come up"}


async def test_a_restart_by_signal_is_in_the_trail_too(
    admin: Admin, supervisor: Supervisor
) -> None:
    supervisor.tell(Stage.STARTING, Stage.STARTING, id_="SIGUSR2-1", by="SIGUSR2")
    assert [entry[:2] for entry in await actions(admin)] == [("workers.restart", "SIGUSR2")]


async def test_a_control_that_comes_back_knows_how_far_it_is_and_writes_only_its_end(
    admin: Admin, news: Callable[[], list[Event]]
) -> None:
    supervisor = Supervisor(admin)
    supervisor.tell(Stage.STARTING, Stage.DRAINING, Stage.STARTING, id_="before")
    assert (await admin.call("GET", "/restart")).json()["id"] == "before"
    supervisor.tell(Stage.DRAINING, Stage.DRAINING, Stage.DRAINING, id_="before")
    assert [entry[0] for entry in await actions(admin)] == ["workers.restarted"]
    assert len(news()) == 2


async def test_what_was_over_before_this_control_is_no_news(
    admin: Admin, news: Callable[[], list[Event]]
) -> None:
    supervisor = Supervisor(admin)
    supervisor.tell(Stage.DONE, Stage.DONE, id_="before")
    assert (await admin.call("GET", "/restart")).json()["stage"] == "done"
    assert news() == []
    assert await actions(admin) == []


@pytest.mark.parametrize("method", ["GET", "POST"])
async def test_an_embedded_router_has_no_workers_to_restart(method: str) -> None:
    async with admin_port() as admin:
        response = await admin.call(method, "/restart", BODY if method == "POST" else None)
    assert response.status_code == 409
    assert "restart the application" in response.json()["detail"]
