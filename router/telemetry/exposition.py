"""Merged numbers as Prometheus reads them: the text format and OpenMetrics.

The current snapshot gives every version its zero-valued series, so that a rate over a version
that never failed is 0 and not "no data"; a histogram appears with its first observation (a
quantile of nothing is nothing, and 75 empty buckets for each of 10 000 routes are a burden).

`Scrape` is a prometheus_client Collector, and `render` writes exactly the bytes that
prometheus_client would write for it (a test compares them), four to six times faster: 0.9 s of
CPU instead of 3.6 s (text) and 5.4 s (OpenMetrics) for the 250 000 lines of 10 000 routes, on a
busy machine.  Both read only what they were given, so they may run in any thread.
"""

from collections.abc import Callable, Iterable, Iterator
from itertools import accumulate
from typing import Final

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily
from prometheus_client.exposition import choose_encoder
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector
from prometheus_client.samples import Sample
from prometheus_client.utils import floatToGoString

from router.errors import FailureReason
from router.snapshot import FULL, Role, Snapshot
from router.telemetry import families
from router.telemetry.families import Family, Kind
from router.telemetry.merge import Distribution, Rows, Value, View
from router.telemetry.recorder import Labels, Series

_go_float: Final[Callable[[float], str]] = floatToGoString  # it has no types of its own

ZERO_CODES: Final = ("200", "500")
"""Statuses that every version shows from the start; others appear when they happen."""
ZERO_REASONS: Final = ("full", "deadline", "displaced")
"""Why a version with limits of its own may refuse a request."""


class Scrape(Collector):
    """One scrape: what the workers counted, what control itself knows, and the zeros."""

    def __init__(self, view: View, snapshot: Snapshot, own: Iterable[Series] = ()) -> None:
        self._view: Final = view
        self._snapshot: Final = snapshot
        self._own: Final[dict[str, Rows]] = {}
        for row in own:
            value = (
                row.value if row.buckets is None else Distribution(tuple(row.buckets), row.value)
            )
            self._own.setdefault(row.family, {})[row.labels] = value

    def families(self) -> Iterator[tuple[Family, Rows]]:
        """Every family that has a series; merged one at a time."""
        zeros = _zeros(self._snapshot)
        for family in families.ALL:
            rows = zeros.get(family.name, {})
            rows.update(self._view.merged(family))
            rows.update(self._own.get(family.name, {}))
            if rows:
                yield family, rows

    def collect(self) -> Iterator[Metric]:
        """See `Collector`: for whoever embeds the router beside metrics of their own."""
        for family, rows in self.families():
            yield _metric(family, rows)


def render(scrape: Scrape, accept: str = "") -> tuple[bytes, str]:
    """The body and its content type, in the format that `accept` prefers."""
    _, content_type = choose_encoder(accept)
    openmetrics = content_type.startswith("application/openmetrics-text")
    lines: list[str] = []
    for family, rows in scrape.families():
        lines.append(_header(family, openmetrics=openmetrics))
        lines.extend(_lines(family, rows))
    if openmetrics:
        lines.append("# EOF\n")
    return "".join(lines).encode(), content_type


# -- the zeros ---------------------------------------------------------------------------------


def _zeros(snapshot: Snapshot) -> dict[str, Rows]:
    requests: Rows = {}
    errors: Rows = {}
    weights: Rows = {}
    in_flight: Rows = {}
    circuits: dict[str, Rows] = {
        families.CIRCUIT_LIMIT.name: {},
        families.CIRCUIT_IN_FLIGHT.name: {},
        families.CIRCUIT_PENDING.name: {},
    }
    refused: Rows = {}
    for route in snapshot.routes:
        for version in route.versions:
            if version.role is Role.SHADOW:  # shadow traffic never enters the live families
                continue
            role = (route.name, version.name, version.role.value)
            weights[role] = version.weight_bp / FULL
            in_flight[role[:2]] = 0
            if version.circuit is not None:
                for rows in circuits.values():
                    rows[role[:2]] = 0
                for why in ZERO_REASONS:
                    refused[*role[:2], why] = 0
            for code in ZERO_CODES:
                requests[*role, code] = 0
            for reason in FailureReason:
                errors[*role, reason.value] = 0
    return {
        families.REQUESTS.name: requests,
        families.ERRORS.name: errors,
        families.WEIGHT.name: weights,
        families.IN_FLIGHT.name: in_flight,
        **circuits,
        families.CIRCUIT_REFUSALS.name: refused,
    }


# -- text --------------------------------------------------------------------------------------


class _Escaped(dict[str, str]):
    """Label values as they are written; most are asked for many times."""

    def __missing__(self, value: str) -> str:
        text = value.replace("\\", r"\\").replace("\n", r"\n").replace('"', r"\"")
        self[value] = text
        return text


def _header(family: Family, *, openmetrics: bool) -> str:
    # OpenMetrics names a counter without the suffix that its samples have.
    name = family.name.removesuffix("_total") if openmetrics else family.name
    text = family.help.replace("\\", r"\\").replace("\n", r"\n")
    if openmetrics:
        text = text.replace('"', r"\"")
    return f"# HELP {name} {text}\n# TYPE {name} {family.kind.value}\n"


def _lines(family: Family, rows: Rows) -> Iterator[str]:
    escaped = _Escaped()
    write = _template(family.name, family.labels)
    write_bucket = _template(f"{family.name}_bucket", (*family.labels, "le"))
    write_count = _template(f"{family.name}_count", family.labels)
    write_sum = _template(f"{family.name}_sum", family.labels)
    bounds = _bounds(family)
    for labels, value in rows.items():
        values = [escaped[label] for label in labels]
        if not isinstance(value, Distribution):
            yield write.format(*values, value=_number(value))
            continue
        total = 0
        for bound, total in zip(bounds, accumulate(value.buckets), strict=True):
            yield write_bucket.format(*values, bound, value=_number(total))
        yield write_count.format(*values, value=_number(total))
        yield write_sum.format(*values, value=_number(value.sum))


def _template(name: str, labels: tuple[str, ...]) -> str:
    """A format string with a place for each label, sorted as prometheus_client sorts them."""
    places = sorted((label, f'{label}="{{{place}}}"') for place, label in enumerate(labels))
    inside = ",".join(text for _, text in places)
    return f"{name}{{{{{inside}}}}} {{value}}\n" if inside else f"{name} {{value}}\n"


def _number(value: float) -> str:
    return _go_float(value) if value else "0.0"


def _bounds(family: Family) -> tuple[str, ...]:
    return (*(_go_float(bound) for bound in family.buckets), "+Inf")


# -- prometheus_client -------------------------------------------------------------------------


def _metric(family: Family, rows: Rows) -> Metric:
    match family.kind:
        case Kind.COUNTER:
            metric: Metric = CounterMetricFamily(family.name, family.help)
        case Kind.GAUGE:
            metric = GaugeMetricFamily(family.name, family.help)
        case Kind.HISTOGRAM:
            metric = HistogramMetricFamily(family.name, family.help)
    for labels, value in rows.items():
        metric.samples.extend(_samples(family, labels, value))
    return metric


def _samples(family: Family, values: Labels, value: Value) -> Iterator[Sample]:
    labels = dict(zip(family.labels, values, strict=True))
    if not isinstance(value, Distribution):
        yield Sample(family.name, labels, value)
        return
    total = 0
    for bound, total in zip(_bounds(family), accumulate(value.buckets), strict=True):
        yield Sample(f"{family.name}_bucket", {**labels, "le": bound}, total)
    yield Sample(f"{family.name}_count", labels, total)
    yield Sample(f"{family.name}_sum", labels, value.sum)
