"""`rollout watch`: what has changed is told once, whatever the network does, and it ends right."""

from __future__ import annotations

import io
import json
import threading
from collections.abc import Iterator
from contextlib import redirect_stdout
from typing import Any, Final

import pytest
from rich.console import Console
from rich.live import Live

from router.admin.documents import EntriesDocument, RolloutDocument
from router.analysis.measurement import Measurement, MetricResult
from router.analysis.metric import MetricSpec
from router.analysis.phases import Phase
from router.analysis.run import RunState
from router.cli.client import AdminClient, Server
from router.cli.documents import Entry, read
from router.cli.output import Output
from router.cli.rollout_documents import Rollout
from router.cli.wakeups import _Listener, waking
from router.cli.watch_views import Lines, Screen, view_for
from router.cli.watching import Course, Sight, sights
from router.controller.runs import evidence_of
from tests.support.admin_api import EVENTS, PROBLEM, CannedApi, canned_api, run

NOW: Final = 1_790_000_000.0
CLOCK: Final = "2026-09-21 14:13:20Z"
PATH: Final = "/routes/chat/rollout"
WATCH: Final = ("rollout", "watch", "chat")
STEPS: Final = [{"setWeight": 5.0}, {"analysis": {"templates": ["quality"]}}]


def rollout(phase: str, step: int | None = None, **more: Any) -> dict[str, Any]:
    """A rollout as the admin API tells it."""
    document = {
        "route": "chat",
        "generation": 12,
        "phase": phase,
        "reason": None,
        "message": "",
        "stable": "v1",
        "release": "v2",
        "target": "v2",
        "weight": 5.0,
        "step": step,
        "steps": STEPS,
        "pausedUntil": None,
        "possible": ["abort"],
        "held": False,
        "number": 3,
        "attempt": 1,
        "started": NOW - 60,
        "finished": None,
        "analyses": [],
        **more,
    }
    RolloutDocument.model_validate(document)
    return document


def analysing(*values: str) -> dict[str, Any]:
    """In the second step, which has measured these values and is measuring another one."""
    measurements = [
        {"phase": "Successful", "started_s": NOW + at, "finished_s": NOW + at + 1, "value": value}
        for at, value in enumerate(values)
    ]
    metric = {
        "name": "error-rate",
        "provider": "router",
        "phase": "Running",
        "message": "",
        "successCondition": "result < 0.05",
        "failureCondition": None,
        "interval": 1.0,
        "count": 5,
        "dryRun": False,
        "measured": len(values),
        "successful": len(values),
        **dict.fromkeys(("failed", "inconclusive", "errors", "noData"), 0),
        "measurements": [*measurements, {"phase": "Running", "started_s": NOW + len(values)}],
    }
    analysis = {
        "kind": "inline",
        "id": "chat-3-step2-1",
        "route": "chat",
        "canary": "v2",
        "stable": "v1",
        "phase": "Running",
        "message": "",
        "started": NOW,
        "finished": None,
        "metrics": [metric],
    }
    return rollout("Progressing", 2, analyses=[analysis])


def entry(sequence: int, action: str, reason: str, evidence: Any = None) -> dict[str, Any]:
    """An entry of the trail."""
    return {
        "sequence": sequence,
        "time": NOW,
        "actor": {"name": "controller", "role": "system", "address": ""},
        "action": action,
        "route": "chat",
        "reason": reason,
        "before": None,
        "after": None,
        "generation": None,
        "evidence": evidence,
        "previous": "",
        "hash": "",
    }


def page(*entries: dict[str, Any]) -> dict[str, Any]:
    """A page of the trail as the admin API tells it."""
    document = {"entries": [*entries], "next": None}
    EntriesDocument.model_validate(document)
    return document


@pytest.fixture
def api(monkeypatch: pytest.MonkeyPatch) -> Iterator[CannedApi]:
    """Looks follow each other at once; the events never say anything."""
    monkeypatch.setattr("router.cli.watching.REFRESH_S", 0)
    monkeypatch.setattr("router.cli.watching.REST_S", 0)
    monkeypatch.setattr("router.cli.events.FIRST_DELAY_S", 0)
    monkeypatch.setattr("router.cli.watching.clock.time", lambda: NOW)
    with canned_api() as api:
        api.stall("GET", "/events")
        yield api


