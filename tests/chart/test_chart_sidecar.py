"""The router beside an application: by values, and by including its templates in another chart."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

from tests.chart.charts import (
    CHART,
    Document,
    ci_values,
    of_kind,
    only,
    render,
    router_config,
)
from tests.chart.schemas import validate


def router_of(pod: Document) -> Document:
    (found,) = (each for each in pod["initContainers"] if each["name"] == "router")
    assert isinstance(found, dict)
    return found


def test_a_sidecar_starts_before_the_application_and_listens_for_it_alone() -> None:
    manifests = render(ci_values("sidecar"))
    pod = only(manifests, "Deployment")["spec"]["template"]["spec"]
    assert router_of(pod)["restartPolicy"] == "Always"
    assert "lifecycle" not in router_of(pod)
    assert [each["name"] for each in pod["containers"]] == ["assistant"]
    assert "listen: 127.0.0.1:8080" in router_config(manifests)
    (port,) = only(manifests, "Service")["spec"]["ports"]
    assert port["targetPort"] == pod["containers"][0]["ports"][0]["name"]


def test_another_chart_includes_the_router_as_the_readme_says(tmp_path: Path) -> None:
    chart = tmp_path / "assistant"
    shutil.copytree(CHART, chart / "charts" / "inference-router")
    (chart / "templates").mkdir()
    blocks = dict(
        re.findall(
            r"```yaml\n# ([\w./]+)[^\n]*\n(.*?)```", (CHART / "README.md").read_text(), re.DOTALL
        )
    )
    head = "apiVersion: v2\nname: assistant\nversion: 0.1.0\n"
    (chart / "Chart.yaml").write_text(head + blocks["Chart.yaml"])
    (chart / "values.yaml").write_text(blocks["values.yaml"])
    (chart / "templates" / "deployment.yaml").write_text(blocks["templates/deployment.yaml"])
    manifests = render({}, chart)
    for manifest in manifests:
        validate(manifest)
    pod = only(manifests, "Deployment")["spec"]["template"]["spec"]
    mounted = {mount["name"] for mount in router_of(pod)["volumeMounts"]}
    assert mounted == {volume["name"] for volume in pod["volumes"]}
    (config_map,) = of_kind(manifests, "ConfigMap")
    (volume,) = (each for each in pod["volumes"] if each["name"] == "config")
    assert volume["configMap"]["name"] == config_map["metadata"]["name"]
