"""What a tally says, in numbers and in sentences.

All pairs tell how often the shadow's answers differ; only those with a twin tell how much of that
is more than the stable version's own noise.  A report is made anew for whoever asks; three full
reservoirs cost some 80 ms of CPU, the rest a few.
"""

from msgspec.structs import replace

from router.comparison import Field
from router.evaluation.counts import Counts
from router.evaluation.noise import beyond_noise, conclude, needed, noise_of
from router.evaluation.reservoir import Reservoir
from router.evaluation.result import FieldReport, ShiftReport, TimeReport, TokensReport
from router.evaluation.result import Report as Report
from router.evaluation.summary import summarise
from router.evaluation.tally import Tally, Tokens
from router.statistics import MIN_VALUES, Estimate, detectable, holm, quantile, share, shift


def report(tally: Tally) -> Report:
    """Say what a tally means."""
    overall = _any(tally)
    told = Report(
        stable=tally.stable,
        shadow=tally.shadow,
        since_s=tally.since_s,
        pairs=tally.pairs,
        compared=tally.compared,
        twins=tally.any.twins,
        twins_failed=tally.twins_failed,
        errors=dict(tally.errors),
        error_ratio=_share(tally.shadow_failed, tally.pairs - tally.primary_failed),
        verdicts=dict(tally.verdicts),
        any=overall,
        fields=_fields(tally),
        latency=TimeReport(shadow=_shift(tally.latency), twin=_shift(tally.twin_latency)),
        first_token=TimeReport(shadow=_shift(tally.first_token)),
        tokens=_tokens(tally.tokens),
        conclusion=overall.conclusion,
        smallest_detectable=(
            detectable(noise_of(tally.any), tally.any.twins) if tally.any.twins else None
        ),
    )
    return replace(told, summary=summarise(told))


def _any(tally: Tally) -> FieldReport:
    beyond = beyond_noise(tally.any)
    p_value = beyond.p_value if beyond is not None else None
    return _field(tally.any, beyond, p_value, tally.twins_asked)


def _fields(tally: Tally) -> dict[Field, FieldReport]:
    # Each field is one more chance to see what is not there, so their p-values are adjusted.
    beyond = {field: beyond_noise(counts) for field, counts in sorted(tally.fields.items())}
    asked = {
        field: estimate.p_value
        for field, estimate in beyond.items()
        if estimate is not None and estimate.p_value is not None
    }
    adjusted = dict(zip(asked, holm(list(asked.values())), strict=True))
    return {
        field: _field(tally.fields[field], estimate, adjusted.get(field), tally.twins_asked)
        for field, estimate in beyond.items()
    }


def _field(
    counts: Counts, beyond: Estimate | None, p_value: float | None, asked: int
) -> FieldReport:
    return FieldReport(
        pairs=counts.pairs,
        twins=counts.twins,
        shadow=_share(counts.differing, counts.pairs),
        twin=_share(counts.twins_differing, counts.twins),
        beyond_noise=beyond,
        p_value=p_value,
        twins_needed=needed(counts),
        conclusion=conclude(counts, beyond, p_value, asked),
    )


def _share(successes: int, trials: int) -> Estimate | None:
    return share(successes, trials) if trials else None


def _shift(reservoir: Reservoir) -> ShiftReport | None:
    if len(reservoir.values) < MIN_VALUES:
        return None
    ordered = sorted(reservoir.values)
    return ShiftReport(
        seen=reservoir.seen,
        median=shift(ordered),
        p50=quantile(ordered, 0.5),
        p95=quantile(ordered, 0.95),
    )


def _tokens(tokens: Tokens) -> TokensReport:
    return TokensReport(
        pairs=tokens.pairs,
        primary=tokens.primary,
        shadow=tokens.shadow,
        ratio=tokens.shadow / tokens.primary if tokens.primary else None,
    )
