"""The verdicts of a suite, by group: for people and for programs."""

from collections.abc import Iterable
from typing import Any

import msgspec

from router.selftest.case import Group
from router.selftest.play import Verdict
from router.selftest.promises import NATIVE_ONLY


class Tally(msgspec.Struct):
    """One group's verdicts."""

    passed: int = 0
    failed: int = 0
    not_promised: int = 0


class Report(msgspec.Struct, frozen=True):
    """What came of a suite.  What the asgi door does not promise fails nobody."""

    door: str
    route: str
    verdicts: tuple[Verdict, ...]

    def promised(self, verdict: Verdict) -> bool:
        """Whether this door vouches for the case."""
        return self.door != "asgi" or verdict.case.name not in NATIVE_ONLY

    @property
    def failures(self) -> tuple[Verdict, ...]:
        """What failed and was promised."""
        return tuple(each for each in self.verdicts if not each.passed and self.promised(each))

    @property
    def ok(self) -> bool:
        """Whether every strict case passed that the door vouches for."""
        return not any(each.case.strict for each in self.failures)

    @property
    def groups(self) -> dict[Group, Tally]:
        """How many passed, in the groups' own order."""
        return _tally(self, self.verdicts)

    def document(self) -> dict[str, Any]:
        """All of it, for `--output json`."""
        return {
            "ok": self.ok,
            "door": self.door,
            "route": self.route,
            "groups": {
                group.value: {
                    "passed": tally.passed,
                    "failed": tally.failed,
                    "notPromised": tally.not_promised,
                }
                for group, tally in self.groups.items()
            },
            "cases": [_document(self, each) for each in self.verdicts],
        }


def _tally(report: Report, verdicts: Iterable[Verdict]) -> dict[Group, Tally]:
    tallies: dict[Group, Tally] = {}
    for verdict in verdicts:
        tally = tallies.setdefault(verdict.case.group, Tally())
        if verdict.passed:
            tally.passed += 1
        elif report.promised(verdict):
            tally.failed += 1
        else:
            tally.not_promised += 1
    return {group: tallies[group] for group in Group if group in tallies}


def _document(report: Report, verdict: Verdict) -> dict[str, Any]:
    case = verdict.case
    document: dict[str, Any] = {
        "name": case.name,
        "group": case.group.value,
        "rule": case.rule,
        "strict": case.strict,
        "passed": verdict.passed,
    }
    if not verdict.passed:
        document["against"] = list(verdict.against)
        document["sent"] = case.raw.decode("latin-1")
        document["got"] = verdict.got.decode("latin-1")
        if not report.promised(verdict):
            document["notPromised"] = NATIVE_ONLY[case.name]
    return document
