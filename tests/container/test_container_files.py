"""What can be said of the image and of compose.yaml without an engine."""

from __future__ import annotations

import http.server
import json
import os
import re
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import pytest
import yaml

from router.config import check
from tests.container.dockerfile import Stage, is_left_out, read_stages, sources

ROOT: Final = Path(__file__).parents[2]
COMPOSE_FOLDER: Final = ROOT / "config" / "compose"
HEALTHCHECK: Final = ROOT / "container" / "healthcheck"
STAGES: Final = read_stages(ROOT / "Dockerfile")
END: Final = STAGES[-1]
INSTALLERS: Final = re.compile(r"\b(apt|apt-get|apk|dnf|pip|gcc|g\+\+|make|build-essential|curl)\b")


def compose() -> dict[str, Any]:
    loaded: dict[str, Any] = yaml.safe_load((ROOT / "compose.yaml").read_text())
    return loaded


# -- the Dockerfile --------------------------------------------------------------------------------


def test_both_stages_start_from_the_base_that_is_a_build_argument() -> None:
    assert [stage.base for stage in STAGES] == ["${BASE}", "${BASE}"]
    assert re.search(r"^ARG BASE=\S+:\S+$", (ROOT / "Dockerfile").read_text(), re.MULTILINE)


def test_the_end_image_runs_as_a_user_without_rights() -> None:
    assert END.all("USER") == ["10001:10001"]
    after = [each.name for each in END.instructions]
    assert "RUN" not in after[after.index("USER") :]


def test_the_end_image_installs_nothing_and_takes_only_the_environment_from_the_build() -> None:
    assert [run for run in END.all("RUN") if INSTALLERS.search(run)] == []
    assert END.all("COPY") == ["--from=build /opt/inference-router /opt/inference-router"]


def test_every_package_from_an_index_must_have_a_hash_of_the_lock() -> None:
    installs = [
        part.strip()
        for run in STAGES[0].all("RUN")
        for part in run.split("&&")
        if re.search(r"pip\b.* (install|wheel) ", part)
    ]
    assert len(installs) == 4
    for install in installs:
        offline = "--no-index" in install and "--no-deps" in install
        assert offline or "--require-hashes --only-binary :all: --requirement" in install, install


def test_the_index_comes_in_as_a_secret_and_never_as_an_argument() -> None:
    text = (ROOT / "Dockerfile").read_text()
    assert "--mount=type=secret,id=pip,target=/etc/pip.conf" in text
    assert re.search(r"https?://(?!github\.com/inference-router/)", text) is None
    assert re.search(r"^(ARG|ENV).*(INDEX|TOKEN|PASSWORD)", text, re.MULTILINE) is None


def test_it_says_how_it_is_stopped_and_whether_it_is_well() -> None:
    assert END.last("STOPSIGNAL") == "SIGTERM"
    assert END.last("HEALTHCHECK").endswith('CMD ["healthcheck"]')
    assert json.loads(END.last("ENTRYPOINT")) == ["inference-router"]
    assert json.loads(END.last("VOLUME")) == ["/var/lib/inference-router", "/tmp"]


def test_it_is_labelled_for_registries_and_scanners() -> None:
    names = set(re.findall(r"org\.opencontainers\.image\.([a-z.]+)=", END.last("LABEL")))
    assert names >= {"title", "licenses", "source", "version", "revision", "created", "base.name"}


@pytest.mark.parametrize("stage", STAGES, ids=lambda stage: stage.name or "end")
def test_every_copied_file_is_there_and_reaches_the_builder(stage: Stage) -> None:
    for source in sources(stage):
        assert (ROOT / source).exists(), source
        assert not is_left_out(ROOT / ".dockerignore", source.rstrip("/")), source


@pytest.mark.parametrize(
    "path",
    [
        ".git/config", ".venv/bin/python", "config/full.yaml", "state.db", "tests/conftest.py",
        "router/__pycache__/x.pyc", "router/cli/__pycache__/x.pyc", ".env", "bench-results/x.json",
    ],
)  # fmt: skip
def test_the_builder_never_sees(path: str) -> None:
    assert is_left_out(ROOT / ".dockerignore", path)


# -- the health check ------------------------------------------------------------------------------


@pytest.mark.parametrize(("status", "exit_status"), [(200, 0), (503, 1), (404, 1)])
def test_a_health_check_passes_only_on_200(status: int, exit_status: int) -> None:
    with answering(status) as (url, paths):
        assert health(INFERENCE_ROUTER_URL=url).returncode == exit_status
        assert paths == ["/livez"]


def test_a_health_check_asks_the_url_that_it_is_given() -> None:
    with answering(200) as (url, paths):
        assert health(f"{url}/health").returncode == 0
        assert paths == ["/health"]


