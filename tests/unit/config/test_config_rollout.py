"""From a route's configuration to what the rollout machine is told."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from router.analysis.phases import OnDeadline
from router.config import Config
from router.config.rollout import rollout_spec
from router.rollouts import spec
from router.snapshot import HeaderCondition, HeaderMatch, Rule

Loads = Callable[[str], Config]

ROUTE = """\
analysisTemplates:
- metadata: {name: quality}
  spec: {metrics: [{name: errors, provider: {prometheus: {address: "http://p", query: up}}}]}
routes:
- name: chat
  match: [{path: /v1/chat/completions}]
  versions:
    v1: {endpoints: [http://10.0.0.1:8000]}
    v2: {endpoints: [http://10.0.0.2:8000]}
    v3: {endpoints: [http://10.0.0.3:8000]}
  release: v2
"""


def test_every_part_of_a_canary_reaches_the_spec(loads: Loads) -> None:
    config = loads(
        ROUTE
        + """\
  shadow: {version: v3, percent: 10}
  strategy:
    progressDeadlineSeconds: 30
    progressDeadlineAbort: true
    rollbackWindow: {revisions: 2}
    canary:
      maxTrafficWeight: 1000
      steps:
      - setWeight: 25
      - pause: {duration: 1h}
      - pause: {}
      - analysis:
          templates: [{templateName: quality}]
          args: [{name: a, value: b}, {name: c, valueFrom: {fieldRef: {fieldPath: x}}}]
          dryRun: [{metricName: "err.*"}]
          measurementRetention: [{metricName: errors, limit: 3}]
          deadline: 10m
          onDeadline: abort
      - setHeaderRoute:
          name: testers
          match: [{headerName: X-A, headerValue: {prefix: b}}]
      - setHeaderRoute: {name: testers}
      - setShadow:
          version: v3
          percent: 2.5
          match: [{pathPrefix: /v1/, headers: [{name: h, present: true}]}]
      analysis: {templates: [{templateName: quality}], startingStep: 1}
"""
    )
    quality = spec.AnalysisRef(templates=("quality",))
    assert rollout_spec(config.routes[0]) == spec.RouteSpec(
        route="chat",
        versions=("v1", "v2"),
        release="v2",
        progress_deadline_s=30.0,
        progress_deadline_abort=True,
        rollback_window=2,
        strategy=spec.CanarySpec(
            steps=(
                spec.SetWeight(weight_bp=250),
                spec.Pause(duration_s=3_600.0),
                spec.Pause(),
                spec.Analysis(
                    ref=spec.AnalysisRef(
                        templates=("quality",),
                        args=(
                            spec.Argument(name="a", value="b"),
                            spec.Argument(name="c", value_from={"fieldRef": {"fieldPath": "x"}}),
                        ),
                        dry_run=("err.*",),
                        retention=(("errors", 3),),
                    ),
                    deadline_s=600.0,
                    on_deadline=OnDeadline.ABORT,
                ),
                spec.SetHeaderRoute(
                    name="testers",
                    matches=(HeaderCondition(name="x-a", match=HeaderMatch.PREFIX, value="b"),),
                ),
                spec.SetHeaderRoute(name="testers"),
                spec.SetShadow(
                    version="v3",
                    percent_bp=250,
                    rules=(
                        Rule(
                            path_prefix="/v1",
                            headers=(HeaderCondition(name="h", match=HeaderMatch.PRESENT),),
                        ),
                    ),
                ),
            ),
            background=spec.Background(ref=quality, starting_step=1),
        ),
    )


def test_a_route_without_a_strategy_has_none(loads: Loads) -> None:
    route = loads(ROUTE).routes[0]
    assert rollout_spec(route) == spec.RouteSpec(
        route="chat", versions=("v1", "v2", "v3"), release="v2"
    )


def test_a_blue_green_strategy_keeps_its_least_number_of_endpoints(loads: Loads) -> None:
    text = ROUTE + "  strategy: {blueGreen: {minHealthyEndpoints: 3}}\n"
    strategy = rollout_spec(loads(text).routes[0]).strategy
    assert strategy == spec.BlueGreenSpec(min_healthy_endpoints=3)


def test_every_part_of_a_blue_green_strategy_reaches_the_spec(loads: Loads) -> None:
    text = (
        ROUTE
        + """\
  strategy:
    blueGreen:
      minHealthyEndpoints: 3
      healthCheckRetries: 4
      healthCheckInterval: 5s
      previewHeader: {header: X-Preview, present: true}
      warmup:
        requests: 2
        method: PUT
        path: /v1/completions
        body: {prompt: hi}
        firstByte: 7s
        requireModel: true
      autoPromotionEnabled: false
      autoPromotionSeconds: 60
      prePromotionAnalysis:
        templates: [{templateName: quality}]
        deadline: 10m
        onDeadline: abort
      postPromotionAnalysis: {templates: [{templateName: quality}]}
      keepWarmSeconds: 600
"""
    )
    quality = spec.AnalysisRef(templates=("quality",))
    assert rollout_spec(loads(text).routes[0]).strategy == spec.BlueGreenSpec(
        min_healthy_endpoints=3,
        health_check_retries=4,
        health_check_interval_s=5.0,
        preview=HeaderCondition(name="x-preview", match=HeaderMatch.PRESENT),
        warmup=spec.Warmup(
            requests=2,
            method="PUT",
            path="/v1/completions",
            body='{"prompt":"hi"}',
            first_byte_s=7.0,
            require_model=True,
        ),
        auto_promotion_enabled=False,
        auto_promotion_s=60.0,
        pre_promotion=spec.Analysis(ref=quality, deadline_s=600.0, on_deadline=OnDeadline.ABORT),
        post_promotion=spec.Analysis(ref=quality),
        keep_warm_s=600.0,
    )


@pytest.mark.parametrize(
    ("written", "sent"),
    [("'a: b'", "a: b"), ("[1, 2.5, null]", "[1,2.5,null]"), ("null", None)],
)
def test_the_body_of_a_warm_up_is_text_as_it_is_or_json(
    loads: Loads, written: str, sent: str | None
) -> None:
    text = ROUTE + f"  strategy: {{blueGreen: {{warmup: {{path: /x, body: {written}}}}}}}\n"
    warmup = rollout_spec(loads(text).routes[0]).blue_green.warmup
    assert warmup is not None
    assert warmup.body == sent


def test_the_gates_are_those_that_have_a_webhook(loads: Loads) -> None:
    gates = "[{type: confirmPromotion, url: http://g/1}, {type: confirmPromotion, url: http://g/2}]"
    text = ROUTE + f"  strategy: {{canary: {{}}, gates: {gates}}}\n"
    assert rollout_spec(loads(text).routes[0]).gates == (spec.GateKind.CONFIRM_PROMOTION,)


def test_the_spec_of_an_unchanged_route_is_the_same_in_every_load(loads: Loads) -> None:
    text = ROUTE + "  strategy: {canary: {steps: [{setWeight: 5}, {pause: {}}]}}\n"
    one, other = rollout_spec(loads(text).routes[0]), rollout_spec(loads(text).routes[0])
    assert one == other
    assert one.canary.digest == other.canary.digest
