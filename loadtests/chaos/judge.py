"""The bars of a run, and whether it kept to them.  Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from loadtests.chaos.asks import Kind, Outcome
from loadtests.chaos.load import Ends
from loadtests.chaos.resources import Growth, Holding

GROWTH_PERCENT: Final = 5.0
"""A worker's first minutes are not its last: allocator arenas fill up (docs/loadtests.md)."""

SLACK_DESCRIPTORS: Final = 6
"""At rest: a probe's connection is idle for 4 s and there is a probe every second, so each of the
four endpoints has four or five; a probe and a look at the metrics may just be under way."""

LOAD_SLACK: Final = 0.25
"""Under load descriptors follow the streams that happen to be open."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """One bar; `kept` is None where the run was too short to tell."""

    name: str
    found: str
    bar: str
    kept: bool | None


def judge(
    ends: Ends,
    faults: Mapping[str, int],
    gauges: Mapping[str, float],
    rest: tuple[Mapping[str, Holding], Mapping[str, Holding]],
    grown: Sequence[Growth],
    ended: Sequence[str],
) -> list[Verdict]:
    """Every bar."""
    return [
        *_of_answers(ends, faults),
        *(
            Verdict(f"gauge {name}", f"{value:g}", "0", value == 0)
            for name, value in gauges.items()
        ),
        Verdict("processes that ended", ", ".join(ended) or "none", "none", not ended),
        *_of_rest(*rest),
        *_of_growth(grown),
    ]


def _of_answers(ends: Ends, faults: Mapping[str, int]) -> list[Verdict]:
    wrong, errors = ends.total(Outcome.WRONG), ends.total(Outcome.ERROR)
    own, suffered = ends.total(Outcome.OWN), sum(faults.values())
    unary = sum(
        number
        for (kind, outcome, _), number in ends.counts.items()
        if outcome is Outcome.BROKEN_ANSWER and kind is not Kind.STREAM
    )
    return [
        Verdict("own answers, whole", str(own), "> 0", own > 0),
        Verdict("faults carried out", str(suffered), "> 0", suffered > 0),
        Verdict("answers that are wrong or lost", str(wrong), "0", wrong == 0),
        Verdict("errors where nothing had begun", str(errors), "0", errors == 0),
        Verdict("asks that never ended", str(ends.running), "0", ends.running == 0),
        # Nothing may be sent again after its first byte: these cannot be hidden, only be visible.
        Verdict("answers broken when begun, on the faulty endpoint", str(unary), "told", True),
        Verdict(
            "streams broken when begun, on the faulty endpoint",
            str(ends.total(Outcome.BROKEN_STREAM)),
            "told",
            True,
        ),
    ]


def _of_rest(before: Mapping[str, Holding], after: Mapping[str, Holding]) -> list[Verdict]:
    return [
        Verdict(
            f"descriptors of {name} at rest",
            f"{before[name].descriptors} to {after[name].descriptors}",
            f"+ {SLACK_DESCRIPTORS} at most",
            after[name].descriptors <= before[name].descriptors + SLACK_DESCRIPTORS,
        )
        for name in sorted(before.keys() & after.keys())
    ]


def _of_growth(grown: Sequence[Growth]) -> list[Verdict]:
    if not grown:
        return [Verdict("memory and descriptors under load", "too short", "100 s of load", None)]
    return [verdict for each in grown for verdict in _of_one(each)]


def _of_one(each: Growth) -> list[Verdict]:
    before, after = each.descriptors_first, each.descriptors_last
    return [
        Verdict(
            f"memory of {each.name} after the first minute",
            f"{each.resident_first / 1e6:.1f} to {each.resident_last / 1e6:.1f} MB"
            f" ({each.percent:+.1f} %)",
            f"+ {GROWTH_PERCENT:g} % at most",
            each.percent <= GROWTH_PERCENT,
        ),
        Verdict(
            f"descriptors of {each.name} under load",
            f"{before:g} to {after:g}",
            f"+ {LOAD_SLACK:.0%} at most",
            after <= before * (1 + LOAD_SLACK) + SLACK_DESCRIPTORS,
        ),
    ]
