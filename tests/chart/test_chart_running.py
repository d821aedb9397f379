"""What the chart renders, run: a router reads it, sees it swapped as by a kubelet, is probed."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.chart.charts import Document, only, render, router_config
from tests.support.engines import running_engine
from tests.support.routers import RouterProcess

CONFIG = """\
routes:
- name: chat
  match: [{pathPrefix: /v1}]
  versions: {v1: {endpoints: [V1]}, v2: {endpoints: [V2]}}
  release: v1
  strategy: {canary: {steps: [{setWeight: 50}, {pause: {}}]}}
  health: {interval: 100ms, unhealthyAfter: 1}
"""


class Mounted(RouterProcess):
    """A router whose configuration is a mounted ConfigMap."""

    swaps = 0

    def write_config(self, config: Document) -> None:
        """Swap `..data`, to which the file is a link."""
        self.swaps += 1
        folder = self.config_file.parent
        content = folder / f"..2026_{self.swaps}"
        content.mkdir()
        (content / "router.yaml").write_text(yaml.safe_dump(config, sort_keys=False))
        (folder / "..data_tmp").symlink_to(content.name)
        (folder / "..data_tmp").rename(folder / "..data")
        if self.swaps == 1:
            self.config_file.symlink_to("..data/router.yaml")


def rendered(config: str) -> tuple[Document, list[Document]]:
    """The router's file on ports that the kernel chooses and with a store for a test; manifests."""
    manifests = render({"config": config, "server": {"workers": 1, "drainSeconds": 1}})
    document: Document = yaml.safe_load(router_config(manifests))
    document["server"] |= {"listen": "127.0.0.1:0", "admin": "127.0.0.1:0"}
    return {**document, "store": "memory:"}, manifests


def probe(manifests: list[Document], kind: str, router: RouterProcess) -> int:
    """Run a probe's command as the kubelet does; its exit status."""
    spec: Any = only(manifests, "Deployment")["spec"]["template"]["spec"]
    _, *arguments = spec["containers"][0][kind]["exec"]["command"]
    here = [each.replace("http://127.0.0.1:8081", router.admin) for each in arguments]
    return subprocess.run([sys.executable, *here], capture_output=True, check=False).returncode


def weights(router: RouterProcess) -> dict[str, float]:
    """The shares in force, in percent."""
    versions = router.get("/api/v1/routes/chat")["versions"]
    return {version["name"]: version["weight"] for version in versions}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    found = tmp_path / "etc"
    found.mkdir()
    return found


def test_a_release_in_a_config_map_that_is_swapped_starts_and_the_probes_tell_the_state(
    folder: Path,
) -> None:
    with running_engine("v1") as v1, running_engine("v2") as v2:
        text = CONFIG.replace("V1", v1.url).replace("V2", v2.url)
        before, manifests = rendered(text)
        router = Mounted(folder, before)
        try:
            router.wait_started()
            router.wait_ready()
            assert probe(manifests, "startupProbe", router) == 0
            assert probe(manifests, "readinessProbe", router) == 0
            router.write_config(rendered(text.replace("release: v1", "release: v2"))[0])
            router.wait_until(lambda: weights(router) == {"v1": 50, "v2": 50})
            v1.kill()
            router.wait_until(lambda: router.readiness()["warnings"] != [])
            assert probe(manifests, "readinessProbe", router) == 0  # v2 still answers
            v2.kill()
            router.wait_until(lambda: not router.readiness()["ready"])
            assert probe(manifests, "readinessProbe", router) != 0
            assert probe(manifests, "livenessProbe", router) == 0
        finally:
            router.close()
