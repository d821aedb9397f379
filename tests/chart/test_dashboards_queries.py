"""The dashboards ask only for metrics that exist; in front of a real router no panel is empty."""

from __future__ import annotations

import asyncio
import itertools
import json
import math
import re
import ssl
from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack, asynccontextmanager
from pathlib import Path
from typing import Any, Final, NamedTuple

import httpx
import pytest

from router.telemetry.families import BY_NAME, Kind
from tests.chart.charts import CHART, Document, ci_values, of_kind, only, render
from tests.chart.watched import JOB, Prometheus, running
from tests.support.certificates import Authority
from tests.support.engines import running_engine
from tests.support.routers import document, route, running_router

FILES: Final = sorted((CHART / "dashboards").glob("*.json"))
_SELECTOR: Final = re.compile(r"([a-zA-Z_:][\w:]*)\{([^}]*)\}")
_LABEL: Final = re.compile(r'(\w+)\s*(?:=~|!~|!=|=)\s*"')
_FROM_THE_SCRAPE: Final = {"job", "instance", "namespace"}
VARIABLES: Final = {"$job": JOB, "$route": ".*", "$version": ".*", "$__rate_interval": "10s"}
CLIENTS: Final = 4
ENGINE: Final[dict[str, float]] = {"time_scale": 1.0, "default_output_tokens": 4}
OR_ZERO: Final = " or on () vector(0)"
"""Of a query whose series begin with the first thing to count: a line at 0, not "No data"."""
QUIET: Final = {
    "router_access_log_dropped_total",  # needs a disk that is slower than the traffic
    "router_http_refusals_total",  # needs clients that write broken HTTP
    "router_login_failures_total",  # needs tokens, and somebody who guesses them
    "router_notifications_total",  # needs a receiver
    "router_queue_refusals_total",  # these two need more traffic than a route takes
    "router_queued_requests",
    "router_shadow_pairs_dropped_total",  # these two need a shadow that does not keep up
    "router_shadow_queued",
    "router_shed_share",  # these two need an event loop that runs late
    "router_shed_total",
    "router_tls_files_refused",  # needs files that do not fit each other
}
"""What this test does not make happen; these are shown as 0."""


class Query(NamedTuple):
    """One query of one panel."""

    panel: str
    expression: str


def dashboard(file: Path) -> Document:
    loaded: Document = json.loads(file.read_text())
    return loaded


def queries(file: Path) -> Iterator[Query]:
    for panel in dashboard(file)["panels"]:
        for target in panel["targets"]:
            yield Query(f"{file.stem}: {panel['title']}", target["expr"])


def alerts() -> Iterator[Query]:
    values = ci_values("monitoring")
    values["prometheusRule"]["shadowDrops"]["enabled"] = True
    (group,) = only(render(values), "PrometheusRule")["spec"]["groups"]
    for rule in group["rules"]:
        yield Query(rule["alert"], rule["expr"])


def series_names() -> dict[str, frozenset[str]]:
    """Every series that a router may export, with the labels that it has."""
    names = {"up": frozenset(_FROM_THE_SCRAPE)}
    for family in BY_NAME.values():
        labels = frozenset(family.labels) | _FROM_THE_SCRAPE
        if family.kind is Kind.HISTOGRAM:
            names[f"{family.name}_bucket"] = labels | {"le"}
            names |= {f"{family.name}_{part}": labels for part in ("sum", "count")}
        else:
            names[family.name] = labels
    return names


@pytest.mark.parametrize(
    "query", [*itertools.chain.from_iterable(map(queries, FILES)), *alerts()], ids=lambda q: q.panel
)
def test_a_query_asks_for_metrics_and_labels_that_the_router_exports(query: Query) -> None:
    exported = series_names()
    asked = _SELECTOR.findall(query.expression)
    assert asked, "every metric is selected by its job, so that two routers are told apart"
    for name, selector in asked:
        assert set(_LABEL.findall(selector)) <= exported.get(name, set()), name
    # No metric hides where the pattern does not look.
    rest = _SELECTOR.sub("", query.expression)
    assert not re.search(r"\b(model|router)_\w+", rest), rest


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_a_dashboards_panels_have_their_own_place_and_say_what_they_show(file: Path) -> None:
    board = dashboard(file)
    taken: set[tuple[int, int]] = set()
    for panel in board["panels"]:
        at = panel["gridPos"]
        cells = {
            (x, y)
            for x in range(at["x"], at["x"] + at["w"])
            for y in range(at["y"], at["y"] + at["h"])
        }
        assert max(x for x, _ in cells) < 24, panel["title"]
        assert not cells & taken, panel["title"]
        taken |= cells
        assert panel["description"], panel["title"]
        assert panel["datasource"]["uid"] == "${datasource}"
    ids = [panel["id"] for panel in board["panels"]]
    assert len(ids) == len(set(ids))
    declared = {f"${variable['name']}" for variable in board["templating"]["list"]}
    used = set(re.findall(r"\$\w+", json.dumps(board["panels"]))) - {"$__rate_interval"}
    assert used <= declared


