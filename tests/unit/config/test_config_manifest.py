"""An Argo Rollout's strategy, used as it is."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from router.config import ConfigProblems, check, load
from router.config.manifest import read_manifest

Write = Callable[..., str]

CANARY = """\
apiVersion: argoproj.io/v1alpha1
kind: Rollout
metadata: {name: model-serving, namespace: production}
spec:
  replicas: 10
  progressDeadlineSeconds: 300
  rollbackWindow: {revisions: 2}
  strategy:
    canary:
      canaryService: canary
      trafficRouting:
        istio: {virtualService: {name: x}}
        maxTrafficWeight: 1000
      steps:
      - setCanaryScale: {replicas: 3}
      - setWeight: 50
      - pause: {duration: 30m}
      - analysis:
          templates: [{templateName: quality}]
          analysisRunMetadata: {labels: {a: b}}
      - setMirrorRoute:
          {name: m, percentage: 35, match: [{method: {exact: GET}, path: {prefix: /}}]}
      - setMirrorRoute: {name: m}
      - setHeaderRoute: {name: h, match: [{headerName: x-a, headerValue: {exact: b}}]}
      - pause: {}
      autoPromotionEnabled: false
"""


def refused(file: str) -> list[str]:
    with pytest.raises(ConfigProblems) as error:
        read_manifest(file)
    return [f"{item.line} {item.field}: {item.message}" for item in error.value.problems]


def test_a_canarys_steps_are_taken_over(write: Write) -> None:
    strategy = read_manifest(write(CANARY, "rollout.yaml"))
    canary = strategy.canary
    assert canary is not None
    kinds = [next(iter(step.model_fields_set)) for step in canary.steps]
    assert kinds == [
        *("set_weight", "pause", "analysis"),
        *("set_shadow", "set_shadow", "set_header_route", "pause"),
    ]
    assert canary.steps[0].set_weight is not None
    assert canary.weight_bp(canary.steps[0].set_weight) == 500
    assert canary.steps[3].set_shadow is not None
    assert canary.steps[3].set_shadow.percent == 3500
    assert canary.steps[3].set_shadow.match[0].path_prefix == "/"
    assert canary.steps[4].set_shadow is not None
    assert canary.steps[4].set_shadow.percent == 0
    assert canary.steps[6].pause is not None
    assert canary.steps[6].pause.duration_s is None
    assert strategy.progress_deadline_s == 300
    assert strategy.rollback_window is not None


def test_what_means_nothing_here_gives_one_warning_with_its_place(write: Write) -> None:
    strategy = read_manifest(write(CANARY, "rollout.yaml"))
    assert strategy.from_manifest is not None
    places = [(item.line, item.field) for item in strategy.from_manifest.warnings or ()]
    canary = "spec.strategy.canary"
    assert places == [
        (5, "spec.replicas"),
        (10, f"{canary}.canaryService"),
        (12, f"{canary}.trafficRouting.istio"),
        (15, f"{canary}.steps[0].setCanaryScale"),
        (20, f"{canary}.steps[3].analysis.analysisRunMetadata"),
        (26, f"{canary}.autoPromotionEnabled"),
    ]


def test_a_blue_green_strategy_is_taken_over(write: Write) -> None:
    text = """\
        kind: Rollout
        spec:
          strategy:
            blueGreen:
              activeService: a
              autoPromotionEnabled: false
              scaleDownDelaySeconds: 60
              prePromotionAnalysis: {templates: [{templateName: t}]}
        """
    strategy = read_manifest(write(text, "rollout.yaml"))
    assert strategy.blue_green is not None
    assert strategy.blue_green.auto_promotion_enabled is False
    assert strategy.blue_green.keep_warm_s == 60
    assert strategy.blue_green.pre_promotion_analysis is not None
    assert strategy.from_manifest is not None
    assert [item.field for item in strategy.from_manifest.warnings or ()] == [
        "spec.strategy.blueGreen.activeService"
    ]


@pytest.mark.parametrize(
    ("steps", "expected"),
    [
        ("[{experiment: {}}]", "[0].experiment: is a step that the router cannot do"),
        ("[{plugin: {}}]", "[0].plugin: is a step that the router cannot do"),
        ("[{setCanaryScale: {}}, {setWeight: 101}]", "[1].setWeight: 101 is more than 100"),
        ("[{setCanaryScale: {}}, {setWeight: x}]", "[1].setWeight: must be a number"),
        (
            "[{setMirrorRoute: {name: m, percentage: 101, match: [{path: {exact: /}}]}}]",
            "[0].setMirrorRoute.percent: 101 is not between 0 and 100 percent",
        ),
        (
            "[{setMirrorRoute: {name: m, match: [{path: {regex: x}}]}}]",
            "[0].setMirrorRoute.match[0].path.regex: cannot be matched by the router",
        ),
    ],
)
def test_a_step_that_cannot_be_done_is_refused_with_its_place(
    write: Write, steps: str, expected: str
) -> None:
    text = f"kind: Rollout\nspec:\n  strategy:\n    canary:\n      steps: {steps}\n"
    problem, *_ = refused(write(text, "rollout.yaml"))
    assert problem.startswith(f"5 spec.strategy.canary.steps{expected}")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("kind: Deployment\n", "0 : holds no Rollout; exactly one is needed"),
        ("kind: Rollout\n---\nkind: Rollout\n", "0 : holds 2 Rollouts; exactly one is needed"),
        ("kind: Rollout\nspec: {strategy: {}}\n", "needs exactly one of canary, blueGreen"),
        ("kind: Rollout\nkind: Rollout\n", "2 kind: is written twice (first in line 1)"),
    ],
)
def test_what_is_not_one_rollout_is_refused(write: Write, text: str, expected: str) -> None:
    assert expected in refused(write(text, "rollout.yaml"))[0]


def test_a_route_uses_a_manifest_and_may_set_its_own_deadline(write: Write) -> None:
    write(CANARY, "rollouts/chat.yaml")
    write(
        "metadata: {name: quality}\nspec: {metrics: [{name: m, provider: {web: {url: http://q}}}]}"
        "\n",
        "t.yaml",
    )
    router = write(
        """\
        routes:
        - name: chat
          match: [{path: /x}]
          versions: {v1: {endpoints: [http://a]}, v2: {endpoints: [http://b]}}
          release: v1
          strategy: {fromManifest: rollouts/chat.yaml, progressDeadlineSeconds: 60}
        analysisTemplates: [t.yaml]
        """
    )
    strategy = load(router).routes[0].strategy
    assert strategy is not None
    assert strategy.canary is not None
    assert strategy.progress_deadline_s == 60
    (report,) = check([router]).files
    assert any(warning.field == "spec.replicas" for warning in report.warnings)


def test_a_manifest_that_names_an_unknown_template_is_refused_where_it_is_named(
    write: Write,
) -> None:
    write(CANARY, "rollout.yaml")
    router = write(
        """\
        routes:
        - name: chat
          match: [{path: /x}]
          versions: {v1: {endpoints: [http://a]}}
          strategy: {fromManifest: rollout.yaml}
        """
    )
    with pytest.raises(ConfigProblems) as error:
        load(router)
    assert [str(problem) for problem in error.value.problems] == [
        f'{router}:5 routes[0].strategy.fromManifest: unknown analysis template "quality"'
    ]


def test_a_broken_manifest_is_named_with_its_own_file_and_line(write: Write) -> None:
    manifest = write("kind: Rollout\nspec:\n  strategy: {canary: {steps: [{setWeight: x}]}}\n", "m")
    router = write(
        "routes:\n- name: a\n  match: [{path: /x}]\n  versions: {v1: {endpoints: [http://a]}}\n"
        "  strategy: {fromManifest: m}\n"
    )
    with pytest.raises(ConfigProblems) as error:
        load(router)
    assert [(item.file, item.line) for item in error.value.problems] == [(manifest, 3)]
