"""What people say to a rollout, and what they see of it and of its analyses."""

from __future__ import annotations

import asyncio
from typing import Any

import httpx
import pytest

from router.analysis.phases import Phase as RunPhase
from router.store.base import Commit, Run
from tests.support.admin import STEPS, Admin, configuration, fields_of, plain_route, walking_route

pytestmark = pytest.mark.anyio

COMMANDS = ("start", "pause", "resume", "promote", "promote-full", "abort", "retry")


async def settle(admin: Admin) -> None:
    """Let the controller do what follows, as its loop would."""
    for _ in range(8):
        admin.plane.outside.runs.turn()
        await admin.plane.reconcile()
        await asyncio.sleep(0)


async def say(admin: Admin, command: str, **more: Any) -> httpx.Response:
    body = {"reason": f"{command} it", **more.pop("body", {})}
    query = more.pop("query", "")
    path = f"/routes/{more.pop('route', 'walk')}/rollout/{command}{query}"
    return await admin.call("POST", path, body, **more)


async def see(admin: Admin) -> dict[str, Any]:
    document: dict[str, Any] = (await admin.call("GET", "/routes/walk/rollout")).json()
    return document


@pytest.fixture
async def paused(admin: Admin) -> Admin:
    """`walk` stands in its second step, with 5 %."""
    await settle(admin)
    return admin


# -- what is seen ------------------------------------------------------------------------------


async def test_a_route_that_never_had_a_rollout_is_healthy(admin: Admin) -> None:
    found = (await admin.call("GET", "/routes/chat/rollout")).json()
    assert (found["phase"], found["stable"], found["target"]) == ("Healthy", "v1", None)
    assert (found["number"], found["started"], found["steps"]) == (None, None, [])
    assert found["possible"] == ["start", "retry", "rollback"]


async def test_a_rollout_tells_phase_step_weight_and_what_can_be_said(paused: Admin) -> None:
    found = await see(paused)
    assert (found["phase"], found["reason"]) == ("Paused", "CanaryPauseStep")
    assert (found["step"], found["weight"], found["target"]) == (2, 5.0, "v2")
    assert (found["release"], found["stable"], found["held"]) == ("v2", "v1", False)
    assert (found["number"], found["attempt"]) == (1, 1)
    assert (found["started"], found["finished"]) == (1_700_000_000.0, None)
    assert found["message"] == "step 2 waits until a person resumes"
    assert "resume" in found["possible"]
    assert "start" not in found["possible"]


async def test_steps_are_told_in_the_words_of_the_configuration(admin: Admin) -> None:
    assert (await see(admin))["steps"] == [
        {"setWeight": 5.0},
        {"pause": {"seconds": None}},
        {"analysis": {"templates": ["errors"]}},
        {"setHeaderRoute": {"name": "beta", "headers": ["x-beta"]}},
        {"setShadow": {"version": None, "percent": 12.5}},
        {"pause": {"seconds": 600.0}},
        {"setWeight": 50.0},
    ]


async def test_a_timed_pause_tells_its_end(paused: Admin) -> None:
    await say(paused, "resume")
    await settle(paused)
    await say(paused, "promote")  # whatever the analysis says
    await settle(paused)
    found = await see(paused)
    assert (found["step"], found["pausedUntil"]) == (6, 1_700_000_600.0)


async def test_held_weights_are_told(paused: Admin) -> None:
    body = {"weights": {"v1": 100}, "reason": "let me look"}
    await paused.call("PUT", "/routes/walk/weights", body)
    assert (await see(paused))["held"] is True


# -- what is said ------------------------------------------------------------------------------


async def test_a_person_walks_a_release_to_the_end(paused: Admin) -> None:
    answers = [await say(paused, "resume")]
    await settle(paused)
    for _ in range(4):
        answers.append(await say(paused, "promote"))
        await settle(paused)
        if (await see(paused))["phase"] == "Healthy":
            break
    assert [answer.status_code for answer in answers] == [200] * len(answers)
    found = await see(paused)
    assert (found["phase"], found["reason"], found["stable"]) == ("Healthy", "Promoted", "v2")
    told = [entry for entry in await paused.trail() if entry.actor.name == "local"]
    assert told[0].reason == "resume it"


async def test_an_abort_gives_all_traffic_back_in_one_call(paused: Admin) -> None:
    answer = (await say(paused, "abort")).json()
    assert {version["name"]: version["weight"] for version in answer["versions"]} == {
        "v1": 100.0,
        "v2": 0.0,
    }
    assert answer["applied"] == {"workers": ["w0", "w1"]}
    found = await see(paused)
    assert (found["phase"], found["reason"]) == ("Degraded", "AbortedByPerson")


