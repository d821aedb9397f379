"""From documents to a plan: what is understood, what is refused, what is only strange."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest
import yaml

from router.analysis.arguments import Argument
from router.analysis.findings import AnalysisSpecError
from router.analysis.phases import Compat, NoData, OnDeadline
from router.analysis.plan import Order, Plan, make_plan, read_order
from router.analysis.providers.base import Subject
from router.analysis.template import Retention

ARGO = "argoproj.io/v1alpha1"
SUBJECT = Subject(route="chat", canary="v2", stable="v1", started_s=0.0, now_s=0.0)
ORDER = Order(templates=("t",))

# An article's template: interval without count, which Argo refuses inline, and no declared args.
ARTICLE = """
apiVersion: argoproj.io/v1alpha1
kind: AnalysisTemplate
metadata:
  name: t
spec:
  metrics:
    - name: error-rate
      interval: 5m
      successCondition: result[0] < 0.02
      failureLimit: 3
      provider:
        prometheus:
          address: http://prometheus:9090
          query: |
            sum(rate(model_errors_total{version="{{args.canary-version}}"}[5m]))
            / sum(rate(model_requests_total{version="{{args.canary-version}}"}[5m]))
"""


def metric(name: str = "m", **fields: Any) -> dict[str, Any]:
    return {
        "name": name,
        "successCondition": "result < 1",
        "provider": {"web": {"url": "http://x"}},
    } | fields


def document(*metrics: Any, name: str = "t", api: str | None = ARGO, **spec: Any) -> dict[str, Any]:
    head = {} if api is None else {"apiVersion": api}
    return head | {"metadata": {"name": name}, "spec": {"metrics": list(metrics), **spec}}


def plan(*documents: Mapping[str, Any], order: Order = ORDER, **options: Any) -> Plan:
    templates = {item["metadata"]["name"]: item for item in documents}
    return make_plan(order, templates, SUBJECT, **options)


def errors(*documents: Mapping[str, Any], order: Order = ORDER, **options: Any) -> list[str]:
    with pytest.raises(AnalysisSpecError) as refused:
        plan(*documents, order=order, **options)
    return [str(finding) for finding in refused.value.findings]


def warnings(*documents: Mapping[str, Any], order: Order = ORDER) -> list[str]:
    return [str(finding) for finding in plan(*documents, order=order).warnings]


def test_an_article_s_template_loads_and_is_bounded_inline() -> None:
    (error_rate,) = plan(yaml.safe_load(ARTICLE)).metrics
    assert (error_rate.count, error_rate.open_ended) == (4, True)
    assert (error_rate.interval_s, error_rate.failure_limit) == (300.0, 3)
    assert (error_rate.provider, error_rate.compat) == ("prometheus", Compat.ARGO)
    assert error_rate.no_data is None
    assert warnings(yaml.safe_load(ARTICLE)) == [
        "t: spec.metrics[0].count: interval without count goes on for ever; here it ends after "
        "failureLimit + 1 = 4 measurements, or at the deadline (Argo Rollouts refuses this)"
    ]


def test_a_background_metric_without_count_goes_on_for_ever() -> None:
    order = Order(templates=("t",), background=True)
    (spec,) = plan(document(metric(interval="1m")), order=order).metrics
    assert (spec.count, spec.open_ended) == (None, False)


@pytest.mark.parametrize(
    ("fields", "count"),
    [
        ({}, 1),
        ({"count": 0}, 1),
        ({"interval": "1m", "count": 5}, 5),
        ({"interval": "1m", "count": "5"}, 5),
        ({"interval": "1m", "count": 0}, 1),
        # Successes in a row end it by themselves.
        ({"interval": "1m", "failureLimit": -1, "consecutiveSuccessLimit": 3}, None),
    ],
)
def test_how_often_an_inline_metric_is_measured(fields: dict[str, Any], count: int | None) -> None:
    (spec,) = plan(document(metric(**fields))).metrics
    assert spec.count == count


def test_every_field_of_a_metric_is_understood() -> None:
    fields = {
        "interval": "1m",
        "initialDelay": "90s",
        "count": 9,
        "failureCondition": "result > 5",
        "failureLimit": "2",
        "inconclusiveLimit": 3,
        "consecutiveErrorLimit": 0,
        "consecutiveSuccessLimit": 4,
        "noData": "fail",
        "minRequests": 50,
        "minErrorDuration": "5m",
    }
    order = Order(
        templates=("t",), dry_run=("^m$",), retention=(Retention("m", 3),), deadline_s=60.0
    )
    result = plan(document(metric(**fields)), order=order)
    (spec,) = result.metrics
    assert (spec.initial_delay_s, spec.failure_condition) == (90.0, "result > 5")
    assert (spec.failure_limit, spec.inconclusive_limit) == (2, 3)
    assert (spec.consecutive_error_limit, spec.consecutive_success_limit) == (0, 4)
    assert (spec.no_data, spec.min_requests) == (NoData.FAIL, 50)
    assert (spec.min_error_duration_s, spec.dry_run, spec.kept) == (300.0, True, 3)
    assert result.warnings == ()


@pytest.mark.parametrize(
    ("fields", "error"),
    [
        (
            {"count": 1, "failureLimit": 2},
            "count (1) must be >= failureLimit + consecutiveSuccessLimit (2 + 0) if both >= 0",
        ),
        (
            {"count": 3, "interval": "1m", "failureLimit": 2, "consecutiveSuccessLimit": 2},
            "count (3) must be >= failureLimit + consecutiveSuccessLimit (2 + 2) if both >= 0",
        ),
        ({"count": 1, "inconclusiveLimit": 2}, "count must be >= inconclusiveLimit"),
        ({"count": 2}, "interval must be specified when count > 1"),
        ({"count": -1}, "count must be >= 0"),
        (
            {"interval": "60s-typo"},
            'invalid interval string: time: unknown unit "s-typo" in duration "60s-typo" '
            "(write 30s, 5m, 1h30m or seconds)",
        ),
        (
            {"initialDelay": "soon"},
            'invalid startDelay string: time: invalid duration "soon" '
            "(write 30s, 5m, 1h30m or seconds)",
        ),
        ({"failureLimit": -2}, "failureLimit must be >= 0, or -1 to be disabled"),
        ({"failureLimit": -1}, "failureLimit and consecutiveSuccessLimit cannot both be disabled"),
        ({"consecutiveSuccessLimit": -1}, "consecutiveSuccessLimit must be >= 0"),
        ({"inconclusiveLimit": -1}, "inconclusiveLimit must be >= 0"),
        ({"consecutiveErrorLimit": -1}, "consecutiveErrorLimit must be >= 0"),
        ({"provider": {}}, "no provider specified"),
        ({"provider": {"web": None}}, "no provider specified"),
        ({"provider": {"web": {}, "job": {}}}, "multiple providers specified"),
        ({"provider": {"plugin": {"a": {}, "b": {}}}}, "multiple providers specified"),
    ],
)
def test_what_argo_refuses_is_refused_in_its_words(fields: dict[str, Any], error: str) -> None:
    assert f"t: spec.metrics[0]: {error}" in errors(document(metric(**fields)))


@pytest.mark.parametrize(
    ("fields", "error"),
    [
        ({"interval": "0s"}, ".interval: must be longer than 0"),
        ({"name": ""}, ".name: is missing"),
        ({"name": "m" * 254}, ".name: is longer than 253 characters"),
        ({"count": "many"}, ".count: must be a whole number, not 'many'"),
        ({"failureLimit": 1.5}, ".failureLimit: must be a whole number, not 1.5"),
        ({"count": True}, ".count: must be a whole number, not True"),
        ({"successCondition": True}, ".successCondition: must be text"),
        ({"noData": "maybe"}, ".noData: must be one of wait, inconclusive, fail, pass"),
        ({"minRequests": 0}, ".minRequests: must be >= 1"),
        ({"provider": {"web": "x"}}, ".provider.web: must be a mapping"),
    ],
)
def test_what_else_is_wrong_is_named_with_its_field(fields: dict[str, Any], error: str) -> None:
    assert f"t: spec.metrics[0]{error}" in errors(document(metric(**fields)))


def test_a_condition_that_cannot_be_read_is_refused() -> None:
    (error,) = errors(document(metric(failureCondition="result <")))
    assert error.startswith("t: spec.metrics[0].failureCondition: ")


def test_a_provider_that_cannot_be_asked_here_is_refused() -> None:
    template = document(metric(provider={"datadog": {"query": "x"}}))
    assert plan(template).metrics[0].provider == "datadog"
    assert errors(template, providers=("web", "router")) == [
        "t: spec.metrics[0].provider.datadog: cannot be asked here (there is router, web)"
    ]


def test_all_mistakes_of_all_metrics_are_told_at_once() -> None:
    wrong = document(metric("a", provider={}), metric("b", count=2), metric("c"), metric("c"))
    assert errors(wrong) == [
        "t: spec.metrics[0]: no provider specified",
        "t: spec.metrics[1]: interval must be specified when count > 1",
        "t: spec.metrics[3]: duplicate name 'c'",
    ]


@pytest.mark.parametrize("metrics", [[], None, "m"])
def test_a_template_without_metrics_is_refused(metrics: object) -> None:
    template = {"metadata": {"name": "t"}, "spec": {"metrics": metrics}}
    assert "no metrics specified" in errors(template)


def test_what_is_no_mapping_is_refused() -> None:
    assert "t: spec.metrics[0]: must be a mapping" in errors(document("m"))
    assert errors({"metadata": {"name": "t"}, "spec": None}) == ["t: spec: must be a mapping"]
    assert errors(document(metric(), args=["a"])) == [
        "t: spec.args[0]: must be a mapping",
        "t: spec.args[0].name: is missing",
    ]


def test_a_field_that_means_nothing_is_a_warning() -> None:
    template = document(metric(succesCondition="x"), ttlStrategy={})
    assert warnings(template) == [
        "t: spec.ttlStrategy: means nothing here and is ignored",
        "t: spec.metrics[0].succesCondition: means nothing here and is ignored",
    ]


def test_too_many_metrics_are_refused() -> None:
    many = document(*(metric(f"m{number}") for number in range(257)))
    assert errors(many) == ["257 metrics are more than 256"]


def test_arguments_are_filled_also_into_limits_and_conditions() -> None:
    template = document(
        metric(
            "{{args.what}}",
            count="{{args.count}}",
            interval="{{args.every}}",
            failureLimit="{{args.limit}}",
            successCondition="result < {{args.threshold}}",
        ),
        args=[
            {"name": "count", "value": 5},
            {"name": "every", "value": "30s"},
            {"name": "limit", "value": "1"},
            {"name": "threshold", "value": "0.5"},
            {"name": "what"},
        ],
    )
    given = (Argument("threshold", "0.25"), Argument("what", "errors"))
    (spec,) = plan(template, order=Order(templates=("t",), arguments=given)).metrics
    assert (spec.name, spec.count, spec.interval_s, spec.failure_limit) == ("errors", 5, 30.0, 1)
    assert spec.success_condition == "result < 0.25"


def test_an_unknown_argument_is_named_with_its_place() -> None:
    query = {"prometheus": {"query": "up{a='{{args.pod}}'}"}}
    assert errors(document(metric(provider=query))) == [
        "t: spec.metrics[0].provider.prometheus.query: failed to resolve {{args.pod}}"
    ]


def test_a_required_argument_that_nobody_gives_is_refused() -> None:
    assert errors(document(metric(), args=[{"name": "a"}])) == ["args: args.a was not resolved"]


def test_a_given_argument_that_nobody_declares_is_dropped_with_a_warning() -> None:
    order = Order(templates=("t",), arguments=(Argument("a", "1"), Argument("route", "r")))
    assert warnings(document(metric()), order=order) == [
        'args[0]: no template declares "a"; it is dropped'
    ]


@pytest.mark.parametrize("field", ["successCondition", "name", "count"])
def test_a_secret_may_stand_only_under_provider(field: str) -> None:
    args = [{"name": "token", "valueFrom": {"env": "TOKEN"}}]
    template = document(metric(**{field: "{{ args.token }}"}), args=args)
    assert (
        f"t: spec.metrics[0].{field}: args.token is secret and may stand only under provider"
        in (errors(template))
    )


def test_nested_templates_are_flattened_once_each() -> None:
    outer = document(metric("a"), templates=[{"templateName": "x"}, {"templateName": "y"}])
    x = document(metric("b"), name="x", templates=[{"templateName": "y", "clusterScope": True}])
    y = document(metric("c"), name="y", templates=[{"templateName": "t"}])
    assert [spec.name for spec in plan(outer, x, y).metrics] == ["a", "b", "c"]


def test_a_template_that_is_not_there_is_refused() -> None:
    outer = document(metric(), templates=[{"templateName": "gone"}])
    assert errors(outer) == ['templates: there is no analysis template "gone"']


def test_two_templates_with_one_metric_name_are_refused() -> None:
    order = Order(templates=("t", "u"))
    assert errors(document(metric()), document(metric(), name="u"), order=order) == [
        "u: spec.metrics[0]: two metrics have the same name 'm'"
    ]


def test_nested_templates_defaults_are_merged() -> None:
    outer = document(args=[{"name": "limit"}], templates=[{"templateName": "u"}])
    inner = document(
        metric(failureLimit="{{args.limit}}", interval=9),
        name="u",
        args=[{"name": "limit", "value": "7"}],
    )
    assert plan(outer, inner).metrics[0].failure_limit == 7


@pytest.mark.parametrize(
    ("api", "spec", "compat", "no_data"),
    [
        (ARGO, {}, Compat.ARGO, None),
        (None, {}, Compat.ROUTER, NoData.WAIT),
        (ARGO, {"compat": "router"}, Compat.ROUTER, NoData.WAIT),
        (None, {"compat": "argo"}, Compat.ARGO, None),
        (ARGO, {"noData": "pass"}, Compat.ARGO, NoData.PASS),
        (ARGO, {"minRequests": 50}, Compat.ARGO, NoData.WAIT),
        (None, {"noData": "inconclusive"}, Compat.ROUTER, NoData.INCONCLUSIVE),
    ],
)
def test_whose_rules_hold(
    api: str | None, spec: dict[str, Any], compat: Compat, no_data: NoData | None
) -> None:
    (read,) = plan(document(metric(), api=api, **spec)).metrics
    assert (read.compat, read.no_data) == (compat, no_data)


def test_a_metric_s_own_policy_goes_before_its_template_s() -> None:
    template = document(metric(noData="fail", minRequests=5), noData="pass", minRequests=9)
    (read,) = plan(template).metrics
    assert (read.no_data, read.min_requests) == (NoData.FAIL, 5)


def test_the_reference_s_deadline_goes_before_the_templates_shortest_and_most_careful() -> None:
    one = document(metric("a"), deadline="20m", onDeadline="promote")
    two = document(metric("b"), name="u", deadline="10m", onDeadline="abort")
    both = ("t", "u")
    read = plan(one, two, order=Order(templates=both))
    assert (read.deadline_s, read.on_deadline) == (600.0, OnDeadline.ABORT)
    asked = Order(templates=both, deadline_s=5.0, on_deadline=OnDeadline.PROMOTE)
    read = plan(one, two, order=asked)
    assert (read.deadline_s, read.on_deadline) == (5.0, OnDeadline.PROMOTE)
    assert plan(document(metric())).on_deadline is OnDeadline.PAUSE


def test_waiting_for_data_without_a_deadline_is_a_warning_inline_only() -> None:
    template = document(metric(), api=None)
    text = "deadline: without a deadline the run waits for data as long as it takes"
    assert warnings(template) == [text]
    assert warnings(template, order=Order(templates=("t",), background=True)) == []
    assert warnings(template, order=Order(templates=("t",), deadline_s=9.0)) == []


def test_rules_pick_metrics_by_a_search_of_their_names() -> None:
    template = document(
        metric("error-rate"),
        metric("p99-latency"),
        dryRun=[{"metricName": "^p99"}],
        measurementRetention=[{"metricName": ".*", "limit": 20}],
    )
    order = Order(templates=("t",), retention=(Retention("rate", 5),))
    errors_, latency = plan(template, order=order).metrics
    assert (errors_.dry_run, latency.dry_run) == (False, True)
    assert (errors_.kept, latency.kept) == (20, 20)  # the last rule holds


@pytest.mark.parametrize(
    ("order", "error"),
    [
        (
            Order(templates=("t",), dry_run=("x",)),
            "dryRun[0]: Rule didn't match any metric name(s)",
        ),
        (
            Order(templates=("t",), retention=(Retention("x", 5),)),
            "measurementRetention[0]: Rule didn't match any metric name(s)",
        ),
        (
            Order(templates=("t",), dry_run=("m", "m")),
            "two Dry-Run metric rules have the same name 'm'",
        ),
        (
            Order(templates=("t",), retention=(Retention("m", 5), Retention("m", 6))),
            "two Measurement Retention metric rules have the same name 'm'",
        ),
    ],
)
def test_a_rule_that_picks_nothing_or_stands_twice_is_refused(order: Order, error: str) -> None:
    assert errors(document(metric()), order=order) == [error]


def test_a_rule_that_is_no_regular_expression_is_refused() -> None:
    (error,) = errors(document(metric()), order=Order(templates=("t",), dry_run=("(",)))
    assert error.startswith("dryRun[0]: not a regular expression")


def test_a_reference_is_read_as_it_is_written() -> None:
    order = read_order(
        {
            "templates": [{"templateName": "t", "clusterScope": False}],
            "args": [{"name": "a", "value": "1"}, {"name": "b", "valueFrom": {"env": "B"}}],
            "dryRun": [{"metricName": "m"}],
            "measurementRetention": [{"metricName": "m", "limit": 3}],
            "deadline": 600,
            "onDeadline": "abort",
        },
        background=True,
    )
    assert order == Order(
        templates=("t",),
        arguments=(Argument("a", "1"), Argument("b", value_from={"env": "B"})),
        dry_run=("m",),
        retention=(Retention("m", 3),),
        deadline_s=600.0,
        on_deadline=OnDeadline.ABORT,
        background=True,
    )


def test_what_is_wrong_with_a_reference_is_named() -> None:
    with pytest.raises(AnalysisSpecError) as refused:
        read_order(
            {
                "templates": [{}],
                "args": [{"name": "a", "value": "1", "valueFrom": {"env": "B"}}],
                "dryRun": "m",
                "measurementRetention": [{"metricName": "m", "limit": 0}],
                "deadline": "0s",
                "onDeadline": "hope",
            }
        )
    assert [str(finding) for finding in refused.value.findings] == [
        "templates[0].templateName: is missing",
        "args[0].valueFrom: takes value or valueFrom, not both",
        "dryRun: must be a list",
        "measurementRetention[0].limit: must be from 1 to 10000",
        "deadline: must be longer than 0",
        "onDeadline: must be one of pause, abort, promote",
    ]
