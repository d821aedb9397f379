"""A whole rollout as Argo users write it: three and a half hours in milliseconds."""

from __future__ import annotations

from pathlib import Path
from textwrap import dedent

import pytest

from router.analysis.phases import Phase as RunPhase
from router.config import load
from router.config.rollout import rollout_spec
from router.rollouts.phases import Phase, Reason
from router.snapshot import FULL
from tests.rollouts.story import Story

MINUTE = 60

ROLLOUT = """\
apiVersion: argoproj.io/v1alpha1
kind: Rollout
metadata: {name: model-serving, namespace: ai-production}
spec:
  replicas: 10
  strategy:
    canary:
      canaryService: model-serving-canary
      stableService: model-serving-stable
      trafficRouting:
        istio: {virtualService: {name: model-serving-vsvc, routes: [primary]}}
      steps:
        - setWeight: 5
        - pause: {duration: 30m}
        - analysis: {templates: [{templateName: model-quality-analysis}]}
        - setWeight: 25
        - pause: {duration: 1h}
        - analysis: {templates: [{templateName: model-quality-analysis}]}
        - setWeight: 50
        - pause: {duration: 2h}
        - setWeight: 100
      autoPromotionEnabled: false
      antiAffinity: {requiredDuringSchedulingIgnoredDuringExecution: {}}
"""

TEMPLATE = """\
apiVersion: argoproj.io/v1alpha1
kind: AnalysisTemplate
metadata: {name: model-quality-analysis}
spec:
  metrics:
  - name: errors
    interval: 5m
    count: 3
    successCondition: result[0] <= 0.02
    provider: {prometheus: {address: "http://prometheus:9090", query: up}}
"""

CONFIG = """\
analysisTemplates: [template.yaml]
routes:
- name: chat
  match: [{path: /v1/chat/completions}]
  versions:
    v1: {endpoints: [http://10.0.0.11:8000]}
    v2: {endpoints: [http://10.0.0.21:8000]}
  release: v2
  strategy: {fromManifest: rollout.yaml}
"""


@pytest.fixture
def story(tmp_path: Path) -> Story:
    """The manifest's rollout from v1 to v2, before its first look."""
    files = {"rollout.yaml": ROLLOUT, "template.yaml": TEMPLATE, "router.yaml": CONFIG}
    for name, text in files.items():
        (tmp_path / name).write_text(dedent(text), encoding="utf-8")
    config = load(str(tmp_path / "router.yaml"))
    return Story(rollout_spec(config.routes[0]))


def pass_time(story: Story, minutes: int) -> None:
    """Look every ten seconds, as the loop does."""
    for _ in range(minutes * 6):
        story.tick(after=10)


def test_a_good_version_climbs_by_the_manifest(story: Story) -> None:
    began = story.now
    story.settle()
    assert story.shares == {"v1": 9_500, "v2": 500}
    pass_time(story, 29)
    assert story.started == []
    pass_time(story, 1)
    assert [run.ref.templates for run in story.started] == [("model-quality-analysis",)]
    assert story.end_run(RunPhase.SUCCESSFUL).shares == {"v1": 7_500, "v2": 2_500}
    pass_time(story, 60)
    assert story.end_run(RunPhase.SUCCESSFUL).shares == {"v1": 5_000, "v2": 5_000}
    pass_time(story, 119)
    assert story.shares == {"v1": 5_000, "v2": 5_000}
    pass_time(story, 1)
    story.settle()
    assert (story.state.stable, story.shares) == ("v2", {"v2": FULL})
    assert story.now == began + 210 * MINUTE
    assert story.mood == (Phase.HEALTHY, Reason.PROMOTED)


def test_the_loop_may_sleep_from_alarm_to_alarm(story: Story) -> None:
    began = story.now
    story.settle()
    while story.state.stable == "v1":
        if story.next_at is not None:
            story.settle(after=story.next_at - story.now)
        else:
            story.end_run(RunPhase.SUCCESSFUL)
    assert story.now == began + 210 * MINUTE
    assert [run.id for run in story.started] == ["chat-1-step3-1", "chat-1-step6-2"]


def test_a_bad_version_is_back_at_nothing_with_the_first_verdict(story: Story) -> None:
    story.settle()
    pass_time(story, 30)
    decision_at = story.now
    story.end_run(RunPhase.FAILED, 'Metric "errors" assessed Failed due to failed (4) > 3')
    assert story.shares == {"v1": FULL}
    assert story.rollout.finished_s == decision_at
    assert story.told[-1] == (Phase.DEGRADED, Reason.ANALYSIS)
