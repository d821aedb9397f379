"""What `locust -f` loads: the users of the plan, its shape, and the figures at the end.

`python -m loadtests.scenarios` starts Locust with it.  By hand, with Locust's own pages:

    PYTHONPATH=. locust -f loadtests/scenarios/locustfile.py --host http://127.0.0.1:8080
"""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any, Final

import msgspec
from locust import LoadTestShape, events
from locust.env import Environment
from locust.runners import STATE_MISSING, MasterRunner, Runner, WorkerRunner
from locust.stats import StatsEntry

from loadtests.scenarios.figures import Failure, Figures, Kind
from loadtests.scenarios.reports import LastReports
from loadtests.scenarios.tally import Told
from loadtests.scenarios.users import PLAN, TALLY, USERS, ChangeUser, StreamUser

STARTS_PER_S: Final = 100
ENDS_PER_S: Final = 10_000  # all at once: each ends after what it is doing
_TOLD: Final = "tally"
REPORTS: Final = LastReports()

_USERS: Final = tuple(USERS[kind] for kind in PLAN.kinds if kind in USERS)
StreamUser.fixed_count = PLAN.streams
ChangeUser.fixed_count = 1 if PLAN.admin else 0
_FIXED: Final = tuple(user for user in (StreamUser, ChangeUser) if user.fixed_count)

# Locust takes every class of users that it finds here by its name.
globals().update({user.__name__: user for user in (*_USERS, *_FIXED)})
for _absent in {StreamUser, ChangeUser} - set(_FIXED):
    del globals()[_absent.__name__]


class PlannedShape(LoadTestShape):
    """The plan's profile, and then time for what is still open."""

    def tick(self) -> tuple[int, float] | None:
        """How many users there are now; None: it is over."""
        elapsed_s = self.get_run_time()  # type: ignore[no-untyped-call]  # Locust's own
        asking = PLAN.profile.users_at(elapsed_s)
        if asking is None:
            return self._wait_ended()
        fixed = sum(user.fixed_count for user in _FIXED)
        return (asking if _USERS else 0) + fixed, STARTS_PER_S

    def _wait_ended(self) -> tuple[int, float] | None:
        # Without it only a single process lets its users finish: several are told to quit, and
        # half a second later nobody listens to what they tell.
        users = self.get_current_user_count()  # type: ignore[no-untyped-call]  # Locust's own
        over = not users and REPORTS.complete(_processes(self.runner), time.monotonic())
        return None if over else (0, ENDS_PER_S)


def _processes(runner: Runner | None) -> list[str]:
    """Those that report to this one."""
    if not isinstance(runner, MasterRunner):
        return []
    return [each.id for each in runner.clients.all if each.state != STATE_MISSING]


@events.report_to_master.add_listener  # type: ignore[untyped-decorator]  # Locust's own
def on_report_to_master(client_id: str, data: dict[str, Any]) -> None:
    """Tell the first process what was counted since the last time."""
    data[_TOLD] = msgspec.to_builtins(TALLY.take())


@events.worker_report.add_listener  # type: ignore[untyped-decorator]  # Locust's own
def on_worker_report(client_id: str, data: dict[str, Any]) -> None:
    """Add up what another process has told."""
    REPORTS.on_report(client_id)
    if _TOLD in data:
        TALLY.add(msgspec.convert(data[_TOLD], Told))


@events.quitting.add_listener  # type: ignore[untyped-decorator]  # Locust's own
def on_quitting(environment: Environment, **_: object) -> None:
    """Write the figures; the first process alone knows them all."""
    if PLAN.figures is None or isinstance(environment.runner, WorkerRunner):
        return
    figures = _figures(environment)
    Path(PLAN.figures).write_bytes(msgspec.json.format(msgspec.json.encode(figures)))


def _figures(environment: Environment) -> Figures:
    stats = environment.stats
    kinds = [_kind(entry) for entry in stats.entries.values()]
    failures = [
        Failure(each.name, _text(each.error), each.occurrences) for each in stats.errors.values()
    ]
    return Figures(
        seconds=(stats.total.last_request_timestamp or stats.start_time) - stats.start_time,
        kinds=sorted(kinds, key=lambda kind: (kind.type, kind.name)),
        failures=sorted(failures, key=lambda failure: -failure.count),
        told=TALLY.told(),
    )


def _kind(entry: StatsEntry) -> Kind:
    return Kind(
        type=entry.method or "",
        name=entry.name,
        count=entry.num_requests,
        failed=entry.num_failures,
        p50=entry.get_response_time_percentile(0.5),
        p95=entry.get_response_time_percentile(0.95),
        p99=entry.get_response_time_percentile(0.99),
        least=entry.min_response_time or 0.0,
        most=entry.max_response_time,
    )


def _text(error: object) -> str:
    return str(error)[:300]
