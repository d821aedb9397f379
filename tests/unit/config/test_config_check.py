"""What `check` says beyond right and wrong: warnings and plans."""

from __future__ import annotations

from collections.abc import Callable
from textwrap import indent

import pytest

from router.config import check

Write = Callable[..., str]

ROUTE = """\
routes:
- name: chat
  match: [{path: /v1/chat/completions}]
  versions:
    v1: {endpoints: [http://10.0.0.1:8000]}
    v2: {endpoints: [http://10.0.0.2:8000]}
"""
TEMPLATE = """
analysisTemplates:
- metadata: {name: quality}
  spec: {metrics: [{name: m, provider: {web: {}}}]}
"""

WARNINGS = {
    "no release": (
        "strategy: {canary: {steps: [{analysis: {templates: [{templateName: quality}]}}]}}",
        ['release: none is given, so the route stays on "v1" until it is told otherwise'],
    ),
    "no strategy": (
        "release: v1",
        ["strategy: none is given: a new release gets all traffic at once, unproven"],
    ),
    "no steps": (
        "release: v1\nstrategy: {canary: {}}",
        ["strategy.canary: has no steps: a new release gets all traffic at once"],
    ),
    "no analysis": (
        "release: v1\nstrategy: {canary: {steps: [{setWeight: 5}, {pause: {}}]}}",
        ["strategy.canary: has no analysis: only the breaker stops a bad version"],
    ),
    "steps that fall or rush": (
        "release: v1\nstrategy: {canary: {analysis: {templates: [{templateName: quality}]}, "
        "steps: [{setWeight: 5}, {setWeight: 50}, {pause: {}}, {setWeight: 25}]}}",
        [
            "strategy.canary.steps[1].setWeight: follows weight 5 without a pause or an analysis",
            "strategy.canary.steps[3].setWeight: weight falls from 50 to 25",
        ],
    ),
    "blue-green that cannot switch": (
        "release: v1\nstrategy: {blueGreen: {minHealthyEndpoints: 2, "
        "autoPromotionEnabled: false, autoPromotionSeconds: 5}}",
        [
            "strategy.blueGreen: has no health probes to count healthy endpoints by: set `health`",
            'strategy.blueGreen.minHealthyEndpoints: version "v1" has 1 and can never be switched '
            "to",
            'strategy.blueGreen.minHealthyEndpoints: version "v2" has 1 and can never be switched '
            "to",
            "strategy.blueGreen.autoPromotionSeconds: means nothing with autoPromotionEnabled: "
            "false",
        ],
    ),
    "sticky field behind long bodies": (
        "release: v1\nstrategy: {blueGreen: {}}\nhealth: {}\nsticky: {by: [{body: user}]}\n"
        "limits: {maxBodyBytes: 128MiB}",
        [
            'sticky.by[0].body: "user" is only found within maxInspectBytes (1MiB) of bodies that '
            "may be longer"
        ],
    ),
    "shadow": (
        "release: v1\nstrategy: {blueGreen: {}}\nhealth: {}\nlimits: {maxBodyBytes: 1MiB}\n"
        "shadow: {version: v2, percent: 0, maxBodyBytes: 2MiB}",
        [
            "shadow.percent: is 0: nothing is copied",
            "shadow.maxBodyBytes: the route itself refuses more than 1MiB",
        ],
    ),
}


@pytest.mark.parametrize("case", WARNINGS)
def test_what_was_probably_not_meant_is_warned_about(case: str, write: Write) -> None:
    text, expected = WARNINGS[case]
    templates = TEMPLATE if "quality" in text else ""
    (report,) = check([write(ROUTE + indent(text, "  ") + templates)]).files
    assert report.problems == ()
    found = [f"{item.field}: {item.message}" for item in report.warnings]
    assert sorted(found) == sorted(f"routes[0].{line}" for line in expected)
    assert all(item.line for item in report.warnings)


