"""What Git holds for two environments is valid, renders, and holds no weights."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any, Final

import hcl2
import pytest
import yaml

from router import config
from tests.chart.charts import (
    CHART,
    ROOT,
    Document,
    documents,
    load_yaml,
    only,
    program,
    render,
    router_config,
)
from tests.chart.schemas import validate

GITOPS: Final = ROOT / "config" / "gitops"
ENVIRONMENTS: Final = ("staging", "production")
APPLICATIONS: Final = sorted((GITOPS / "argocd").glob("*.yaml"))
TERRAFORM: Final = sorted((GITOPS / "terraform").glob("*.tf"))
_BLOCK: Final = re.compile(r"^(variable|output) \"(\w+)\"", re.MULTILINE)


def values_of(environment: str) -> Path:
    return GITOPS / "overlays" / environment / "values.yaml"


def overlay(environment: str) -> list[Document]:
    done = program("kubectl", "kustomize", "--enable-helm", GITOPS / "overlays" / environment)
    assert done.returncode == 0, done.stderr
    return documents(done.stdout)


def namespace_of(environment: str) -> str:
    kustomization = load_yaml(GITOPS / "overlays" / environment / "kustomization.yaml")
    (chart,) = kustomization["helmCharts"]
    namespace: str = chart["namespace"]
    return namespace


def test_every_file_is_looked_at_by_one_of_these_tests() -> None:
    known = {
        *APPLICATIONS,
        *TERRAFORM,
        *map(values_of, ENVIRONMENTS),
        *(GITOPS / "overlays" / name / "kustomization.yaml" for name in ENVIRONMENTS),
    }
    assert {file for file in GITOPS.rglob("*") if file.is_file()} == known


@pytest.mark.parametrize("environment", ENVIRONMENTS)
def test_an_overlay_builds_into_what_a_cluster_takes(environment: str) -> None:
    manifests = overlay(environment)
    for manifest in manifests:
        validate(manifest)
        assert manifest["metadata"]["labels"]["environment"] == environment
        assert manifest["metadata"]["namespace"] == namespace_of(environment)


@pytest.mark.parametrize("environment", ENVIRONMENTS)
def test_kustomize_and_argo_cd_give_the_router_the_same_file(environment: str) -> None:
    assert router_config(overlay(environment)) == router_config(
        render(load_yaml(values_of(environment)))
    )


def test_a_patch_of_an_overlay_reaches_what_the_chart_renders() -> None:
    annotations = only(overlay("production"), "Deployment")["metadata"]["annotations"]
    assert annotations["example.com/on-call"] == "serving"


@pytest.mark.parametrize("environment", ENVIRONMENTS)
def test_the_router_understands_the_file_of_an_environment(
    environment: str, tmp_path: Path
) -> None:
    file = tmp_path / "router.yaml"
    file.write_text(router_config(render(load_yaml(values_of(environment)))))
    report = config.check([file])
    assert report.ok, report


@pytest.mark.parametrize("environment", ENVIRONMENTS)
def test_a_commit_of_a_release_changes_the_config_map_and_nothing_else(environment: str) -> None:
    values = load_yaml(values_of(environment))
    before = render(values)
    text = values["config"]
    (release,) = re.findall(r"release: (v\d)\n", text)
    other = text.replace(f"release: {release}", "release: v1" if release == "v2" else "release: v2")
    changed = [
        (old["kind"], old["metadata"]["name"])
        for old, new in zip(before, render({**values, "config": other}), strict=True)
        if old != new
    ]
    assert changed == [("ConfigMap", "test-inference-router")]


@pytest.mark.parametrize("file", APPLICATIONS, ids=lambda file: file.stem)
def test_an_application_names_files_that_are_there_and_ignores_nothing(file: Path) -> None:
    application = load_yaml(file)
    validate(application)
    spec = application["spec"]
    assert ROOT / spec["source"]["path"] == CHART
    (values,) = spec["source"]["helm"]["valueFiles"]
    assert (CHART / values).resolve() == values_of(file.stem)
    assert spec["destination"]["namespace"] == namespace_of(file.stem)
    assert "ignoreDifferences" not in spec  # nothing but Git writes what Git holds


# -- Terraform -------------------------------------------------------------------------------------


def module() -> dict[str, list[Any]]:
    blocks: dict[str, list[Any]] = {}
    for file in TERRAFORM:
        for kind, found in hcl2.loads(file.read_text()).items():
            blocks.setdefault(kind, []).extend(found)
    return blocks


def test_the_terraform_module_uses_the_variables_that_it_declares() -> None:
    texts = "".join(file.read_text() for file in TERRAFORM)
    declared = {name for kind, name in _BLOCK.findall(texts) if kind == "variable"}
    assert len(module()["variable"]) == len(declared) == 7
    assert set(re.findall(r"\bvar\.(\w+)", texts)) == declared
    named = set(re.findall(r"\blocal\.(\w+)", texts))
    assert named == {key.strip('"') for key in module()["locals"][0] if not key.startswith("__")}


def test_the_terraform_module_installs_one_release_of_the_chart() -> None:
    (resource,) = module()["resource"]
    assert "helm_release" in next(iter(resource))
    (block,) = resource.values()
    release = next(iter(block.values()))
    assert {"name", "namespace", "chart", "version", "values"} <= release.keys()
    outputs = {name for kind, name in _BLOCK.findall((GITOPS / "terraform/outputs.tf").read_text())}
    assert outputs == {"url", "status"}


def test_the_modules_example_names_files_that_are_there() -> None:
    text = (GITOPS / "terraform" / "main.tf").read_text()
    (chart,) = re.findall(r'chart +?= "(\./.+?)"', text)
    (values,) = re.findall(r'values_files = \["(.+?)"\]', text)
    assert (ROOT / chart).resolve() == CHART
    assert yaml.safe_load((ROOT / values).read_text())
