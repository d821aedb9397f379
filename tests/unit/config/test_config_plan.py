"""The plan: what a new release will go through, how long that takes, and who has to act."""

from __future__ import annotations

from collections.abc import Callable
from textwrap import dedent, indent

import pytest
from hypothesis import given
from hypothesis import strategies as st

from router.analysis.metric import OFF, MetricSpec
from router.analysis.phases import NoData
from router.config import RoutePlan, check
from router.config.models import Canary
from router.config.plan import soonest_good, weights_before

Write = Callable[..., str]

ROUTE = """\
routes:
- name: chat
  match: [{path: /v1/chat/completions}]
  versions:
    v1: {endpoints: [http://10.0.0.1:8000]}
    v2: {endpoints: [http://10.0.0.2:8000]}
  release: v2
"""
QUALITY = """\
interval: 1m
count: 5
failureLimit: 1
successCondition: result[0] < 0.02
"""

# A rollout and a template as Argo users write them.
MANIFEST = """\
apiVersion: argoproj.io/v1alpha1
kind: Rollout
metadata: {name: model-serving}
spec:
  replicas: 10
  strategy:
    canary:
      canaryService: model-serving-canary
      trafficRouting: {istio: {virtualService: {name: vsvc, routes: [primary]}}}
      steps:
        - setWeight: 5
        - pause: {duration: 30m}
        - analysis: {templates: [{templateName: quality}]}
        - setWeight: 25
        - pause: {duration: 1h}
        - analysis: {templates: [{templateName: quality}]}
        - setWeight: 50
        - pause: {duration: 2h}
        - setWeight: 100
      autoPromotionEnabled: false
"""
ARGO_TEMPLATE = """\
apiVersion: argoproj.io/v1alpha1
kind: AnalysisTemplate
metadata: {name: quality}
spec:
  metrics:
    - name: error-rate
      interval: 5m
      successCondition: result[0] < 0.02
      failureLimit: 3
      provider:
        prometheus:
          address: http://prometheus:9090
          query: sum(rate(errors_total{version="{{args.canary-version}}"}[5m]))
    - name: p99-latency
      interval: 5m
      successCondition: result[0] < 2.5
      provider:
        prometheus:
          query: histogram_quantile(0.99, rate(seconds_bucket[5m]))
"""


def template(metric: str, **spec: str) -> str:
    """A configuration's section with one template called `quality`; `metric` is YAML."""
    fields = "".join(f"    {key}: {value}\n" for key, value in spec.items())
    start = "analysisTemplates:\n- apiVersion: argoproj.io/v1alpha1\n  metadata: {name: quality}\n"
    provider = "provider: {router: {metric: errorRatio}}\n"
    return (
        f"{start}  spec:\n{fields}    metrics:\n    - name: errors\n"
        f"{indent(dedent(metric) + provider, '      ')}"
    )


@pytest.fixture
def plan(write: Write) -> Callable[..., RoutePlan]:
    """The plan of a route with this strategy, written in YAML."""

    def plan(strategy: str, templates: str = "", route: str = ROUTE) -> RoutePlan:
        text = route + indent(dedent(strategy), "  ") + templates
        (report,) = check([write(text)]).files
        assert report.problems == ()
        return report.plans[0]

    return plan


Plans = Callable[..., RoutePlan]
STEP = "strategy: {canary: {steps: [{analysis: {templates: [{templateName: quality}]}}]}}\n"
BESIDE = """\
strategy:
  canary:
    steps: [{setWeight: 5}, {pause: {duration: 10m}}]
    analysis: {templates: [{templateName: quality}], startingStep: 1}
"""


def test_a_canarys_plan_tells_each_step_its_measurements_and_its_time(plan: Plans) -> None:
    strategy = """\
        strategy:
          canary:
            steps:
            - setHeaderRoute: {name: h, match: [{headerName: x-a, headerValue: {exact: b}}]}
            - setHeaderRoute: {name: h}
            - setWeight: 0.5
            - pause: {duration: 1h30m}
            - analysis: {templates: [{templateName: quality}], deadline: 10m, onDeadline: abort}
            - setWeight: 50
            - analysis: {templates: [{templateName: quality}]}
        """
    found = plan(strategy, template(QUALITY))
    assert str(found).splitlines() == [
        "chat: canary to v2, at least 1h38m (1h30m of pauses, 8m of analysis)",
        "  1. requests with header x-a to v2 (h)",
        "  2. header route h ends",
        "  3. 0.5 % of the traffic to v2",
        "  4. wait 1h30m",
        "  5. go on if quality is good, else roll back (4m; no verdict after 10m: abort)",
        "     errors: result[0] < 0.02; 5 times every 1m; bad at 2 failures (1m) or 5 straight "
        "errors",
        "  6. 50 % of the traffic to v2",
        "  7. go on if quality is good, else roll back (4m)",
        "     as in step 5",
        "  then v2 is stable and has all traffic",
    ]
    assert (found.pauses_s, found.at_least_s, found.waits_for) == (5400.0, 5880.0, ())


