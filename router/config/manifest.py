"""An Argo Rollout's strategy in our words.

Nothing is silently ignored: what means nothing to a router gives a warning with its path, and a
step that cannot be done is a problem.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from pydantic import ValidationError

from router.config.contradictions import find_in_canary
from router.config.messages import findings
from router.config.models.strategy import Manifest, Strategy
from router.config.problems import ConfigProblems, Finding, Path, Problem
from router.config.source import Source, read_sources

_MEANS_NOTHING: Final = "means nothing to the router, which moves traffic and leaves pods alone"
_REASONS: Final = {
    ("canary", "autoPromotionEnabled"): (
        "means nothing in a canary, to Argo neither: it is promoted after its last step; "
        "add a step `pause: {}` to wait for a person"
    ),
    ("canary", "trafficRouting"): "means nothing here: the router splits the traffic itself",
}
_SPEC: Final = ("progressDeadlineSeconds", "progressDeadlineAbort", "rollbackWindow")
_CANARY: Final = {"steps": "steps", "analysis": "analysis"}
_BLUE_GREEN: Final = {
    "autoPromotionEnabled": "autoPromotionEnabled",
    "autoPromotionSeconds": "autoPromotionSeconds",
    "prePromotionAnalysis": "prePromotionAnalysis",
    "postPromotionAnalysis": "postPromotionAnalysis",
    "scaleDownDelaySeconds": "keepWarmSeconds",
}
_IGNORED_STEPS: Final = ("setCanaryScale", "replicaProgressThreshold")
_IMPOSSIBLE_STEPS: Final = ("experiment", "plugin")
_ANALYSES: Final = ("analysis", "prePromotionAnalysis", "postPromotionAnalysis")


@dataclass(slots=True)
class _Reading:
    """One manifest while it is read: what was taken, and where each part of it came from."""

    source: Source
    warnings: list[Problem] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)
    origin: dict[Path, Path] = field(default_factory=dict)  # ours to theirs

    def ignore(self, path: Path, reason: str = _MEANS_NOTHING) -> None:
        self.warnings.append(self.source.problem(path, reason))

    def refuse(self, path: Path, reason: str) -> None:
        self.problems.append(self.source.problem(path, reason))

    def refuse_ours(self, finding: Finding) -> None:
        """Report a finding about our words at the place of theirs."""
        for length in range(len(finding.path), -1, -1):
            if (theirs := self.origin.get(finding.path[:length])) is not None:
                self.refuse((*theirs, *finding.path[length:]), finding.message)
                return
        self.refuse(("spec", *finding.path), finding.message)


def read_manifest(file: str) -> Strategy:
    """Read a Rollout; `Strategy.from_manifest` carries the warnings.

    Raises:
        ConfigProblems: it is not a Rollout, or does something that the router cannot do.
    """
    reading = _Reading(_only_rollout(file))
    ours = _translate(reading)
    try:
        manifest = Manifest(file, tuple(sorted(reading.warnings, key=lambda item: item.line)))
        strategy = Strategy.model_validate({**ours, "fromManifest": manifest})
    except ValidationError as error:
        for finding in findings(Strategy, error):
            reading.refuse_ours(finding)
    for finding in find_in_canary(ours.get("canary") or {}):
        reading.refuse_ours(Finding(("canary", *finding.path), finding.message))
    if reading.problems:
        raise ConfigProblems(reading.problems)
    return strategy


def _only_rollout(file: str) -> Source:
    sources = read_sources(file)
    if problems := [problem for source in sources for problem in source.problems]:
        raise ConfigProblems(problems)
    rollouts = [item for item in sources if _mapping(item.value).get("kind") == "Rollout"]
    if len(rollouts) != 1:
        found = "no Rollout" if not rollouts else f"{len(rollouts)} Rollouts"
        raise ConfigProblems([Problem(file, 0, "", f"holds {found}; exactly one is needed")])
    return rollouts[0]


def _translate(reading: _Reading) -> dict[str, Any]:
    spec = _mapping(_mapping(reading.source.value).get("spec"))
    strategy = _mapping(spec.get("strategy"))
    kinds = [kind for kind in ("canary", "blueGreen") if kind in strategy]
    if len(kinds) != 1:
        reading.refuse(("spec", "strategy"), "needs exactly one of canary, blueGreen")
        return {}
    ours: dict[str, Any] = {}
    for key in spec:
        if key in _SPEC:
            ours[key] = spec[key]
        elif key != "strategy":
            reading.ignore(("spec", key))
    theirs = _mapping(strategy[kinds[0]])
    place = ("spec", "strategy", kinds[0])
    reading.origin[(kinds[0],)] = place
    names = _CANARY if kinds[0] == "canary" else _BLUE_GREEN
    inside = ours[kinds[0]] = {}
    for key, value in theirs.items():
        if key in names:
            inside[names[key]] = (
                _analysis(reading, value, (*place, key)) if key in _ANALYSES else value
            )
            reading.origin[kinds[0], names[key]] = (*place, key)
        elif key == "trafficRouting":
            inside |= _traffic_routing(reading, _mapping(value), (*place, key))
        else:
            reading.ignore((*place, key), _REASONS.get((kinds[0], key), _MEANS_NOTHING))
    if isinstance(inside.get("steps"), list):
        inside["steps"] = list(_steps(reading, inside["steps"], (*place, "steps")))
    return ours


def _traffic_routing(reading: _Reading, value: Mapping[str, Any], place: Path) -> dict[str, Any]:
    for key in value:
        if key != "maxTrafficWeight":
            reading.ignore((*place, key), _REASONS["canary", "trafficRouting"])
    if "maxTrafficWeight" not in value:
        return {}
    reading.origin["canary", "maxTrafficWeight"] = (*place, "maxTrafficWeight")
    return {"maxTrafficWeight": value["maxTrafficWeight"]}


def _steps(reading: _Reading, steps: list[Any], place: Path) -> Iterator[Any]:
    count = 0
    for index, step in enumerate(steps):
        kind = next(iter(_mapping(step)), None)
        there = (*place, index) if kind is None else (*place, index, kind)
        if kind in _IGNORED_STEPS:
            reading.ignore(there)
            continue
        if kind in _IMPOSSIBLE_STEPS:
            reading.refuse(there, "is a step that the router cannot do")
            continue
        reading.origin["canary", "steps", count] = (*place, index)
        if kind == "setMirrorRoute":
            reading.origin["canary", "steps", count, "setShadow"] = there
            yield {"setShadow": _mirror(reading, _mapping(step[kind]), there)}
        elif kind == "analysis":
            yield {**step, "analysis": _analysis(reading, step[kind], there)}
        else:
            yield step
        count += 1


def _analysis(reading: _Reading, value: Any, place: Path) -> Any:
    if isinstance(value, dict) and "analysisRunMetadata" in value:
        reading.ignore((*place, "analysisRunMetadata"))
        return {key: item for key, item in value.items() if key != "analysisRunMetadata"}
    return value


def _mirror(reading: _Reading, value: Mapping[str, Any], place: Path) -> dict[str, Any]:
    matches = value.get("match") or []
    if not matches:  # no match removes the mirror
        return {"percent": 0}
    rules = [
        _mirror_rule(reading, _mapping(item), (*place, "match", index))
        for index, item in enumerate(matches)
    ]
    return {"percent": value.get("percentage", 100), "match": rules}


def _mirror_rule(reading: _Reading, value: Mapping[str, Any], place: Path) -> dict[str, Any]:
    rule: dict[str, Any] = {}
    names = {
        ("method", "exact"): "method",
        ("path", "exact"): "path",
        ("path", "prefix"): "pathPrefix",
    }
    for part in ("method", "path"):
        for how, text in _mapping(value.get(part)).items():
            if (part, how) in names:
                rule[names[part, how]] = text
            else:
                reading.refuse((*place, part, how), "cannot be matched by the router")
    headers = [
        {"name": name, **_mapping(how)} for name, how in _mapping(value.get("headers")).items()
    ]
    return rule | ({"headers": headers} if headers else {})


def _mapping(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}
