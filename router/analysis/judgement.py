"""From a provider's answer to a measurement.

Pure.  A condition is parsed once and remembered.  What is kept of an answer is text, cut to
`MAX_TEXT`, without secrets.
"""

import json
import math
from functools import lru_cache
from typing import Any, Final

from router.analysis.conditions import Condition, Outcome, judge, parse
from router.analysis.measurement import Measurement, clip
from router.analysis.metric import MetricSpec
from router.analysis.phases import NoData, Phase
from router.analysis.providers.base import Reading
from router.analysis.secret import NO_SECRETS, Secrets, redact

_CONDITIONS_REMEMBERED: Final = 512

AS_PHASE: Final = {
    NoData.WAIT: Phase.NO_DATA,
    NoData.INCONCLUSIVE: Phase.INCONCLUSIVE,
    NoData.FAIL: Phase.FAILED,
    NoData.PASS: Phase.SUCCESSFUL,
}
"""What a measurement without data counts as."""


def measure(
    reading: Reading,
    spec: MetricSpec,
    *,
    started_s: float,
    now: float,
    secrets: Secrets = NO_SECRETS,
) -> Measurement:
    """Judge what a provider has answered."""
    phase, message = _judge(reading, spec)
    return Measurement(
        phase=phase,
        started_s=started_s,
        finished_s=now,
        value=clip(format_value(redact(reading.value, secrets))),
        message=clip(redact(message, secrets)),
        samples=reading.samples,
    )


def error(text: str, *, started_s: float, now: float, secrets: Secrets = NO_SECRETS) -> Measurement:
    """Say that a provider had no answer."""
    message = clip(redact(text, secrets))
    return Measurement(phase=Phase.ERROR, started_s=started_s, finished_s=now, message=message)


def format_value(value: Any) -> str:
    """Write a value as people read it: numbers bare (`NaN`, `+Inf`), the rest as JSON."""
    if isinstance(value, str):
        return value
    if isinstance(value, float) and not math.isfinite(value):
        return "NaN" if math.isnan(value) else f"{'+' if value > 0 else '-'}Inf"
    return json.dumps(value, ensure_ascii=False, default=str)


def _judge(reading: Reading, spec: MetricSpec) -> tuple[Phase, str]:
    lacking = _lacking(reading, spec)
    if lacking and spec.no_data is not None:
        return AS_PHASE[spec.no_data], lacking
    if spec.min_requests is not None and reading.samples is None:
        return Phase.ERROR, (
            f"minRequests is {spec.min_requests}, but provider {spec.provider} does not say how "
            "many requests are behind its value; remove minRequests, or measure with one that does"
        )
    verdict = judge(
        reading.value, _condition(spec.success_condition), _condition(spec.failure_condition)
    )
    if verdict.outcome is Outcome.NO_DATA:
        # Argo has no such outcome: to it an empty result is an error.
        return (AS_PHASE[spec.no_data] if spec.no_data else Phase.ERROR), verdict.message
    return Phase(verdict.outcome.value), verdict.message


def _lacking(reading: Reading, spec: MetricSpec) -> str:
    """Why there is nothing to judge; empty if there is."""
    if reading.no_data:
        return "no data"
    if spec.min_requests is None or reading.samples is None:
        return ""
    if reading.samples >= spec.min_requests:
        return ""
    return f"{reading.samples} requests are fewer than minRequests ({spec.min_requests})"


def _condition(text: str) -> Condition | None:
    return _parsed(text) if text else None


@lru_cache(maxsize=_CONDITIONS_REMEMBERED)
def _parsed(text: str) -> Condition:
    return parse(text)
