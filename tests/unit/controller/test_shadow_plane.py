"""Pairs through the control plane: from the link's listener to the report, and to the metrics."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import orjson
import pytest

from router.clock import ManualClock
from router.config import Config
from router.controller.fleet import Fleet
from router.controller.plane import ControlPlane
from router.controller.shadow.reports import MAX_AGE_S
from router.link.messages import Captured, Pair
from router.store import create_pair_store, create_store
from router.store.pairs import KeptPair
from tests.support.planes import WorkersInMemory

pytestmark = pytest.mark.anyio


def config(*routes: str, **shadow: Any) -> Config:
    return Config.model_validate(
        {
            "routes": [
                {
                    "name": name,
                    "match": [{"path": f"/{name}"}],
                    "release": "v1",
                    "versions": {
                        "v1": {"endpoints": ["http://127.0.0.1:8000"]},
                        "v2": {"endpoints": ["http://127.0.0.1:8001"]},
                    },
                    "shadow": {"version": "v2", **shadow},
                }
                for name in routes or ("chat", "embed")
            ]
        }
    )


class Control:
    """A control plane on files of its own; a second one on the same files is a restart."""

    def __init__(self, folder: Path) -> None:
        location = f"sqlite://{folder / 'state.db'}"
        self.content = config()
        self.clock = ManualClock()
        self.plane = ControlPlane(
            lambda: self.content,
            Fleet(),
            create_store(location),
            self.clock,
            create_pair_store(location),
        )
        self.workers = WorkersInMemory(self.plane.fleet, "w0")

    async def start(self) -> Control:
        await self.plane.start(self.workers)
        return self

    def pair(self, text: str, route: str = "chat") -> None:
        fields = [("content-type", "application/json"), ("authorization", "Bearer sesame")]
        request = orjson.dumps({"messages": [{"content": "what is it?"}]})
        primary, shadow = (
            Captured(name, "answered", status=200, fields=fields, body=orjson.dumps({"a": said}))
            for name, said in (("v1", "yes"), ("v2", text))
        )
        self.plane.fleet.on_pair(
            Pair(
                route=route,
                request_id="id-1",
                time_s=self.clock.wall(),
                generation=1,
                method="POST",
                target="/chat?key=sesame",
                fields=fields,
                request=request,
                primary=primary,
                shadow=shadow,
            )
        )

    def told(self) -> int:
        self.clock.advance(MAX_AGE_S)
        report = self.plane.shadows.report("chat")
        return report.pairs if report is not None else 0


@pytest.fixture
async def control(tmp_path: Path) -> AsyncIterator[Control]:
    control = await Control(tmp_path).start()
    yield control
    await control.plane.close()


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(10):
        while not condition():  # noqa: ASYNC110  # nothing tells that a pair was compared
            await asyncio.sleep(0.005)


async def recorded(control: Control) -> list[KeptPair]:
    shadows = control.plane.shadows
    async with asyncio.timeout(10):
        while not (kept := await shadows.pairs("chat")):  # nothing tells that it was compared
            await shadows.write()
            await asyncio.sleep(0.005)
    return kept


async def test_a_pair_from_the_link_is_in_the_report_and_in_the_record(control: Control) -> None:
    control.pair("no")
    [kept] = await recorded(control)
    assert kept.verdict == "mismatch"
    assert b"sesame" not in orjson.dumps(kept.document)


async def test_an_analysis_reads_the_same_report(control: Control) -> None:
    control.pair("no")
    await until(lambda: control.told() == 1)
    assert "shadow" in control.plane.outside.kinds


async def test_a_restarted_control_goes_on_with_tallies_and_records(tmp_path: Path) -> None:
    before = await Control(tmp_path).start()
    before.pair("no")
    await until(lambda: before.told() == 1)
    await before.plane.close()
    after = await Control(tmp_path).start()
    assert after.told() == 1
    assert len(await after.plane.shadows.pairs("chat")) == 1
    await after.plane.close()


async def test_a_route_that_a_reload_removes_is_forgotten(control: Control) -> None:
    control.pair("no")
    await recorded(control)
    control.content = config("embed")
    await control.plane.reload()
    await control.plane.shadows.write()
    assert await control.plane.shadows.pairs("chat") == []
    assert control.told() == 0


async def test_pairs_are_counted_in_the_scrape(control: Control) -> None:
    control.pair("no")
    await until(lambda: control.told() == 1)
    families = dict(control.plane.scrape().families())
    told = {family.name: rows for family, rows in families.items()}
    assert told["model_shadow_comparisons_total"]["chat", "v2", "mismatch"] == 1


async def test_a_pair_file_that_is_damaged_does_not_keep_control_from_serving(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "state-pairs.db").write_bytes(b"this is no database" * 1_000)
    control = await Control(tmp_path).start()
    assert control.plane.readiness().ready
    assert "pairs of answers are not recorded" in caplog.text
    assert "state-pairs.db" in caplog.text
    control.pair("no")
    await until(lambda: control.told() == 1)
    await control.plane.close()