def test_other_warnings_stand_at_their_place(write: Write) -> None:
    text = """\
        routes:
        - name: a
          match: [{path: /x}, {path: /x}]
          versions:
            v1:
              endpoints: [http://a]
              tls: {verify: false, caFile: no.pem}
        auth: {tokens: [{name: ci, role: viewer, sha256File: no.sha}]}
        analysisTemplates:
        - metadata: {name: quality}
          spec: {metrics: [{name: m, provider: {web: {}}}]}
        """
    (report,) = check([write(text)]).files
    assert [(item.line, item.field) for item in report.warnings] == [
        (3, "routes[0].match[1]"),
        (7, "routes[0].versions.v1.tls"),
        (7, "routes[0].versions.v1.tls"),
        (7, "routes[0].versions.v1.tls.caFile"),
        (8, "auth.tokens[0].sha256File"),
        (9, "analysisTemplates"),
    ]


def test_an_empty_router_is_warned_about(write: Write) -> None:
    (report,) = check([write("server: {}\n")]).files
    assert [item.field for item in report.warnings] == ["routes"]


def test_a_report_is_ok_when_every_file_can_be_used(write: Write) -> None:
    good, bad = write("routes: []\n", "good.yaml"), write("rutes: []\n", "bad.yaml")
    assert check([good]).ok
    report = check([good, bad])
    assert not report.ok
    assert [len(file.problems) for file in report.files] == [0, 1]


def test_a_canarys_plan_tells_each_step_and_the_sum_of_its_pauses(write: Write) -> None:
    text = ROUTE + indent(
        """\
release: v2
strategy:
  canary:
    steps:
    - setShadow: {percent: 10}
    - pause: {duration: 30m}
    - setShadow: {percent: 0}
    - setHeaderRoute: {name: h, match: [{headerName: x-a, headerValue: {exact: b}}]}
    - setHeaderRoute: {name: h}
    - setWeight: 0.5
    - analysis: {templates: [{templateName: quality}], deadline: 10m, onDeadline: abort}
    - pause: {duration: 1h}
    - analysis: {templates: [{templateName: quality}]}
    analysis: {templates: [{templateName: quality}], startingStep: 2}
""",
        "  ",
    )
    (report,) = check([write(text + TEMPLATE)]).files
    (plan,) = report.plans
    assert str(plan).splitlines() == [
        "chat: canary, 1h30m of pauses",
        "  1. copies of 10 % of the requests to v2",
        "  2. wait 30m",
        "  3. no more copies to v2",
        "  4. requests with header x-a to v2 (h)",
        "  5. header route h ends",
        "  6. 0.5 % of the traffic to v2",
        "  7. go on if good: quality (after 10m: abort)",
        "  8. wait 1h",
        "  9. go on if good: quality",
        "  from step 3 on, beside the steps: quality",
        "  then v2 is stable",
    ]
    assert (plan.pauses_s, plan.waits_for_person) == (5400.0, False)


def test_a_pause_without_a_duration_waits_for_a_person(write: Write) -> None:
    text = ROUTE + "  release: v2\n  strategy: {canary: {steps: [{setWeight: 5}, {pause: {}}]}}\n"
    (plan,) = check([write(text)]).files[0].plans
    assert plan.waits_for_person
    assert plan.summary == "canary, 0s of pauses, waits for a person"


def test_a_blue_green_plan_tells_each_gate(write: Write) -> None:
    text = ROUTE + indent(
        """\
release: v2
strategy:
  blueGreen:
    minHealthyEndpoints: 3
    warmup: {path: /v1/completions, requests: 2}
    prePromotionAnalysis: {templates: [{templateName: quality}]}
    autoPromotionEnabled: false
    postPromotionAnalysis: {templates: [{templateName: quality}]}
""",
        "  ",
    )
    (plan,) = check([write(text + TEMPLATE)]).files[0].plans
    assert plan.summary == "blue-green, 0s of pauses, waits for a person"
    assert plan.steps == (
        "1. wait until 3 endpoints of v2 are healthy",
        "2. 2 warm-up requests to each endpoint",
        "3. go on if good: quality",
        "4. wait for a person",
        "5. all traffic to v2",
        "6. switch back unless good: quality",
        "7. keep the old version warm for 1d",
    )
