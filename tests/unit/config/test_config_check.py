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
  spec: {noData: pass, metrics: [{name: m, successCondition: result == 1, provider: {web: {url: http://q}}}]}
"""

NO_FLOOR = "without a noise floor, differences cannot be told from the model's own randomness"
STEPS = "strategy: {canary: {steps: [{analysis: {templates: [{templateName: quality}]}}]}}"

WARNINGS = {
    "no release": (
        "strategy: {canary: {steps: [{analysis: {templates: [{templateName: quality}]}}]}}",
        ['release: none is given, so the route stays on "v1" until it is told otherwise'],
    ),
    "no strategy": (
        "release: v1",
        ["strategy: none is given: a new release waits for a person, who starts it unproven"],
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
        "release: v1\nstrategy: {canary: {steps: [{setWeight: 5}, {analysis: {templates: "
        "[{templateName: quality}]}}]}}\nsticky: {by: [{body: user}]}\n"
        "limits: {maxBodyBytes: 128MiB}",
        [
            'sticky.by[0].body: "user" is only found within maxInspectBytes (1MiB) of bodies that '
            "may be longer"
        ],
    ),
    "copies without a noise floor": (
        "release: v2\nstrategy: {canary: {steps: [{setShadow: {percent: 5}}, {setShadow: "
        "{percent: 0}}, {analysis: {templates: [{templateName: quality}]}}]}}",
        [
            f"strategy.canary.steps[0].setShadow: {NO_FLOOR}: set `shadow.noise.percent`",
        ],
    ),
    "copies to a version with traffic": (
        "release: v2\nstrategy: {canary: {steps: [{setWeight: 25}, {setShadow: {percent: 5}}, "
        "{analysis: {templates: [{templateName: quality}]}}]}}",
        [
            'strategy.canary.steps[1].setShadow: "v2" has 25 % of the traffic by then: a version '
            "with traffic is nobody's shadow, nothing is copied"
        ],
    ),
    "copies to the stable version": (
        "release: v2\nstrategy: {canary: {steps: [{setShadow: {percent: 5, version: v1}}, "
        "{analysis: {templates: [{templateName: quality}]}}]}}",
        [
            'strategy.canary.steps[0].setShadow: "v1" is stable then: it cannot be its own shadow, '
            "nothing is copied"
        ],
    ),
    "gates that nobody asks": (
        "release: v1\nstrategy: {canary: {steps: [{analysis: {templates: [{templateName: "
        "quality}]}}]}, gates: [{type: confirmRollout, url: http://g}, {type: "
        "confirmTrafficIncrease, url: http://g}]}",
        [
            "strategy.gates[1]: confirmTrafficIncrease is never asked: no step raises the weight",
        ],
    ),
    "blue-green that says what it wants": (
        "release: v1\nhealth: {}\n"
        "strategy: {blueGreen: {warmup: {path: /, body: {model: m}, requireModel: true}}, gates: "
        "[{type: confirmRollout, url: http://g}, {type: confirmTrafficIncrease, url: http://g}]}",
        [],
    ),
    "a model that nobody names": (
        "release: v1\nhealth: {}\n"
        "strategy: {blueGreen: {warmup: {path: /, body: {prompt: hi}, requireModel: true}}}",
        [
            'strategy.blueGreen.warmup.requireModel: version "v1" names no `model`, and the body '
            "none either: never warm",
            'strategy.blueGreen.warmup.requireModel: version "v2" names no `model`, and the body '
            "none either: never warm",
        ],
    ),
    "shadow": (
        "release: v1\nstrategy: {canary: {steps: [{analysis: {templates: [{templateName: "
        "quality}]}}]}}\nlimits: {maxBodyBytes: 1MiB}\n"
        "shadow: {version: v2, percent: 0, maxBodyBytes: 2MiB}",
        [
            "shadow.percent: is 0: nothing is copied",
            "shadow.maxBodyBytes: the route itself refuses more than 1MiB",
        ],
    ),
    "a share of copies to nobody": (
        f"{STEPS}\nrelease: v1\nshadow: {{percent: 5, noise: {{percent: 5}}}}",
        ["shadow.percent: says nothing without a version: steps say their own"],
    ),
    "shadow without a noise floor": (
        f"{STEPS}\nrelease: v1\nshadow: {{version: v2}}",
        [f"shadow.noise.percent: is 0: {NO_FLOOR}"],
    ),
    "shadow with a credential that is not there": (
        f"{STEPS}\nrelease: v1\nshadow: {{version: v2, noise: {{percent: 5}}, credentials: "
        "{mode: replace, valueFile: /nowhere/token}}",
        ["shadow.credentials.valueFile: /nowhere/token does not exist here"],
    ),
    "shadow that says all": (
        f"{STEPS}\nrelease: v1\nshadow: {{version: v2, noise: {{percent: 5}}}}",
        [],
    ),
}
MANIFEST = """\
kind: Rollout
spec:
  strategy:
    canary:
      steps:
      - setWeight: 5
      - setMirrorRoute: {name: m, percentage: 10, match: [{path: {prefix: /}}]}
      - analysis: {templates: [{templateName: quality}]}
"""


@pytest.mark.parametrize("case", WARNINGS)
def test_what_was_probably_not_meant_is_warned_about(case: str, write: Write) -> None:
    text, expected = WARNINGS[case]
    templates = TEMPLATE if "quality" in text else ""
    (report,) = check([write(ROUTE + indent(text, "  ") + templates)]).files
    assert report.problems == ()
    found = [f"{item.field}: {item.message}" for item in report.warnings]
    assert sorted(found) == sorted(f"routes[0].{line}" for line in expected)
    assert all(item.line for item in report.warnings)


def test_a_step_of_a_manifest_is_warned_about_where_the_manifest_is_named(write: Write) -> None:
    write(MANIFEST, "rollout.yaml")
    route = f"{ROUTE}  release: v2\n  strategy: {{fromManifest: rollout.yaml}}\n"
    (report,) = check([write(route + TEMPLATE)]).files
    assert [(item.line, item.field, item.message) for item in report.warnings] == [
        (
            8,
            "routes[0].strategy.fromManifest",
            '"v2" has 5 % of the traffic by then: a version with traffic is nobody\'s shadow, '
            "nothing is copied",
        )
    ]


def test_a_shadow_of_0_percent_that_lends_its_limits_to_a_step_is_not_idle(write: Write) -> None:
    three = ROUTE + "    v3: {endpoints: [http://10.0.0.3:8000]}\n"
    text = (
        "release: v2\nshadow: {version: v3, percent: 0, noise: {percent: 5}}\nstrategy: {canary: "
        "{steps: [{setShadow: {percent: 10}}, {analysis: {templates: [{templateName: quality}]}}]}}"
    )
    (report,) = check([write(three + indent(text, "  ") + TEMPLATE)]).files
    assert (report.problems, report.warnings) == ((), ())


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
          spec: {metrics: [{name: m, successCondition: result == 1, provider: {web: {url: http://q}}}]}
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
