"""`/analysis-runs`: what was measured, and what came of it."""

from typing import Any

import msgspec
from starlette.responses import Response

from router.admin.operation import Asked
from router.admin.problems import Problem, ProblemType
from router.admin.reply import json_response
from router.admin.requests import RunParameters, RunsParameters
from router.analysis.measurement import MetricResult
from router.analysis.metric import MetricSpec
from router.analysis.run import RunState
from router.controller.runs import state_of
from router.store.base import Run


async def list_runs(asked: Asked[RunsParameters, None]) -> Response:
    """The newest runs."""
    wanted = asked.parameters
    found = await asked.plane.store.runs(route=wanted.route, limit=wanted.limit)
    fresh = [await asked.plane.run(run.id) or run for run in found]
    return json_response({"runs": [told_run(run) for run in fresh]})


async def show_run(asked: Asked[RunParameters, None]) -> Response:
    """One run with its measurements."""
    run = await asked.plane.run(asked.parameters.id)
    if run is None:
        raise Problem(ProblemType.NOT_FOUND, f"there is no analysis run {asked.parameters.id!r}")
    return json_response(told_run(run))


def told_run(run: Run) -> dict[str, Any]:
    """A run as people read it; of one that another release has written, what the store knows."""
    try:
        state: RunState = state_of(run)
    except msgspec.MsgspecError:
        return _unreadable(run)
    return {
        "id": run.id,
        "route": state.route,
        "canary": state.canary,
        "stable": state.stable,
        "phase": state.phase,
        "message": state.message,
        "started": state.started_s,
        "finished": state.finished_s,
        "metrics": [
            _metric(spec, result) for spec, result in zip(state.metrics, state.results, strict=True)
        ],
    }


def _unreadable(run: Run) -> dict[str, Any]:
    return {
        "id": run.id,
        "route": run.route,
        "canary": "",
        "stable": "",
        "phase": run.phase,
        "message": "another release of the router has written its measurements",
        "started": run.started_s,
        "finished": run.finished_s,
        "metrics": [],
    }


def _metric(spec: MetricSpec, result: MetricResult) -> dict[str, Any]:
    return {
        "name": spec.name,
        "provider": spec.provider,
        "phase": result.phase,
        "message": result.message,
        "successCondition": spec.success_condition or None,
        "failureCondition": spec.failure_condition or None,
        "interval": spec.interval_s,
        "count": spec.count,
        "dryRun": spec.dry_run,
        "measured": result.count,
        "successful": result.successful,
        "failed": result.failed,
        "inconclusive": result.inconclusive,
        "errors": result.error,
        "noData": result.no_data,
        "measurements": [msgspec.to_builtins(each) for each in result.measurements],
    }
