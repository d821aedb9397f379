"""What a run comes to when its time is up.

Pure, and ours: Argo Rollouts knows no deadline of a run.
"""

from collections.abc import Sequence
from typing import Final

from msgspec.structs import replace

from router.analysis.assess import Assessment, assess_run
from router.analysis.measurement import MetricResult, forget_in_flight
from router.analysis.metric import MetricSpec
from router.analysis.phases import COMPLETED, OnDeadline, Phase

VERDICTS: Final = {
    OnDeadline.PAUSE: Phase.INCONCLUSIVE,  # a rollout pauses after it: a human decides
    OnDeadline.ABORT: Phase.FAILED,
    OnDeadline.PROMOTE: Phase.SUCCESSFUL,
}
_NAMED: Final = 3


def assess_deadline(
    specs: Sequence[MetricSpec],
    results: Sequence[MetricResult],
    deadline_s: float,
    on_deadline: OnDeadline,
) -> Assessment:
    """End a run that is still running.

    A metric without an end of its own has measured enough, if it has measured at all.  Any other
    metric that decides and has no verdict leaves the verdict to `on_deadline`.
    """
    pairs = list(zip(specs, results, strict=True))
    undecided = [(spec, result) for spec, result in pairs if _is_undecided(spec, result)]
    ended = tuple(_ended(spec, result) for spec, result in pairs)
    if not undecided:
        return assess_run(specs, ended, terminate=False)
    named = ", ".join(_why(spec, result) for spec, result in undecided[:_NAMED])
    more = len(undecided) - _NAMED
    text = (
        f"deadline ({deadline_s:g}s) reached without a verdict of {named}"
        f"{f' and {more} more' if more > 0 else ''}; onDeadline is {on_deadline}"
    )
    return Assessment(VERDICTS[on_deadline], text, ended)


def _has_measured_enough(spec: MetricSpec, result: MetricResult) -> bool:
    return spec.open_ended and result.count > 0


def _is_undecided(spec: MetricSpec, result: MetricResult) -> bool:
    return not (spec.dry_run or result.phase in COMPLETED or _has_measured_enough(spec, result))


def _ended(spec: MetricSpec, result: MetricResult) -> MetricResult:
    if result.phase in COMPLETED:
        return result
    phase = Phase.SUCCESSFUL if _has_measured_enough(spec, result) else Phase.TERMINATED
    return replace(forget_in_flight(result), phase=phase)


def _why(spec: MetricSpec, result: MetricResult) -> str:
    last = forget_in_flight(result).last
    if last is None:
        return f'metric "{spec.name}" (never measured)'
    if last.phase in (Phase.NO_DATA, Phase.ERROR):
        return f'metric "{spec.name}" ({last.message})'
    of = f" of {spec.count}" if spec.count is not None else ""
    return f'metric "{spec.name}" ({result.count}{of} measurements)'