async def test_retry_begins_again_and_counts(paused: Admin) -> None:
    await say(paused, "abort")
    assert (await say(paused, "retry")).status_code == 200
    await settle(paused)
    found = await see(paused)
    assert (found["phase"], found["step"], found["attempt"]) == ("Paused", 2, 2)


async def test_pause_stands_still_until_resume(paused: Admin) -> None:
    assert (await say(paused, "pause")).status_code == 200
    assert (await see(paused))["reason"] == "ManualPause"
    assert (await say(paused, "resume")).status_code == 200
    await settle(paused)
    assert (await see(paused))["reason"] != "ManualPause"


async def test_promote_full_skips_everything(paused: Admin) -> None:
    await say(paused, "promote-full")
    await settle(paused)
    found = await see(paused)
    assert (found["phase"], found["stable"]) == ("Healthy", "v2")


async def test_a_rollout_is_started_to_a_version(paused: Admin) -> None:
    await say(paused, "abort")
    assert (await say(paused, "start", body={"to": "v2"})).status_code == 200
    assert (await see(paused))["target"] == "v2"


@pytest.mark.parametrize(
    ("to", "message"),
    [
        ("v9", "unknown version; the route has v1, v2"),
        ("", "must not be empty"),
        (5, 'must be text, not "5"'),
        ("x" * 64, "is longer than 63 characters"),
    ],
)
async def test_a_rollout_to_nowhere_names_the_field(paused: Admin, to: Any, message: str) -> None:
    await say(paused, "abort")
    before = await paused.everything()
    assert fields_of(await say(paused, "start", body={"to": to})) == {"to": message}
    assert await paused.everything() == before


async def test_a_rollout_to_where_it_is_already_is_409(paused: Admin) -> None:
    await say(paused, "abort")
    assert (await say(paused, "start", body={"to": "v1"})).status_code == 409


async def test_only_a_start_says_where_to(paused: Admin) -> None:
    assert list(fields_of(await say(paused, "abort", body={"to": "v2"}))) == ["to"]


@pytest.mark.parametrize("command", ["start", "retry"])
async def test_what_the_phase_does_not_allow_is_409_and_says_what_it_does(
    paused: Admin, command: str
) -> None:
    before = await paused.everything()
    response = await say(paused, command)
    assert response.status_code == 409
    problem = response.json()
    assert "resume" in problem["detail"]
    assert problem["current"]["name"] == "walk"
    assert await paused.everything() == before


@pytest.mark.parametrize("command", COMMANDS)
async def test_every_command_keeps_the_conditions_of_changes(paused: Admin, command: str) -> None:
    before = await paused.everything()
    assert (await say(paused, command, route="nope")).status_code == 404
    assert (await say(paused, command, headers={"if-match": '"1"'})).status_code == 412
    dry = await say(paused, command, query="?dryRun=true")
    assert dry.status_code in (200, 409)
    assert await paused.everything() == before


async def test_a_dry_run_of_a_command_tells_what_moves(paused: Admin) -> None:
    response = await say(paused, "abort", query="?dryRun=true")
    assert response.json()["changes"] == [
        {"version": "v1", "before": 95.0, "after": 100.0},
        {"version": "v2", "before": 5.0, "after": 0.0},
    ]
    assert response.json()["before"]["rollout"]["phase"] == "Paused"


async def test_a_repeated_command_with_its_key_is_obeyed_once(paused: Admin) -> None:
    key = {"idempotency-key": "night-1"}
    await say(paused, "promote", headers=key)
    step = (await see(paused))["step"]
    again = await say(paused, "promote", headers=key)
    assert (again.status_code, again.json()["repeated"]) == (200, True)
    assert (await see(paused))["step"] == step


async def test_an_unknown_command_is_404(admin: Admin) -> None:
    response = await admin.call("POST", "/routes/walk/rollout/explode", {"reason": "x"})
    assert response.status_code == 404


# -- analysis runs -----------------------------------------------------------------------------


@pytest.fixture
async def measured(paused: Admin) -> Admin:
    """`walk` is judged in its third step, and nothing was measured yet."""
    await say(paused, "resume")
    await settle(paused)
    return paused