def test_argos_own_manifests_have_a_plan_with_its_total_duration(write: Write) -> None:
    write(MANIFEST, "rollout.yaml")
    write(ARGO_TEMPLATE, "template.yaml")
    text = (
        f"{ROUTE}  strategy: {{fromManifest: rollout.yaml}}\nanalysisTemplates: [template.yaml]\n"
        "providers: {prometheus: {address: http://prometheus:9090}}\n"
    )
    (report,) = check([write(text)]).files
    assert report.problems == ()
    assert str(report.plans[0]).splitlines()[:7] == [
        "chat: canary to v2, at least 4h (3h30m of pauses, 30m of analysis)",
        "  1. 5 % of the traffic to v2",
        "  2. wait 30m",
        "  3. go on if quality is good, else roll back (15m)",
        "     error-rate: result[0] < 0.02; 4 times every 5m; bad at 4 failures (15m) or 5 "
        "straight errors",
        "     p99-latency: result[0] < 2.5; once; bad at 1 failure or 5 straight errors",
        "  4. 25 % of the traffic to v2",
    ]


METRICS = {
    "once": ("", "every answer is good; once; bad at 1 failure or 5 straight errors", (0, 0, 0)),
    "both conditions": (
        "successCondition: result[0] < 1\nfailureCondition: result[0] > 2\n",
        "good: result[0] < 1, bad: result[0] > 2, else undecided; once; bad at 1 failure or 5 "
        "straight errors",
        (0, 0, 0),
    ),
    "only a failure condition": (
        "failureCondition: result[0] > 2\nconsecutiveErrorLimit: 0\n",
        "bad: result[0] > 2; once; bad at 1 failure or 1 straight error",
        (0, 0, 0),
    ),
    "a delay": (
        "initialDelay: 30s\ncount: 3\ninterval: 10s\n",
        "every answer is good; 3 times every 10s, first after 30s; bad at 1 failure (30s) or 5 "
        "straight errors",
        (50, 50, 30),
    ),
    "successes in a row": (
        "interval: 10s\ncount: 9\nconsecutiveSuccessLimit: 3\n",
        "every answer is good; 9 times every 10s, until 3 good ones in a row; bad at 1 failure or "
        "5 straight errors",
        (20, 80, 0),
    ),
    "only successes in a row": (
        "interval: 10s\nfailureLimit: -1\nconsecutiveSuccessLimit: 3\n",
        "every answer is good; every 10s, until 3 good ones in a row; bad only at 5 straight "
        "errors",
        (20, None, None),
    ),
    "so many that some must be in a row": (
        "interval: 10s\ncount: 6\nfailureLimit: -1\nconsecutiveSuccessLimit: 3\n",
        "every answer is good; 6 times every 10s, until 3 good ones in a row; bad without them "
        "(50s) or at 5 straight errors",
        (20, 50, 50),
    ),
    "more failures tolerated than measured": (
        "interval: 10s\ncount: 2\nfailureLimit: 2\n",
        "every answer is good; 2 times every 10s; bad only at 5 straight errors",
        (10, 10, None),
    ),
    "no end": (
        "interval: 10s\nfailureLimit: 2\n",
        "every answer is good; 3 times every 10s; bad at 3 failures (20s) or 5 straight errors",
        (20, 20, 20),
    ),
    "a wait for data": (
        "interval: 10s\ncount: 2\nnoData: wait\n",
        "every answer is good; 2 times every 10s; bad at 1 failure or 5 straight errors",
        (10, None, 0),
    ),
}


@pytest.mark.parametrize("case", METRICS)
def test_a_metrics_plan_says_how_often_how_long_and_what_fails_it(case: str, plan: Plans) -> None:
    metric, words, times = METRICS[case]
    analysis = plan(STEP, template(metric)).steps[0].analysis
    assert analysis is not None
    (found,) = analysis.metrics
    assert found.words == words
    assert (found.at_least_s, found.at_most_s, found.fails_at_s) == times
    assert (analysis.at_least_s, analysis.at_most_s) == times[:2]


def test_a_dry_run_metric_decides_nothing(plan: Plans) -> None:
    templates = template("interval: 5s\ncount: 2\n", dryRun="[{metricName: errors}]")
    analysis = plan(STEP, templates).steps[0].analysis
    assert analysis is not None
    assert analysis.metrics[0].words.endswith("; only shown, decides nothing")


