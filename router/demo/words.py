"""What is said before and after: the addresses to try, and the summary."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from typing import Final

from rich.console import Console

from router.demo.readings import Reading
from router.demo.scenario import PATH, STICKY_HEADER, Scenario
from router.demo.stage import Stage
from router.demo.table import version_table
from router.demo.traffic import Tally
from router.demo.view import client_line

_ADMIN_PATHS: Final = ("/metrics", "/readyz", "/api/v1/routes")


def print_addresses(console: Console, scenario: Scenario, stage: Stage) -> None:
    """Say what runs and what to try; lines are not broken, so that they can be copied."""
    versions = ", ".join(f"{each.name} {each.percent} %" for each in scenario.versions)
    body = f'{{"model":"{scenario.model}","messages":[{{"role":"user","content":"hello"}}]}}'
    lines = (
        f"{len(scenario.versions)} model servers ({versions}), a router with {scenario.workers} "
        f"workers, {scenario.requests_per_s:.0f} requests/s.",
        "",
        "Try in another terminal (-i shows x-model-version, the version that answered):",
        f"  curl -i {stage.traffic_url}{PATH} \\",
        f"    -d '{body}'",
        f"  the same with -H '{STICKY_HEADER}: me': always the same version",
        *(f"  curl {stage.admin_url}{path}" for path in _ADMIN_PATHS),
        "",
    )
    _print(console, lines)


def print_summary(
    console: Console, scenario: Scenario, total: Reading, tally: Tally, elapsed_s: float
) -> None:
    """Say what came of it."""
    _print(console, [f"Summary of {elapsed_s:.0f} s, as the router counted:", ""])
    console.print(version_table(total, total, elapsed_s), highlight=False)
    _print(console, _findings(scenario, total, tally))


def _findings(scenario: Scenario, total: Reading, tally: Tally) -> Iterator[str]:
    yield ""
    yield _split(scenario, tally)
    yield _conversations(tally)
    yield f"{client_line(tally)}; the router counted {total.requests:.0f}"


def _split(scenario: Scenario, tally: Tally) -> str:
    newest = scenario.newest
    got, of = tally.free[newest.name], tally.free.total()
    expected = of * newest.percent / 100
    # Each worker's rotation is less than one request away from its share, at any moment.
    exact = "exact" if abs(got - expected) < scenario.workers else "NOT EXACT"
    return (
        f"split: {got} of {of} requests outside conversations to {newest.name}, "
        f"{expected:.1f} expected: {exact}"
    )


def _conversations(tally: Tally) -> str:
    moved = f"{len(tally.moved)} MOVED" if tally.moved else "each stayed on its version"
    where = Counter(tally.conversations.values())
    places = ", ".join(f"{where[version]} on {version}" for version in sorted(where))
    return f"conversations: {len(tally.conversations)}, {moved}" + (
        f" ({places})" if places else ""
    )


def _print(console: Console, lines: Iterable[str]) -> None:
    for line in lines:
        console.print(line, soft_wrap=True, highlight=False, markup=False)