def seen(api: CannedApi, *documents: dict[str, Any]) -> None:
    for document in documents:
        api.answer("GET", PATH, document)


def looks(api: CannedApi) -> int:
    return sum(call.path == f"/api/v1{PATH}" for call in api.calls)


# -- lines -------------------------------------------------------------------------------------


def test_in_a_pipe_each_change_is_one_line_and_healthy_is_exit_0(api: CannedApi) -> None:
    walking = rollout("Progressing", 1, reason="NewRelease")
    done = rollout("Healthy", stable="v2", reason="Promoted", message="v2 is stable")
    seen(api, walking, walking, analysing(), analysing("0.01"), analysing("0.01", "0.02"), done)
    trail = page(entry(7, "rollout.stepPassed", "step 1 of 2 has passed"))
    for answer in (page(entry(6, "rollout.started", "release v2")), page(), trail, page(), page()):
        api.answer("GET", "/audit", answer)
    api.answer("GET", "/audit", page(entry(8, "rollout.promoted", "v2 is stable")))
    result = run(api, *WATCH)
    assert (result.exit_code, result.stderr) == (0, "")
    assert result.stdout.splitlines() == [
        f"{CLOCK} chat: Progressing (NewRelease): v2 has 5 %, stable is v1; "
        "step 1 of 2 (setWeight 5 %)",
        f"{CLOCK} rollout.stepPassed: step 1 of 2 has passed (controller)",
        f"{CLOCK} chat: Progressing: v2 has 5 %, stable is v1; step 2 of 2 (analysis quality)",
        f"{CLOCK} inline analysis, error-rate: 0.01 ✓ (wanted: result < 0.05)",
        "2026-09-21 14:13:21Z inline analysis, error-rate: 0.02 ✓ (wanted: result < 0.05)",
        f"{CLOCK} rollout.promoted: v2 is stable (controller)",
        f"{CLOCK} chat: Healthy (Promoted): stable is v2; v2 is stable",
    ]
    assert looks(api) == 6


def test_the_trail_is_asked_for_from_the_last_entry_that_was_told(api: CannedApi) -> None:
    seen(api, *[rollout("Progressing", 1)] * 3, rollout("Healthy"))
    api.answer("GET", "/audit", page())
    api.answer("GET", "/audit", page(entry(4, "a", "r"), entry(5, "b", "r")))
    api.answer("GET", "/audit", page())
    assert run(api, *WATCH).exit_code == 0
    asked = [call.path.partition("?")[2] for call in api.calls if "/audit" in call.path]
    assert asked == [
        "route=chat&limit=8",
        "route=chat&after=0&limit=1000",
        "route=chat&after=5&limit=1000",
        "route=chat&after=5&limit=1000",
    ]


def measured(phase: str, value: str) -> dict[str, Any]:
    """A metric as an entry of the trail tells it."""
    result = MetricResult(
        name="m",
        phase=Phase(phase),
        measurements=(
            Measurement(phase=Phase(phase), started_s=NOW, finished_s=NOW, value=value),
            Measurement(phase=Phase.RUNNING, started_s=NOW),
        ),
    )
    metric = MetricSpec(name="m", provider="router", settings={}, success_condition="result < 1")
    state = RunState(
        route="chat",
        canary="v2",
        stable="v1",
        started_s=NOW,
        metrics=(metric,),
        results=(result,),
    )
    told: dict[str, Any] = evidence_of(state)["m"]
    return told


@pytest.mark.parametrize(
    ("evidence", "told"),
    [
        (
            {"run": "x", "metrics": {"a": measured("Successful", "0.5")}},
            "; a Successful: 0.5 ✓ (wanted: result < 1)",
        ),
        (
            {"metrics": {"a": measured("Successful", "0.5"), "b": measured("Failed", "[2]")}},
            "; b Failed: [2] ✗ (wanted: result < 1)",
        ),
        ({"metrics": {"a": {"phase": "Failed"}}}, "; a Failed: nothing measured"),
        ({"metrics": {}}, ""),
        ({"step": 2}, ""),
        ({"metrics": [1]}, ""),
        ("text", ""),
        (None, ""),
    ],
)
def test_an_entry_tells_what_was_measured_when_it_was_decided(
    api: CannedApi, evidence: Any, told: str
) -> None:
    seen(api, analysing(), rollout("Degraded"))
    api.answer("GET", "/audit", page())
    api.answer("GET", "/audit", page(entry(7, "rollout.aborted", "a bad analysis", evidence)))
    line = run(api, *WATCH).stdout.splitlines()[1]
    assert line.startswith(f"{CLOCK} rollout.aborted: a bad analysis (controller){told}")
    assert told or line.endswith("(controller)")


