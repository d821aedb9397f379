"""What can be known of an analysis before it runs: problems at load, warnings at `check`."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from textwrap import dedent, indent

import pytest

from router.config import Problem, check

Write = Callable[..., str]
Refusals = Callable[[str], list[Problem]]
Loads = Callable[[str], object]

ROUTE = """\
routes:
- name: chat
  match: [{path: /v1/chat/completions}]
  versions:
    v1: {endpoints: [http://10.0.0.1:8000]}
    v2: {endpoints: [http://10.0.0.2:8000]}
  release: v2
  strategy:
    canary:
      steps:
      - setWeight: 5
      - analysis: {templates: [{templateName: quality}]}
"""
ROUTER = "provider: {router: {metric: errorRatio}}\n"
LINE = "  # LINE"


def template(metric: str, spec: str = "") -> str:
    """One template `quality`; `metric` and more of its `spec` are YAML."""
    return (
        "apiVersion: argoproj.io/v1alpha1\nkind: AnalysisTemplate\nmetadata: {name: quality}\n"
        f"spec:\n{indent(dedent(spec), '  ')}  metrics:\n  - name: errors\n"
        f"{indent(dedent(metric), '    ')}"
    )


def inline(document: str, route: str = ROUTE) -> str:
    """A configuration in which the template is written right there."""
    return f"{route}analysisTemplates:\n-\n{indent(document, '  ')}"


ERRORS = {
    "missing argument in a condition": (
        f"successCondition: result[0] < {{{{args.limit}}}}{LINE}\n{ROUTER}",
        "spec.metrics[0].successCondition",
        "failed to resolve {{args.limit}}",
    ),
    "both limits off": (
        f"failureLimit: -1\n{ROUTER}",
        "spec.metrics[0]",
        "failureLimit and consecutiveSuccessLimit cannot both be disabled",
    ),
    "count without interval": (
        f"count: 3\n{ROUTER}",
        "spec.metrics[0]",
        "interval must be specified when count > 1",
    ),
    "bad interval": (
        f"interval: 5x\n{ROUTER}",
        "spec.metrics[0]",
        'invalid interval string: time: unknown unit "x" in duration "5x" '
        "(write 30s, 5m, 1h30m or seconds)",
    ),
    "condition that cannot be read": (
        f'successCondition: "result[0] <"{LINE}\n{ROUTER}',
        "spec.metrics[0].successCondition",
        "column 12: unexpected token EOF",
    ),
    "unknown provider": (
        f"provider:\n  datadog: {{query: x}}{LINE}\n",
        "spec.metrics[0].provider.datadog",
        'there is no provider "datadog": there are router, shadow, prometheus, web',
    ),
    "two providers": (
        "provider: {web: {url: http://q}, router: {metric: errorRatio}}\n",
        "spec.metrics[0]",
        "multiple providers specified",
    ),
    "provider without settings": (
        f"provider:\n  web: http://q{LINE}\n",
        "spec.metrics[0].provider.web",
        "must be a mapping",
    ),
    "unknown metric of the router": (
        f"provider:\n  router: {{metric: errors}}{LINE}\n",
        "spec.metrics[0].provider.router",
        "metric: input should be 'requestRate'",
    ),
    "unknown metric of the shadow": (
        f"provider:\n  shadow: {{metric: mismatches}}{LINE}\n",
        "spec.metrics[0].provider.shadow",
        "metric: input should be 'mismatchRatio'",
    ),
    "unknown field of an answer": (
        f"provider:\n  shadow: {{metric: mismatchRatio, field: texts}}{LINE}\n",
        "spec.metrics[0].provider.shadow",
        "field: input should be 'status'",
    ),
    "unknown setting": (
        f"provider:\n  web: {{url: http://q, timeout: 3s}}{LINE}\n",
        "spec.metrics[0].provider.web",
        "timeout is not a field of this provider",
    ),
    "prometheus without a query": (
        f"provider:\n  prometheus: {{address: http://p}}{LINE}\n",
        "spec.metrics[0].provider.prometheus",
        "query is missing",
    ),
    "prometheus without an address": (
        f"provider:\n  prometheus: {{query: up}}{LINE}\n",
        "spec.metrics[0].provider.prometheus",
        "has no address: give it one, or set providers.prometheus.address for all",
    ),
}


def line_of(text: str) -> int:
    """The marked line, or that of the metric."""
    lines = text.splitlines()
    marked = [number for number, line in enumerate(lines, 1) if LINE in line]
    return marked[0] if marked else lines.index("  - name: errors") + 1


@pytest.mark.parametrize("case", ERRORS)
def test_an_analysis_that_can_only_end_in_error_is_refused_at_its_place(
    case: str, refusals: Refusals
) -> None:
    metric, field, message = ERRORS[case]
    document = template(metric)
    (problem,) = refusals(inline(document))
    start = inline("").count("\n")
    assert (problem.line, problem.field) == (
        start + line_of(document),
        f"analysisTemplates[0].{field}",
    )
    assert message in problem.message


@pytest.mark.parametrize("case", ERRORS)
def test_a_template_file_is_named_with_its_own_line(
    case: str, write: Write, refusals: Refusals
) -> None:
    metric, field, message = ERRORS[case]
    document = "metadata: {name: other}\nspec: {metrics: [{name: m, provider: {web: {}}}]}\n---\n"
    document += template(metric)
    file = write(document, "analysis/quality.yaml")
    (problem,) = refusals(f"{ROUTE}analysisTemplates: [analysis/quality.yaml]\n")
    assert (problem.line, problem.field) == (13, "analysisTemplates[0]")
    assert problem.message.startswith(f"{file}:{line_of(document)} {field}: ")
    assert message in problem.message


def test_a_template_that_nobody_uses_refuses_nothing_and_is_warned_about(write: Write) -> None:
    good = template(f"successCondition: result[0] < 1\n{ROUTER}")
    bad = template("interval: 5x\nprovider: {datadog: {}}\n").replace("quality", "library")
    file = write(good + "---\n" + bad, "t.yaml")
    (report,) = check([write(f"{ROUTE}analysisTemplates: [t.yaml]\n")]).files
    assert report.problems == ()
    assert [(item.file == file, item.line, item.field) for item in report.warnings] == [
        (False, 13, "analysisTemplates"),
        (True, 15, "spec.metrics[0]"),
        (True, 17, "spec.metrics[0].provider.datadog"),
    ]


def test_an_unused_template_is_not_blamed_for_arguments_that_nobody_gives(write: Write) -> None:
    spec = "args: [{name: op}, {name: canary-version}]\n"
    text = template(f"successCondition: result[0] {{{{ args.op }}}} 1\n{ROUTER}", spec)
    route = ROUTE.replace("- analysis: {templates: [{templateName: quality}]}", "- pause: {}")
    (report,) = check([write(inline(text, route))]).files
    assert [item.message for item in report.warnings] == [
        "has no analysis: only the breaker stops a bad version",
        "no strategy uses quality",
    ]


ARGUMENT = template(
    f"count: '{{{{args.count}}}}'\ninterval: 1m\n{ROUTER}", "args: [{name: count}]\n"
)


def test_a_missing_argument_is_refused_where_it_should_be_given(refusals: Refusals) -> None:
    (problem,) = refusals(inline(ARGUMENT))
    assert (problem.line, problem.field) == (
        12,
        "routes[0].strategy.canary.steps[1].analysis.args",
    )
    assert problem.message == (
        "args.count was not resolved: give it a value in `args`, or a default in the template"
    )


def test_a_given_argument_is_judged_by_what_the_template_makes_of_it(refusals: Refusals) -> None:
    route = ROUTE.replace("quality}]", "quality}], args: [{name: count, value: '-2'}]")
    (problem,) = refusals(inline(ARGUMENT, route))
    assert problem.message == "count must be >= 0"


def test_every_route_whose_analysis_lacks_an_argument_is_told(refusals: Refusals) -> None:
    second = ROUTE.removeprefix("routes:\n").replace("chat", "code")
    problems = refusals(inline(ARGUMENT, ROUTE + second))
    assert [problem.field[:9] for problem in problems] == ["routes[0]", "routes[1]"]


def test_rules_are_matched_against_names_with_the_routes_own_name_in_them(
    refusals: Refusals,
) -> None:
    text = template(ROUTER).replace("name: errors", 'name: "{{args.route}}-errors"')
    route = ROUTE.replace("quality}]", "quality}], dryRun: [{metricName: chat-errors}]")
    second = route.removeprefix("routes:\n").replace("chat\n", "code\n").replace("/v1/", "/v2/")
    (problem,) = refusals(inline(text, route + second))
    assert problem.field == "routes[1].strategy.canary.steps[1].analysis.dryRun[0]"
    assert problem.message == "Rule didn't match any metric name(s)"


def test_an_analysis_in_a_manifest_is_refused_where_the_manifest_is_named(
    write: Write, refusals: Refusals
) -> None:
    write(
        "kind: Rollout\nspec: {strategy: {canary: {steps: [{setWeight: 5}, {analysis: "
        "{templates: [{templateName: quality}]}}]}}}\n",
        "rollout.yaml",
    )
    route = ROUTE[: ROUTE.index("  strategy")] + "  strategy: {fromManifest: rollout.yaml}\n"
    (problem,) = refusals(inline(ARGUMENT, route))
    assert (problem.line, problem.field) == (8, "routes[0].strategy.fromManifest")
    assert problem.message.startswith("canary.steps[1].analysis.args: args.count was not resolved")


def test_an_unknown_nested_template_is_refused_where_it_is_named(refusals: Refusals) -> None:
    text = template(ROUTER, "templates: [{templateName: qualty}, {templateName: quality}]\n")
    (problem,) = refusals(inline(text))
    assert problem.field == "analysisTemplates[0].spec.templates[0].templateName"
    assert problem.message == 'unknown analysis template "qualty" (did you mean "quality"?)'


def test_an_analysis_is_judged_beside_other_mistakes_of_the_file(refusals: Refusals) -> None:
    text = inline(template(f"failureLimit: -1\n{ROUTER}")).replace("http://10.0.0.1", "ftp://x")
    assert [problem.field for problem in refusals(text)] == [
        "routes[0].versions.v1.endpoints[0]",
        "analysisTemplates[0].spec.metrics[0]",
    ]


@pytest.mark.parametrize("place", ["metric", "default"])
def test_an_address_may_stand_in_the_metric_or_in_the_default(place: str, loads: Loads) -> None:
    address = "address: http://prometheus:9090, " if place == "metric" else ""
    text = inline(template(f"provider: {{prometheus: {{{address}query: up}}}}\n"))
    default = "providers: {prometheus: {address: http://prometheus:9090}}\n"
    loads(text if place == "metric" else text + default)


SHADOW = template(
    "successCondition: result[0] < 0.03\nprovider: {shadow: {metric: mismatchBeyondNoise}}\n"
)
ANALYSIS = "{analysis: {templates: [{templateName: quality}]}}"
COPIED = "{setShadow: {percent: 10}}"
FLOOR = "  shadow: {version: v3, percent: 0, noise: {percent: 20}}\n"
UNCOPIED = 'errors: nothing copies requests to "v2" before it is measured: '
ADD_A_STEP = f"{UNCOPIED}put a setShadow step and a pause before the first setWeight"


def shadowed(strategy: str, shadow: str = FLOOR, metric: str = SHADOW) -> str:
    """A configuration in which `quality` is measured by the comparisons of v2."""
    route = ROUTE[: ROUTE.index("  release")] + "    v3: {endpoints: [http://10.0.0.3:8000]}\n"
    return inline(metric, f"{route}  release: v2\n  strategy: {{{strategy}}}\n{shadow}")


@pytest.mark.parametrize(
    ("strategy", "place", "message"),
    [
        (f"canary: {{steps: [{ANALYSIS}]}}", "canary.steps[0].analysis", ADD_A_STEP),
        (
            f"canary: {{steps: [{ANALYSIS}, {COPIED}]}}",
            "canary.steps[0].analysis",
            ADD_A_STEP,
        ),
        (
            f"canary: {{steps: [{{setShadow: {{percent: 1, version: v3}}}}, {ANALYSIS}]}}",
            "canary.steps[1].analysis",
            ADD_A_STEP,
        ),
        (
            "canary: {steps: [{setWeight: 1}], analysis: {templates: [{templateName: quality}]}}",
            "canary.analysis",
            ADD_A_STEP,
        ),
        (
            "blueGreen: {prePromotionAnalysis: {templates: [{templateName: quality}]}}",
            "blueGreen.prePromotionAnalysis",
            f"{UNCOPIED}only `inference-router shadow set chat` does",
        ),
    ],
)
def test_a_metric_of_a_shadow_that_gets_no_copies_is_warned_about(
    strategy: str, place: str, message: str, write: Write
) -> None:
    (report,) = check([write(shadowed(strategy))]).files
    assert report.problems == ()
    found = [(item.field, item.message) for item in report.warnings if "errors" in item.message]
    assert found == [(f"routes[0].strategy.{place}", message)]


def test_an_analysis_after_copies_to_a_version_with_traffic_has_nothing_to_judge(
    write: Write,
) -> None:
    steps = f"{{setWeight: 5}}, {COPIED}, {ANALYSIS}"
    (report,) = check([write(shadowed(f"canary: {{steps: [{steps}]}}"))]).files
    assert [(item.field, item.message) for item in report.warnings] == [
        (
            "routes[0].strategy.canary.steps[1].setShadow",
            '"v2" has 5 % of the traffic by then: a version with traffic is nobody\'s shadow, '
            "nothing is copied",
        ),
        ("routes[0].strategy.canary.steps[2].analysis", ADD_A_STEP),
    ]


@pytest.mark.parametrize(
    "strategy",
    [
        f"canary: {{steps: [{COPIED}, {ANALYSIS}]}}",
        f"canary: {{steps: [{COPIED}], analysis: {{templates: [{{templateName: quality}}]}}}}",
    ],
)
def test_a_metric_of_a_shadow_that_gets_copies_is_not_warned_about(
    strategy: str, write: Write
) -> None:
    (report,) = check([write(shadowed(strategy))]).files
    assert (report.problems, report.warnings) == ((), ())


@pytest.mark.parametrize(
    ("metric", "warned"), [("mismatchBeyondNoise", True), ("mismatchRatio", False)]
)
def test_beyond_noise_without_a_noise_floor_is_warned_about(
    metric: str, warned: bool, write: Write
) -> None:
    text = shadowed(
        f"canary: {{steps: [{COPIED}, {ANALYSIS}]}}",
        shadow="  shadow: {version: v3}\n",
        metric=SHADOW.replace("mismatchBeyondNoise", metric),
    )
    (report,) = check([write(text)]).files
    never = (
        "errors: is never measured, because no request goes to stable once more: "
        "set `shadow.noise.percent`"
    )
    assert (never in [item.message for item in report.warnings]) is warned


def test_no_message_shows_a_secret(refusals: Refusals) -> None:
    metric = (
        "provider:\n  web:\n    url: nonsense hunter2\n"
        "    headers: [{key: authorization, value: 'hunter2\\n'}, {key: a, value: hunter2, x: y}]\n"
    )
    problems = refusals(inline(template(metric)))
    assert problems
    assert "hunter2" not in "\n".join(map(str, problems))


WARNINGS = {
    "interval without count": (
        f"interval: 5m\nfailureLimit: 3\nsuccessCondition: result[0] < 1\n{ROUTER}",
        "spec.metrics[0].count",
        "interval without count goes on for ever; here it ends after failureLimit + 1 = 4 "
        "measurements, or at the deadline (Argo Rollouts refuses this)",
    ),
    "no condition": (
        ROUTER,
        "spec.metrics[0].successCondition",
        "without a condition every answer counts as Successful",
    ),
    "never fails": (
        f"interval: 1m\ncount: 2\nfailureLimit: 2\nsuccessCondition: result[0] < 1\n{ROUTER}",
        "spec.metrics[0].failureLimit",
        "can never fail: it takes more than 2 failures, and there are only 2 measurements",
    ),
    "default that rescues nothing": (
        f"successCondition: default(result[0], 0) < 1\n{ROUTER}",
        "spec.metrics[0].successCondition",
        "does not rescue an empty vector",
    ),
    "unknown field": (
        f"successCondition: result[0] < 1\nfailurelimit: 3\n{ROUTER}",
        "spec.metrics[0].failurelimit",
        "means nothing here and is ignored",
    ),
}


@pytest.mark.parametrize("case", WARNINGS)
def test_what_was_probably_not_meant_is_warned_about_in_the_templates_own_file(
    case: str, write: Write
) -> None:
    metric, field, message = WARNINGS[case]
    file = write(template(metric), "t.yaml")
    (report,) = check([write(f"{ROUTE}analysisTemplates: [t.yaml]\n")]).files
    assert report.problems == ()
    (warning,) = report.warnings
    assert (warning.file, warning.field) == (file, field)
    assert message in warning.message
    assert warning.line >= 6


def test_a_warning_about_a_template_is_given_once_however_many_use_it(write: Write) -> None:
    route = ROUTE + "      - analysis: {templates: [{templateName: quality}]}\n"
    (report,) = check([write(inline(template(ROUTER), route))]).files
    assert len(report.warnings) == 1


def test_a_deadline_before_any_verdict_is_warned_about(write: Write) -> None:
    metric = f"interval: 1m\ncount: 10\nsuccessCondition: result[0] < 1\n{ROUTER}"
    route = ROUTE.replace("quality}]", "quality}], deadline: 5m")
    (report,) = check([write(inline(template(metric), route))]).files
    (warning,) = report.warnings
    assert (warning.line, warning.field) == (
        12,
        "routes[0].strategy.canary.steps[1].analysis.deadline",
    )
    assert warning.message == (
        "5m is over before the 9m that a good verdict takes: for a good version, too, it comes to "
        "pause"
    )


def test_waiting_for_data_without_a_deadline_is_warned_about(write: Write) -> None:
    metric = f"noData: wait\nsuccessCondition: result[0] < 1\n{ROUTER}"
    (report,) = check([write(inline(template(metric)))]).files
    (warning,) = report.warnings
    assert warning.message == "without a deadline the run waits for data as long as it takes"


RATIO = template(
    "interval: 5m\ncount: 3\nsuccessCondition: result[0] < 0.02\n"
    "provider: {prometheus: {address: http://p, query: 'rate(e[5m]) / rate(a[5m])'}}\n"
)


def test_too_few_requests_for_a_threshold_are_warned_about_at_the_steps_weight(
    write: Write,
) -> None:
    file = write(inline(RATIO))
    (report,) = check([file]).files
    assert report.warnings == report.problems == ()
    (report,) = check([file], requests_per_s=10.0).files
    (warning,) = report.warnings
    assert warning.field == "routes[0].strategy.canary.steps[1].analysis"
    assert warning.message.startswith(
        "errors: at 0.5 requests/s a window of 300s sees 150 requests"
    )
    (report,) = check([file], requests_per_s=10_000.0).files
    assert report.warnings == ()


def test_an_analysis_beside_the_steps_is_judged_by_the_smallest_share_it_sees(
    write: Write,
) -> None:
    route = ROUTE.replace("- analysis: {templates: [{templateName: quality}]}", "- pause: {}")
    route += "      - setWeight: 50\n      - pause: {}\n"
    route += "      analysis: {templates: [{templateName: quality}]}\n"
    (report,) = check([write(inline(RATIO, route))], requests_per_s=10.0).files
    (warning,) = report.warnings
    assert warning.field == "routes[0].strategy.canary.analysis"
    assert "at 0.5 requests/s" in warning.message


def test_the_configuration_is_imported_without_an_http_client() -> None:
    code = "import sys, router.config; print(sorted({'asyncio', 'httpx'} & set(sys.modules)))"
    result = subprocess.run(  # this very interpreter
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert result.stdout == "[]\n"
