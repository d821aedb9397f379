"""What Prometheus reads."""

from __future__ import annotations

import pytest
from prometheus_client.exposition import generate_latest
from prometheus_client.openmetrics import exposition as openmetrics_exposition
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_openmetrics
from prometheus_client.parser import text_string_to_metric_families as parse_text

from router.errors import FailureReason
from router.snapshot import Endpoint, Role, Route, Rule, Snapshot, Version
from router.telemetry import families
from router.telemetry.exposition import Scrape, render
from router.telemetry.merge import Incarnation, Merger
from router.telemetry.recorder import Series, WorkerRecorder, count

Labelling = tuple[tuple[str, str], ...]
OPENMETRICS = "application/openmetrics-text; version=1.0.0; charset=utf-8"


def version(name: str, role: Role, weight_bp: int) -> Version:
    endpoint = Endpoint(url=f"http://{name}:8000", host=name, port=8000)
    return Version(name=name, role=role, weight_bp=weight_bp, endpoints=(endpoint,))


SNAPSHOT = Snapshot(
    generation=7,
    routes=(
        Route(
            name="chat",
            order=0,
            rules=(Rule(path_prefix="/"),),
            versions=(
                version("v3", Role.SHADOW, 0),
                version("v2", Role.CANARY, 500),
                version("v1", Role.STABLE, 9_500),
            ),
        ),
    ),
)


def busy_recorder() -> WorkerRecorder:
    recorder = WorkerRecorder("w0")
    chat = recorder.version("chat", "v1")
    counts = chat.role("stable")
    counts.requests.update({200: 1_234_567, 499: 2})
    counts.errors[FailureReason.RESET] = 3
    for seconds in (0.004, 0.005, 0.7, 5_000.0):
        chat.duration.observe(seconds)
    count(chat.finish_reasons, 'odd "reason"\\\n')
    chat.in_flight = 4
    recorder.overhead_request.observe(0.00007)
    return recorder


def scrape(*rows: Series, own: tuple[Series, ...] = ()) -> Scrape:
    merger = Merger()
    merger.joined(Incarnation("w0", 1))
    merger.update(Incarnation("w0", 1), rows)
    return Scrape(merger.view(), SNAPSHOT, own)


def samples(
    scraped: Scrape, accept: str = ""
) -> dict[tuple[str, tuple[tuple[str, str], ...]], float]:
    body, content_type = render(scraped, accept)
    parse = parse_openmetrics if "openmetrics" in content_type else parse_text
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in parse(body.decode())
        for sample in family.samples
    }


def labels(**values: str) -> Labelling:
    return tuple(sorted(values.items()))


@pytest.mark.parametrize(
    ("accept", "reference"),
    [("", generate_latest), (OPENMETRICS, openmetrics_exposition.generate_latest)],
)
def test_the_bytes_are_those_of_prometheus_client(accept, reference) -> None:
    scraped = scrape(
        *busy_recorder().series(),
        own=(
            Series(families.WORKER_RESTARTS.name, (), 2),
            Series(families.RELOADS.name, ("ok",), 1),
        ),
    )
    body, _ = render(scraped, accept)
    assert body == reference(scraped)


def test_every_version_in_the_snapshot_has_its_zero_series_before_any_request() -> None:
    found = samples(scrape())
    for name, role in (("v1", "stable"), ("v2", "canary")):
        who = {"route": "chat", "version": name}
        for reason in FailureReason:
            assert found["model_errors_total", labels(**who, role=role, reason=reason)] == 0
        for code in ("200", "500"):
            assert found["model_requests_total", labels(**who, role=role, code=code)] == 0
        assert found["model_requests_in_flight", labels(**who)] == 0


def test_a_histogram_appears_with_its_first_observation() -> None:
    assert not any("duration" in name for name, _ in samples(scrape()))
    found = samples(scrape(*busy_recorder().series()))
    who = {"route": "chat", "version": "v1"}
    assert found["model_request_duration_seconds_count", labels(**who)] == 4


def test_histograms_are_cumulative_and_end_with_infinity() -> None:
    found = samples(scrape(*busy_recorder().series()))
    who = {"route": "chat", "version": "v1"}
    buckets = [
        found["model_request_duration_seconds_bucket", labels(**who, le=bound)]
        for bound in ("0.005", "0.01", "0.8", "1920.0", "+Inf")
    ]
    assert buckets == [2, 2, 3, 3, 4]
    assert found["model_request_duration_seconds_sum", labels(**who)] == pytest.approx(5_000.709)


def test_weights_are_shares_from_0_to_1() -> None:
    found = samples(scrape())
    assert found["model_weight", labels(route="chat", version="v2", role="canary")] == 0.05
    assert found["model_weight", labels(route="chat", version="v1", role="stable")] == 0.95


def test_a_shadow_version_is_in_no_live_family() -> None:
    assert not any(("version", "v3") in where for _, where in samples(scrape()))


def test_openmetrics_and_text_tell_the_same_numbers() -> None:
    scraped = scrape(*busy_recorder().series())
    assert samples(scraped, OPENMETRICS) == samples(scraped)


def test_what_a_version_counted_in_an_earlier_role_stays() -> None:
    row = Series(families.REQUESTS.name, ("chat", "v1", "canary", "200"), 5)
    found = samples(scrape(row))
    where = labels(route="chat", version="v1", role="canary", code="200")
    assert found["model_requests_total", where] == 5


def test_a_histogram_that_control_keeps_itself_has_buckets() -> None:
    counts = [0] * (len(families.SHADOW_LATENCY.buckets) + 1)
    counts[0], counts[-1] = 2, 1
    row = Series(families.SHADOW_LATENCY.name, ("chat", "v2"), -40.0, counts)
    text = render(scrape(own=(row,)))[0].decode()
    name, labels = families.SHADOW_LATENCY.name, 'route="chat",version="v2"'
    assert f'{name}_bucket{{le="-30.0",{labels}}} 2.0' in text
    assert f'{name}_bucket{{le="+Inf",{labels}}} 3.0' in text
    assert f"{name}_sum{{{labels}}} -40.0" in text