def test_what_others_wrote_cannot_steer_the_terminal(api: CannedApi) -> None:
    seen(api, rollout("Progressing", 1, message="a\x1b[2J\nb"), rollout("Healthy"))
    api.answer("GET", "/audit", page())
    api.answer("GET", "/audit", page(entry(9, "weights.set", "c\x1b[2J\nd")))
    result = run(api, *WATCH)
    assert "\x1b" not in result.stdout
    assert len(result.stdout.splitlines()) == 3


# -- documents ---------------------------------------------------------------------------------


def test_programs_get_a_document_for_each_change_and_degraded_is_exit_1(api: CannedApi) -> None:
    documents = [rollout("Progressing", 1), analysing(), rollout("Degraded", reason="Breaker")]
    seen(api, documents[0], documents[0], documents[1], documents[1], documents[2])
    api.answer("GET", "/audit", page())
    result = run(api, *WATCH, "-o", "json")
    assert (result.exit_code, result.stderr) == (1, "")
    assert [json.loads(line) for line in result.stdout.splitlines()] == documents


# -- when it ends ------------------------------------------------------------------------------


def test_a_route_at_rest_is_watched_until_a_rollout_has_come_and_gone(api: CannedApi) -> None:
    rest = rollout("Healthy", number=2)
    seen(api, rest, rest, rollout("Progressing", 1), rollout("Healthy", stable="v2"))
    api.answer("GET", "/audit", page())
    result = run(api, *WATCH)
    assert (result.exit_code, looks(api)) == (0, 4)
    assert result.stderr == "nothing is under way: waiting for a rollout to begin\n"


def test_with_forever_no_end_of_a_rollout_ends_it(api: CannedApi) -> None:
    seen(api, rollout("Degraded"), rollout("Progressing", 1), rollout("Healthy"))
    api.refuse("GET", PATH, 404, title="Not found", detail="no route is called 'chat'")
    api.answer("GET", "/audit", page())
    result = run(api, *WATCH, "--forever")
    assert (result.exit_code, looks(api)) == (1, 4)
    assert "no route is called 'chat'" in result.stderr


@pytest.mark.parametrize(("options", "status"), [((), 1), (("--forever",), 0)])
def test_ctrl_c_says_done_only_of_what_has_no_other_end(
    api: CannedApi, monkeypatch: pytest.MonkeyPatch, options: tuple[str, ...], status: int
) -> None:
    def interrupted(*_: object) -> Iterator[Sight]:
        raise KeyboardInterrupt
        yield

    monkeypatch.setattr("router.cli.watching.sights", interrupted)
    result = run(api, *WATCH, *options)
    assert (result.exit_code, result.stdout) == (status, "")


@pytest.mark.parametrize(
    ("walk", "verdict"),
    [
        ([("Progressing", 1, 1)], None),
        ([("Paused", 1, 1)], None),
        ([("Degraded", 1, 1)], False),
        ([("Healthy", 1, 1)], None),
        ([("Healthy", None, None), ("Healthy", None, None)], None),
        ([("Progressing", 1, 1), ("Healthy", 1, 1)], True),
        ([("Paused", 1, 1), ("Healthy", 1, 1)], True),
        ([("Progressing", 1, 1), ("Degraded", 1, 1)], False),
        ([("Healthy", 1, 1), ("Healthy", 2, 1)], True),  # it ran between two looks
        ([("Healthy", None, None), ("Healthy", 1, 1)], True),
        ([("Healthy", 1, 1), ("Healthy", 1, 2)], True),
        ([("Healthy", 1, 1), ("Degraded", 2, 1)], False),
    ],
)
def test_it_has_ended_well_when_it_is_healthy_after_being_under_way(
    walk: list[tuple[str, int | None, int | None]], verdict: bool | None
) -> None:
    course = Course()
    verdicts = [
        course.verdict(read(rollout(phase, number=number, attempt=attempt), Rollout))
        for phase, number, attempt in walk
    ]
    assert verdicts[-1] is verdict
    assert verdicts[:-1] == [None] * (len(walk) - 1)


