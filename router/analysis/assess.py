"""What the counters of a metric, and the metrics of a run, come to.

Pure: Argo Rollouts' rules in Argo's order (`analysis/analysis.go`), with its texts, because
people search for them.  Ours differ, where a metric's `compat` is `router`, in three things: an
Error takes a minimum duration beside the number of tries; a metric that is stopped without a
verdict is Terminated; a verdict by count has a text.

Guarantees (properties in tests/properties/test_analysis_assessment.py):
  * a phase that is completed never changes;
  * a metric that is only measured (`dry_run`) never decides;
  * a terminating run is completed by one assessment.
"""

from collections.abc import Sequence
from typing import Final

import msgspec
from msgspec.structs import replace

from router.analysis.measurement import MetricResult, forget_in_flight
from router.analysis.metric import OFF, MetricSpec
from router.analysis.phases import BAD, COMPLETED, Compat, Phase, is_worse

RUN_TERMINATED: Final = "Run Terminated"


class Assessment(msgspec.Struct, frozen=True):
    """What a run comes to, and its metrics' results with their phases brought up to date."""

    phase: Phase
    message: str
    results: tuple[MetricResult, ...]


def assess_limits(result: MetricResult, spec: MetricSpec) -> tuple[Phase | None, str]:
    """Say which limit is exceeded, if any.

    The later limit overrules the earlier: Error beats Inconclusive beats Failed.
    """
    exceeded: Phase | None = None
    text = ""
    if spec.failure_limit != OFF and result.failed > spec.failure_limit:
        exceeded = Phase.FAILED
        text = f"failed ({result.failed}) > failureLimit ({spec.failure_limit})"
    if result.inconclusive > spec.inconclusive_limit:
        exceeded = Phase.INCONCLUSIVE
        text = (
            f"inconclusive ({result.inconclusive}) > inconclusiveLimit ({spec.inconclusive_limit})"
        )
    if result.consecutive_error > spec.consecutive_error_limit and _has_erred_long(result, spec):
        exceeded = Phase.ERROR
        errors, limit = result.consecutive_error, spec.consecutive_error_limit
        text = f"consecutiveErrors ({errors}) > consecutiveErrorLimit ({limit})"
    return exceeded, text


def _has_erred_long(result: MetricResult, spec: MetricSpec) -> bool:
    return spec.compat is Compat.ARGO or result.erroring_s >= spec.min_error_duration_s


def assess_metric(result: MetricResult, spec: MetricSpec, *, terminating: bool) -> Phase:
    """Say how far one metric is; `terminating`: nothing is measured any more."""
    if result.phase in COMPLETED:
        return result.phase
    if result.last is None:
        return _stopped(spec) if terminating else Phase.PENDING
    if result.in_flight:
        return Phase.RUNNING
    exceeded, _ = assess_limits(result, spec)
    if exceeded is not None:
        return exceeded
    if 0 < spec.consecutive_success_limit <= result.consecutive_success:
        return Phase.SUCCESSFUL
    if spec.count is not None and result.count >= spec.count:
        return _at_count(spec)
    return _stopped(spec) if terminating else Phase.RUNNING


def _stopped(spec: MetricSpec) -> Phase:
    return Phase.SUCCESSFUL if spec.compat is Compat.ARGO else Phase.TERMINATED


def _at_count(spec: MetricSpec) -> Phase:
    """What a metric is that has had its measurements without exceeding a limit."""
    if not spec.consecutive_success_limit:
        return Phase.SUCCESSFUL
    return Phase.FAILED if spec.failure_limit == OFF else Phase.INCONCLUSIVE


def is_terminating(
    specs: Sequence[MetricSpec], results: Sequence[MetricResult], *, terminate: bool
) -> bool:
    """Whether a run measures nothing new: by request, or because a metric went bad."""
    return terminate or any(
        result.phase in BAD and not spec.dry_run
        for spec, result in zip(specs, results, strict=True)
    )


def assess_run(
    specs: Sequence[MetricSpec], results: Sequence[MetricResult], *, terminate: bool
) -> Assessment:
    """Bring every metric's phase up to date, then say what the run comes to.

    `specs` and `results` are in one order.  A metric that goes bad in this very assessment ends
    the run in the next one.
    """
    terminating = is_terminating(specs, results, terminate=terminate)
    if terminating:
        results = [forget_in_flight(result) for result in results]
    assessed = tuple(
        _assessed(result, spec, terminating=terminating)
        for spec, result in zip(specs, results, strict=True)
    )
    worst, message = _worst(specs, assessed, RUN_TERMINATED if terminate else "")
    if terminating:
        return Assessment(worst or Phase.SUCCESSFUL, message, assessed)
    if worst is None or any(result.phase not in COMPLETED for result in assessed):
        return Assessment(Phase.RUNNING, "", assessed)
    return Assessment(worst, message, assessed)


def _assessed(result: MetricResult, spec: MetricSpec, *, terminating: bool) -> MetricResult:
    phase = assess_metric(result, spec, terminating=terminating)
    if phase is not result.phase and result.last is not None:
        result = replace(result, phase=phase, message=result.last.message)
    text = _reason(result, spec, phase)
    if phase in COMPLETED and spec.dry_run and text:
        return replace(result, phase=phase, message=f"Metric assessed {phase} due to {text}")
    return replace(result, phase=phase)


def _worst(
    specs: Sequence[MetricSpec], results: Sequence[MetricResult], message: str
) -> tuple[Phase | None, str]:
    """The worst phase of the completed metrics that decide, and what the first such one says."""
    worst: Phase | None = None
    for spec, result in zip(specs, results, strict=True):
        if result.phase not in COMPLETED:
            continue
        phase = Phase.SUCCESSFUL if spec.dry_run else _as_verdict(result.phase)
        if worst is None or is_worse(phase, worst):
            worst = phase
            message = (not spec.dry_run and _message(result, spec)) or message
    return worst, message


def _as_verdict(phase: Phase) -> Phase:
    return Phase.SUCCESSFUL if phase is Phase.TERMINATED else phase


def _message(result: MetricResult, spec: MetricSpec) -> str:
    text = _reason(result, spec, result.phase)
    if not text:
        return ""
    cause = f': "Error Message: {result.message}"' if result.message else ""
    return f'Metric "{spec.name}" assessed {result.phase} due to {text}{cause}'


def _reason(result: MetricResult, spec: MetricSpec, phase: Phase) -> str:
    _, text = assess_limits(result, spec)
    if text or phase not in BAD or spec.compat is Compat.ARGO:
        return text
    wanted = spec.consecutive_success_limit
    return f"count ({spec.count}) reached without {wanted} successes in a row"
