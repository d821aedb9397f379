"""Ask a Prometheus server, or whatever speaks its HTTP API.

An instant query at the server's own now, or `rangeQuery: {start, end, step}` with expressions of
time.  As in Argo Rollouts a scalar is a number and everything else a flat list of numbers: labels
are lost.  NaN and infinities are values like any other; nothing, or nothing but NaN (0/0), is no
data.
"""

import math
from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import urlencode

import msgspec
from pydantic import Field, SecretStr

from router.analysis.conditions import evaluate_time
from router.analysis.providers.authentication import Authentication, make_proof
from router.analysis.providers.base import ProviderError, Reading, Subject
from router.analysis.providers.http import Answer, Call, Clients, Tls
from router.analysis.providers.settings import (
    Header,
    Seconds,
    Settings,
    Text,
    Timeout,
    Url,
    find_problems,
    read_settings,
)
from router.errors import RouterError

MAX_ANSWER_BYTES: Final = 8 * 1024 * 1024
MAX_VALUES: Final = 11_000
"""As many as Prometheus gives for one series of a range; more are not meant for a condition."""

_FORM: Final = Header(key="content-type", value=SecretStr("application/x-www-form-urlencoded"))
_NO_ADDRESS: Final = (
    "no address: give the provider's `address`, or a default Prometheus in the configuration"
)


class RangeQuery(Settings):
    """A span of time; `start` and `end` are expressions like `now() - duration("5m")`."""

    start: Text
    end: Text
    step_s: Seconds = Field(alias="step")


class Server(Settings):
    """Where a Prometheus is, and how it is talked to."""

    address: Url | None = None
    authentication: Authentication = Authentication()
    headers: tuple[Header, ...] = ()
    insecure: bool = False
    ca_file: Text | None = None
    timeout_s: Timeout = Field(default=30.0, alias="timeout")


class PrometheusSettings(Server):
    """A metric's `provider.prometheus`."""

    query: Text
    range_query: RangeQuery | None = None


class Prometheus:
    """The provider; `default` is the server (fields of `Server`) of templates that name none.

    What `default` says of credentials goes to no other address.
    """

    def __init__(self, clients: Clients, default: Mapping[str, Any] | None = None) -> None:
        self._clients: Final = clients
        self._default: Final = dict(default or {})

    def check(self, settings: Mapping[str, Any]) -> list[str]:
        """What is wrong with settings in which arguments may still be unfilled."""
        complete = self._complete(settings)
        problems = find_problems(PrometheusSettings, complete)
        return problems if complete.get("address") else [*problems, _NO_ADDRESS]

    async def measure(self, settings: Mapping[str, Any], subject: Subject) -> Reading:
        """See `Provider`."""
        metric = read_settings(PrometheusSettings, self._complete(settings))
        if metric.address is None:
            raise ProviderError(_NO_ADDRESS)
        path, form = _question(metric, subject.now_s)
        call = Call(
            method="POST",  # a query may be longer than a URL
            url=f"{metric.address.rstrip('/')}/api/v1/{path}",
            timeout_s=metric.timeout_s,
            max_bytes=MAX_ANSWER_BYTES,
            tls=Tls(metric.insecure, metric.ca_file),
            headers=(_FORM, *metric.headers),
            proof=await make_proof(metric.authentication),
            content=urlencode(form).encode(),
        )
        return _reading(_values(await self._clients.call(call), call))

    def _complete(self, settings: Mapping[str, Any]) -> Mapping[str, Any]:
        if settings.get("address"):
            return settings
        named = {name: value for name, value in settings.items() if name != "address"}
        return {**self._default, **named}


def _question(metric: PrometheusSettings, now_s: float) -> tuple[str, dict[str, str]]:
    span = metric.range_query
    if span is None:
        return "query", {"query": metric.query}  # the server's clock stamps what it scrapes
    return "query_range", {
        "query": metric.query,
        "start": _time("start", span.start, now_s),
        "end": _time("end", span.end, now_s),
        "step": f"{span.step_s:.3f}",
    }


def _time(name: str, expression: str, now_s: float) -> str:
    try:
        return f"{evaluate_time(expression, now_s):.3f}"
    except RouterError as error:
        raise ProviderError(f"rangeQuery.{name}: {error}") from None


# -- what a server answers: https://prometheus.io/docs/prometheus/latest/querying/api/ ----------

_Point = tuple[float, str]


class _Series(msgspec.Struct):
    """One series of a vector (`value`) or a matrix (`values`)."""

    value: _Point | None = None
    values: list[_Point] | None = None


class _Data(msgspec.Struct, rename="camel"):
    result_type: str
    result: msgspec.Raw


class _Body(msgspec.Struct, rename="camel"):
    status: str
    data: _Data | None = None
    error_type: str = ""
    error: str = ""


def _values(answer: Answer, call: Call) -> float | list[float]:
    """A number, or the numbers of all series one after the other."""
    data = _data(answer, call)
    try:
        match data.result_type:
            case "scalar":
                return float(msgspec.json.decode(data.result, type=_Point)[1])
            case "vector" | "matrix":
                return _flat(msgspec.json.decode(data.result, type=list[_Series]))
    except (msgspec.DecodeError, ValueError):
        raise ProviderError(f"{call.origin} answers numbers that are none") from None
    raise ProviderError(
        f"the query gives a {call.without_secrets(data.result_type)}: only scalars, vectors and "
        "matrices are numbers"
    )


def _data(answer: Answer, call: Call) -> _Data:
    try:
        body = msgspec.json.decode(answer.body, type=_Body)
    except (msgspec.DecodeError, UnicodeDecodeError):
        if answer.status != 200:
            raise ProviderError(f"{call.origin} answers HTTP {answer.status}") from None
        raise ProviderError(f"{call.origin} does not answer as Prometheus does") from None
    if answer.status != 200 or body.status != "success" or body.data is None:
        said = call.without_secrets(f"{body.error_type}: {body.error}")
        raise ProviderError(f"{call.origin} refuses the query (HTTP {answer.status}): {said}")
    return body.data


def _flat(result: list[_Series]) -> list[float]:
    points: list[_Point] = []
    for series in result:
        if series.value is None and series.values is None:
            raise ProviderError("the query gives native histograms: take a quantile of them")
        points += [series.value] if series.value is not None else series.values or []
        if len(points) > MAX_VALUES:
            raise ProviderError(f"the query gives more than {MAX_VALUES} values: aggregate them")
    return [float(number) for _, number in points]


def _reading(value: float | list[float]) -> Reading:
    numbers = value if isinstance(value, list) else [value]
    return Reading(value=value, no_data=all(map(math.isnan, numbers)))