# -- when the server is away -------------------------------------------------------------------


@pytest.mark.parametrize("output", ["text", "json"])
def test_a_control_that_is_restarted_is_waited_for(api: CannedApi, output: str) -> None:
    seen(api, rollout("Progressing", 1))
    api.hang_up("GET", PATH)
    api.answer("GET", PATH, {"detail": "the store is away"}, 503, PROBLEM)
    seen(api, rollout("Progressing", 1), rollout("Healthy"))
    api.answer("GET", "/audit", page())
    result = run(api, *WATCH, "-o", output)
    assert (result.exit_code, looks(api)) == (0, 5)
    away, back = result.stderr.splitlines()
    assert away.startswith(f"{api.url} hung up without an answer")
    assert away.endswith("; looking again each second")
    assert back == "the server answers again"
    assert len(result.stdout.splitlines()) == 2


def test_an_entry_that_was_written_while_the_server_was_away_is_told(api: CannedApi) -> None:
    seen(api, rollout("Progressing", 1))
    api.hang_up("GET", PATH)
    seen(api, rollout("Healthy"))
    api.answer("GET", "/audit", page(entry(3, "a", "before")))
    api.answer("GET", "/audit", page(entry(4, "b", "meanwhile")))
    lines = run(api, *WATCH).stdout.splitlines()
    assert [line for line in lines if line.endswith("(controller)")] == [
        f"{CLOCK} b: meanwhile (controller)"
    ]


@pytest.mark.parametrize("status", [401, 403, 404])
def test_what_is_refused_for_good_is_exit_1(api: CannedApi, status: int) -> None:
    seen(api, rollout("Progressing", 1))
    api.refuse("GET", PATH, status, title="No", detail="for good")
    api.answer("GET", "/audit", page())
    result = run(api, *WATCH)
    assert result.exit_code == 1
    assert "No: for good" in result.stderr


def test_a_first_look_that_fails_is_not_repeated(api: CannedApi) -> None:
    api.answer("GET", PATH, {"detail": "full"}, 503, PROBLEM)
    assert run(api, *WATCH).exit_code == 1
    assert looks(api) == 1


def test_events_that_are_refused_are_no_hindrance(api: CannedApi) -> None:
    with canned_api() as without:
        without.refuse("GET", "/events", 503, title="Busy", detail="64 readers follow already")
        seen(without, rollout("Progressing", 1), rollout("Healthy"))
        without.answer("GET", "/audit", page())
        assert run(without, *WATCH).exit_code == 0


# -- waiting -----------------------------------------------------------------------------------


def event(kind: str, route: str | None) -> bytes:
    data = json.dumps({"kind": kind, "route": route})
    return f"event: {kind}\ndata: {data}\n\n".encode()


@pytest.mark.parametrize(
    ("content", "woken"),
    [
        (event("rollout.weightSet", "chat"), True),
        (event("breaker", "chat"), True),
        (event("hello", None), True),
        (event("reset", None), True),
        (event("config", None), True),
        (event("rollout.weightSet", "other"), False),
        (event("generation", None), False),
        (event("worker", None), False),
        (b"event: odd\ndata: no document\n\n", False),
    ],
)
def test_only_what_may_mean_the_route_ends_a_wait(content: bytes, woken: bool) -> None:
    with canned_api() as api:
        api.answer("GET", "/events", content, media_type=EVENTS)
        api.refuse("GET", "/events", 401)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("router.cli.events.FIRST_DELAY_S", 0)
            listener = _Listener(AdminClient(Server(api.url)), "chat")
            listener.run()  # here: it ends because it is refused
    assert listener._woken.is_set() is woken
    listener.wait(0)
    assert not listener._woken.is_set()