async def test_a_run_is_told_with_what_it_has_measured(measured: Admin) -> None:
    (own,) = (await see(measured))["analyses"]
    (run,) = (await measured.call("GET", "/analysis-runs?route=walk")).json()["runs"]
    assert own == {"kind": "inline", **run}
    assert (run["route"], run["canary"], run["stable"]) == ("walk", "v2", "v1")
    assert (run["phase"], run["finished"]) == ("Running", None)
    (metric,) = run["metrics"]
    assert (metric["name"], metric["provider"]) == ("error-ratio", "router")
    assert (metric["successCondition"], metric["failureCondition"]) == ("result < 0.1", None)
    assert (metric["interval"], metric["count"], metric["measured"]) == (10.0, 3, 0)
    assert (metric["noData"], metric["measurements"][0]["phase"]) == (1, RunPhase.NO_DATA)
    alone = (await measured.call("GET", f"/analysis-runs/{run['id']}")).json()
    assert alone == run


async def test_a_run_that_has_ended_is_still_told(measured: Admin) -> None:
    (run,) = (await see(measured))["analyses"]
    await say(measured, "abort")
    await settle(measured)
    ended = (await measured.call("GET", f"/analysis-runs/{run['id']}")).json()
    assert ended["finished"] == 1_700_000_000.0
    assert ended["phase"] != "Running"


async def test_runs_of_other_routes_are_left_out(measured: Admin) -> None:
    assert (await measured.call("GET", "/analysis-runs?route=chat")).json() == {"runs": []}


@pytest.mark.parametrize("id_", ["nope", "%00", "x" * 255, "\u00e9"])
async def test_an_unknown_run_is_404(admin: Admin, id_: str) -> None:
    response = await admin.call("GET", f"/analysis-runs/{id_}")
    assert response.status_code == 404
    assert "there is no analysis run" in response.json()["detail"]


@pytest.mark.parametrize(
    ("query", "field"),
    [("limit=0", "limit"), ("limit=101", "limit"), ("rout=walk", "rout"), ("after=1", "after")],
)
async def test_a_list_of_runs_has_its_bounds(admin: Admin, query: str, field: str) -> None:
    assert list(fields_of(await admin.call("GET", f"/analysis-runs?{query}"))) == [field]


async def test_a_run_of_another_release_hides_no_other(measured: Admin) -> None:
    record = await measured.store.read()
    run = Run(id="old-1", route="chat", phase="Successful", started_s=1.0, finished_s=2.0)
    await measured.store.commit(Commit(revision=record.revision, runs=[run]))
    runs = (await measured.call("GET", "/analysis-runs")).json()["runs"]
    assert {run["id"] for run in runs} == {"old-1", "walk-1-step3-1"}
    old = (await measured.call("GET", "/analysis-runs/old-1")).json()
    assert (old["phase"], old["finished"], old["metrics"]) == ("Successful", 2.0, [])
    assert "another release" in old["message"]


# -- what was seen -----------------------------------------------------------------------------


async def test_a_command_that_somebody_looked_at_is_refused_once_the_rollout_has_gone_on(
    paused: Admin,
) -> None:
    """Steps that move no weight make no generation; a promote would skip what nobody has seen."""
    looked = (await say(paused, "promote", query="?dryRun=true")).json()
    await say(paused, "resume")
    await settle(paused)
    assert (await see(paused))["step"] == 3
    assert paused.plane.touched("walk") <= looked["generation"]
    late = await say(paused, "promote", headers={"if-match": f'"{looked["tag"]}"'})
    assert (late.status_code, late.json()["type"]) == (412, "urn:inference-router:stale")
    assert "has changed since you looked" in late.json()["detail"]
    assert (await see(paused))["step"] == 3


async def test_a_command_that_somebody_looked_at_is_refused_once_the_steps_are_others(
    paused: Admin,
) -> None:
    """They are in no generation, and yet they say what a retry does."""
    await say(paused, "abort")
    await settle(paused)
    looked = (await say(paused, "retry", query="?dryRun=true")).json()
    before = paused.plane.states["walk"]
    at_once = {"canary": {"steps": [{"setWeight": 100}, *STEPS[1:]]}}
    paused.content = configuration(plain_route(), {**walking_route(), "strategy": at_once})
    await paused.plane.reload()
    assert paused.plane.states["walk"] == before
    assert paused.plane.touched("walk") <= looked["generation"]
    late = await say(paused, "retry", headers={"if-match": f'"{looked["tag"]}"'})
    assert late.status_code == 412
    assert (await say(paused, "retry")).status_code == 200


async def test_a_command_that_somebody_looked_at_is_done_while_nothing_has_changed(
    paused: Admin,
) -> None:
    looked = (await say(paused, "promote", query="?dryRun=true")).json()
    await settle(paused)
    answer = await say(paused, "promote", headers={"if-match": f'"{looked["tag"]}"'})
    assert answer.status_code == 200
