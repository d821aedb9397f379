"""`check` on the command line: the plan for people, the same as data, and exit statuses."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from router.cli import main

CONFIG = """\
routes:
- name: chat
  match: [{path: /v1/chat/completions}]
  versions:
    v1: {endpoints: [http://127.0.0.1:8000]}
    v2: {endpoints: [http://127.0.0.1:8001]}
  release: v2
  strategy:
    canary:
      steps:
      - setWeight: 5
      - pause: {duration: 10m}
      - analysis: {templates: [{templateName: quality}]}
analysisTemplates:
- metadata: {name: quality}
  spec:
    noData: pass
    metrics:
    - name: errors
      interval: 1m
      count: 5
      successCondition: result[0] < 0.02
      provider: {prometheus: {query: "sum(rate(e[1m])) / sum(rate(a[1m]))"}}
providers: {prometheus: {address: http://127.0.0.1:9090}}
"""


def run(*arguments: str) -> Result:
    return CliRunner().invoke(main, ("check", *arguments))


@pytest.fixture
def file(tmp_path: Path) -> str:
    (tmp_path / "router.yaml").write_text(CONFIG)
    return str(tmp_path / "router.yaml")


def test_people_see_what_will_happen_at_each_step(file: str) -> None:
    result = run(file)
    assert result.exit_code == 0
    assert result.stderr == ""
    assert result.stdout.splitlines() == [
        f"{file}: ok",
        "  chat: canary to v2, at least 14m (10m of pauses, 4m of analysis)",
        "    1. 5 % of the traffic to v2",
        "    2. wait 10m",
        "    3. go on if quality is good, else roll back (4m)",
        "       errors: result[0] < 0.02; 5 times every 1m; bad at 1 failure or 5 straight errors",
        "    then v2 is stable and has all traffic",
    ]


def test_programs_see_the_same_as_data(file: str) -> None:
    report = json.loads(run(file, "-o", "json").stdout)
    (plan,) = report["files"][0]["plans"]
    assert (plan["target"], plan["at_least_s"], plan["pauses_s"]) == ("v2", 840, 600)
    assert plan["waits_for"] == []
    step = plan["steps"][2]
    assert (step["number"], step["at_least_s"]) == (3, 240)
    (metric,) = step["analysis"]["metrics"]
    assert (metric["name"], metric["provider"]) == ("errors", "prometheus")
    assert (metric["measurements"], metric["interval_s"]) == (5, 60)
    assert (metric["at_least_s"], metric["at_most_s"], metric["fails_at_s"]) == (240, 240, 0)


def test_an_analysis_that_cannot_run_is_exit_1(file: str) -> None:
    Path(file).write_text(CONFIG[: CONFIG.index("providers: {prom")])
    result = run(file)
    assert result.exit_code == 1
    assert result.stdout == ""
    assert result.stderr == (
        f"{file}:23 analysisTemplates[0].spec.metrics[0].provider.prometheus: has no address: "
        "give it one, or set providers.prometheus.address for all\n"
    )


def test_a_request_rate_shows_thresholds_that_it_cannot_resolve(file: str) -> None:
    result = run(file, "--requests-per-second", "10")
    assert result.exit_code == 0
    assert "errors: at 0.5 requests/s a window of 60s sees 30 requests" in result.stderr
    assert run(file, "--requests-per-second", "100000").stderr == ""


def test_a_condition_cannot_command_the_terminal(file: str) -> None:
    text = CONFIG.replace("result[0] < 0.02", '"result[0] < 1 or \\"\\e[2J\\" == \\"\\""')
    Path(file).write_text(text)
    result = run(file)
    assert result.exit_code == 0, result.stderr
    assert "\x1b" not in result.stdout + result.stderr
    assert "\\u001b[2J" in result.stdout
