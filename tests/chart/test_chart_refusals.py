"""Bad values are refused before a cluster sees them, with words that say what to do."""

from __future__ import annotations

import pytest

from tests.chart.charts import CONFIG, TOKENS, Document, refusal

CANARY = """\
routes:
- name: chat
  match: [{pathPrefix: /v1}]
  versions: {v1: {endpoints: [http://a:1]}, v2: {endpoints: [http://b:1]}}
  initialWeights: {v1: 100}
  strategy: {canary: {steps: [{pause: {duration: 5m}}, {setWeight: 20}, {setShadow: {percent: 7}}]}}
  shadow: {version: v2, percent: 10}
"""
REMEDY = "PostgreSQL will be"


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"replicaCount": 2}, ["replicaCount is 2", "belongs to one router", REMEDY]),
        ({"autoscaling": {"enabled": True}}, ["autoscaling.enabled", REMEDY]),
        ({"podDisruptionBudget": {"enabled": True}}, ["podDisruptionBudget.enabled", REMEDY]),
        (
            {"store": {"location": "postgresql://db/router"}},
            ["not built into inference-router", "sqlite:///var/lib/inference-router/state.db"],
        ),
    ],
)
def test_a_second_router_is_refused_while_no_store_can_be_shared(
    values: Document, words: list[str]
) -> None:
    said = refusal(values)
    assert all(word in said for word in words), said


@pytest.mark.parametrize("service", ["admin", "metrics"])
def test_an_admin_port_that_others_reach_needs_tokens(service: str) -> None:
    said = refusal({"service": {service: {"enabled": True}}})
    assert f"service.{service}.enabled" in said
    assert "kubectl create secret" in said


def test_tokens_need_the_secret_that_holds_them() -> None:
    tokens = TOKENS["auth"]["tokens"]
    assert "auth.existingSecret" in refusal({"auth": {"tokens": tokens}})


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"server": {"drainSeconds": "10m"}}, ["/server/drainSeconds", "want integer"]),
        ({"server": {"drainSeconds": -1}}, ["/server/drainSeconds", "minimum"]),
        ({"server": {"listen": "0.0.0.0:80"}}, ["/server", "listen"]),
        ({"replicas": 1}, ["replicas", "not allowed"]),
        ({"image": {"tags": "1"}}, ["/image", "tags"]),
        ({"image": {"digest": "sha256:abc"}}, ["/image/digest"]),
        ({"persistence": {"size": "ten"}}, ["/persistence/size"]),
        ({"store": {"location": "sqlite:state.db"}}, ["/store/location"]),
        ({"podDisruptionBudget": {"minAvailable": "500%"}}, ["/podDisruptionBudget/minAvailable"]),
        (
            {"autoscaling": {"targetCPUUtilizationPercentage": 150}},
            ["/autoscaling/targetCPUUtilizationPercentage", "100"],
        ),
        ({"prometheusRule": {"versionErrorRatio": {"above": 5}}}, ["versionErrorRatio/above"]),
        ({"auth": {"tokens": [{"name": "ci", "role": "root", "key": "ci"}]}}, ["/role"]),
        ({"auth": {"tokens": [{"name": "ci", "role": "admin"}]}}, ["key"]),
        ({"files": {"a/b.yaml": "x"}}, ["/files", "a/b.yaml"]),
    ],
)
def test_the_schema_names_the_place_of_a_mistake(values: Document, words: list[str]) -> None:
    said = refusal(values)
    assert all(word in said for word in words), said


@pytest.mark.parametrize(
    ("mistake", "words"),
    [
        (("percent: 10", "percent: 101"), ["route chat: shadow.percent: 101", "0 to 100"]),
        (("v1: 100", "v1: 100.5"), ["initialWeights.v1: 100.5", "0 to 100"]),
        (("v1: 100", "v1: 100 %"), ["initialWeights.v1: 100 %", "not a number"]),
        (("setWeight: 20", "setWeight: -1"), ["steps[1].setWeight: -1", "0 to 100"]),
        (("percent: 7", "percent: 700"), ["steps[2].setShadow.percent: 700", "0 to 100"]),
    ],
)
def test_a_percentage_that_is_none_is_refused_with_its_place(
    mistake: tuple[str, str], words: list[str]
) -> None:
    said = refusal({"config": CANARY.replace(*mistake)})
    assert all(word in said for word in words), said


@pytest.mark.parametrize(
    ("config", "words"),
    [
        ("", ["config has no routes", "--set-file config=router.yaml"]),
        ("routes: []", ["config has no routes"]),
        ("routes: [", ["config is not a YAML mapping"]),
        (f"server: {{drainSeconds: 5}}\n{CONFIG}", ["section server", "chart's own value server"]),
        (f"store: 'memory:'\n{CONFIG}", ["section store", "store.location"]),
        (f"auth: {{}}\n{CONFIG}", ["section auth", "auth.tokens"]),
    ],
)
def test_the_routers_file_has_routes_and_nothing_that_the_chart_decides(
    config: str, words: list[str]
) -> None:
    said = refusal({"config": config})
    assert all(word in said for word in words), said


def test_values_that_contradict_each_other_are_refused() -> None:
    assert "is what `config` becomes" in refusal({"files": {"router.yaml": "x"}})
    assert "nothing to scrape" in refusal({"serviceMonitor": {"enabled": True}})
    assert "names no application" in refusal({"sidecar": {"enabled": True}})
    beside = {"enabled": True, "containers": [{"name": "app", "image": "app"}]}
    assert "listens on loopback" in refusal({"sidecar": beside})
    assert "no pod that its Services could reach" in refusal({"containerOnly": True})


def test_a_refusal_shows_no_secret() -> None:
    said = refusal({"store": {"location": "postgresql://router:hunter2@db/router"}})
    assert "hunter2" not in said
