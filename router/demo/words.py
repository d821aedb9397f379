"""What is said before and after: the addresses to try, and the summary."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from os.path import relpath
from pathlib import Path
from typing import Final

from rich.console import Console

from router.demo.checks import measured
from router.demo.readings import Reading
from router.demo.scenario import PATH, STICKY_HEADER, Scenario
from router.demo.stage import Stage
from router.demo.story import Chapter, Story
from router.demo.table import percent, version_table
from router.demo.traffic import Tally
from router.demo.view import client_line, say
from router.rollouts.effects import Action

_COMMAND: Final = "inference-router"
_ADMIN_PATHS: Final = ("/metrics", "/api/v1/routes")


def print_addresses(console: Console, scenario: Scenario, stage: Stage) -> None:
    """Say what runs, what will happen, and what to try in another terminal."""
    for line in (*_plan(scenario, stage), "", *_to_try(scenario, stage), ""):
        say(console, line)


def _plan(scenario: Scenario, stage: Stage) -> Iterator[str]:
    yield (
        f"{len(scenario.versions)} model servers, a router with {scenario.workers} workers, "
        f"{scenario.requests_per_s:.0f} requests/s; {scenario.first.name} is stable."
    )
    for version in scenario.versions:
        if ratio := version.engine.get("error-rate"):
            yield f"{version.name} answers {percent(float(ratio))} of its requests with an error."
    yield "A release is a shadow first: it gets copies of requests, and no client its answers."
    acts = ", then ".join(act.title for act in scenario.acts)
    yield f"What should happen: {acts}.  Configuration: {stage.configuration.file}"


def _to_try(scenario: Scenario, stage: Stage) -> Iterator[str]:
    body = f'{{"model":"{scenario.model}","messages":[{{"role":"user","content":"hello"}}]}}'
    yield f"Watch it in a browser: {stage.admin_url}/ui/#/routes/{scenario.route}"
    yield "Try in another terminal (-i shows x-model-version, the version that answered):"
    yield f"  curl -i {stage.traffic_url}{PATH} \\"
    yield f"    -d '{body}'"
    yield f"  the same with -H '{STICKY_HEADER}: me': always the same version"
    yield from _to_look_at(scenario, stage)


def _to_look_at(scenario: Scenario, stage: Stage) -> Iterator[str]:
    yield from (f"  {command}" for command in commands(scenario.route, stage.admin_url))
    yield from (f"  curl {stage.admin_url}{path}" for path in _ADMIN_PATHS)


def commands(route: str, admin_url: str) -> list[str]:
    """What to ask the router with its own command line."""
    program = relpath(sys.argv[0]) if Path(sys.argv[0]).name == _COMMAND else _COMMAND
    words = (
        f"rollout status {route}",
        f"shadow report {route}",
        f"audit list --route {route}",
        "audit verify",
    )
    return [f"{program} {each} --server {admin_url}" for each in words]


def print_summary(
    console: Console, story: Story, total: Reading, tally: Tally, elapsed_s: float
) -> None:
    """Say what came of it."""
    say(console, f"\nSummary of {elapsed_s:.0f} s, as the router counted:\n")
    console.print(version_table(total, total, elapsed_s), highlight=False)
    for line in (*_findings(story, total), client_line(tally)):
        say(console, line)


def _findings(story: Story, total: Reading) -> Iterator[str]:
    yield ""
    for chapter in story.chapters:
        if chapter.ending is not None:
            yield from _chapter(chapter, total)
    for act in story.unfinished:
        yield f"not shown, it ended too early: {act.title}"


def _chapter(chapter: Chapter, total: Reading) -> Iterator[str]:
    name, ending = chapter.act.release, chapter.ending
    assert ending is not None, "only asked of those that have ended"
    walked = " > ".join(f"{share:g}" for share in chapter.shares)
    good = ending.action == Action.PROMOTED
    end = "became stable" if good else "was rolled back"
    yield f"{name} {end} after {chapter.took_s:.1f} s: {walked} %, {chapter.passed} analyses good"
    if not good:
        yield from (f"  {line}" for line in _exposure(chapter, total))
        yield f"  why: {ending.reason}"
        if values := measured(ending.evidence):
            yield f"  measured: {values}"


def _exposure(chapter: Chapter, total: Reading) -> Iterator[str]:
    counts = total.of(chapter.act.release)
    yield f"it had traffic for {chapter.exposed_s:.1f} s and got {counts.requests:.0f} requests"
    yield f"{counts.errors:.0f} failed, of which stable answered {counts.fallbacks:.0f} instead"


def print_outlook(console: Console, scenario: Scenario, stage: Stage) -> None:
    """Say that it goes on, and where to look meanwhile."""
    lines = ("", "It goes on with what is stable now; Ctrl-C ends it.  To look around:")
    for line in (*lines, *_to_look_at(scenario, stage), ""):
        say(console, line)


def print_end(console: Console, total: Reading, tally: Tally) -> None:
    """Say what the clients saw in the whole time, beside what the router counted."""
    say(console, f"\nIn all: {client_line(tally)}; the router counted {total.requests:.0f}")


def print_verdict(console: Console, story: Story, shortfalls: Sequence[str]) -> None:
    """Say whether it went as it should."""
    if not shortfalls:
        say(console, f"Story: as it should be{', as far as it went' if story.unfinished else ''}")
    for shortfall in shortfalls:
        say(console, f"Story: NOT as it should be: {shortfall}")
