"""Did the run keep to its thresholds?  Pure: one verdict for each, in the order of the file.

Guarantees (tests/unit/loadtests/test_loadtest_judge.py):
  * each threshold is judged once, and one that is missed makes the run fail;
  * what could not be judged is said, with the reason, and is neither good nor bad.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from loadtests.scenarios.figures import Figures, Kind
from loadtests.scenarios.memory import Flatness, Samples, ended, flatness
from loadtests.scenarios.plan import Plan
from loadtests.scenarios.shares import Share, shares
from loadtests.scenarios.thresholds import Latency, Thresholds


@dataclass(frozen=True, slots=True)
class Verdict:
    """One threshold."""

    what: str
    found: str
    limit: str
    ok: bool | None
    """None: it could not be judged."""

    def __str__(self) -> str:
        return f"{self.what}: {self.found} (limit: {self.limit})"


def judge(
    plan: Plan, figures: Figures, samples: Samples | None, thresholds: Thresholds
) -> list[Verdict]:
    """All verdicts; `samples` is None where the processes are not ours to look at."""
    return [
        *_requests(plan, figures, thresholds),
        *_changes(plan, figures, thresholds),
        *_shares(plan, figures, thresholds),
        *_latencies(figures, thresholds),
        *_processes(samples, thresholds),
    ]


def _requests(plan: Plan, figures: Figures, limits: Thresholds) -> Iterator[Verdict]:
    requests, failed, told = figures.requests, figures.failed, figures.told
    ratio = failed / requests if requests else 1.0
    found = f"{failed} of {requests}" if requests else "not one request ended"
    yield Verdict("error ratio", found, f"{limits.error_ratio:g}", ratio <= limits.error_ratio)
    yield _at_most("answers with 5xx", told.server_errors, limits.server_errors)
    yield _at_most("requests without an end", told.begun - told.ended, limits.cut_requests)
    if plan.requests:
        made = figures.asked / plan.requests
        found = f"{figures.asked} of {plan.requests:.0f} requests"
        yield Verdict("load", found, f"{limits.load_ratio:g} of it", made >= limits.load_ratio)
    if plan.streams:
        yield Verdict("streams", f"{figures.streams} ended", "1", figures.streams >= 1)


def _changes(plan: Plan, figures: Figures, limits: Thresholds) -> Iterator[Verdict]:
    told = figures.told
    if plan.admin is None:
        yield Verdict("changes of weights", "no admin address", f"{limits.least_changes}", None)
    else:
        enough = told.changes >= limits.least_changes
        yield Verdict("changes of weights", f"{told.changes}", f"{limits.least_changes}", enough)
        yield _at_most("failed changes", told.failed_changes, limits.failed_changes)
    yield _at_most("conversations that moved", told.moved, limits.moved_conversations)


def _shares(plan: Plan, figures: Figures, limits: Thresholds) -> Iterator[Verdict]:
    told = figures.told
    limit = f"{limits.share_sigmas:g} sigmas"
    if not told.weights:
        why = "no admin address" if plan.admin is None else "the router did not tell its weights"
        yield Verdict("shares", why, limit, None if plan.admin is None else False)
        return
    found = shares(told.answers, told.weights)
    if missing := found.unknown + told.unfitting:
        # So few are asked before the weights are read that more than a tenth is a fault.
        judged = sum({each.route: each.answers for each in found.versions}.values())
        within = missing <= (judged + missing) / 10
        yield Verdict("answers of unknown weights", f"{missing}", "a tenth of all", within)
    for share in found.versions:
        yield _share(share, limit, limits)
    unweighted = sum(share.unweighted for share in found.versions)
    yield _at_most("answers by versions without weight", unweighted, limits.unweighted_answers)


def _share(share: Share, limit: str, limits: Thresholds) -> Verdict:
    asked = f"{share.found} of {share.answers}, expected {share.expected:.1f}"
    found = f"{asked}: {share.sigmas:.2f} sigmas off"
    within = share.sigmas <= limits.share_sigmas
    return Verdict(f"share of {share.route} {share.version}", found, limit, within)


def _latencies(figures: Figures, limits: Thresholds) -> Iterator[Verdict]:
    for name, latency in limits.latency.items():
        kind = figures.kind(name)
        if kind is not None and kind.count:
            yield from _latency(kind, latency)


def _latency(kind: Kind, latency: Latency) -> Iterator[Verdict]:
    for label, found, limit in (
        ("p95", kind.p95, latency.p95),
        ("p99", kind.p99, latency.p99),
    ):
        if limit is not None:
            yield Verdict(f"{kind.name} {label}", _ms(found), _ms(limit), found <= limit)


def _processes(samples: Samples | None, limits: Thresholds) -> Iterator[Verdict]:
    if samples is None:
        yield Verdict("memory", "not our processes", f"± {limits.memory_percent:g} %", None)
        return
    samples = samples.of_router()
    gone = ended(samples)
    found = ", ".join(gone) if gone else "0"
    yield Verdict(
        "ended processes", found, f"{limits.ended_processes}", len(gone) <= limits.ended_processes
    )
    for name, rows in samples.by_name().items():
        yield _memory(name, flatness(rows, limits.memory_warm_up_seconds), limits)


def _memory(name: str, flat: Flatness | None, limits: Thresholds) -> Verdict:
    what, limit = f"memory of {name}", f"± {limits.memory_percent:g} %"
    if flat is None:
        why = f"too short: the first {limits.memory_warm_up_seconds:.0f} s are warm-up"
        return Verdict(what, why, limit, None)
    low, base, high = (size / 1e6 for size in (flat.least, flat.base, flat.most))
    found = f"{base:.1f} MB, then {low:.1f} to {high:.1f} MB: {flat.percent:.1f} % off"
    return Verdict(what, found, limit, flat.percent <= limits.memory_percent)


def _at_most(what: str, found: int, limit: int) -> Verdict:
    return Verdict(what, f"{found}", f"{limit}", found <= limit)


def _ms(milliseconds: float) -> str:
    return f"{milliseconds:.0f} ms"
