"""`routes`, `generation` and `weights` without assignments: what is, for people and programs."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator

import pytest

from tests.support.admin_api import OVERRIDE, CannedApi, canned_api, route, run, version

LONG = "embeddings-for-the-search-of-everything-that-this-company-has-ever-written-down"
UNHEALTHY = {
    "url": "http://10.0.0.21:8000",
    "healthy": False,
    "healthyWorkers": 1,
    "workers": 2,
    "reasons": ["connection refused", "status 503"],
}
NEW = {
    **UNHEALTHY,
    "url": "http://10.0.0.22:8000",
    "healthyWorkers": 0,
    "workers": 0,
    "reasons": [],
}


@pytest.fixture
def api() -> Iterator[CannedApi]:
    with canned_api() as api:
        yield api


def held() -> dict[str, object]:
    return route(
        override=OVERRIDE,
        past=["v0", "v-1"],
        rejected="v3",
        versions=[
            version("v1", "stable", 95, wanted=100, model="llama-3", lineage={"codeCommit": "9f1"}),
            version("v2", "canary", 5, wanted=0, endpoints=[UNHEALTHY, NEW]),
        ],
    )


def test_routes_shows_every_version_with_weight_health_and_holder(api: CannedApi) -> None:
    api.answer("GET", "/routes", {"generation": 12, "routes": [held(), route("other")]})
    result = run(api, "routes")
    assert result.exit_code == 0
    heading, _, *lines, generation = result.stdout.splitlines()
    assert heading.split() == ["route", "version", "role", "weight", "healthy", "held", "by"]
    assert [" ".join(line.split()) for line in lines] == [
        "chat v1 stable 95 % █████████ 1 of 1 alice until 2026-09-21 14:23:20Z",
        "v2 canary 5 % █ 0 of 2",
        "other v1 stable 95 % █████████ 1 of 1",
        "v2 canary 5 % █ 1 of 1",
    ]
    assert generation == "generation 12"


def test_a_table_in_a_pipe_has_no_colours_and_cuts_no_name(api: CannedApi) -> None:
    api.answer("GET", "/routes", {"generation": 1, "routes": [route(LONG)]})
    lines = run(api, "routes", env={"COLUMNS": "40"}).stdout.splitlines()
    assert lines[2].startswith(f"{LONG}  v1")
    assert all(line == line.rstrip() and "\x1b" not in line for line in lines)


def test_a_name_is_shown_and_not_understood(api: CannedApi) -> None:
    api.answer("GET", "/routes", {"generation": 1, "routes": [route("[red]x[/] \x1b[31m :tada:")]})
    assert r"[red]x[/] \u001b[31m :tada:" in run(api, "routes").stdout


def test_a_router_without_routes_has_an_empty_table(api: CannedApi) -> None:
    api.answer("GET", "/routes", {"generation": 1, "routes": []})
    assert run(api, "routes").stdout.splitlines()[-1] == "generation 1"


def test_one_route_is_shown_with_everything(api: CannedApi) -> None:
    api.answer("GET", "/routes/chat", held())
    result = run(api, "routes", "chat")
    assert result.exit_code == 0
    lines = [" ".join(line.split()) for line in result.stdout.splitlines() if "──" not in line]
    assert lines == [
        "route chat, generation 12",
        "version role weight wanted healthy model",
        "v1 stable 95 % █████████ 100 % 1 of 1 llama-3",
        "v2 canary 5 % █ 0 % 0 of 2",
        "held by alice since 2026-09-21 14:13:20Z until 2026-09-21 14:23:20Z: v2 looks slow",
        "stable before: v0, v-1",
        "rolled back, and not started again by itself: v3",
        "",
        "version endpoint healthy in reasons",
        "v1 http://10.0.0.1:8000/v1 2 of 2 workers",
        "v2 http://10.0.0.21:8000 1 of 2 workers connection refused; status 503",
        "v2 http://10.0.0.22:8000 not probed yet",
        "",
        "lineage of v1",
        "codeCommit: 9f1",
    ]


def test_what_is_not_as_always_with_an_endpoint_stands_behind_it(api: CannedApi) -> None:
    at = 1_790_000_000.0
    ejected = {**UNHEALTHY, "reasons": ["5 failures in a row"], "ejections": 3}
    endpoints = [
        {**ejected, "ejectedUntil": at},
        {**NEW, "healthyWorkers": 2, "workers": 2, "slowStart": {"percent": 37.5, "until": at}},
        {**NEW, "healthyWorkers": 2, "workers": 2, "idleSeconds": 0.8, "slowStart": None},
    ]
    versions = [version("v1", "stable", 100, endpoints=endpoints, panic=True)]
    api.answer("GET", "/routes/chat", route(versions=versions))
    lines = [" ".join(line.split()) for line in run(api, "routes", "chat").stdout.splitlines()]
    assert lines[-5:] == [
        "v1 http://10.0.0.21:8000 1 of 2 workers 5 failures in a row; "
        "tried again at 2026-09-21 14:13:20Z; left alone so far: 3",
        "v1 http://10.0.0.22:8000 2 of 2 workers "
        "warming up: 37.5 % of its share, all at 2026-09-21 14:13:20Z",
        "v1 http://10.0.0.22:8000 2 of 2 workers closes idle connections: they are kept for 0.8 s",
        "",
        "v1: too few endpoints are healthy: a worker also uses those that it had left alone",
    ]


def test_a_route_that_nobody_holds_says_nothing_about_holding(api: CannedApi) -> None:
    api.answer("GET", "/routes/chat", route())
    text = run(api, "routes", "chat").stdout
    assert "held" not in text
    assert "wanted" not in text
    assert "stable before" not in text


def test_an_override_without_an_end_holds_until_it_is_released(api: CannedApi) -> None:
    api.answer("GET", "/routes/chat", route(override={**OVERRIDE, "expires": None}))
    assert "until it is released: v2 looks slow" in run(api, "routes", "chat").stdout


def test_weights_alone_shows_the_weights(api: CannedApi) -> None:
    api.answer("GET", "/routes/chat", route())
    result = run(api, "weights", "chat")
    assert result.exit_code == 0
    assert [line.split()[:4] for line in result.stdout.splitlines()[3:]] == [
        ["v1", "stable", "95", "%"],
        ["v2", "canary", "5", "%"],
    ]


@pytest.mark.parametrize("command", [("routes", "chat"), ("weights", "chat")])
def test_programs_get_the_servers_document(api: CannedApi, command: tuple[str, ...]) -> None:
    document = {**route(), "aFieldOfALaterRelease": [1.5, None, "ä"]}
    api.answer("GET", "/routes/chat", document)
    result = run(api, *command, "--output", "json")
    assert (json.loads(result.stdout), result.stderr) == (document, "")


def test_a_field_of_a_later_release_is_no_fault_for_people(api: CannedApi) -> None:
    api.answer("GET", "/routes/chat", {**route(), "aFieldOfALaterRelease": 1})
    assert run(api, "routes", "chat").exit_code == 0


def test_an_answer_of_another_shape_is_told_with_a_remedy(api: CannedApi) -> None:
    api.answer("GET", "/routes", {"routes": [{"name": 7}]})
    result = run(api, "routes")
    assert result.exit_code == 1
    assert "not one that this release knows" in result.stderr
    assert "--output json shows answers as they are" in result.stderr
    assert json.loads(run(api, "routes", "-o", "json").stdout) == {"routes": [{"name": 7}]}


def test_a_route_that_is_not_there_is_told_so(api: CannedApi) -> None:
    api.refuse("GET", "/routes/nope", 404, title="Not there", detail="no route is called 'nope'")
    result = run(api, "routes", "nope")
    assert (result.exit_code, result.stderr) == (1, "Not there: no route is called 'nope'\n")


def test_a_generation_tells_what_changed_who_did_it_and_why(api: CannedApi) -> None:
    entry = {
        "sequence": 4,
        "time": 1_790_000_000.5,
        "actor": {"name": "alice", "role": "operator", "address": "10.1.1.1"},
        "action": "weights.set",
        "route": "chat",
        "reason": "try v2",
        "before": {"weights": {"v1": 100}},
        "after": {"weights": {"v1": 95, "v2": 5}},
        "generation": 12,
    }
    moved = {"route": "chat", "before": {"v1": 100}, "after": {"v1": 95, "v2": 5}}
    document = {"number": 12, "time": 1_790_000_000.5, "routesChanged": 3}
    api.answer("GET", "/generations/12", {**document, "routes": [moved], "entries": [entry]})
    result = run(api, "generation", "12")
    assert result.exit_code == 0
    lines = [" ".join(line.split()) for line in result.stdout.splitlines() if "──" not in line]
    assert lines == [
        "generation 12, 2026-09-21 14:13:20Z",
        "route weights",
        "chat v1 100 % → 95 %, v2 0 % → 5 %",
        "and 2 more routes",
        "",
        "# time actor action route generation weights reason",
        "4 2026-09-21 14:13:20Z alice (operator) from 10.1.1.1 weights.set chat 12 "
        "v1 100 % → 95 %, v2 0 % → 5 % try v2",
    ]


def test_a_generation_is_a_number(api: CannedApi) -> None:
    assert run(api, "generation", "newest").exit_code == 2


@pytest.mark.parametrize("encoding", ["latin-1", "cp437"])
def test_a_terminal_without_our_characters_is_no_fault(api: CannedApi, encoding: str) -> None:
    document = route(rejected="ä\u6a21")
    api.answer("GET", "/routes/chat", document)
    command = [sys.executable, "-m", "router", "routes", "chat", "--server", api.url]
    environment = {**os.environ, "PYTHONIOENCODING": encoding, "PYTHONUTF8": "0"}
    outputs = [
        subprocess.run([*command, "-o", output], capture_output=True, env=environment, check=True)
        for output in ("text", "json")
    ]
    text, as_json = (done.stdout.decode(encoding) for done in outputs)
    assert "95 %" in text
    assert "\\u6a21" in text
    assert json.loads(as_json) == document