def test_the_longest_metric_and_the_deadline_bound_an_analysis(plan: Plans) -> None:
    metrics = "interval: 10s\nnoData: wait\ncount: 2\n"
    step = plan(STEP, template(metrics, deadline="1m")).steps[0]
    assert step.words == (
        "go on if quality is good, else roll back (10s to 1m; no verdict after 1m: pause)"
    )


def test_a_metric_without_an_end_is_good_at_the_deadline(plan: Plans) -> None:
    step = plan(STEP, template("interval: 1m\nfailureLimit: 9\n", deadline="3m")).steps[0]
    assert step.at_least_s == 180
    assert "(3m; no verdict after 3m: pause)" in step.words


def test_an_analysis_beside_the_steps_takes_no_time_of_its_own(plan: Plans) -> None:
    found = plan(BESIDE, template("interval: 30s\nfailureLimit: 2\n"))
    assert str(found).splitlines() == [
        "chat: canary to v2, at least 10m",
        "  from step 2 on, beside the steps: roll back as soon as quality is bad",
        "     errors: every answer is good; every 30s; bad at 3 failures (1m) or 5 straight errors",
        "  1. 5 % of the traffic to v2",
        "  2. wait 10m",
        "  then v2 is stable and has all traffic",
    ]


def test_a_pause_without_a_duration_waits_for_a_person(plan: Plans) -> None:
    found = plan("strategy: {canary: {steps: [{setWeight: 5}, {pause: {}}]}}\n")
    assert found.waits_for == ("a person",)
    assert found.summary == "canary to v2, at least 0s, waits for a person"
    assert str(found.steps[1]) == "2. wait until a person resumes"


def test_each_gate_stands_before_what_it_holds_up(plan: Plans) -> None:
    strategy = """\
        strategy:
          canary: {steps: [{setWeight: 5}, {setWeight: 5}, {setWeight: 2}, {setWeight: 9}]}
          gates:
          - {type: confirmRollout, url: http://gate/?token=hunter2, interval: 30s}
          - {type: confirmTrafficIncrease, url: http://gate/a}
          - {type: confirmTrafficIncrease, url: http://gate/b}
          - {type: confirmPromotion, url: http://gate/c}
        """
    found = plan(strategy)
    assert [str(step) for step in found.steps] == [
        "begins when gate confirmRollout opens (asked every 30s)",
        "1. 5 % of the traffic to v2, when gate confirmTrafficIncrease (2 webhooks) opens",
        "2. 5 % of the traffic to v2",
        "3. 2 % of the traffic to v2",
        "4. 9 % of the traffic to v2, when gate confirmTrafficIncrease (2 webhooks) opens",
        "then v2 is stable and has all traffic, when gate confirmPromotion opens",
    ]
    assert len(found.waits_for) == 3
    assert "hunter2" not in repr(found)


def test_a_canary_without_steps_is_stable_at_once(plan: Plans) -> None:
    found = plan("strategy: {canary: {}}\n")
    assert [str(step) for step in found.steps] == ["v2 is stable and has all traffic"]


THREE = ROUTE.replace("  release", "    v3: {endpoints: [http://10.0.0.3:8000]}\n  release")


def told(report: RoutePlan) -> list[str]:
    return [str(step) for step in report.steps[:-1]]


def test_the_copies_of_a_step_end_when_their_version_gets_traffic(plan: Plans) -> None:
    steps = (
        "{setShadow: {percent: 10}}, {pause: {duration: 1h}}, {setWeight: 5}, {setWeight: 25}, "
        "{setWeight: 0}, {setShadow: {percent: 0}}, {setWeight: 5}"
    )
    assert told(plan(f"strategy: {{canary: {{steps: [{steps}]}}}}\n")) == [
        "1. copies of 10 % of the requests to v2",
        "2. wait 1h",
        "3. 5 % of the traffic to v2; the copies to it end",
        "4. 25 % of the traffic to v2",
        "5. 0 % of the traffic to v2; the copies to it begin again",
        "6. no more copies to v2",
        "7. 5 % of the traffic to v2",
    ]


def test_a_step_that_copies_nothing_says_why(plan: Plans) -> None:
    steps = "{setWeight: 25}, {setShadow: {percent: 10}}"
    assert told(plan(f"strategy: {{canary: {{steps: [{steps}]}}}}\n")) == [
        "1. 25 % of the traffic to v2",
        "2. no copies: v2 has 25 % of the traffic",
    ]


