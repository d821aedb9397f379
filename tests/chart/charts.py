"""The chart, rendered by a real helm: values in, manifests or the words of a refusal out.

manifests = render(ci_values("minimal"))
assert refusal({"replicaCount": 2}).startswith("replicaCount is 2")
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any, Final

import yaml

ROOT: Final = Path(__file__).parents[2]
CHART: Final = ROOT / "helm" / "inference-router"
CI: Final = sorted((CHART / "ci").glob("*-values.yaml"))
_BIN: Final = Path(sys.executable).parent

Document = dict[str, Any]

CONFIG: Final = """\
routes:
- name: chat
  match: [{pathPrefix: /v1}]
  versions: {v1: {endpoints: [http://vllm:8000]}}
"""
TOKENS: Final[Document] = {
    "auth": {
        "existingSecret": "router-tokens",
        "tokens": [{"name": "ci", "role": "operator", "key": "ci"}],
    }
}


def ci_values(name: str) -> Document:
    """One of the chart's own examples."""
    return load_yaml(CHART / "ci" / f"{name}-values.yaml")


def load_yaml(file: Path) -> Document:
    """The only document of a file."""
    loaded: Document = yaml.safe_load(file.read_text())
    return loaded


def program(name: str, *arguments: str | Path, given: str = "") -> subprocess.CompletedProcess[str]:
    """Run helm or kubectl without a cluster, whatever this machine's user has configured."""
    if not (_BIN / name).exists():
        raise RuntimeError(f"{name} is not installed: run `make .venv/bin/helm`")
    environment = {**os.environ, "KUBECONFIG": os.devnull, "PATH": f"{_BIN}:{os.environ['PATH']}"}
    return subprocess.run(
        [_BIN / name, *arguments],
        input=given,
        capture_output=True,
        text=True,
        env=environment,
        check=False,
    )


def helm(
    command: str, values: Document, *arguments: str, chart: Path = CHART
) -> subprocess.CompletedProcess[str]:
    """`helm COMMAND` of the release `test` with these values."""
    where = ("--namespace=models", "--values=-")
    given = yaml.safe_dump(values)
    return program("helm", command, "test", chart, *where, *arguments, given=given)


def render(values: Document, chart: Path = CHART) -> list[Document]:
    """All manifests."""
    done = helm("template", values, chart=chart)
    assert done.returncode == 0, done.stderr
    return documents(done.stdout)


def documents(text: str) -> list[Document]:
    """The documents of a YAML stream that are not empty."""
    return [document for document in yaml.safe_load_all(text) if document]


def refusal(values: Document) -> str:
    """What helm says instead of rendering."""
    done = helm("template", {"config": CONFIG, **values})
    assert done.returncode != 0, done.stdout
    return done.stderr


def only(manifests: list[Document], kind: str) -> Document:
    """The manifest of a kind that there is one of."""
    (found,) = of_kind(manifests, kind)
    return found


def of_kind(manifests: list[Document], kind: str) -> list[Document]:
    """All manifests of a kind."""
    return [manifest for manifest in manifests if manifest["kind"] == kind]


def router_config(manifests: list[Document]) -> str:
    """The file that the router would read."""
    (found,) = (m for m in of_kind(manifests, "ConfigMap") if "router.yaml" in m["data"])
    text: str = found["data"]["router.yaml"]
    return text