def test_an_event_ends_a_long_wait() -> None:
    with canned_api() as api:
        api.answer("GET", "/events", event("rollout.paused", "chat"), media_type=EVENTS)
        with waking(AdminClient(Server(api.url)), "chat") as wait:
            wait(60)  # ends now, or the test takes a minute
        assert api.calls[0].path == "/api/v1/events"


def test_when_it_is_over_nobody_listens_any_more() -> None:
    with canned_api() as api:
        api.stall("GET", "/events")
        before = set(threading.enumerate())
        with waking(AdminClient(Server(api.url)), "chat"):
            [listening] = [
                each for each in set(threading.enumerate()) - before if each.name == "events"
            ]
        api.over.set()
        listening.join(30)
        assert not listening.is_alive()


def test_a_rollout_under_way_is_looked_at_each_second_one_at_rest_each_five() -> None:
    waits: list[float] = []
    with canned_api() as api:
        seen(api, rollout("Healthy"), rollout("Paused", 1), rollout("Progressing", 1))
        api.hang_up("GET", PATH)
        seen(api, rollout("Degraded"), rollout("Degraded"))
        api.answer("GET", "/audit", page())
        client = AdminClient(Server(api.url))
        for _, _ in zip(range(6), sights(client, "chat", waits.append), strict=False):
            pass
        client.close()
    assert waits == [5, 1, 1, 1, 5]


# -- the screen --------------------------------------------------------------------------------


def shown(*sights_: Sight, height: int = 40) -> str:
    """What the screen shows at last."""
    console = Console(
        file=io.StringIO(), width=100, height=height, force_terminal=True, color_system=None
    )
    live = Live(console=console, auto_refresh=False)
    screen = Screen(live)
    for sight in sights_:
        screen.show(sight)
    with console.capture() as capture:
        console.print(live.get_renderable())
    return capture.get()


def sight(document: dict[str, Any], *entries: dict[str, Any], trouble: str | None = None) -> Sight:
    told = tuple(read(each, Entry) for each in entries)
    return Sight(document, read(document, Rollout), NOW, told, trouble)


def test_the_screen_shows_the_standing_and_what_has_happened_lately() -> None:
    first = entry(1, "rollout.started", "release v2")
    second = entry(2, "rollout.stepPassed", "step 1 of 2 has passed")
    text = shown(sight(rollout("Progressing", 1), first), sight(analysing("0.01"), second))
    lines = [line.rstrip() for line in text.splitlines()]
    assert lines[0] == "chat: Progressing"
    assert "  ▶ 2  analysis quality" in lines
    assert any("0.01 ✓" in line and "result < 0.05" in line for line in lines)
    assert lines[lines.index("lately") + 1 :] == [
        f"  {CLOCK} rollout.started: release v2 (controller)",
        f"  {CLOCK} rollout.stepPassed: step 1 of 2 has passed (controller)",
    ]


def test_the_screen_keeps_only_the_newest_entries() -> None:
    entries = [entry(number, "a", f"number {number}") for number in range(1, 21)]
    text = shown(sight(rollout("Progressing", 1), *entries))
    assert "number 20 " in text
    assert "number 12 " not in text


def test_the_screen_says_that_the_server_is_away_and_keeps_what_it_said() -> None:
    walking = rollout("Progressing", 1)
    text = shown(sight(walking), sight(walking, trouble="cannot reach\x1b[2J it"))
    assert "chat: Progressing" in text
    assert "cannot reach\\u001b[2J it; looking again each second" in text


def test_a_low_terminal_shows_only_steps_around_the_current_one() -> None:
    many = rollout("Progressing", 20, steps=[{"setWeight": 5.0}] * 40)
    text = shown(sight(many), height=12)
    assert text.count("setWeight") == 4
    assert "▶ 20  setWeight 5 %" in text


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_on_a_terminal_that_cannot_draw_there_are_lines(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "dumb")
    with redirect_stdout(Terminal()), view_for(Output.TEXT) as view:
        assert isinstance(view, Lines)


def test_on_a_terminal_there_is_a_screen(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm")
    terminal = Terminal()
    with redirect_stdout(terminal), view_for(Output.TEXT) as view:
        view.show(sight(rollout("Progressing", 1)))
    assert isinstance(view, Screen)
    assert "Progressing" in terminal.getvalue()