def test_the_configured_shadow_is_copied_to_until_a_step_takes_the_copies(plan: Plans) -> None:
    strategy = """\
        strategy:
          canary:
            steps:
            - setShadow: {percent: 10, match: [{method: POST}]}
            - setWeight: 5
            - setShadow: {version: v3, percent: 1}
            - setShadow: {percent: 0}
            - setWeight: 50
        shadow: {version: v3, percent: 2.5, noise: {percent: 20}}
        """
    assert told(plan(strategy, route=THREE)) == [
        "until a step changes that, copies of 2.5 % of the requests to v3, 20 % of them to stable "
        "once more",
        "1. copies of 10 % of the matching requests to v2, 20 % of them to stable once more",
        "2. 5 % of the traffic to v2; the copies to it end",
        "3. copies of 1 % of the requests to v3, 20 % of them to stable once more",
        "4. no more copies to v2; again copies of 2.5 % of the requests to v3, 20 % of them to "
        "stable once more",
        "5. 50 % of the traffic to v2",
    ]


@pytest.mark.parametrize("strategy", ["canary: {steps: [{setWeight: 5}]}", "blueGreen: {}"])
def test_copies_that_no_step_touches_go_on_all_the_while(plan: Plans, strategy: str) -> None:
    shadow = "shadow: {version: v3, match: [{method: POST}]}\n"
    found = plan(f"strategy: {{{strategy}}}\n{shadow}", route=THREE)
    copied = "all the while, copies of 100 % of the matching requests to v3"
    assert str(found.steps[0]) == copied


def test_a_blue_green_plan_tells_each_stage(plan: Plans) -> None:
    strategy = """\
        strategy:
          blueGreen:
            minHealthyEndpoints: 3
            warmup: {path: /v1/completions, requests: 2, requireModel: true}
            previewHeader: {header: x-preview, exact: always}
            prePromotionAnalysis: {templates: [{templateName: quality}]}
            autoPromotionSeconds: 60
            postPromotionAnalysis: {templates: [{templateName: quality}]}
        """
    found = plan(strategy, template(QUALITY))
    assert found.summary == "blue-green to v2, at least 9m (1m of pauses, 8m of analysis)"
    assert [str(step) for step in found.steps] == [
        "until the switch, requests with header x-preview reach v2",
        "1. wait until v2 has 3 healthy endpoints, give up after 5m",
        "2. 2 warm-up requests to each endpoint, which must list its model",
        "3. go on if quality is good, else give up (4m)",
        "4. wait 1m",
        "5. all traffic to v2",
        "6. switch back unless quality is good (4m)",
        "7. keep the old version warm for 1d",
    ]


def test_a_blue_green_plan_tells_who_is_asked_and_when_a_person_switches(plan: Plans) -> None:
    strategy = """\
        strategy:
          gates:
          - {type: confirmRollout, url: "http://gate", interval: 10s}
          - {type: confirmPromotion, url: "http://gate"}
          blueGreen: {autoPromotionEnabled: false, keepWarmSeconds: 0}
        """
    found = plan(strategy)
    assert [str(step) for step in found.steps] == [
        "begins when gate confirmRollout opens (asked every 10s)",
        "1. wait until v2 has 1 healthy endpoint, give up after 5m",
        "2. wait until a person resumes",
        "3. all traffic to v2, when gate confirmPromotion opens",
    ]
    assert len(found.waits_for) == 3


def test_no_line_is_wider_than_a_terminal(plan: Plans) -> None:
    condition = "successCondition: " + " + ".join(["result[0]"] * 50) + " < 1\n"
    lines = str(plan(STEP, template(condition))).splitlines()
    assert max(map(len, lines)) <= 98
    assert any("…" in line for line in lines)


@given(weights=st.lists(st.one_of(st.none(), st.integers(0, 100)), max_size=20))
def test_a_step_begins_with_the_last_weight_that_was_set_before_it(
    weights: list[int | None],
) -> None:
    steps: list[dict[str, object]] = [
        {"pause": {}} if w is None else {"setWeight": w} for w in weights
    ]
    before = weights_before(Canary.model_validate({"steps": steps}))
    for index, share in enumerate(before):
        earlier = [weight for weight in weights[:index] if weight is not None]
        assert share == (earlier[-1] * 100 if earlier else 0)


@given(
    count=st.integers(1, 50),
    interval_s=st.floats(0.1, 3600),
    deadline_s=st.floats(1, 86_400),
    open_ended=st.booleans(),
)
def test_a_deadline_never_makes_a_good_verdict_later(
    count: int, interval_s: float, deadline_s: float, open_ended: bool
) -> None:
    spec = MetricSpec(
        name="m",
        provider="router",
        settings={},
        interval_s=interval_s,
        count=count,
        failure_limit=OFF,
        no_data=NoData.PASS,
        open_ended=open_ended,
    )
    free = soonest_good([spec], None)
    assert free == pytest.approx((count - 1) * interval_s)
    assert soonest_good([spec], deadline_s) <= free
