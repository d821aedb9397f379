"""What the chart renders is what a cluster takes, and what the router understands."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import jsonschema  # type: ignore[import-untyped]  # has no types
import kubernetes_validate  # type: ignore[import-untyped]  # has no types
import pytest

from router import config
from tests.chart.charts import (
    CHART,
    CI,
    CONFIG,
    TOKENS,
    Document,
    ci_values,
    load_yaml,
    of_kind,
    only,
    program,
    render,
    router_config,
)
from tests.chart.schemas import validate


def container(manifests: list[Document]) -> Document:
    (found,) = only(manifests, "Deployment")["spec"]["template"]["spec"]["containers"]
    assert isinstance(found, dict)
    return found


def pod(values: Document) -> Document:
    template: Document = only(render({"config": CONFIG, **values}), "Deployment")["spec"][
        "template"
    ]
    return template


@pytest.mark.parametrize("values", CI, ids=lambda file: file.stem)
def test_every_manifest_of_an_example_is_valid(values: Path) -> None:
    manifests = render(load_yaml(values))
    for manifest in manifests:
        validate(manifest)
    names = [(manifest["kind"], manifest["metadata"]["name"]) for manifest in manifests]
    assert len(names) == len(set(names))


def test_the_validation_finds_what_a_cluster_would_refuse() -> None:
    manifests = render(ci_values("monitoring"))
    only(manifests, "Deployment")["spec"]["replicas"] = "one"
    with pytest.raises(kubernetes_validate.ValidationError):
        validate(only(manifests, "Deployment"))
    service = of_kind(manifests, "Service")[0]
    service["spec"]["selectors"] = {}
    with pytest.raises(kubernetes_validate.ValidationError):
        validate(service)
    only(manifests, "ServiceMonitor")["spec"]["endpoint"] = []
    with pytest.raises(jsonschema.ValidationError):
        validate(only(manifests, "ServiceMonitor"))


@pytest.mark.parametrize("values", CI, ids=lambda file: file.stem)
def test_lint_finds_nothing_in_an_example(values: Path) -> None:
    done = program("helm", "lint", "--strict", CHART, "--values", values)
    assert done.returncode == 0, done.stdout + done.stderr


def test_lint_finds_nothing_in_the_defaults() -> None:
    done = program("helm", "lint", CHART)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("values", CI, ids=lambda file: file.stem)
def test_the_router_understands_the_file_that_an_example_gives_it(
    values: Path, tmp_path: Path
) -> None:
    for config_map in of_kind(render(load_yaml(values)), "ConfigMap"):
        for name, text in config_map["data"].items():
            (tmp_path / name).write_text(text)
    report = config.check([tmp_path / "router.yaml"])
    assert report.ok, report


def test_the_order_of_versions_and_quoteless_text_reach_the_router_as_they_were_written() -> None:
    text = router_config(render(ci_values("production")))
    assert text.index("v9:") < text.index("v10:")
    assert "retry: {on: [connect, reset, 503]}" in text


def test_a_release_does_not_restart_the_pod_and_a_change_of_the_server_does() -> None:
    before = pod({})["metadata"]["annotations"]
    other = CONFIG.replace("v1", "v2")
    assert pod({"config": other})["metadata"]["annotations"] == before
    assert pod({**TOKENS, "config": other})["metadata"]["annotations"] != before
    assert pod({"server": {"workers": 3}})["metadata"]["annotations"] != before


@pytest.mark.parametrize(("drain", "delay", "stop", "grace"), [(60, 0, 5, 80), (600, 10, 0, 625)])
def test_the_termination_grace_covers_everything_that_ends_a_router(
    drain: int, delay: int, stop: int, grace: int
) -> None:
    server = {"drainSeconds": drain, "drainDelaySeconds": delay}
    spec = pod({"server": server, "preStopSeconds": stop})["spec"]
    assert spec["terminationGracePeriodSeconds"] == grace
    hook = spec["containers"][0].get("lifecycle")
    assert hook == ({"preStop": {"sleep": {"seconds": stop}}} if stop else None)


def test_two_routers_never_open_one_store() -> None:
    def strategy(values: Document) -> Any:
        return only(render({"config": CONFIG, **values}), "Deployment")["spec"]["strategy"]["type"]

    assert strategy({}) == "Recreate"
    assert strategy({"persistence": {"existingClaim": "state"}}) == "Recreate"
    assert strategy({"persistence": {"enabled": False}}) == "RollingUpdate"


def test_without_tokens_the_admin_port_is_on_loopback_and_probed_from_inside() -> None:
    manifests = render({"config": CONFIG})
    assert "admin: 127.0.0.1:8081" in router_config(manifests)
    for probe in ("startupProbe", "livenessProbe", "readinessProbe"):
        assert "http://127.0.0.1:8081/" in container(manifests)[probe]["exec"]["command"][-1]


def test_with_tokens_the_kubelet_probes_and_only_digests_are_mounted() -> None:
    manifests = render({"config": CONFIG, **TOKENS})
    text = router_config(manifests)
    assert "admin: 0.0.0.0:8081" in text
    assert 'sha256File: "/etc/inference-router-tokens/ci"' in text
    probe = container(manifests)["readinessProbe"]["httpGet"]
    assert probe == {"path": "/readyz", "port": 8081}
    assert container(manifests)["livenessProbe"]["httpGet"]["path"] == "/livez"


def test_the_container_is_as_closed_as_the_restricted_policy_wants_it() -> None:
    spec = pod({})["spec"]
    assert spec["automountServiceAccountToken"] is False
    assert spec["securityContext"]["runAsNonRoot"] is True
    assert spec["securityContext"]["runAsUser"] == 10001
    assert spec["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert spec["containers"][0]["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }


def test_what_the_router_writes_to_is_a_volume_and_nothing_else_is() -> None:
    mounts = {m["mountPath"]: m for m in pod({})["spec"]["containers"][0]["volumeMounts"]}
    assert {path for path, mount in mounts.items() if not mount.get("readOnly")} == {
        "/tmp",
        "/var/lib/inference-router",
    }
    assert "subPath" not in mounts["/etc/inference-router"]


def test_only_the_given_namespaces_reach_the_admin_port() -> None:
    policy = only(render(ci_values("hardened")), "NetworkPolicy")["spec"]
    traffic, admin = policy["ingress"]
    assert traffic["ports"][0]["port"] == "traffic"
    assert admin["ports"][0]["port"] == "admin"
    (peer,) = admin["from"]
    (expression,) = peer["namespaceSelector"]["matchExpressions"]
    assert expression["values"] == ["platform", "monitoring"]
    closed = only(render({"config": CONFIG, "networkPolicy": {"enabled": True}}), "NetworkPolicy")
    assert [rule["ports"][0]["port"] for rule in closed["spec"]["ingress"]] == ["traffic"]


def test_every_service_reaches_a_port_of_the_pod() -> None:
    manifests = render(ci_values("production"))
    ports = {port["name"] for port in container(manifests)["ports"]}
    labels = only(manifests, "Deployment")["spec"]["template"]["metadata"]["labels"]
    services = of_kind(manifests, "Service")
    assert len(services) == 3
    for service in services:
        assert service["spec"]["ports"][0]["targetPort"] in ports
        assert service["spec"]["selector"].items() <= labels.items()


def test_the_monitor_selects_the_metrics_service_alone() -> None:
    manifests = render(ci_values("monitoring"))
    monitor = only(manifests, "ServiceMonitor")["spec"]
    wanted = monitor["selector"]["matchLabels"].items()
    (service,) = (
        s for s in of_kind(manifests, "Service") if wanted <= s["metadata"]["labels"].items()
    )
    assert service["metadata"]["name"].endswith("-metrics")
    assert service["spec"]["ports"][0]["name"] == monitor["endpoints"][0]["port"]


def test_the_day_a_store_can_be_shared_replicas_autoscaling_and_disruption_budget_are_ready(
    tmp_path: Path,
) -> None:
    chart = tmp_path / "inference-router"
    shutil.copytree(CHART, chart)
    helpers = chart / "templates" / "_helpers.tpl"
    text = helpers.read_text()
    assert text.count("\n[]\n") == 1
    helpers.write_text(text.replace("\n[]\n", "\n[postgresql]\n"))
    values = {
        "config": CONFIG,
        "store": {"location": "postgresql://state/router"},
        "persistence": {"enabled": False},
        "autoscaling": {"enabled": True, "targetInFlight": 200},
        "podDisruptionBudget": {"enabled": True, "minAvailable": "50%"},
    }
    manifests = render(values, chart)
    for manifest in manifests:
        validate(manifest)
    assert "replicas" not in only(manifests, "Deployment")["spec"]
    assert len(only(manifests, "HorizontalPodAutoscaler")["spec"]["metrics"]) == 2
    assert only(manifests, "PodDisruptionBudget")["spec"]["minAvailable"] == "50%"
    assert only(manifests, "Deployment")["spec"]["strategy"]["type"] == "RollingUpdate"
    fixed = render({**values, "autoscaling": {}, "replicaCount": 3}, chart)
    assert only(fixed, "Deployment")["spec"]["replicas"] == 3
