"""Judge a measured value by a metric's conditions (Argo's EvaluateResult)."""

from dataclasses import dataclass
from enum import StrEnum

from router.analysis.conditions.argo_functions import is_nil_or_empty
from router.analysis.conditions.condition import Condition
from router.analysis.conditions.errors import ConditionError


class Outcome(StrEnum):
    """What a measurement says; `NO_DATA` is ours and never comes from conditions."""

    SUCCESSFUL = "Successful"
    FAILED = "Failed"
    INCONCLUSIVE = "Inconclusive"
    ERROR = "Error"
    NO_DATA = "NoData"


@dataclass(frozen=True, slots=True)
class Verdict:
    """An outcome, and why; the message is empty unless the outcome is `ERROR`."""

    outcome: Outcome
    message: str = ""


def judge(result: object, success: Condition | None, failure: Condition | None) -> Verdict:
    """Judge a measured value.

    Both conditions are evaluated even if the first decides: a mistake in the second is an error
    from the first measurement on, not only once the metric has turned bad.
    """
    try:
        succeeded = _holds("successCondition", success, result)
        failed = _holds("failureCondition", failure, result)
    except ConditionError as mistake:
        return Verdict(Outcome.ERROR, str(mistake))
    return Verdict(_outcome(succeeded, failed))


def _holds(name: str, condition: Condition | None, result: object) -> bool | None:
    if condition is None:
        return None
    try:
        return condition.evaluate(result)
    except ConditionError as mistake:
        raise ConditionError(
            f'could not evaluate {name} "{condition.text}": {_reason(mistake, result)}'
        ) from None


def _reason(mistake: ConditionError, result: object) -> str:
    if is_nil_or_empty(result):
        return "metric result is nil or empty: no data returned from the metric provider"
    return str(mistake)


def _outcome(succeeded: bool | None, failed: bool | None) -> Outcome:
    """None is a condition that the metric does not have."""
    match succeeded, failed:
        case _, True:
            return Outcome.FAILED
        case (True, _) | (None, _):
            return Outcome.SUCCESSFUL  # without any condition too: Argo's code, not its docs
        case False, None:
            return Outcome.FAILED
    return Outcome.INCONCLUSIVE
