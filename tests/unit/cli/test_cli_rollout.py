"""`rollout`: how a release stands, and what the commands ask for."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis.strategies import integers, one_of, sampled_from
from rich.console import Console

from router.admin.documents import RolloutDocument
from router.admin.rollouts import COMMANDS, told_step
from router.cli.documents import read
from router.cli.rollout_documents import Rollout
from router.cli.standing import standing, summary
from router.cli.tables import Grid, folded
from router.config.units import parse_percent
from router.rollouts.spec import (
    Analysis,
    AnalysisRef,
    Pause,
    SetHeaderRoute,
    SetShadow,
    SetWeight,
)
from router.snapshot import HeaderCondition
from tests.support.admin_api import CannedApi, canned_api, route, run

NOW = 1_790_000_000.0
PATH = "/routes/chat/rollout"
DONE = {**route(), "generation": 13, "applied": {"workers": ["0", "1"]}, "repeated": False}
METRIC = {
    "name": "error-rate",
    "provider": "router",
    "phase": "Running",
    "message": "",
    "successCondition": "result < 0.05",
    "failureCondition": "result > 0.1",
    "interval": 10.0,
    "count": 5,
    "dryRun": False,
    "measured": 2,
    "successful": 1,
    "failed": 1,
    "inconclusive": 0,
    "errors": 1,
    "noData": 1,
    "measurements": [
        {"phase": "NoData", "started_s": NOW - 40, "finished_s": NOW - 39},
        {
            "phase": "Successful",
            "started_s": NOW - 30,
            "finished_s": NOW - 29,
            "value": "0.01234567",
        },
        {"phase": "Failed", "started_s": NOW - 20, "finished_s": NOW - 19, "value": "0.2"},
        {
            "phase": "Error",
            "started_s": NOW - 10,
            "finished_s": NOW - 9,
            "message": "it did not answer",
        },
        {"phase": "Running", "started_s": NOW},
    ],
}
ANALYSIS = {
    "kind": "background",
    "id": "chat-3-background-1",
    "route": "chat",
    "canary": "v2",
    "stable": "v1",
    "phase": "Running",
    "message": "",
    "started": NOW - 60,
    "finished": None,
    "metrics": [METRIC],
}


def rollout(**more: Any) -> dict[str, Any]:
    """A rollout as the admin API tells it: in the second of four steps, for ten minutes more."""
    document = {
        "route": "chat",
        "generation": 12,
        "phase": "Paused",
        "reason": "CanaryPauseStep",
        "message": "step 2 waits until a person resumes or for 1800 s",
        "stable": "v1",
        "release": "v2",
        "target": "v2",
        "weight": 5.0,
        "step": 2,
        "steps": [
            {"setWeight": 5.0},
            {"pause": {"seconds": 1800}},
            {"analysis": {"templates": ["quality", "speed"]}},
            {"setWeight": 50.0},
        ],
        "pausedUntil": NOW + 600,
        "possible": ["pause", "resume", "promote", "promote-full", "abort", "rollback"],
        "held": False,
        "number": 3,
        "attempt": 1,
        "started": NOW - 1200,
        "finished": None,
        "analyses": [ANALYSIS],
        **more,
    }
    RolloutDocument.model_validate(document)
    return document


def told(**more: Any) -> list[str]:
    """Everything about it, its tables left out."""
    blocks = standing(read(rollout(**more), Rollout), NOW)
    return [block for block in blocks if isinstance(block, str)]


@pytest.fixture
def api(monkeypatch: pytest.MonkeyPatch) -> Iterator[CannedApi]:
    monkeypatch.setattr("router.cli.rollout.clock.time", lambda: NOW)
    with canned_api() as api:
        api.answer("GET", PATH, rollout())
        yield api


# -- status ------------------------------------------------------------------------------------


def test_the_status_tells_phase_weight_steps_timers_metrics_and_what_is_possible(
    api: CannedApi,
) -> None:
    result = run(api, "rollout", "status", "chat")
    assert (result.exit_code, result.stderr) == (0, "")
    words = [" ".join(line.split()) for line in result.stdout.splitlines()]
    assert words == [
        "chat: Paused (CanaryPauseStep)",
        "step 2 waits until a person resumes or for 1800 s",
        "v2 has 5 %, stable is v1",
        "rollout 3 to v2, begun 2026-09-21 13:53:20Z, 20m ago",
        "goes on in 10m, at 2026-09-21 14:23:20Z",
        "steps",
        "✓ 1 setWeight 5 %",
        "▶ 2 pause 30m",
        "3 analysis quality, speed",
        "4 setWeight 50 %",
        "background analysis chat-3-background-1: Running",
        "metric provider last values wanted verdict counted",
        words[12],
        "error-rate router 0.0123457 ✓, 0.2 ✗, error result < 0.05; fails if result > 0.1 Running "
        "2 of 5: 1 ok, 1 failed, 1 without data, 1 with an error",
        "error-rate: it did not answer",
        "possible: rollout pause chat, rollout resume chat, rollout promote chat, "
        "rollout promote --full chat, rollout abort chat, rollback chat",
    ]
    assert set(words[12]) == {"─", " "}


def test_programs_get_the_rollout_as_the_server_tells_it(api: CannedApi) -> None:
    assert json.loads(run(api, "rollout", "status", "chat", "-o", "json").stdout) == rollout()


def test_a_route_that_never_had_a_rollout_has_a_status() -> None:
    nothing = dict.fromkeys(("reason", "target", "step", "pausedUntil", "number", "attempt"))
    more = {"message": "", "weight": 0.0, "analyses": [], "started": None, "steps": []}
    lines = told(phase="Healthy", release="v1", possible=["start"], **nothing, **more)
    assert lines == ["chat: Healthy", "  stable is v1", "possible: rollout start chat"]


def test_at_rest_no_step_is_marked_and_they_are_the_next_rollouts() -> None:
    lines = told(phase="Degraded", step=None, pausedUntil=None, analyses=[], finished=NOW)
    assert "steps of the next rollout" in lines
    assert not any("✓" in line or "▶" in line for line in lines)
    assert "what was measured: analysis list --route chat" in lines
    assert "  stable is v1, the release is v2" in lines
    assert "  rollout 3 to v2, begun 2026-09-21 13:53:20Z, ended after 20m" in lines


def test_after_the_last_step_all_of_them_are_behind_it() -> None:
    assert sum("✓" in line for line in told(phase="Progressing", step=None)) == 4


@pytest.mark.parametrize(
    ("more", "line"),
    [
        ({"pausedUntil": NOW - 1}, "  goes on now"),
        ({"release": "v3"}, "  v2 has 5 %, stable is v1, the release is v3"),
        ({"attempt": 2}, "  rollout 3 to v2, attempt 2, begun 2026-09-21 13:53:20Z, 20m ago"),
        (
            {"held": True},
            "  a person holds the weights: `routes chat` says who, "
            "`weights chat --release` gives them back",
        ),
    ],
)
def test_what_is_out_of_the_ordinary_is_told(more: dict[str, Any], line: str) -> None:
    assert line in told(**more)
    assert line not in told()


@pytest.mark.parametrize(
    ("step", "words"),
    [
        (SetWeight(weight_bp=25), "setWeight 0.25 %"),
        (Pause(), "pause until a person resumes"),
        (Pause(duration_s=5400), "pause 1h30m"),
        (Pause(duration_s=0.5), "pause 0.5s"),
        (Analysis(ref=AnalysisRef(templates=("a", "b"))), "analysis a, b"),
        (
            SetHeaderRoute(name="qa", matches=(HeaderCondition("x-canary", value="1"),)),
            "setHeaderRoute qa for x-canary",
        ),
        (SetHeaderRoute(name="qa"), "setHeaderRoute qa ends"),
        (SetShadow(percent_bp=1000), "setShadow 10 %"),
        (SetShadow(percent_bp=1000, version="v3"), "setShadow 10 % to v3"),
    ],
)
def test_a_step_is_told_in_the_words_of_the_configuration(step: Any, words: str) -> None:
    assert f"  ▶ 1  {words}" in told(step=1, steps=[told_step(step)])


def test_a_step_of_a_later_release_is_told_as_it_came() -> None:
    assert '  ▶ 1  {"dance": {"minutes": 3}}' in told(step=1, steps=[{"dance": {"minutes": 3}}])


def test_every_command_of_the_server_is_told_as_it_is_typed() -> None:
    [line] = [line for line in told(route="a b", possible=[*COMMANDS]) if "possible" in line]
    for typed in line.removeprefix("possible: ").split(", "):
        with canned_api() as api:
            api.answer("GET", "/routes/a%20b/rollout", rollout())
            arguments = [word.replace("'a", "a b") for word in typed.split() if word != "b'"]
            assert run(api, *arguments, "--reason", "r").exit_code == 1, typed
            assert api.calls[0].path.startswith("/api/v1/routes/a%20b/rollout/")


@given(integers(1, 40), integers(1, 12), integers(0, 60))
def test_of_many_steps_those_around_the_current_one_are_shown(
    step: int, shown: int, more: int
) -> None:
    document = rollout(step=step, steps=[{"setWeight": 1.0}] * (step + more))
    blocks = [*standing(read(document, Rollout), NOW, max_steps=shown)]
    lines = [block for block in blocks if isinstance(block, str)]
    steps = [line for line in lines if "setWeight" in line]
    assert len(steps) == min(shown, step + more)
    assert sum("▶" in line for line in steps) == 1
    left_out = [int(line.split()[1]) for line in lines if line.startswith("    … ")]
    assert sum(left_out) + len(steps) == step + more


@given(one_of(integers(0, 10_000), sampled_from([1, 9_999])))
def test_a_summary_tells_the_weight_and_stays_the_same_as_time_goes_by(weight_bp: int) -> None:
    document = rollout(weight=weight_bp / 100)
    line = summary(read(document, Rollout))
    share = line.partition("v2 has ")[2].partition(" %")[0]
    assert parse_percent(share) == weight_bp
    assert line == summary(read({**document, "pausedUntil": NOW}, Rollout))
    assert "step 2 of 4 (pause 30m)" in line


def test_what_the_server_says_cannot_steer_the_terminal(api: CannedApi) -> None:
    hostile = "\x1b[2J\nnext"
    metric = {**METRIC, "name": hostile, "message": hostile}
    with canned_api() as other:
        analyses = [{**ANALYSIS, "message": hostile, "metrics": [metric]}]
        other.answer("GET", PATH, rollout(message=hostile, analyses=analyses))
        result = run(other, "rollout", "status", "chat")
    assert "\x1b" not in result.stdout
    assert result.stdout.count("\\u001b[2J\\nnext") == 5


def test_on_a_terminal_metrics_are_folded_and_nothing_is_cut_off() -> None:
    [grid] = [b for b in standing(read(rollout(), Rollout), NOW) if isinstance(b, Grid)]
    screen = io.StringIO()
    Console(file=screen, width=60, force_terminal=True, color_system=None).print(folded(grid))
    assert max(map(len, screen.getvalue().splitlines())) <= 60
    cells = "".join(str(cell) for row in (grid.headings, *grid.rows) for cell in row)
    letters = [letter for letter in screen.getvalue() if not letter.isspace() and letter != "─"]
    assert sorted(letters) == sorted(cells.replace(" ", ""))


# -- commands ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "command"),
    [
        (("start",), "start"),
        (("pause",), "pause"),
        (("resume",), "resume"),
        (("promote",), "promote"),
        (("promote", "--full"), "promote-full"),
        (("abort",), "abort"),
        (("retry",), "retry"),
    ],
)
def test_a_command_is_one_call_with_its_conditions(
    api: CannedApi, arguments: tuple[str, ...], command: str
) -> None:
    api.answer("POST", f"{PATH}/{command}", DONE)
    conditions = ("--if-generation", "12", "--idempotency-key", "k-7")
    name, *options = arguments
    result = run(api, "rollout", name, "chat", *options, "--reason", "why", *conditions)
    call = api.calls[0]
    assert (call.method, call.path) == ("POST", f"/api/v1{PATH}/{command}")
    assert call.document == {"reason": "why"}
    assert (call.headers["if-match"], call.headers["idempotency-key"]) == ('"12"', "k-7")
    assert (result.exit_code, result.stderr) == (0, "")
    assert result.stdout == (
        "chat: v1 95 %, v2 5 %\n"
        "generation 13 is in force in every worker: 0, 1\n"
        "chat: Paused (CanaryPauseStep): v2 has 5 %, stable is v1; step 2 of 4 (pause 30m); "
        "step 2 waits until a person resumes or for 1800 s\n"
    )


def test_every_command_of_the_server_has_one_here() -> None:
    from router.cli import rollout as module

    names = {each.name or each.callback.__name__ for each in module.app.registered_commands}  # type: ignore[union-attr]
    assert names == {*COMMANDS, "status", "watch"} - {"promote-full"}


def test_a_rollout_is_started_to_another_version(api: CannedApi) -> None:
    api.answer("POST", f"{PATH}/start", DONE)
    run(api, "rollout", "start", "chat", "--to", "v3", "--reason", "by hand")
    assert api.calls[0].document == {"reason": "by hand", "to": "v3"}


def test_programs_get_one_document_and_one_call_is_made(api: CannedApi) -> None:
    api.answer("POST", f"{PATH}/pause", DONE)
    result = run(api, "rollout", "pause", "chat", "--reason", "r", "-o", "json")
    assert json.loads(result.stdout) == DONE
    assert len(api.calls) == 1


def test_a_look_afterwards_that_fails_is_no_failure_of_the_change() -> None:
    with canned_api() as api:
        api.answer("POST", f"{PATH}/pause", DONE)
        api.hang_up("GET", PATH)
        result = run(api, "rollout", "pause", "chat", "--reason", "r")
    assert (result.exit_code, result.stderr) == (0, "")
    assert result.stdout.endswith("in force in every worker: 0, 1\n")


def test_a_dry_run_tells_where_the_rollout_would_go_and_needs_no_reason(api: CannedApi) -> None:
    standing_ = {"number": 3, "target": "v2", "phase": "Paused", "reason": "CanaryPauseStep"}
    dry = {
        "dryRun": True,
        "generation": 12,
        "changes": [],
        "before": {"stable": "v1", "weights": {}, "rollout": {**standing_, "step": 1}},
        "after": {
            "stable": "v1",
            "weights": {},
            "rollout": {**standing_, "phase": "Progressing", "reason": None, "step": 2},
        },
    }
    api.answer("POST", f"{PATH}/promote", dry)
    result = run(api, "rollout", "promote", "chat", "--dry-run")
    assert api.calls[0].path == f"/api/v1{PATH}/promote?dryRun=true"
    assert len(api.calls) == 1
    assert result.stdout == (
        "dry run: no weight would change\n"
        "the rollout would go from Paused (CanaryPauseStep) of v2 with 1 step passed "
        "to Progressing of v2 with 2 steps passed\n"
    )


def test_a_dry_run_of_a_first_rollout_goes_from_none(api: CannedApi) -> None:
    after = {"rollout": {"target": "v2", "phase": "Progressing", "reason": None, "step": 0}}
    dry = {"dryRun": True, "generation": 12, "before": {"stable": "v1"}, "after": after}
    api.answer("POST", f"{PATH}/start", dry)
    result = run(api, "rollout", "start", "chat", "--dry-run")
    assert "from none to Progressing of v2 with 0 steps passed" in result.stdout


def test_what_is_not_possible_is_exit_1_with_what_is() -> None:
    detail = "resume is not possible while Healthy (a Healthy route takes start, retry, rollback)"
    with canned_api() as api:
        api.refuse("POST", f"{PATH}/resume", 409, title="Not now", detail=detail, current=route())
        result = run(api, "rollout", "resume", "chat", "--reason", "r")
    assert (result.exit_code, result.stdout) == (1, "")
    assert result.stderr.splitlines() == [
        f"Not now: {detail}",
        "now: chat v1 95 %, v2 5 % (generation 12)",
    ]


@pytest.mark.parametrize("command", [*sorted(COMMANDS.keys() - {"promote-full"})])
def test_a_command_without_a_reason_is_exit_2_and_nothing_is_sent(
    api: CannedApi, command: str
) -> None:
    assert run(api, "rollout", command, "chat").exit_code == 2
    assert api.calls == []


@pytest.mark.parametrize("command", ["status", "watch", "abort"])
def test_a_server_that_is_not_there_is_told_with_the_remedy(command: str) -> None:
    with canned_api() as api:
        pass
    more = ("--reason", "r") if command == "abort" else ()
    result = run(api, "rollout", command, "chat", *more)
    assert result.exit_code == 1
    assert result.stderr.startswith(f"cannot reach {api.url}")
    assert "give the router's admin address" in result.stderr
