"""A report in three to eight plain sentences."""

from typing import Final, assert_never

from router.evaluation.noise import TELLING, Conclusion
from router.evaluation.result import FieldReport, Report, ShiftReport
from router.statistics import Estimate

_FINE: Final = 0.01
"""Shares below this are told with two decimals."""


def summarise(report: Report) -> tuple[str, ...]:
    """Tell a report to a person."""
    sentences = (
        _differing(report),
        _noise(report),
        _conclusion(report),
        _single_fields(report),
        _errors(report),
        _times(report, "answers", report.latency.shadow, report.latency.twin),
        _times(report, "begins to answer", report.first_token.shadow, None),
        _tokens(report),
    )
    return tuple(sentence for sentence in sentences if sentence)


def _differing(report: Report) -> str:
    if report.any.shadow is None:
        return f"No answers of {report.stable} and {report.shadow} have been compared yet."
    return (
        f"{report.shadow} differs from {report.stable} in {_share(report.any.shadow)}"
        f" of {report.any.pairs} pairs."
    )


def _noise(report: Report) -> str:
    if report.any.twin is not None:
        return (
            f"{report.stable} differs from itself in {_share(report.any.twin)}"
            f" of {report.twins} pairs that it answered twice."
        )
    if report.twins_failed:
        return f"None of {report.twins_failed} second answers of {report.stable} can be compared."
    return (
        f"{report.stable} was never asked twice, so nobody knows how often it differs from itself:"
        " set shadow.noise.percent."
    )


def _conclusion(report: Report) -> str:
    overall = report.any
    match report.conclusion:
        case Conclusion.DIFFERS:
            return f"So {_beyond(overall)} of the answers differ beyond noise."
        case Conclusion.WITHIN_NOISE if overall.beyond_noise is None:
            return f"A difference in {_percent(TELLING)} of the answers would have been found."
        case Conclusion.WITHIN_NOISE:
            return (
                f"No difference beyond noise shows: {_beyond(overall)};"
                f" {_percent(report.smallest_detectable or 0)} would most likely have been found."
            )
        case Conclusion.NOT_ENOUGH:
            return (
                "That is not enough to tell a difference from noise:"
                f" {overall.twins} pairs have a second answer, {overall.twins_needed} are needed."
            )
        case Conclusion.NO_NOISE_FLOOR:
            return "How much of the difference is noise cannot be told."
        case never:
            assert_never(never)


def _single_fields(report: Report) -> str:
    differing = [
        f"{field} {_beyond(each)}"
        for field, each in report.fields.items()
        if each.conclusion is Conclusion.DIFFERS
    ]
    return f"Differing beyond noise: {', '.join(differing)}." if differing else ""


def _errors(report: Report) -> str:
    if report.error_ratio is None:
        return f"{report.stable} has answered no request that {report.shadow} got a copy of."
    return (
        f"{report.shadow} failed in {_share(report.error_ratio)}"
        f" of {report.error_ratio.samples} requests that {report.stable} answered."
    )


def _times(report: Report, does: str, shadow: ShiftReport | None, twin: ShiftReport | None) -> str:
    if shadow is None:
        return ""
    sentence = (
        f"{report.shadow} {does} {_later(shadow.median)} than {report.stable}"
        f" (p95 of the differences: {_duration(shadow.p95)})"
    )
    if twin is None:
        return f"{sentence}."
    return f"{sentence}; a second answer of {report.stable} comes {_later(twin.median)}."


def _tokens(report: Report) -> str:
    ratio = report.tokens.ratio
    if ratio is None:
        return ""
    return (
        f"{report.shadow} writes {_percent(abs(ratio - 1))} {'more' if ratio >= 1 else 'fewer'}"
        f" completion tokens ({report.tokens.shadow} against {report.tokens.primary})."
    )


# -- numbers as people read them ---------------------------------------------------------------


def _beyond(field: FieldReport) -> str:
    return _share(field.beyond_noise) if field.beyond_noise is not None else ""


def _share(estimate: Estimate) -> str:
    return f"{_percent(estimate.value)} ({_range(estimate)})"


def _range(estimate: Estimate) -> str:
    return f"{_number(estimate.low)} to {_percent(estimate.high)}"


def _percent(share: float) -> str:
    return f"{_number(share)} %"


def _number(share: float) -> str:
    return f"{100 * share:.{2 if 0 < abs(share) < _FINE else 1}f}"


def _later(estimate: Estimate) -> str:
    word = "later" if estimate.value >= 0 else "earlier"
    sign = 1 if estimate.value >= 0 else -1
    ends = sorted((sign * estimate.low, sign * estimate.high))
    span = f"{_duration(ends[0])} to {_duration(ends[1])}"
    return f"{_duration(abs(estimate.value))} {word} ({span})"


def _duration(seconds: float) -> str:
    return f"{seconds:.2f} s" if abs(seconds) >= 1 else f"{1000 * seconds:.1f} ms"