def test_a_health_check_asks_no_proxy() -> None:
    with answering(200) as (url, _), answering(503) as (proxy, paths):
        assert health(INFERENCE_ROUTER_URL=url, http_proxy=proxy).returncode == 0
        assert paths == []


def test_a_health_check_says_what_is_wrong_where_nothing_listens() -> None:
    done = health("http://127.0.0.1:1/livez")
    assert done.returncode == 1
    assert "http://127.0.0.1:1/livez: ConnectionRefusedError" in done.stderr


def health(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-IS", str(HEALTHCHECK), *arguments]
    return subprocess.run(
        command, env={**os.environ, **environment}, capture_output=True, text=True, check=False
    )


@contextmanager
def answering(status: int) -> Iterator[tuple[str, list[str]]]:
    """A server that gives every request this status; its URL and the paths that were asked."""
    paths: list[str] = []

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            paths.append(self.path)
            self.send_response(status)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    with http.server.HTTPServer(("127.0.0.1", 0), Handler) as server:
        serving = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        serving.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}", paths
        finally:
            server.shutdown()
            serving.join()


# -- compose.yaml ----------------------------------------------------------------------------------


def test_compose_has_the_router_two_engines_and_who_watches_them() -> None:
    assert set(compose()["services"]) == {
        "router", "engine-v1", "engine-v2", "prometheus", "grafana",
    }  # fmt: skip


def test_every_image_of_compose_has_a_fixed_tag() -> None:
    for name, service in compose()["services"].items():
        _, _, tag = service["image"].partition(":")
        assert tag not in {"", "latest"}, name


def test_what_is_ours_in_compose_runs_without_rights_on_a_read_only_file_system() -> None:
    for name in ("router", "engine-v1", "engine-v2"):
        service = compose()["services"][name]
        assert service["read_only"] is True, name
        assert service["cap_drop"] == ["ALL"], name
        assert service["security_opt"] == ["no-new-privileges:true"], name
        assert service["tmpfs"] == ["/tmp"], name


def test_compose_opens_ports_to_this_host_only() -> None:
    ports = [port for each in compose()["services"].values() for port in each.get("ports", ())]
    assert ports
    assert [port for port in ports if not port.startswith("127.0.0.1:")] == []


def test_compose_mounts_only_what_is_there() -> None:
    known = set(compose()["volumes"])
    for name, service in compose()["services"].items():
        for volume in service.get("volumes", ()):
            source = volume.partition(":")[0]
            assert source in known or (ROOT / source).exists(), (name, source)


def test_compose_waits_longer_for_the_router_than_the_router_for_its_streams() -> None:
    server = yaml.safe_load((COMPOSE_FOLDER / "router" / "router.yaml").read_text())["server"]
    grace = compose()["services"]["router"]["stop_grace_period"]
    assert int(grace.removesuffix("s")) > server["drainSeconds"] + server.get(
        "drainDelaySeconds", 0
    )


def test_the_routers_configuration_of_compose_is_right_and_names_its_services(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("ROUTER_TOKEN_SHA256", "0" * 64)
    report = check([COMPOSE_FOLDER / "router" / "router.yaml"])
    assert report.ok, report
    document = yaml.safe_load((COMPOSE_FOLDER / "router" / "router.yaml").read_text())
    versions = document["routes"][0]["versions"]
    hosts = {re.sub(r"http://|:8000", "", *each["endpoints"]) for each in versions.values()}
    assert hosts == {"engine-v1", "engine-v2"}


def test_prometheus_scrapes_the_routers_admin_port(tmp_path: Path) -> None:
    file = COMPOSE_FOLDER / "prometheus.yaml"
    (job,) = yaml.safe_load(file.read_text())["scrape_configs"]
    assert job["static_configs"] == [{"targets": ["router:8081"]}]
    promtool = shutil.which("promtool")
    assert promtool, "make test installs Debian's prometheus, which has it"
    command = [promtool, "check", "config", str(file)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_grafana_finds_prometheus_and_the_charts_dashboards() -> None:
    folder = COMPOSE_FOLDER / "grafana"
    (source,) = yaml.safe_load((folder / "datasources" / "prometheus.yaml").read_text())[
        "datasources"
    ]
    assert (source["type"], source["url"]) == ("prometheus", "http://prometheus:9090")
    (provider,) = yaml.safe_load((folder / "dashboards" / "inference-router.yaml").read_text())[
        "providers"
    ]
    mounts = dict(v.split(":")[:2] for v in compose()["services"]["grafana"]["volumes"])
    (dashboards,) = (a for a, b in mounts.items() if b == provider["options"]["path"])
    assert list((ROOT / dashboards).glob("*.json"))