def test_the_chart_renders_every_dashboard_as_it_is() -> None:
    maps = of_kind(render(ci_values("monitoring")), "ConfigMap")
    rendered = {
        name: json.loads(text)
        for config_map in maps
        if config_map["metadata"]["labels"].get("grafana_dashboard") == "1"
        for name, text in config_map["data"].items()
    }
    assert rendered == {f"inference-router-{file.name}": dashboard(file) for file in FILES}
    uids = {board["uid"] for board in rendered.values()}
    assert len(uids) == len(FILES) == 4


# -- in front of a real router ---------------------------------------------------------------------


@pytest.mark.anyio
async def test_no_panel_is_empty_while_a_canary_walks_and_a_shadow_is_compared(
    tmp_path: Path,
) -> None:
    with ExitStack() as stack:
        urls = {
            name: stack.enter_context(
                running_engine(name, **ENGINE, error_rate=errors, keep_alive_seconds=1)
            ).url
            for name, errors in {"v1": 0.0, "v2": 0.2, "v3": 0.0, "flaky": 0.2}.items()
        }
        authority = Authority(tmp_path)
        shown = authority.issue("shown", "127.0.0.1")
        config = configuration(urls, {"certificateFile": shown.certificate, "keyFile": shown.key})
        router = stack.enter_context(running_router(tmp_path, config))
        prometheus = stack.enter_context(running(tmp_path / "prometheus", router.admin))
        config["routes"][0]["release"] = "v2"
        router.write_config(config)
        authority.issue("renewed", "127.0.0.1").copy_to(shown)
        left = [as_loud(query) for query in itertools.chain.from_iterable(map(queries, FILES))]

        def all_shown() -> bool:
            left[:] = [query for query in left if not shows(prometheus, query)]
            return not left

        async with calling(router.traffic, authority.client_context()):
            await asyncio.to_thread(
                prometheus.wait, all_shown, lambda: f"empty: {left}\n{router.log}"
            )


def as_loud(query: Query) -> Query:
    """The query without its zero, where the test gives it something to count."""
    if QUIET & {name for name, _ in _SELECTOR.findall(query.expression)}:
        assert query.expression.endswith(OR_ZERO)
        return query
    return query._replace(expression=query.expression.removesuffix(OR_ZERO))


def configuration(urls: dict[str, str], tls: Document) -> Document:
    """A release that fails at times and a shadow of another version, on two routes."""
    canary = {"canary": {"steps": [{"setWeight": 40}, {"pause": {}}]}}
    health = {"interval": "500ms"}
    chat = {
        **route(v1=urls["v1"], v2=urls["v2"]),
        "strategy": canary,
        "health": health,
        "breaker": "off",
    }
    copied = {
        **route("copied", "/v1/completions", v1=urls["v1"], v3=urls["v3"]),
        "release": "v1",
        "shadow": {"version": "v3", "percent": 100, "noise": {"percent": 50}},
        "retry": {"on": [500], "budgetPercent": 100},
        "health": health,
        "outlier": {"consecutive": 1, "ejection": "2s", "panicPercent": 51},
        "slowStart": "2s",
    }
    chat["versions"]["v2"]["limits"] = {"maxInFlight": 64, "maxPending": 8}
    copied["versions"]["v1"]["endpoints"].append(urls["flaky"])
    return document(chat, copied, workers=2, tls=tls)


def shows(prometheus: Prometheus, query: Query) -> bool:
    """Whether there is something to draw now."""
    return any(math.isfinite(value) for value in values(prometheus, query))


def values(prometheus: Prometheus, query: Query) -> Iterator[float]:
    """What a query gives now, with the values that Grafana would put in."""
    expression = query.expression
    for variable, value in VARIABLES.items():
        expression = expression.replace(variable, value)
    for series in prometheus.query(expression):
        yield float(series["value"][1])


@asynccontextmanager
async def calling(url: str, tls: ssl.SSLContext) -> AsyncIterator[None]:
    """Clients that ask for whole answers and for streams, on both routes."""
    async with httpx.AsyncClient(base_url=url, timeout=20.0, trust_env=False, verify=tls) as client:
        # Told, not cancelled: httpx forgets to close what it is cancelled in.
        enough = asyncio.Event()
        tasks = [asyncio.create_task(ask_again_and_again(client, enough)) for _ in range(CLIENTS)]
        try:
            yield
        finally:
            enough.set()
            await asyncio.gather(*tasks)


async def ask_again_and_again(client: httpx.AsyncClient, enough: asyncio.Event) -> None:
    """Until it is enough."""
    for number in itertools.count():
        if enough.is_set():
            return
        stream = number % 2 == 0
        options: Document = {"stream_options": {"include_usage": True}} if stream else {}
        common: dict[str, Any] = {"model": "m", "stream": stream, **options}
        chat = {**common, "messages": [{"role": "user", "content": "hello"}]}
        await client.post("/v1/chat/completions", json=chat)
        await client.post("/v1/completions", json={**common, "prompt": "hello"})
        await client.post("/nowhere", json=common)
        await asyncio.sleep(0.02)
